"""The plan of a retargeting: seams, canvas and warp, made before any rendering."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnr_jax.config import RetargetConfig
from dnr_jax.networks.taps import tap_stride
from dnr_jax.padding import Size, pad, traced_size
from dnr_jax.planning.damage import look_of
from dnr_jax.planning.importance import aggregate, percentile
from dnr_jax.planning.masks import NO_MASKS, Masks, mask_bias, protect_importance, widest
from dnr_jax.planning.objects import object_level, object_map, weigh_importance
from dnr_jax.planning.passes import AXES, SIDES, Layers, Pass, find_passes, remove_marked
from dnr_jax.planning.proportions import make_grid, plan_proportions
from dnr_jax.planning.reach import seam_target
from dnr_jax.planning.warp import Warp, plan_warp, warp_width
from dnr_jax.shapes import bucket_shape, bucket_side


class Plan(NamedTuple):
    """How a photo gets from its size to the target.

    Attributes:
      size: (height, width) of the photo.
      mid: (height, width) that the seams lead to.
      target: (height, width) wanted.
      canvas: (height, width) of the arrays that hold the intermediate image.
      passes: the seams, in order.
      warps: the warp of each side that the seams did not bring to its target, or that follows the other.
      threshold: the most mean importance that a deepest seam could have.
      notes: what the user should be told.
      importance: S_l of each tap with its priors, float32 [h_l, w_l].
      objects: what the proportional warp goes by, float32 [h_l, w_l] in [0, 1] at `object_level`.
    """

    size: tuple[int, int]
    mid: tuple[int, int]
    target: tuple[int, int]
    canvas: tuple[int, int]
    passes: list[Pass]
    warps: dict[str, Warp]
    threshold: float
    notes: list[str]
    importance: tuple[jax.Array, ...]
    objects: jax.Array

    @property
    def has_seams(self) -> bool:
        """Whether any seam goes."""
        return any(step.changes for step in self.passes)


def make_plan(
    importance: tuple[jax.Array, ...],
    size: tuple[int, int],
    target: tuple[int, int],
    config: RetargetConfig,
    masks: Masks = NO_MASKS,
    *,
    photo: jax.Array | None = None,
    salience: jax.Array | None = None,
) -> Plan:
    """Finds seams and warps.

    Args:
      importance: S_l of each tap, float32 [h_l, w_l], without priors; padded or not.
      size: the photo's (height, width).
      target: the (height, width) wanted.
      config: options.
      masks: what to protect and what to remove.
      photo: float32 [H, W, 3] in [0, 255], for importance_percentile=auto: without it what joints break is not counted.
      salience: float32 [h, w] in [0, 1], of any resolution, covering the photo; None for no such prior.

    Raises:
      ValueError: masks that leave nothing.
    """
    taps, valid = config.taps, traced_size(size)
    objects = object_map(importance, salience, valid, taps=taps)
    importance = weigh_importance(
        importance, None if salience is None else objects, config.centre_prior, valid, taps=taps
    )
    bias, notes = None, []
    if masks.protect is not None or masks.remove is not None:
        shape = (importance[0].shape[0], importance[0].shape[1])
        nothing = jnp.zeros(shape, bool)
        protect, remove = (
            nothing if mask is None else jnp.asarray(pad(mask, shape)) for mask in (masks.protect, masks.remove)
        )
        bias = mask_bias(importance, protect, remove, valid, strides=tuple(tap_stride(tap) for tap in taps))
        notes = _too_wide(masks.protect, target)
    automatic, proportional = config.importance_percentile == "auto", config.warp == "proportional"
    look = look_of(photo, valid) if automatic and photo is not None and tap_stride(taps[0]) == 1 else None
    layers = Layers(importance, bias, objects, look)
    removals, layers, left = remove_marked(layers, size, config)
    threshold = None
    if config.importance_percentile != "auto":
        deepest = tap_stride(taps[-1])
        neurons = traced_size((size[0] // deepest, size[1] // deepest))
        threshold = _threshold(importance[-1], jnp.float32(config.importance_percentile), neurons)
    passes, layers, mid = find_passes(layers, left, seam_target(left, target, config), threshold, config, end=target)
    warps = {}
    if mid != target:
        warps = (
            _proportional_warps(layers, mid, target, config)
            if proportional
            else _find_warps(layers, mid, target, config)
        )
    limit = math.inf if threshold is None else float(threshold)
    passes = [*removals, *passes]
    return Plan(size, mid, target, bucket_shape(mid), passes, warps, limit, notes, importance, objects)


def _proportional_warps(
    layers: Layers, mid: tuple[int, int], target: tuple[int, int], config: RetargetConfig
) -> dict[str, Warp]:
    assert layers.objects is not None
    stride = tap_stride(config.taps[object_level(config.taps)])
    valid = traced_size((mid[0] // stride, mid[1] // stride))
    grid = _make_grid(layers.objects, layers.protected(config.taps), valid)
    warps = dict(
        zip(SIDES, _plan_proportions(grid, traced_size(mid), traced_size(target), config.most_crop), strict=True)
    )
    return {side: warp for side, warp in warps.items() if not np.array_equal(warp.old_edges, warp.new_edges)}


def apply_warps(image: jax.Array, plan: Plan) -> jax.Array:
    """Warps an image, float32 [H, W, C] valid in `plan.mid`, to the target in the corner of a canvas."""
    for side, warp in plan.warps.items():
        image = warp_side(image, warp, side, bucket_side(plan.target[AXES[side]]))
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
    canvas = (bucket_side(mid[0]), bucket_side(mid[1]))
    importance = warp_importance(layers, (jnp.int32(mid[0]), jnp.int32(mid[1])), strides=strides, shape=canvas)
    warps, now = {}, mid
    for side in SIDES:
        wanted = target[AXES[side]]
        if now[AXES[side]] != wanted:
            turned, size = (importance, now) if side == "width" else (importance.T, now[::-1])
            warps[side] = plan_warp(turned, size, wanted, config.warp_cell)
            importance = warp_side(importance[..., None], warps[side], side, bucket_side(wanted))[..., 0]
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


_threshold = jax.jit(importance_threshold)
_make_grid = jax.jit(make_grid)
_plan_proportions = jax.jit(plan_proportions)
