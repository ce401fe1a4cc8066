"""Width, then height: the passes of seams that lead from the photo to the intermediate image, and their replay.

A pass is found on importance maps alone and then replayed on whatever belongs to the same photo: features, pixels,
transparency, other frames.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Shaped

from dnr_jax.arrays import Number
from dnr_jax.config import RetargetConfig
from dnr_jax.padding import AnySize, Size, fit
from dnr_jax.planning.carve import Carving, apply_width, carve_width, insert_width
from dnr_jax.planning.choice import Judged, choose_width
from dnr_jax.planning.numbers import Numbers
from dnr_jax.planning.objects import object_level
from dnr_jax.planning.seam_maps import SeamMaps
from dnr_jax.planning.seams import Seams
from dnr_jax.planning.sides import AXES, SIDES, turned, turned_size
from dnr_jax.programs import program
from dnr_jax.shapes import Round


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("carving", "size", "new_size", "wanted", "tried"),
    meta_fields=("side", "room"),
)
@dataclasses.dataclass(frozen=True)
class Pass:
    """One round of seams on one side. Numbers are int32 scalars where it was traced, and Python's after `on_host`.

    Attributes:
      side: "width" or "height"; the carving's arrays are turned by it (`dnr_jax.planning.sides`).
      room: how long a side, in pixels, the arrays are made that hold what insertions lead to; 0 for removals.
      carving: the seams of every level.
      size: valid (height, width) in pixels before the pass.
      new_size: valid (height, width) after it.
      wanted: pixels of the side that were asked for; the threshold may have stopped it short of them.
      tried: how many deepest seams were tried, int32 [n], and the damage of each choice, float32 [n], infinite where it
        was not tried; None where nothing was to choose.
    """

    side: str
    room: int
    carving: Carving
    size: tuple[Any, Any]
    new_size: tuple[Any, Any]
    wanted: Any
    tried: tuple[Any, Any] | None = None

    @property
    def grow(self) -> bool:
        """Whether seams are inserted rather than removed."""
        return self.room > 0

    @property
    def changes(self) -> bool:
        """Whether any seam goes; on the host only."""
        return self.new_size != self.size

    @property
    def damage(self) -> dict[int, float] | None:
        """The damage of each number of deepest seams that was tried; on the host only."""
        if self.tried is None:
            return None
        tried = zip(np.asarray(self.tried[0]), np.asarray(self.tried[1]), strict=True)
        return {int(count): float(value) for count, value in tried if np.isfinite(value)}

    def on_host(self) -> "Pass":
        """The same with Python's numbers."""
        size, new_size = ((int(size[0]), int(size[1])) for size in (self.size, self.new_size))
        return dataclasses.replace(self, size=size, new_size=new_size, wanted=int(self.wanted))


