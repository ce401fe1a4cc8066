"""Types of arrays: shapes and dtypes as annotations, which the tests check at every call.

`Float32[Array, "h w 3"]` is a float32 array of height, width and three channels. A letter stands for one length
throughout a call, arguments and result, whichever function wrote it; `_` for any length, each time another.
`Array` is JAX's, traced or not; what lives on the host says `np.ndarray`.
"""

from typing import TypeAlias

from jaxtyping import Array, Float32, Int32

Image: TypeAlias = Float32[Array, "h w 3"]
"""RGB in [0, 255]."""
Maps: TypeAlias = tuple[Float32[Array, "_ _"], ...]
"""One map for each tap, shallow to deep, each in the neurons of its tap."""
Whole: TypeAlias = Int32[Array, ""] | int
"""A whole number, traced where another value of it is not to compile again."""
Number: TypeAlias = Float32[Array, ""] | float
"""A number, likewise."""
