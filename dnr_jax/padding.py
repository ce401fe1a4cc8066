"""Arrays larger than what they hold: the valid part in their top-left corner, and sides in steps."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Size = tuple[jax.Array, jax.Array]
"""The valid (height, width) of a padded array, int32 scalars that may be traced."""
AnySize = tuple[Any, Any]
"""The same; on the host, Python's whole numbers."""


def valid_mask(shape: tuple[int, ...], size: Size) -> jax.Array:
    """A bool [H, W, 1] that is True inside the valid top-left part of an array of `shape` [H, W, ...]."""
    rows, columns = jnp.arange(shape[0])[:, None, None], jnp.arange(shape[1])[None, :, None]
    return (rows < size[0]) & (columns < size[1])


def pad(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Zero-pads the first two axes to `shape`, at least theirs; on the host, for a device compiles for every size."""
    pads = [(0, n - m) for n, m in zip(shape, array.shape[:2], strict=True)]
    return np.pad(array, (*pads, *((0, 0),) * (array.ndim - 2)))


def traced_size(size: tuple[int, ...]) -> Size:
    """A (height, width) as int32 scalars, so that another one compiles nothing."""
    return jnp.int32(size[0]), jnp.int32(size[1])


def fit(array: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Crops or zero-pads the first two axes to `shape`."""
    array = array[: shape[0], : shape[1]]
    pads = [(0, n - m) for n, m in zip(shape, array.shape[:2], strict=True)]
    return jnp.pad(array, (*pads, *((0, 0),) * (array.ndim - 2)))
