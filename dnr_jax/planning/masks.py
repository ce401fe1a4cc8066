"""Protect and remove masks, as what they add to every level's seam costs and to the warp's importance."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_HALO = 2
"""Pixels by which a remove mask grows: features of block 1 next to an object still show its edge."""
_WARP_PROTECTION = 1e4
"""Importance of a protected pixel in the warp, where an ordinary one has about 1 for each tap."""


class Masks(NamedTuple):
    """What the user marked, bool [H, W] each.

    Attributes:
      protect: keeps its shape; None for nothing.
      remove: goes first; None for nothing.

    Example:
      >>> face = np.zeros((64, 96), bool)
      >>> face[10:40, 20:50] = True
      >>> Masks(protect=face).remove is None
      True
    """

    protect: np.ndarray | None = None
    remove: np.ndarray | None = None


NO_MASKS = Masks()


def check_masks(masks: Masks, size: tuple[int, int]) -> None:
    """Raises ValueError for a mask of another size or kind, or where both masks mark the same pixel."""
    for name, mask in masks._asdict().items():
        if mask is not None and (mask.shape != size or mask.dtype != np.bool_):
            raise ValueError(f"the {name} mask is {mask.dtype} {mask.shape}: it must be bool {size}, as the photo")
    if masks.protect is not None and masks.remove is not None and (masks.protect & masks.remove).any():
        count = int((masks.protect & masks.remove).sum())
        raise ValueError(f"the protect and the remove mask share {count} pixels: mark each pixel once")
    if masks.remove is not None and masks.remove.all():
        raise ValueError("the remove mask marks the whole photo: leave something")


@partial(jax.jit, static_argnames=("strides",))
def mask_bias(
    importance: tuple[jax.Array, ...],
    protect: jax.Array,
    remove: jax.Array,
    *,
    strides: tuple[int, ...],
) -> tuple[jax.Array, ...]:
    """What masks add to the cost of each level, float32 [h_l, w_l].

    A neuron is marked where any marked pixel projects onto it. One protected neuron outweighs every seam without any;
    one marked for removal draws a seam from anywhere.

    Args:
      importance: S_l of each tap.
      protect: bool [H, W].
      remove: bool [H, W]; grows by a halo of two pixels that are not protected.
      strides: pixels per neuron of each tap.
    """
    window = 2 * _HALO + 1
    grown = jax.lax.reduce_window(remove, False, jax.lax.bitwise_or, (window, window), (1, 1), "SAME") & ~protect
    biases = []
    for values, stride in zip(importance, strides, strict=True):
        weight = 2 * values.shape[0] * jnp.max(values) + 1
        marks = project_mask(protect, stride).astype(jnp.float32) - project_mask(grown, stride).astype(jnp.float32)
        biases.append(weight * marks)
    return tuple(biases)


def project_mask(mask: jax.Array, stride: int) -> jax.Array:
    """Where any marked pixel projects, bool [H // stride, W // stride]; leftovers belong to the last block."""
    height, width = (n // stride for n in mask.shape)
    rows = jnp.minimum(jnp.arange(mask.shape[0]) // stride, height - 1)
    columns = jnp.minimum(jnp.arange(mask.shape[1]) // stride, width - 1)
    counts = jnp.zeros((height, width), jnp.int32).at[rows[:, None], columns[None, :]].add(mask.astype(jnp.int32))
    return counts > 0


def widest(marked: np.ndarray) -> int:
    """The most marked pixels in any row of a bool [H, W]: the seams that it takes to remove them."""
    return int(marked.sum(1).max(initial=0))


def protect_importance(importance: jax.Array, bias: jax.Array) -> jax.Array:
    """The warp's importance with protected pixels raised far above all others, float32 [H, W]."""
    return importance + _WARP_PROTECTION * (bias > 0)
