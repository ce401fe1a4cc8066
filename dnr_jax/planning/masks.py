"""Protect and remove masks, as what they add to every level's seam costs and to the warp's importance."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32

from dnr_jax.arrays import Maps
from dnr_jax.networks.taps import levels_of
from dnr_jax.padding import AnySize, valid_mask
from dnr_jax.programs import program

_HALO = 2
"""Pixels by which a remove mask grows: features of block 1 next to an object still show its edge."""
_WARP_PROTECTION = 1e4
"""Importance of a protected pixel in the warp, where an ordinary one has about 1 for each tap."""


class Masks(NamedTuple):
    """What the user marked.

    Attributes:
      protect: bool [H, W], keeps its shape; None for nothing.
      remove: bool [H, W], goes first; None for nothing.
      objects: float32 [H, W] in [0, 1], how much each pixel belongs to an object, instead of what the salience network
        sees; None for that. Only with `RetargetConfig.objects` "auto".

    Example:
      >>> face = np.zeros((64, 96), bool)
      >>> face[10:40, 20:50] = True
      >>> Masks(protect=face).remove is None
      True
    """

    protect: Bool[np.ndarray, "h w"] | None = None
    remove: Bool[np.ndarray, "h w"] | None = None
    objects: Float32[np.ndarray, "h w"] | None = None


NO_MASKS = Masks()


def check_masks(masks: Masks, size: tuple[int, int]) -> None:
    """Raises ValueError for a mask of another size or kind, or where both masks mark the same pixel."""
    for name, mask in (("protect", masks.protect), ("remove", masks.remove)):
        if mask is not None and (mask.shape != size or mask.dtype != np.bool_):
            raise ValueError(f"the {name} mask is {mask.dtype} {mask.shape}: it must be bool {size}, as the photo")
    if masks.protect is not None and masks.remove is not None and (masks.protect & masks.remove).any():
        count = int((masks.protect & masks.remove).sum())
        raise ValueError(f"the protect and the remove mask share {count} pixels: mark each pixel once")
    if masks.remove is not None and masks.remove.all():
        raise ValueError("the remove mask marks the whole photo: leave something")
    if masks.objects is not None:
        check_objects(masks.objects, size)


def check_objects(objects: np.ndarray, size: tuple[int, int]) -> None:
    """Raises ValueError for a map of objects of another size, kind or range, or one that is 0 everywhere."""
    if objects.shape != size or objects.dtype.kind != "f":
        raise ValueError(
            f"the map of objects is {objects.dtype} {objects.shape}: it must be float {size}, as the photo"
        )
    if not (np.isfinite(objects).all() and objects.min() >= 0 and objects.max() <= 1):
        raise ValueError("the map of objects holds values outside [0, 1]: scale it to that range")
    if objects.max() == 0:
        raise ValueError("the map of objects is empty: mark something, or choose objects=none")


@program(static_argnames=("taps",))
def mask_bias(
    importance: Maps,
    protect: Bool[Array, "h w"] | None,
    remove: Bool[Array, "h w"] | None,
    size: AnySize,
    *,
    taps: tuple[str, ...],
) -> Maps:
    """What masks add to the cost of each level, float32 [h_l, w_l].

    A neuron is marked where any marked pixel projects onto it. One protected neuron outweighs every seam without any;
    one marked for removal draws a seam from anywhere.

    Args:
      importance: S_l of each tap.
      protect: bool [H, W]; None for nothing.
      remove: bool [H, W]; grows by a halo of two pixels that are not protected; None for nothing.
      size: the valid (height, width) of the masks in pixels.
      taps: the taps that the maps belong to.
    """
    signed: list[tuple[int, jax.Array]] = []
    if protect is not None:
        protect &= valid_mask(protect.shape, size)[..., 0]
        signed.append((1, protect))
    if remove is not None:
        window = 2 * _HALO + 1
        grown = jax.lax.reduce_window(remove, False, jax.lax.bitwise_or, (window, window), (1, 1), "SAME")
        grown &= valid_mask(remove.shape, size)[..., 0]
        signed.append((-1, grown if protect is None else grown & ~protect))
    biases = []
    for values, level in zip(importance, levels_of(taps), strict=True):
        neurons = level.size(size)
        highest = jnp.max(jnp.where(valid_mask(values.shape, neurons)[..., 0], values, 0))
        # Seams go down or across.
        weight = 2 * jnp.maximum(*(jnp.asarray(n, jnp.float32) for n in neurons)) * highest + 1
        marks = [sign * project_mask(mask, level.stride, size=size).astype(jnp.float32) for sign, mask in signed]
        biases.append(weight * sum(marks, jnp.zeros(values.shape, jnp.float32)))
    return tuple(biases)


def project_mask(mask: Bool[Array, "h w"], stride: int, *, size: AnySize | None = None) -> Bool[Array, "_ _"]:
    """Where any marked pixel projects, bool [H // stride, W // stride]; leftovers belong to the last block.

    `size` is the valid (height, width) of the mask, outside which nothing is marked; None for all of it.
    """
    height, width = (jnp.asarray(n, jnp.int32) // stride for n in (size or mask.shape))
    rows = jnp.minimum(jnp.arange(mask.shape[0]) // stride, height - 1)
    columns = jnp.minimum(jnp.arange(mask.shape[1]) // stride, width - 1)
    counts = (
        jnp.zeros((mask.shape[0] // stride, mask.shape[1] // stride), jnp.int32)
        .at[rows[:, None], columns[None, :]]
        .add(mask.astype(jnp.int32))
    )
    return counts > 0


def widest(marked: Bool[np.ndarray, "h w"]) -> int:
    """The most marked pixels in any row of a bool [H, W]: the seams that it takes to remove them."""
    return int(marked.sum(1).max(initial=0))


def protect_importance(importance: Float32[Array, "h w"], bias: Float32[Array, "h w"]) -> Float32[Array, "h w"]:
    """The warp's importance with protected pixels raised far above all others, float32 [H, W]."""
    return importance + _WARP_PROTECTION * (bias > 0).astype(jnp.float32)
