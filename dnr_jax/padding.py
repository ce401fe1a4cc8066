"""Arrays larger than what they hold: the valid part in their top-left corner, and the mask of what is valid."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int32, Shaped

from dnr_jax.arrays import Whole

Size = tuple[Int32[Array, ""], Int32[Array, ""]]
"""The valid (height, width) of a padded array, int32 scalars that may be traced."""
AnySize = tuple[Whole, Whole]
"""The same; on the host, Python's whole numbers."""


def valid_mask(shape: tuple[int, ...], size: AnySize) -> Bool[Array, "h w 1"]:
    """A bool [H, W, 1] that is True inside the valid top-left part of an array of `shape` [H, W, ...]."""
    rows, columns = (jnp.arange(n, dtype=jnp.int32) for n in shape[:2])
    return (rows[:, None, None] < size[0]) & (columns[None, :, None] < size[1])


def pad(array: Shaped[np.ndarray, "_ _ ..."], shape: tuple[int, int]) -> Shaped[np.ndarray, "_ _ ..."]:
    """Zero-pads the first two axes to `shape`, at least theirs; on the host, for a device compiles for every size."""
    pads = [(0, n - m) for n, m in zip(shape, array.shape[:2], strict=True)]
    return np.pad(array, (*pads, *((0, 0),) * (array.ndim - 2)))


def traced_size(size: tuple[int, ...]) -> Size:
    """A (height, width) as int32 scalars, so that another one compiles nothing."""
    return jnp.int32(size[0]), jnp.int32(size[1])


def fit(array: Shaped[Array, "_ _ ..."], shape: tuple[int, int]) -> Shaped[Array, "_ _ ..."]:
    """Crops or zero-pads the first two axes to `shape`."""
    array = array[: shape[0], : shape[1]]
    pads = [(0, n - m) for n, m in zip(shape, array.shape[:2], strict=True)]
    return jnp.pad(array, (*pads, *((0, 0),) * (array.ndim - 2)))
