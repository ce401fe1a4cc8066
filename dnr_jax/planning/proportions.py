"""The proportional warp: crop, columns and rows, so that objects keep their size where it fits, else their shape.

Differs from the paper: its grid warp (Eq. 3, `dnr_jax.planning.warp`) narrows cells in proportion to their importance,
with no bound, and leaves the other side alone. People who compared results disliked three things about that: a squeeze
below about a half shows as streaks, ground that is crushed at the borders had better leave the picture, and an object
that has to get narrower should get lower too. So the photo is cut into 40 x 40 cells, whatever its size, and

- *the side that changes most* gets scales s, the minimum of `sum c (s - 1)^2` with a given sum, between a half and 1
  (beyond 1 to enlarge). c grows with what a column holds: its mean and, squared, its strongest eighth, so that a
  narrow object under much sky counts;
- *crop*: a cell at the border goes while that saves more than its price, a share of c; never one that holds an object
  or something protected, nor one so close to an object that this would touch the border; but where a face is so
  large that its rows cannot follow and its columns get much narrower, all but the face and a cell beside it may go;
- *the other side* gets scales t, the minimum of `sum r (t - 1)^2 + g (t - q)^2` with a given sum, within narrow
  bounds: q is the scale that the objects of a row got along the first side, g grows with them;
- *faces*, where the map of objects is above 1, add to c and, more than anything else, to g, with their own scale for
  q: a face that has to get narrower gets lower before anything else does.

What both sides shrink or grow by is plain scaling and costs nothing: all scales are relative to it. The sums, squares
and bounds make both problems convex and separable but for one multiplier, which bisection finds.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float32

from dnr_jax.arrays import Number, Whole
from dnr_jax.padding import AnySize
from dnr_jax.planning.cells import CELLS, Grid
from dnr_jax.planning.sides import turned
from dnr_jax.planning.warp import Warp

FLOOR = 0.08
"""What a column without anything counts."""
MEAN, STRONGEST, OBJECT = 0.4, 0.3, 2.0
"""What a column's mean, its strongest eighth and the square of that add."""
FACE, FACE_SHAPE = 5.0, 40.0
"""What a face adds to its columns, and to how much its rows want to follow them."""
CROP_PRICE = 0.35
"""What a cell costs that leaves the picture, as a share of what it counts; 1 would be a cell squeezed to nothing."""
SECOND_PRICE = 1.0
"""What the square of its strongest eighth adds to that: second objects had better be squeezed a little than cut."""
BALANCE = 0.02
"""How much plainer the next cell of a border must be for each one that the border has lost already."""
PLAIN = 0.35
"""A column whose strongest eighth is below this holds no object, and may leave the picture."""
ROOM = (0.8, 0.8, 0.5)
"""What of a column's strongest eighth counts in the next column, the one after that and so on, when it is asked whether
they are plain: an object had better not touch the border."""
FACE_TIGHT, FACE_ROOM = 0.85, (0.8,)
"""Where faces get less than this share of the least that their rows can get, only they keep other cells from leaving,
and room as `ROOM` says it: a face that is squeezed thin is worse than an object that is cut."""
SLACK = 0.1
"""By how much of a cell the share that may be cropped can be exceeded, so that no rounding keeps a whole cell."""
LEAST_SCALE = 0.5
"""No column gets less than this share of its width, unless all have to; then 3/4 of what they get in the mean."""
STIFFNESS, SHAPE = 0.03, 1.5
"""How much rows want to keep their height, and how much an object's rows want to follow its columns."""
LEAST_FOLLOW, MOST_FOLLOW = 0.72, 1.2
"""Bounds of the other side's scales where its length stays."""
FACE_LEAST_FOLLOW, FACE_MOST_FOLLOW = 0.65, 1.25
"""The same where there is a face: only other rows can take the height that its rows give up to follow its columns."""
PROTECTED = 50.0
IS_FACE = 0.5
"""How much of a face a column or row holds, at least, that counts as one of its own."""
_NOTHING = 1e-6  # So that rows that hold nothing want to keep their height, and do not follow a rounding.
_STEPS = 40  # Of bisection: float32 has 24 bits.


