"""Finds seams before a target is known: a table from which a page chooses what `choose_width` would, for any width.

How many seams go depends on the target; which ones they are hardly does. So each number of deepest seams that could be
worth its damage for some target is tried once, as if the side were to shrink to a tenth, or to grow by a half, which is
as far as one round of insertions leads, and kept with what it leaves.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnr_jax.config import RetargetConfig
from dnr_jax.padding import traced_size
from dnr_jax.planning.carve import carve_width
from dnr_jax.planning.cells import Grid, make_grid
from dnr_jax.planning.choice import COUNTS, HOPE, Judged, judge_seams, least_strain
from dnr_jax.planning.numbers import Numbers, program_config, traced_numbers
from dnr_jax.planning.objects import object_level
from dnr_jax.planning.seam_maps import SeamMaps
from dnr_jax.planning.sides import turned, turned_size
from dnr_jax.programs import program
from dnr_jax.shapes import bucket_side, next_length
from dnr_jax.shell.sizes import SMALLEST

_SHARES = (0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""The targets, as shares of the side, for at least one of which an attempt has to look promising."""
_GROWN = (1.05, 1.1, 1.25, 1.5, 2.0)
"""The same where the side grows."""
_FURTHEST = 0.5
"""The share of the side at which seams are followed no further, where a threshold says how many go."""


class Attempt(NamedTuple):
    """A number of seams of the deepest level that were tried, and the seams of the photo's pixels that follow them.

    Attributes:
      deep: how many seams of the deepest level go, or get another beside them.
      length: how many pixels the side then has.
      damage: what the seams removed and what their joints broke, in the currency of `dnr_jax.planning.damage`.
      grid: what the photo then holds, cell by cell.
      seams: uint16 [count, rows], the column in which each seam, in the order in which they are found, passes each row
        of the photo; for the height, [count, columns], the row in which it passes each column.
    """

    deep: int
    length: int
    damage: float
    grid: Grid
    seams: np.ndarray


class _Tried(NamedTuple):
    """An attempt as the compiled program returns it; `order` is int32 [H, W], which seam each pixel is of."""

    deep: jax.Array
    length: jax.Array
    damage: jax.Array
    grid: Grid
    order: jax.Array


def photo_grid(maps: SeamMaps, size: tuple[int, int], config: RetargetConfig) -> Grid:
    """What a photo holds, cell by cell, as NumPy arrays.

    Args:
      maps: the photo's maps, as `dnr_jax.planning.plan.lay_groundwork` leaves them.
      size: the photo's (height, width).
      config: the options, resolved for that size.
    """
    assert maps.objects is not None
    valid = traced_size(object_level(config.taps).size(size))
    return jax.device_get(_make_grid(maps.objects, maps.protected(config.taps), valid))


def try_seams(
    maps: SeamMaps,
    size: tuple[int, int],
    threshold: jax.Array,
    config: RetargetConfig,
    side: str,
    *,
    grow: bool = False,
) -> list[Attempt]:
    """The attempts of one side, the fewest seams first; none where no seam is ever worth it.

    Args:
      maps: the photo's maps, as `dnr_jax.planning.plan.lay_groundwork` leaves them.
      size: the photo's (height, width).
      threshold: the largest mean importance that a deepest seam may have; used where importance_percentile is a number.
      config: the options, resolved for that size.
      side: "width" or "height".
      grow: whether seams are to be inserted beside those found, rather than removed.
    """
    maps, lengths = turned(maps, side), turned_size(size, side)
    numbers, fixed, valid = traced_numbers(config), program_config(config), traced_size(lengths)
    stride, width = config.levels[-1].stride, lengths[1]
    grown = next_length(width, 2 * width)
    room = bucket_side(grown) // object_level(config.taps).stride if grow else None
    if config.importance_percentile != "auto":
        goal = grown if grow else max(1, int(width * _FURTHEST))
        tried = _try(maps, valid, jnp.int32(goal), jnp.int32(width), threshold, numbers, room=room, config=fixed)
        attempt = _attempt(tried, lengths, side)
        return [attempt] if len(attempt.seams) else []

    goal, shares = (grown, _GROWN) if grow else (max(1, int(width * SMALLEST)), _SHARES)
    whole = photo_grid(maps, lengths, config)
    least = np.array([_strain(whole, lengths, share, config) for share in shares])
    ends = np.minimum([round(share * width) for share in shares], grown)
    most = np.maximum(1, np.abs(width // stride - ends // stride))
    hopeful = np.ones(len(shares), bool)
    attempts: list[Attempt] = []
    for count in COUNTS[1:]:
        limits = jnp.int32(goal), jnp.int32(count), jnp.float32(jnp.inf)
        attempt = _attempt(_try(maps, valid, *limits, numbers, room=room, config=fixed), lengths, side)
        if not len(attempt.seams) or (attempts and attempt.deep == attempts[-1].deep):
            break
        attempts.append(attempt)
        left = (lengths[0], attempt.length)
        grid = turned(attempt.grid, side)
        found = np.array(
            [
                attempt.length / width * _strain(grid, left, share * width / attempt.length, config) + attempt.damage
                for share in shares
            ]
        )
        least = np.minimum(least, found)
        hopeful &= (found <= HOPE * least) & (most > count)
        if not hopeful.any():
            break
    return attempts


@program(static_argnames=("room", "config"))
def _try(
    maps: SeamMaps,
    size: tuple[jax.Array, jax.Array],
    goal: jax.Array,
    count: jax.Array,
    threshold: jax.Array,
    numbers: Numbers,
    *,
    room: int | None,
    config: RetargetConfig,
) -> _Tried:
    """Finds up to `count` deepest seams across the width, and judges what they leave; `room` as for `judge_seams`."""
    assert maps.objects is not None
    taps = config.taps
    carving = carve_width(
        maps.maps,
        size,
        goal,
        threshold,
        numbers.alpha,
        taps=taps,
        region=config.region,
        bias=maps.bias,
        most_deep=count,
        seam_kernel=config.seam_kernel,
    )
    left = judge_seams(carving, Judged(maps.objects, maps.protected(taps), maps.look), size, taps=taps, room=room)
    return _Tried(carving.levels[-1].removed, carving.width, left.damage, left.grid, carving.levels[0].order)


def _attempt(tried: _Tried, lengths: tuple[int, int], side: str) -> Attempt:
    """An attempt as NumPy arrays, its grid turned upright; `lengths` is the (height, width) that was carved."""
    order = np.asarray(tried.order)[: lengths[0], : lengths[1]]
    count = abs(lengths[1] - int(tried.length))
    rows, columns = np.nonzero(order < count)
    seams = np.zeros((count, lengths[0]), np.uint16)
    seams[order[rows, columns], rows] = columns
    grid = turned(jax.device_get(tried.grid), side)
    return Attempt(int(tried.deep), int(tried.length), float(tried.damage), grid, seams)


def _strain(grid: Grid, size: tuple[int, int], share: float, config: RetargetConfig) -> float:
    """The strain of the warp that shrinks the width to `share` of it."""
    target = (jnp.int32(size[0]), jnp.int32(max(1, round(size[1] * share))))
    lengths = (jnp.int32(size[0]), jnp.int32(size[1]))
    return float(_least_strain(grid, lengths, target, jnp.float32(config.crop_share)))


_least_strain = program()(least_strain)
_make_grid = program()(make_grid)
