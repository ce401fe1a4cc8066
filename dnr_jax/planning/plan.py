"""The plan of a retargeting: seams, canvas and warp, made from importance alone, before any rendering."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnr_jax.config import RetargetConfig
from dnr_jax.networks.taps import tap_stride
from dnr_jax.padding import Size, canvas_length
from dnr_jax.planning.importance import aggregate, percentile
from dnr_jax.planning.masks import NO_MASKS, Masks, mask_bias, protect_importance, widest
from dnr_jax.planning.passes import AXES, SIDES, Layers, Pass, find_passes, remove_marked
from dnr_jax.planning.threshold import CANDIDATES, Choice, choose_percentile
from dnr_jax.planning.warp import Warp, plan_warp, warp_width


class Plan(NamedTuple):
    """How a photo gets from its size to the target.

    Attributes:
      size: (height, width) of the photo.
      mid: (height, width) that the seams lead to.
      target: (height, width) wanted.
      canvas: (height, width) of the arrays that hold the intermediate image.
      passes: the seams, in order.
      warps: the grid warp of each side that the seams did not bring to its target.
      threshold: the most mean importance that a deepest seam could have.
      notes: what the user should be told.
      percentile: of the deepest importance map, which gave the threshold.
      choice: how that percentile was chosen; None where the config gives it.
    """

    size: tuple[int, int]
    mid: tuple[int, int]
    target: tuple[int, int]
    canvas: tuple[int, int]
    passes: list[Pass]
    warps: dict[str, Warp]
    threshold: float
    notes: list[str]
    percentile: float
    choice: Choice | None


def make_plan(
    importance: tuple[jax.Array, ...],
    size: tuple[int, int],
    target: tuple[int, int],
    config: RetargetConfig,
    masks: Masks = NO_MASKS,
) -> Plan:
    """Finds seams and warps for importance maps S_l, float32 [h_l, w_l], of a photo of `size`.

    Raises:
      ValueError: masks that leave nothing.
    """
    bias, notes = None, []
    if masks.protect is not None or masks.remove is not None:
        nothing = jnp.zeros(size, bool)
        protect, remove = (nothing if mask is None else jnp.asarray(mask) for mask in masks)
        bias = mask_bias(importance, protect, remove, strides=tuple(tap_stride(tap) for tap in config.taps))
        notes = _too_wide(masks.protect, target)
    removals, layers, left = remove_marked(Layers(importance, bias), size, config)
    percentile, choice = config.importance_percentile, None
    if percentile == "auto":
        thresholds = {q: float(importance_threshold(importance[-1], q)) for q in CANDIDATES}
        choice = choose_percentile(layers, left, target, thresholds, config.taps)
        percentile = choice.percentile
    threshold = importance_threshold(importance[-1], jnp.float32(percentile))
    passes, layers, mid = find_passes(layers, left, target, threshold, config)
    # A side that the seams left alone keeps its length, which the analysis is compiled for in any case.
    height, width = (n if n == before else canvas_length(n) for n, before in zip(mid, size, strict=True))
    canvas = (height, width)
    warps = _find_warps(layers, mid, target, config) if mid != target else {}
    passes = [*removals, *passes]
    return Plan(size, mid, target, canvas, passes, warps, float(threshold), notes, percentile, choice)


def apply_warps(image: jax.Array, plan: Plan) -> jax.Array:
    """Warps an image, float32 [H, W, C] valid in `plan.mid`, to the target in the corner of a canvas."""
    for side, warp in plan.warps.items():
        image = warp_side(image, warp, side, canvas_length(plan.target[AXES[side]]))
    return image


def importance_threshold(deepest: jax.Array, q: float | jax.Array, size: Size | None = None) -> jax.Array:
    """The most mean importance of a deepest seam: the q-th percentile of S_L, and no limit at all for 100.

    Args:
      deepest: S_L, float32 [h, w].
      q: from 0 to 100.
      size: its valid (height, width); None for all of it.
    """
    return jnp.where(jnp.asarray(q) < 100, percentile(deepest, q, size), jnp.inf)


def _too_wide(protect: np.ndarray | None, target: tuple[int, int]) -> list[str]:
    """One line for each side on which the protect mask does not fit into the target."""
    if protect is None:
        return []
    extents = {"height": widest(protect.T), "width": widest(protect)}
    return [
        f"the protected part is {extent} pixels of the {side}, {extent - target[AXES[side]]} more than the target:"
        " it gives way with the rest"
        for side, extent in extents.items()
        if extent > target[AXES[side]]
    ]


def _find_warps(
    layers: Layers, mid: tuple[int, int], target: tuple[int, int], config: RetargetConfig
) -> dict[str, Warp]:
    strides = tuple(tap_stride(tap) for tap in config.taps)
    canvas = (canvas_length(mid[0]), canvas_length(mid[1]))
    importance = warp_importance(layers, (jnp.int32(mid[0]), jnp.int32(mid[1])), strides=strides, shape=canvas)
    warps, now = {}, mid
    for side in SIDES:
        wanted = target[AXES[side]]
        if now[AXES[side]] != wanted:
            turned, size = (importance, now) if side == "width" else (importance.T, now[::-1])
            warps[side] = plan_warp(turned, size, wanted, config.warp_cell)
            importance = warp_side(importance[..., None], warps[side], side, canvas_length(wanted))[..., 0]
            now = (now[0], wanted) if side == "width" else (wanted, now[1])
    return warps


@partial(jax.jit, static_argnames=("strides", "shape"))
def warp_importance(layers: Layers, size: Size, *, strides: tuple[int, ...], shape: tuple[int, int]) -> jax.Array:
    """The carved maps' normalised sum in pixels (mu of Eq. 3 before the mean over cells), float32 of `shape`."""
    sizes = tuple((size[0] // stride, size[1] // stride) for stride in strides)
    importance = aggregate(layers.maps, sizes, strides, shape)
    if layers.bias is None:
        return importance
    rows, columns = (jnp.arange(n) // strides[0] for n in shape)
    bias = layers.bias[0]
    bias = bias[jnp.minimum(rows, bias.shape[0] - 1)[:, None], jnp.minimum(columns, bias.shape[1] - 1)[None, :]]
    return protect_importance(importance, bias)


@partial(jax.jit, static_argnames=("side", "length"))
def warp_side(image: jax.Array, warp: Warp, side: str, length: int) -> jax.Array:
    """Warps one side of an image, float32 [H, W, C], to an array `length` long on that side."""
    if side == "width":
        return warp_width(image, warp, length)
    return jnp.swapaxes(warp_width(jnp.swapaxes(image, 0, 1), warp, length), 0, 1)