def find_passes(
    maps: SeamMaps,
    size: Size,
    reach: AnySize,
    end: AnySize,
    threshold: Number,
    numbers: Numbers,
    *,
    rounds: tuple[Round, ...],
    config: RetargetConfig,
) -> tuple[tuple[Pass, ...], SeamMaps, Size]:
    """The rounds of seams, one after the other. Pure and traced; one that is not needed changes nothing.

    Args:
      maps: what seams are found on.
      size: the valid (height, width) of the photo in pixels.
      reach: the (height, width) that seams may lead to.
      end: the (height, width) that the warp then leads to; for the damage.
      threshold: the most mean importance of a deepest seam; counts nothing where importance_percentile is auto.
      numbers: traced options.
      rounds: which sides, and whether they grow.
      config: static options.

    Returns:
      The passes in order, the maps they leave, and the valid (height, width) of those in pixels.
    """
    passes: list[Pass] = []
    going: dict[str, jax.Array] = {side: jnp.asarray(True) for side in SIDES}
    for number, this in enumerate(rounds):
        axis = AXES[this.side]
        length = jnp.asarray(size[axis], jnp.int32)
        wanted = jnp.asarray(reach[axis], jnp.int32)
        if this.room:
            # At most half the side in one round of insertions, so that no seam is needed twice.
            wanted = jnp.minimum(wanted, length + jnp.maximum(1, length // 2))
        wanted = jnp.where(going[this.side], wanted, length)
        step = run_pass(maps, size, this, wanted, end, threshold, numbers, config)
        # Where the threshold or the damage stopped a round, that was all.
        going[this.side] &= step.new_size[axis] == wanted
        if number == len(rounds) - 1:
            maps = maps._replace(look=None)  # There is nothing left to judge.
        maps = leave(maps, step, config)
        passes.append(step)
        size = step.new_size
    return tuple(passes), maps, size


def run_pass(
    maps: SeamMaps,
    size: AnySize,
    this: Round,
    wanted: jax.Array,
    end: AnySize,
    threshold: Number,
    numbers: Numbers,
    config: RetargetConfig,
) -> Pass:
    """One pass: that of least damage, which may change nothing, or as far as the threshold lets it go."""
    maps, size, end = turned(maps, this.side), turned_size(size, this.side), turned_size(end, this.side)
    tried = None
    if config.importance_percentile == "auto":
        assert maps.objects is not None
        choice = choose_width(
            maps.maps,
            maps.bias,
            Judged(maps.objects, maps.protected(config.taps), maps.look),
            size,
            wanted,
            end,
            numbers.alpha,
            numbers.most_crop,
            taps=config.taps,
            region=config.region,
            room=this.room // object_level(config.taps).stride or None,
            seam_kernel=config.seam_kernel,
        )
        carving, tried = choice.carving, (choice.counts, choice.damage)
    else:
        carving = carve_width(
            maps.maps,
            size,
            wanted,
            threshold,
            numbers.alpha,
            taps=config.taps,
            region=config.region,
            bias=maps.bias,
            seam_kernel=config.seam_kernel,
        )
    size, new_size = (turned_size(pair, this.side) for pair in (size, (size[0], carving.width)))
    return Pass(this.side, this.room, carving, size, new_size, wanted, tried)


def leave(maps: SeamMaps, step: Pass, config: RetargetConfig) -> SeamMaps:
    """What a pass leaves of the maps."""

    def replayed(maps: SeamMaps) -> SeamMaps:
        at = partial(replay, [step])
        return SeamMaps(
            tuple(at(values, level, config) for level, values in enumerate(maps.maps)),
            None if maps.bias is None else tuple(at(b, level, config) for level, b in enumerate(maps.bias)),
            None if maps.objects is None else at(maps.objects, object_level(config.taps).number, config),
            None if maps.look is None else at(maps.look, 0, config),
        )

    if step.grow:
        return replayed(maps)
    gone = jnp.stack([seams.removed for seams in step.carving.levels]) > 0
    return lax.cond(jnp.any(gone), replayed, lambda maps: maps, maps)


def replay(
    passes: Sequence[Pass],
    array: Shaped[Array, "_ _ *c"],
    level: int,
    config: RetargetConfig,
    *,
    shape: tuple[int, int] | None = None,
) -> Shaped[Array, "_ _ *c"]:
    """Removes or inserts in an array of one level, [h_l, w_l] or [h_l, w_l, c], what the passes did there.

    A removal keeps the array's shape; an insertion gives it that of a canvas which holds the new size. With `shape` the
    result is cut or padded to it.
    """
    # On the host, what changes nothing costs nothing.
    passes = [step for step in passes if not isinstance(step.wanted, int) or step.changes]
    if not passes:
        return array if shape is None else fit(array, shape)
    stride = config.levels[level].stride
    for number, step in enumerate(passes, 1):
        room = step.room // stride if step.grow else None
        seams, last = step.carving.levels[level], number == len(passes)
        array = replay_seams(array, seams, side=step.side, room=room, shape=shape if last else None)
    return array


@program(static_argnames=("side", "room", "shape"))
def replay_seams(
    array: Shaped[Array, "_ _ *c"],
    seams: Seams,
    *,
    side: str,
    room: int | None = None,
    shape: tuple[int, int] | None = None,
) -> Shaped[Array, "_ _ *c"]:
    """Removes seams of one `side` from an array of their level; with `room` inserts them into a side so long.

    With `shape` it is cut or padded to that in the same program, so that no whole copy lies between.
    """
    array = turned(array, side)
    # Arrays may be larger than the map that the seams were found on, never smaller.
    height, width = map(max, array.shape[:2], seams.kept.shape)
    array = fit(array, (height, width))
    array = apply_width(array, seams.kept) if room is None else insert_width(array, seams, room)
    array = turned(array, side)
    return array if shape is None else fit(array, shape)
