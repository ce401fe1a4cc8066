"""The plan of a retargeting: seams, canvas and warp, made before any rendering."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float32

from dnr_jax.arrays import Image, Maps, Number, Whole
from dnr_jax.config import RetargetConfig
from dnr_jax.networks.taps import levels_of
from dnr_jax.padding import AnySize, Size, fit, pad, traced_size
from dnr_jax.planning.cells import make_grid
from dnr_jax.planning.importance import aggregate
from dnr_jax.planning.masks import NO_MASKS, Masks, protect_importance, widest
from dnr_jax.planning.numbers import Numbers, program_config, traced_numbers
from dnr_jax.planning.objects import object_level
from dnr_jax.planning.passes import Pass, find_passes
from dnr_jax.planning.proportions import plan_proportions
from dnr_jax.planning.reach import seam_target
from dnr_jax.planning.removal import remove_marked
from dnr_jax.planning.seam_maps import SeamMaps, make_seam_maps
from dnr_jax.planning.sides import AXES, SIDES, turned
from dnr_jax.planning.warp import Warp, plan_warp, warp_width
from dnr_jax.programs import program
from dnr_jax.shapes import Round, bucket_shape, bucket_side, find_rounds


class Moves(NamedTuple):
    """A plan as the traced program has it.

    Attributes:
      passes: the seams, in order.
      mid: (height, width) that they lead to.
      warps: of the width, then of the height; identities where seams led to the target.
    """

    passes: tuple[Pass, ...]
    mid: Size
    warps: tuple[Warp, Warp]


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
      notes: what the user should know, one line each.
      importance: S_l of each tap with its priors, float32 [h_l, w_l].
      objects: what the proportional warp goes by, float32 [h_l, w_l] in [0, 2] at `object_level`.
    """

    size: tuple[int, int]
    mid: tuple[int, int]
    target: tuple[int, int]
    canvas: tuple[int, int]
    passes: list[Pass]
    warps: dict[str, Warp]
    threshold: float
    notes: list[str]
    importance: Maps
    objects: Float32[Array, "_ _"]

    @property
    def has_seams(self) -> bool:
        """Whether any seam goes."""
        return any(step.changes for step in self.passes)


class Groundwork(NamedTuple):
    """What every plan for one photo begins with, whatever its target.

    Attributes:
      size: (height, width) of the photo.
      maps: what seams are found on, with priors and masks.
      threshold: the most mean importance that a deepest seam may have, float32.
      removals: the seams that take what is marked for removal.
      left: what these leave of the maps.
      left_size: (height, width) of that.
      taken: how many protected pixels went with what was marked.
      protect: what the user protects, bool [H, W]; None for nothing.
    """

    size: tuple[int, int]
    maps: SeamMaps
    threshold: Float32[Array, ""]
    removals: list[Pass]
    left: SeamMaps
    left_size: tuple[int, int]
    taken: int
    protect: Bool[np.ndarray, "h w"] | None


def make_plan(
    importance: Maps,
    size: tuple[int, int],
    target: tuple[int, int],
    config: RetargetConfig,
    *,
    masks: Masks = NO_MASKS,
    photo: Image | None = None,
    salience: Float32[Array, "_ _"] | None = None,
) -> Plan:
    """Finds the seams and warps that bring one photo to one target, a (height, width) in pixels.

    The other arguments, and the errors raised, are those of `lay_groundwork`.
    """
    ground = lay_groundwork(importance, size, config, masks=masks, photo=photo, salience=salience)
    return plan_target(ground, target, config)