def plan_proportions(grid: Grid, size: AnySize, target: AnySize, most_crop: Number) -> tuple[Warp, Warp]:
    """Plans the crop, the columns and the rows that bring an image to the target. Takes the place of Eq. 3.

    Args:
      grid: what the image holds, cell by cell.
      size: the image's (height, width) in pixels.
      target: the (height, width) in pixels that is wanted.
      most_crop: the share, from 0 to 1, of what a side loses that may be cropped, in whole cells of a fortieth.

    Returns:
      The warps of the width and of the height, each of float32 [41] edges in pixels; what lies before the first old
      edge or past the last one is cropped.
    """
    scale, ratios = _relative(size, target)
    choose = _first_side(ratios)
    grid = jax.tree.map(choose, turned(grid, "height"), grid)
    changed, other = choose(ratios, ratios[::-1])
    left, right, first = _plan_first(grid, CELLS * changed, CELLS * other, most_crop)
    second = _plan_second(grid, first, CELLS * other)
    plans = ((first, left, right), (second, jnp.int32(0), jnp.int32(CELLS)))
    lengths = [[jnp.asarray(n, jnp.float32) for n in pair] for pair in zip(size, target, strict=True)]
    height, width = (
        _warp(pair, scale, *map(choose, plan, other_plan))
        for plan, other_plan, pair in zip(plans, plans[::-1], lengths, strict=True)
    )
    return width, height


def strain(grid: Grid, warps: tuple[Warp, Warp], size: AnySize, target: AnySize) -> Float32[Array, ""]:
    """Measures what a pair of warps does to what the grid holds: a float32 scalar, 0 or more.

    It is the sum over the columns of the side that changes most, of `c (s - 1)^2` for one that is shown with scale s
    and of `crop_price` for one that is cropped.

    Args:
      grid: what the image holds, cell by cell.
      warps: the warps of the width and of the height, from `plan_proportions`.
      size: the image's (height, width) in pixels.
      target: the (height, width) in pixels that the warps lead to.
    """
    scale, ratios = _relative(size, target)
    choose = _first_side(ratios)
    weights, _, strongest = _column_weights(jax.tree.map(choose, turned(grid, "height"), grid))

    def along(warp: Warp, length: Whole) -> tuple[jax.Array, jax.Array]:
        cell = jnp.asarray(length, jnp.float32) / CELLS
        edges = jnp.arange(CELLS + 1, dtype=jnp.float32) * cell
        places = jnp.interp(edges, warp.old_edges, warp.new_edges)
        shown = (edges[1:] > warp.old_edges[0] + 0.5 * cell) & (edges[:-1] < warp.old_edges[-1] - 0.5 * cell)
        return (places[1:] - places[:-1]) / (cell * scale), shown

    sides = [along(warp, length) for warp, length in zip(warps[::-1], size, strict=True)]
    scales, shown = map(choose, *sides)
    return jnp.sum(jnp.where(shown, weights * jnp.square(scales - 1), crop_price(weights, strongest)))


def _relative(size: AnySize, target: AnySize) -> tuple[jax.Array, jax.Array]:
    """The scale that both sides share, and each side's ratio beyond it, float32 [2] (height, width)."""
    ratios = jnp.stack([jnp.asarray(n, jnp.float32) for n in target]) / jnp.stack(
        [jnp.asarray(n, jnp.float32) for n in size]
    )
    scale = jnp.clip(1.0, jnp.min(ratios), jnp.max(ratios))
    # A division by itself need not give 1 in a compiled program, and which side goes first hangs on that.
    return scale, jnp.where(ratios == scale, 1, ratios / scale)


def _first_side(ratios: jax.Array) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Chooses between the height's and the width's: the side that shrinks goes first, else the one that grows more."""
    height, width = ratios
    first_is_height = jnp.where(jnp.min(ratios) < 1, height < width, height > width)
    return lambda high, wide: jnp.where(first_is_height, high, wide)


def _column_weights(grid: Grid) -> tuple[jax.Array, jax.Array, jax.Array]:
    """c of each column, its mean and its strongest eighth (or its face, if that is more), float32 [40]."""
    mean, face = jnp.mean(grid.things, 0), jnp.max(grid.faces, 0)
    strongest = jnp.mean(jnp.sort(grid.things, 0)[-(CELLS // 8) :], 0)
    weights = FLOOR + MEAN * mean + STRONGEST * strongest + OBJECT * jnp.square(strongest) + FACE * face
    strongest = jnp.maximum(strongest, face)
    padded = jnp.pad(weights, 1, mode="edge")
    # Smoothed, so that neighbouring scales are near each other and nothing that is straight gets a kink.
    weights = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return weights + PROTECTED * jnp.any(grid.protected, 0).astype(jnp.float32), mean, strongest


def crop_price(weights: Float32[Array, "40"], strongest: Float32[Array, "40"]) -> Float32[Array, "40"]:
    """What each column costs that leaves the picture, float32 [40].

    Args:
      weights: c of each column, float32 [40].
      strongest: the mean of each column's strongest eighth, or its face where that is more, float32 [40] in [0, 1].
    """
    return CROP_PRICE * weights + SECOND_PRICE * jnp.square(strongest)


def strongest_of_columns(grid: Grid) -> Float32[Array, "40"]:
    """The mean of each column's strongest eighth, or its face where that is more, float32 [40] in [0, 1]."""
    return _column_weights(grid)[2]


