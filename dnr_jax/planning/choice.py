"""`importance_percentile=auto`: how many deep seams go, and where cropping and squeezing take over.

The paper names the choice as a limitation and offers no rule (Sec. 4.7, Fig. 21). Here it is one number for each side:
how many seams of the deepest level go. No seams at all is tried first, then 1, 2, 3, 5, 8 ... and at last all, as long
as the damage falls or hardly rises. Seams must be worth the trouble: they have to do 15 % less damage than none. The
damage is that of the whole plan in one currency (`dnr_jax.planning.damage`): the strain of the warp and the crop that
are left to do, what the seams remove, what their joints break, and the room at the borders and the ends of objects that
they take.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32

from dnr_jax.arrays import Maps, Number, Whole
from dnr_jax.networks.taps import levels_of
from dnr_jax.padding import AnySize
from dnr_jax.planning.carve import Carving, apply_width, carve_width, insert_width
from dnr_jax.planning.cells import Grid, make_grid
from dnr_jax.planning.damage import cut_damage, joint_damage, removal_damage, room_damage
from dnr_jax.planning.objects import object_level
from dnr_jax.planning.proportions import CROP_PRICE, plan_proportions, strain
from dnr_jax.programs import program

COUNTS = (0, 1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90)
"""How many deep seams are tried."""
WORTH, HOPE = 0.85, 1.05
"""Seams go where they do less damage than this share of none's; more are tried while it is within this of the least."""


class Choice(NamedTuple):
    """The seams of one side, and how their number was chosen.

    Attributes:
      carving: the seams that do least damage.
      deep: int32, how many of the deepest level were allowed.
      counts: int32, `COUNTS`, but none beyond what the target could ask for.
      damage: float32, one for each of them; infinite for those that were not tried.
    """

    carving: Carving
    deep: Int32[Array, ""]
    counts: Int32[Array, " n"]
    damage: Float32[Array, " n"]


class Judged(NamedTuple):
    """What the damage of one side's seams is judged by, all turned so that the side is the width.

    Attributes:
      objects: the map of objects, float32 [h, w] in [0, 2].
      protected: bool [h, w], what a mask protects; None for nothing.
      look: from `look_of`, float32 [H, W, 4]; None where no level has the photo's resolution.
    """

    objects: Float32[Array, "h w"]
    protected: Bool[Array, "h w"] | None
    look: Float32[Array, "_ _ 4"] | None


_State = tuple[jax.Array, jax.Array, jax.Array, Carving]
"""The next count's index, the best one's, all damages, and the best one's seams."""


