"""A photo scaled into one of a few fixed shapes, black around it, so that networks compile few times.

Scaling keeps the photo's proportions. The shape depends on the array alone and not on the valid size inside it, so that
photos of several sizes in arrays of one shape share their programs.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float32

from dnr_jax.arrays import Image, Whole
from dnr_jax.networks.mobile import Size, inside
from dnr_jax.padding import fit, valid_mask
from dnr_jax.programs import program
from dnr_jax.shapes import side_step

LONGER = 768
"""Pixels that the longer side of a photo gets by default."""
STEPS = 6
"""So many lengths the other side can have: as many shapes for each orientation, of which one is both."""
MULTIPLE = 32
"""What all sides are multiples of: the coarsest stride of the networks."""
MOST_ENLARGED = 3.0
"""How many times at most a small photo is enlarged."""


class Letterbox(NamedTuple):
    """A scaled photo.

    Attributes:
      image: float32 [Hc, Wc, 3], RGB in [0, 255]; zeros outside the photo.
      size: int32 (height, width) of the photo in it.
    """

    image: Image
    size: Size


def canvas_shape(shape: tuple[int, ...], *, longer: int = LONGER) -> tuple[int, int]:
    """The (height, width) of the letterbox for photos in an array of `shape` [H, W, ...], multiples of 32.

    Example:
      >>> canvas_shape((480, 640)), canvas_shape((640, 480)), canvas_shape((500, 3000))
      ((640, 768), (768, 640), (256, 768))
      >>> canvas_shape((480, 640), longer=512)
      (448, 512)
    """

    def length(side: int, other: int) -> int:
        # The longer side may be so much shorter than its array as the arrays' sides come in steps.
        least = max(1, other - side_step(other) + 1)
        steps = min(STEPS, -(-STEPS * side // least))
        return -(-longer * steps // (STEPS * MULTIPLE)) * MULTIPLE

    return length(shape[0], shape[1]), length(shape[1], shape[0])


def letterbox(image: Image, *, size: Size | None = None, longer: int = LONGER) -> Letterbox:
    """Scales a photo so that its longer side has `longer` pixels, or MOST_ENLARGED times its own where that is less.

    Args:
      image: float32 [H, W, 3], RGB in [0, 255].
      size: int32 (height, width), at least 1: only the top-left part of that size is a photo, and what lies outside
        (not finite values included) changes nothing; None for all of `image`.
      longer: how many pixels the longer side has, a multiple of 32.
    """
    lengths = tuple(jnp.int32(n) for n in image.shape[:2]) if size is None else size
    if size is not None:
        image = jnp.where(valid_mask(image.shape, size), image, 0)
    canvas, scale = canvas_shape(image.shape, longer=longer), jnp.minimum(MOST_ENLARGED, longer / jnp.maximum(*lengths))
    for n, m in zip(canvas, lengths, strict=True):
        scale = jnp.minimum(scale, n / m)  # Fits in any case.
    height, width = (
        jnp.clip(jnp.round(m.astype(jnp.float32) * scale).astype(jnp.int32), 1, n)
        for n, m in zip(canvas, lengths, strict=True)
    )
    rows = triangle_weights(image.shape[0], lengths[0], canvas[0], height)
    columns = triangle_weights(image.shape[1], lengths[1], canvas[1], width)
    scaled = jnp.einsum("yh,hwc->ywc", rows, image, precision=lax.Precision.HIGHEST)
    scaled = jnp.einsum("xw,ywc->yxc", columns, scaled, precision=lax.Precision.HIGHEST)
    return Letterbox(jnp.where(inside(canvas, (height, width))[:, :, None], scaled, 0), (height, width))


boxed = program(static_argnames=("longer",))(letterbox)
"""`letterbox`, compiled."""


def triangle_weights(length: int, valid: Whole, count: int, wanted: Whole) -> Float32[Array, "_ _"]:
    """A triangle filter, float32 [count, length], that scales `valid` elements to the first `wanted` of `count`.

    Wide enough not to alias where it shrinks; linear interpolation where it enlarges. Rows from `wanted` on are junk.
    """
    valid, wanted = jnp.asarray(valid, jnp.int32), jnp.asarray(wanted, jnp.int32)
    # In whole numbers, of which 2 * wanted make an element: float32 would lose a distance's digits to a large centre.
    unit, last = 2 * wanted, valid - 1
    centres = jnp.clip((2 * jnp.arange(count) + 1) * valid - wanted, 0, unit * last)[:, None]
    places = jnp.arange(length)[None, :]
    distance = jnp.abs(centres - unit * places).astype(jnp.float32) / unit.astype(jnp.float32)
    wide = jnp.maximum(valid.astype(jnp.float32) / wanted.astype(jnp.float32), 1)
    weights = jnp.where(places <= last, jnp.maximum(0, 1 - distance / wide), 0)
    return weights / jnp.sum(weights, 1, keepdims=True)


def halved(box: Letterbox) -> Letterbox:
    """The letterbox at half its resolution, by means of 2x2; a last odd row or column is mixed with black."""
    height, width, channels = box.image.shape
    image = box.image.reshape(height // 2, 2, width // 2, 2, channels).mean((1, 3))
    return Letterbox(image, ((box.size[0] + 1) >> 1, (box.size[1] + 1) >> 1))


def rounded_up(size: Size, multiple: int) -> Size:
    """The next multiples of `multiple`, a power of two."""
    return (size[0] + multiple - 1) & -multiple, (size[1] + multiple - 1) & -multiple


def fit_letterbox(box: Letterbox, shape: tuple[int, int]) -> Letterbox:
    """The letterbox in a canvas of `shape` (height, width), which holds its photo."""
    return Letterbox(fit(box.image, shape), box.size)