def border_objects(grid: Grid) -> Float32[Array, "2"]:
    """What stands at either end of the width, or so near that `ROOM` counts it there, float32 [2] in [0, 1]."""
    near = _near(strongest_of_columns(grid), ROOM)
    return jnp.stack([near[0], near[-1]])


def _plan_first(
    grid: Grid, total: jax.Array, other_total: jax.Array, most_crop: Number
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The window of cells that stay, first to before last, and each one's scale, float32 [40], 0 outside."""
    weights, mean, strongest = _column_weights(grid)
    near = _near(strongest, ROOM)
    free = ~jnp.any(grid.protected, 0)
    plain = (near < PLAIN) & free
    face = jnp.max(grid.faces, 0)
    is_face = face > IS_FACE
    faceless = (_near(face, FACE_ROOM) < PLAIN) & free
    follow = _least_of_face_rows(grid, other_total)
    rank = near + 0.3 * mean
    price = crop_price(weights, strongest)
    least_cells = jnp.maximum(total, CELLS - jnp.asarray(most_crop, jnp.float32) * (CELLS - total))
    high = jnp.maximum(1, 2 * total / CELLS - 1)

    def scales(left: jax.Array, right: jax.Array) -> tuple[jax.Array, jax.Array]:
        count = (right - left).astype(jnp.float32)
        low = jnp.minimum(LEAST_SCALE, 0.75 * total / count)
        return _share_out(jnp.ones(CELLS), weights, total, low, high, _inside(left, right))

    def wanted(left: jax.Array, right: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Whether the cell at either end should go."""
        scale, multiplier = scales(left, right)
        of_faces = jnp.sum(jnp.where(is_face, scale, 0)) / jnp.maximum(jnp.sum(is_face.astype(jnp.float32)), 1)
        may_go = jnp.where((follow > FACE_LEAST_FOLLOW) & (of_faces < FACE_TIGHT * follow), plain | faceless, plain)

        def goes(cell: jax.Array) -> jax.Array:
            saved = weights[cell] * jnp.square(1 - scale[cell]) + 2 * multiplier * scale[cell]
            return may_go[cell] & (saved > price[cell])

        room = (right - left - 1).astype(jnp.float32) >= least_cells - SLACK
        return room & goes(left), room & goes(right - 1)

    def advance(state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        left, right, _ = state
        at_left, at_right = wanted(left, right)
        # What one border has lost counts against it, so that not all is taken from one side.
        lost = BALANCE * jnp.stack([left, CELLS - right]).astype(jnp.float32)
        first, last = rank[left] + lost[0], rank[right - 1] + lost[1]
        from_left = at_left & (~at_right | (first <= last))
        from_right = at_right & ~from_left
        return left + from_left.astype(jnp.int32), right - from_right.astype(jnp.int32), from_left | from_right

    start = (jnp.int32(0), jnp.int32(CELLS), total < CELLS)
    left, right, _ = lax.while_loop(lambda state: state[2], advance, start)
    return left, right, scales(left, right)[0]


def _least_of_face_rows(grid: Grid, total: jax.Array) -> jax.Array:
    """The least mean scale that rows with faces can have, all others growing to their bound; below 0 without faces."""
    rows = jnp.sum((jnp.max(grid.faces, 1) > IS_FACE).astype(jnp.float32))
    return (total - FACE_MOST_FOLLOW * (CELLS - rows)) / jnp.maximum(rows, 1)


def _near(strongest: jax.Array, room: tuple[float, ...]) -> jax.Array:
    """The most that each column or one of its neighbours holds, these by the shares of `room`, float32 [40]."""
    reach = len(room)
    padded = jnp.pad(strongest, reach)
    at = [padded[reach + step : reach + step + CELLS] for step in range(-reach, reach + 1)]
    shares = [*room[::-1], 1.0, *room]
    return jnp.max(jnp.stack([share * values for share, values in zip(shares, at, strict=True)]), 0)


def _plan_second(grid: Grid, first: jax.Array, total: jax.Array) -> jax.Array:
    """The scales of the other side's cells, float32 [40], that follow the objects' scales along the first side."""
    inside = (first > 0)[None, :]
    shown, faces = (jnp.where(inside, values, 0) for values in (grid.things, grid.faces))
    protected = grid.protected & inside
    strongest = jnp.mean(jnp.sort(shown, 1)[:, -(CELLS // 8) :], 1)
    # The main object's scale, not that of all the little things that share its rows; before that, that of faces, and
    # before all that of what is protected.
    counts = shown**4 + 10 * faces + 1e3 * protected.astype(jnp.float32)
    own = (jnp.sum(counts * first[None, :], 1) + _NOTHING) / (jnp.sum(counts, 1) + _NOTHING)
    pull = SHAPE * jnp.square(strongest) + FACE_SHAPE * jnp.max(faces, 1)
    pull += PROTECTED * jnp.any(protected, 1).astype(jnp.float32)
    weights = STIFFNESS + pull
    ratio = total / CELLS
    face = jnp.max(faces)
    least = LEAST_FOLLOW + (FACE_LEAST_FOLLOW - LEAST_FOLLOW) * face
    most = MOST_FOLLOW + (FACE_MOST_FOLLOW - MOST_FOLLOW) * face
    low, high = jnp.minimum(least, least * ratio), jnp.maximum(most, 2 * ratio - 1)
    scale, _ = _share_out((STIFFNESS + pull * own) / weights, weights, total, low, high, jnp.ones(CELLS, bool))
    return scale


def _share_out(
    wanted: jax.Array, weights: jax.Array, total: jax.Array, low: jax.Array, high: jax.Array, inside: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The minimum of `sum weights (s - wanted)^2` with `sum s = total`, low <= s <= high, and half its multiplier.

    Args:
      wanted: float32 [n].
      weights: float32 [n], above 0.
      total: what the scales inside add up to.
      low: the least scale.
      high: the most.
      inside: bool [n]; the others get 0.
    """

    def clipped(multiplier: jax.Array) -> jax.Array:
        return jnp.where(inside, jnp.clip(wanted - multiplier / weights, low, high), 0)

    def halve(_: Whole, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        below, above = bounds
        middle = (below + above) / 2
        too_much = jnp.sum(clipped(middle)) > total
        return jnp.where(too_much, middle, below), jnp.where(too_much, above, middle)

    # So far that all are at the same bound, wherever their wanted scales lie.
    far = 1 + jnp.max(jnp.where(inside, weights * (jnp.abs(wanted - low) + jnp.abs(wanted - high)), 0))
    below, above = lax.fori_loop(0, _STEPS, halve, (-far, far))
    multiplier = (below + above) / 2
    scales = clipped(multiplier)
    return scales * total / jnp.sum(scales), multiplier


def _warp(lengths: list[jax.Array], scale: jax.Array, scales: jax.Array, left: jax.Array, right: jax.Array) -> Warp:
    """Cell edges in pixels, before and after; exact at both ends, and at the identity."""
    length, target = lengths
    cell = length / CELLS
    left, right = (n.astype(jnp.float32) for n in (left, right))
    edges = jnp.clip(jnp.arange(CELLS + 1, dtype=jnp.float32), left, right)
    # Forty times a fortieth may be off the whole by a rounding.
    old = jnp.where(edges == CELLS, length, edges * cell)
    new = jnp.concatenate([jnp.zeros(1), jnp.cumsum(scales * cell * scale)])
    new = jnp.where(edges >= right, target, jnp.minimum(new, target))
    still = (right - left == CELLS) & (length == target) & jnp.all(jnp.abs(scales - 1) < 1e-4)
    return Warp(old, jnp.where(still, old, new))


def _inside(left: jax.Array, right: jax.Array) -> jax.Array:
    cells = jnp.arange(CELLS)
    return (cells >= left) & (cells < right)
