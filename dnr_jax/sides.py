"""Width, then height: each side's seams on what the side before left, and each side's warp (method for both sides).

Seams and warp are written for width; here the height is transposed to and fro.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dnr_jax.carve import Carving, apply_width, carve_width
from dnr_jax.config import RetargetConfig
from dnr_jax.importance import aggregate
from dnr_jax.taps import tap_stride
from dnr_jax.vgg import Size
from dnr_jax.warp import Warp, plan_warp, warp_width

SIDES = ("width", "height")
AXES = {"height": 0, "width": 1}


class Carved(NamedTuple):
    """All that loses seams together.

    Attributes:
      maps: S_l of each tap, float32 [h_l, w_l]; the valid part shrinks with every side, the shape stays.
      features: F_l of the loss's taps, float32 [h_l, w_l, C].
      image: the photo, float32 [H, W, 3]; None where nothing starts from its carved pixels.
    """

    maps: tuple[jax.Array, ...]
    features: dict[str, jax.Array]
    image: jax.Array | None


def carve_side(
    side: str,
    carved: Carved,
    size: tuple[int, int],
    target: int,
    threshold: jax.Array,
    config: RetargetConfig,
) -> tuple[Carving, Carved]:
    """Removes the seams of one side from everything.

    Args:
      side: "width" or "height".
      carved: what the sides before left.
      size: its valid (height, width) in pixels.
      target: the pixels wanted of this side.
      threshold: the most mean importance of a deepest seam.

    Returns:
      The seams, transposed for the height, and what they leave, not transposed.
    """
    carved = carved if side == "width" else _transpose(carved)
    size = size if side == "width" else (size[1], size[0])
    carving = carve_width(carved.maps, size, target, threshold, config.alpha, taps=config.taps, region=config.region)
    carved = _apply(carved, carving, config.taps)
    return carving, carved if side == "width" else _transpose(carved)


@partial(jax.jit, static_argnames=("taps",))
def _apply(carved: Carved, carving: Carving, taps: tuple[str, ...]) -> Carved:
    kept = {tap: seams.kept for tap, seams in zip(taps, carving.levels, strict=True)}
    maps = tuple(apply_width(values, kept[tap]) for tap, values in zip(taps, carved.maps, strict=True))
    features = {tap: apply_width(values, kept[tap]) for tap, values in carved.features.items()}
    # The first tap has full resolution wherever an image is to be carved (see config).
    return Carved(maps, features, None if carved.image is None else apply_width(carved.image, kept[taps[0]]))


@jax.jit
def _transpose(carved: Carved) -> Carved:
    return jax.tree.map(lambda array: jnp.swapaxes(array, 0, 1), carved)


def warp_side(
    side: str, image: jax.Array, importance: jax.Array, size: tuple[int, int], target: int, cell: int
) -> tuple[Warp, jax.Array, jax.Array]:
    """Warps one side of an image to its target, and the importance along with it (for the side that follows).

    Args:
      image: float32 [H, W, 3] whose valid part is `size`; its shape stays.
      importance: float32 [H, W], mu of Eq. 3 before the mean over cells.
      target: the pixels wanted of this side, at most what `size` has.
    """
    if side == "height":
        image, importance, size = jnp.swapaxes(image, 0, 1), importance.T, (size[1], size[0])
    warp = plan_warp(importance, size, target, cell)
    image = warp_width(image, warp, image.shape[1])
    importance = warp_width(importance[..., None], warp, importance.shape[1])[..., 0]
    if side == "height":
        image, importance = jnp.swapaxes(image, 0, 1), importance.T
    return warp, image, importance


@partial(jax.jit, static_argnames=("taps", "shape"))
def warp_importance(
    maps: tuple[jax.Array, ...], size: Size, *, taps: tuple[str, ...], shape: tuple[int, int]
) -> jax.Array:
    """The carved maps' normalised sum in pixels (mu of Eq. 3 before the mean over cells), float32 of `shape`."""
    strides = tuple(tap_stride(tap) for tap in taps)
    sizes = tuple((jnp.asarray(size[0]) // stride, jnp.asarray(size[1]) // stride) for stride in strides)
    return aggregate(maps, sizes, strides, shape)