def lay_groundwork(
    importance: Maps,
    size: tuple[int, int],
    config: RetargetConfig,
    *,
    masks: Masks = NO_MASKS,
    photo: Image | None = None,
    salience: Float32[Array, "_ _"] | None = None,
) -> Groundwork:
    """Makes the maps that seams are found on, and finds the seams that take what is marked for removal.

    Args:
      importance: S_l of each tap, float32 [h_l, w_l], without priors; padded or not.
      size: the photo's (height, width) in pixels.
      config: the options, resolved for that size.
      masks: what to protect and what to remove, bool [height, width].
      photo: float32 [H, W, 3] in [0, 255], for importance_percentile=auto: without it what joints break is not counted.
      salience: float32 [h, w] in [0, 2], of any resolution, covering the photo; None for no such prior.

    Raises:
      ValueError: the remove mask leaves less than a neuron of the deepest tap.
    """
    numbers, fixed = traced_numbers(config), program_config(config)
    shape = (importance[0].shape[0], importance[0].shape[1])
    protect, remove = (
        None if mask is None else jnp.asarray(pad(mask, shape)) for mask in (masks.protect, masks.remove)
    )
    seen = make_seam_maps(importance, photo, salience, protect, remove, traced_size(size), numbers, config=fixed)
    maps, threshold = seen
    removal = remove_marked(maps, size, numbers, fixed)
    return Groundwork(size, maps, threshold, *removal, masks.protect)


def plan_target(ground: Groundwork, target: tuple[int, int], config: RetargetConfig) -> Plan:
    """Finds the seams and warps that lead to one target, (height, width), from what is known of the photo.

    Args:
      ground: from `lay_groundwork`, with the same config; it is left as it is, for further targets.
      target: the (height, width) in pixels that is wanted.
      config: the options.
    """
    maps, size = ground.maps, ground.size
    reach = seam_target(ground.left_size, target, config)
    moves = _find_moves(
        ground.left,
        traced_size(ground.left_size),
        traced_size(reach),
        traced_size(target),
        ground.threshold,
        traced_numbers(config),
        rounds=find_rounds(ground.left_size, reach),
        room=bucket_shape(target) if config.warp == "grid" else None,
        config=program_config(config),
    )
    mid = (int(moves.mid[0]), int(moves.mid[1]))
    passes = [*ground.removals]
    for step in map(Pass.on_host, moves.passes):
        # What came after a round that was stopped was not asked for.
        if step.wanted != step.size[AXES[step.side]]:
            passes.append(step)
    warps = {
        side: warp
        for side, warp in zip(SIDES, moves.warps, strict=True)
        if not np.array_equal(warp.old_edges, warp.new_edges)
    }
    assert maps.objects is not None
    limit = math.inf if config.importance_percentile == "auto" else float(ground.threshold)
    notes = too_wide(ground.protect, target)
    if ground.taken:
        notes.append(f"{ground.taken} protected pixels go with what is removed: seams of either side meet them")
    return Plan(size, mid, target, bucket_shape(mid), passes, warps, limit, notes, maps.maps, maps.objects)


def find_moves(
    maps: SeamMaps,
    size: Size,
    reach: AnySize,
    target: AnySize,
    threshold: Number,
    numbers: Numbers,
    *,
    rounds: tuple[Round, ...],
    room: tuple[int, int] | None,
    config: RetargetConfig,
) -> Moves:
    """Finds the seams (Sec. 3.1, Eq. 2), and the warps that do what they leave (Eq. 3). Pure and traced.

    Args:
      maps: from `make_seam_maps`.
      size: their valid (height, width) in pixels.
      reach: the (height, width) that seams may lead to.
      target: the (height, width) wanted.
      threshold: the most mean importance of a deepest seam, from `make_seam_maps`.
      numbers: the traced options.
      rounds: the rounds of seams, from `find_rounds`.
      room: for the grid warp, the (height, width) of arrays that hold the target; else None.
      config: the static options.
    """
    passes, left, mid = find_passes(maps, size, reach, target, threshold, numbers, rounds=rounds, config=config)
    if config.warp == "proportional":
        assert left.objects is not None
        grid = make_grid(left.objects, left.protected(config.taps), object_level(config.taps).size(mid))
        found = plan_proportions(grid, mid, target, numbers.most_crop)
        there = jnp.asarray(mid[0] == target[0]) & jnp.asarray(mid[1] == target[1])
        across, down = (_still_if(there, warp, target[AXES[side]]) for side, warp in zip(SIDES, found, strict=True))
        return Moves(passes, mid, (across, down))
    assert room is not None
    return Moves(passes, mid, _grid_warps(left, mid, target, room, config))


