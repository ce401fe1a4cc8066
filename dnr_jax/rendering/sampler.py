"""The differentiable bilinear grid sampler (the paper's G, Sec. 3.3)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dnr_jax.arrays import Whole
from dnr_jax.padding import AnySize


def sample(
    image: Float[Array, "_ _ c"], displacement: Float[Array, "h w 2"], *, size: AnySize | None = None
) -> Float[Array, "h w c"]:
    """`G(O)(i, j) = O(i + dy, j + dx)`, bilinear between pixels, clamped to the borders.

    The gradient with respect to a coordinate is the slope of the bilinear cell it lies in (of the cell to the right or
    below on a cell's border, to the left or above at the last pixel), and 0 outside the image.

    Args:
      image: float32 [H, W, C].
      displacement: float32 [H, W, 2], (dy, dx) in pixels of each output pixel.
      size: the valid (height, width) of `image`, whose borders clamp; None for all of it.

    Returns:
      float32 [H, W, C].
    """
    height, width = size or image.shape[:2]
    rows = jnp.arange(displacement.shape[0], dtype=displacement.dtype)[:, None] + displacement[..., 0]
    columns = jnp.arange(displacement.shape[1], dtype=displacement.dtype)[None, :] + displacement[..., 1]
    top, bottom, y = _cell(rows, height)
    left, right, x = _cell(columns, width)
    y, x = y[..., None], x[..., None]
    above = image[top, left] * (1 - x) + image[top, right] * x
    below = image[bottom, left] * (1 - x) + image[bottom, right] * x
    return above * (1 - y) + below * y


def _cell(coordinates: jax.Array, length: Whole) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The two pixels around each coordinate and how far it is from the first to the second, in [0, 1]."""
    last = jnp.asarray(length, jnp.int32) - 1
    edge = last.astype(coordinates.dtype)
    inside = (coordinates >= 0) & (coordinates <= edge)
    clamped = jnp.where(inside, coordinates, jax.lax.stop_gradient(jnp.clip(coordinates, 0, edge)))
    first = jnp.clip(jnp.floor(jax.lax.stop_gradient(clamped)).astype(jnp.int32), 0, jnp.maximum(last - 1, 0))
    return first, jnp.minimum(first + 1, last), clamped - first.astype(coordinates.dtype)