@program(static_argnames=("taps", "region", "room", "seam_kernel"))
def choose_width(
    importance: Maps,
    bias: Maps | None,
    judged: Judged,
    size: AnySize,
    wanted: Whole,
    target: AnySize,
    alpha: Number,
    most_crop: Number,
    *,
    taps: tuple[str, ...],
    region: str,
    room: int | None,
    seam_kernel: str,
) -> Choice:
    """Finds the seams across the width that do least damage together with the warp that follows them.

    Differs from the paper, which leaves the stopping point to the user as a percentile of importance (Sec. 3.1, 4.7).

    Args:
      importance: S_l with its priors, float32 [h_l, w_l].
      bias: what masks add to the costs, float32 [h_l, w_l]; None without masks.
      judged: the maps on which damage is counted.
      size: the valid (height, width) in pixels.
      wanted: the width in pixels that seams may lead to.
      target: the (height, width) in pixels that the warp then leads to.
      alpha: the factor of Eq. 2.
      most_crop: the share that may be cropped, as for `plan_proportions`, from 0 to 1.
      taps: the taps that the maps belong to, shallow to deep.
      region: which neurons of a finer level a removed one covers, as for `carve_width`.
      room: how many columns hold the map of objects after insertions; None where seams are removed.
      seam_kernel: which implementation finds the seams, as for `carve_width`.
    """
    height, width = (jnp.asarray(n, jnp.int32) for n in size)
    wanted = jnp.asarray(wanted, jnp.int32)
    deepest = levels_of(taps)[-1]
    most = jnp.maximum(1, jnp.abs(deepest.size((height, width))[1] - deepest.size((height, wanted))[1]))
    counts = jnp.minimum(jnp.asarray(COUNTS, jnp.int32), most)

    def attempt(count: jax.Array) -> Carving:
        # With a change of less than one deepest neuron, finer seams alone are tried, all or none.
        goal = jnp.where(count == 0, width, wanted)
        return carve_width(
            importance,
            (height, width),
            goal,
            jnp.inf,
            alpha,
            taps=taps,
            region=region,
            bias=bias,
            most_deep=count,
            seam_kernel=seam_kernel,
        )

    def damage_of(carving: Carving) -> jax.Array:
        left = judge_seams(carving, judged, (height, width), taps=taps, room=room)
        share = carving.width.astype(jnp.float32) / width.astype(jnp.float32)
        return share * least_strain(left.grid, (height, carving.width), target, most_crop) + left.damage

    def advance(state: _State) -> _State:
        index, best, damages, kept = state
        carving = attempt(counts[index])
        damage = damage_of(carving)
        worth = jnp.where(best == 0, WORTH * damages[0], damages[best])
        better = damage < jnp.where(index == 0, jnp.inf, worth)
        kept = jax.tree.map(lambda new, old: jnp.where(better, new, old), carving, kept)
        return index + 1, jnp.where(better, index, best), damages.at[index].set(damage), kept

    def goes_on(state: _State) -> jax.Array:
        index, _, damages, _ = state
        untried = (index < len(COUNTS)) & (counts[index - 1] < most)
        promising = damages[index - 1] <= HOPE * jnp.min(damages)
        return (index == 0) | (untried & promising & (wanted != width))

    empty = jax.tree.map(lambda array: jnp.zeros(array.shape, array.dtype), jax.eval_shape(attempt, counts[0]))
    start = (jnp.int32(0), jnp.int32(0), jnp.full(len(COUNTS), jnp.inf, jnp.float32), empty)
    _, best, damages, carving = lax.while_loop(goes_on, advance, start)
    return Choice(carving, counts[best], counts, damages)


class Left(NamedTuple):
    """What seams leave.

    Attributes:
      grid: what the photo then holds, cell by cell.
      damage: what they removed and their joints broke, and what they took from objects at the borders, float32.
    """

    grid: Grid
    damage: Float32[Array, ""]


def judge_seams(
    carving: Carving, judged: Judged, size: AnySize, *, taps: tuple[str, ...], room: int | None = None
) -> Left:
    """What the seams of a carving leave, and the damage that they do themselves.

    Args:
      carving: the seams of every level.
      judged: the maps before the seams.
      size: the valid (height, width) in pixels before the seams.
      taps: the taps that the carving's levels belong to.
      room: as for `choose_width`.
    """
    height, level = size[0], object_level(taps)
    seams = carving.levels[level.number]

    def carved(array: jax.Array) -> jax.Array:
        return apply_width(array, seams.kept) if room is None else insert_width(array, seams, room)

    valid, new_valid = level.size(size), level.size((height, carving.width))
    objects = carved(judged.objects)
    protected = None if judged.protected is None else carved(judged.protected.astype(jnp.float32)) > 0
    price = CROP_PRICE if room is None else 1.0
    damage = removal_damage(judged.objects, objects, valid, new_valid, price=price)
    if judged.look is not None and levels_of(taps)[0].stride == 1:
        # Insertions shear what they cross as removals do: they are judged by the joints that removals would leave.
        beside = objects if room is None else judged.objects
        damage += joint_damage(judged.look, beside, carving.levels[0], size)
    grid = make_grid(objects, protected, new_valid)
    if room is None:
        damage += room_damage(make_grid(judged.objects, None, valid), grid)
        damage += cut_damage(judged.objects, seams, valid)
    return Left(grid, damage)


def least_strain(grid: Grid, size: AnySize, target: AnySize, most_crop: Number) -> Float32[Array, ""]:
    """The strain of the proportional warp from `size` to `target`, a float32 scalar; see `plan_proportions`."""
    return strain(grid, plan_proportions(grid, size, target, most_crop), size, target)