_find_moves = program(static_argnames=("rounds", "room", "config"))(find_moves)


def _still_if(still: Bool[Array, ""], warp: Warp, length: Whole) -> Warp:
    """The warp, or the identity of a side of `length` pixels."""
    same = jnp.linspace(0, 1, warp.old_edges.shape[0]) * jnp.asarray(length, jnp.float32)
    return Warp(jnp.where(still, same, warp.old_edges), jnp.where(still, same, warp.new_edges))


def _grid_warps(
    maps: SeamMaps, mid: AnySize, target: AnySize, room: tuple[int, int], config: RetargetConfig
) -> tuple[Warp, Warp]:
    """The grid warp of the width, then that of the height on what it leaves."""
    # Pooling leaves over up to a neuron less one pixel.
    height, width = (bucket_side(config.levels[0].stride * (n + 1) - 1) for n in maps.maps[0].shape)
    importance = warp_importance(maps, mid, taps=config.taps, shape=(height, width))
    across = plan_warp(importance, mid, target[1], config.warp_cell)
    narrowed = lax.cond(
        jnp.asarray(mid[1] == target[1]),
        lambda values: fit(values, (height, room[1])),
        lambda values: warp_side(values[..., None], across, "width", room[1])[..., 0],
        importance,
    )
    down = plan_warp(turned(narrowed, "height"), (target[1], mid[0]), target[0], config.warp_cell)
    return across, down


def apply_warps(image: Float32[Array, "_ _ c"], plan: Plan) -> Float32[Array, "_ _ c"]:
    """Warps an image, float32 [H, W, C] valid in `plan.mid`, to the target, in the corner of a larger array."""
    for side, warp in plan.warps.items():
        image = warp_side(image, warp, side, bucket_side(plan.target[AXES[side]]))
    return image


def too_wide(protect: Bool[np.ndarray, "h w"] | None, target: tuple[int, int]) -> list[str]:
    """One line for each side on which the protect mask does not fit into the target."""
    if protect is None:
        return []
    extents = {side: widest(turned(protect, side)) for side in AXES}
    return [
        f"the protected part is {extent} pixels of the {side}, {extent - target[AXES[side]]} more than the target:"
        " it gives way with the rest"
        for side, extent in extents.items()
        if extent > target[AXES[side]]
    ]


@program(static_argnames=("taps", "shape"))
def warp_importance(
    maps: SeamMaps, size: AnySize, *, taps: tuple[str, ...], shape: tuple[int, int]
) -> Float32[Array, "_ _"]:
    """The carved maps' normalised sum in pixels, mu of Eq. 3 before the mean over cells, float32 of `shape`.

    `size` is the maps' valid (height, width) in pixels; what a mask protects is raised far above all else.
    """
    importance = aggregate(maps.maps, size, taps=taps, shape=shape)
    if maps.bias is None:
        return importance
    rows, columns = (jnp.arange(n) // levels_of(taps)[0].stride for n in shape)
    bias = maps.bias[0]
    bias = bias[jnp.minimum(rows, bias.shape[0] - 1)[:, None], jnp.minimum(columns, bias.shape[1] - 1)[None, :]]
    return protect_importance(importance, bias)


@program(static_argnames=("side", "length"))
def warp_side(image: Float32[Array, "_ _ c"], warp: Warp, side: str, length: int) -> Float32[Array, "_ _ c"]:
    """Warps one `side`, "width" or "height", of an image, float32 [H, W, C]; the result is `length` long there."""
    return turned(warp_width(turned(image, side), warp, length), side)
