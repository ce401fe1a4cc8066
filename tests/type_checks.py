"""What checks the package's annotations, with shapes and dtypes, at every call.

jaxtyping puts `check` on every function and dataclass of `CHECKED` as it is imported; commands that tests start run
without.
"""

from beartype import BeartypeConf, beartype

CHECKED = tuple(
    f"dnr_jax.{name}"
    for name in (
        *("padding", "networks", "planning", "rendering", "sight", "result", "pipeline"),
        *("metrics", "baselines", "photos.luma"),
    )
)
"""What takes and returns arrays."""
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""A whole number serves where `float` is asked for, as type checkers have it."""
