"""The seam finder: dynamic programming over a cost map, in plain XLA.

One photo's map in, its removal order out; batches by `jax.vmap`. Sizes, number and threshold are traced values, shapes
are fixed, so that one compilation serves any number of seams. This is the reference for any faster kernel.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float32, Int32

from dnr_jax.arrays import Number, Whole
from dnr_jax.padding import AnySize


class Seams(NamedTuple):
    """Vertical seams in the order in which they were removed. They nest: the first k are the answer for k.

    Attributes:
      order: int32 [H, W], k where the k-th seam (from 0) passed; W where none did.
      kept: int32 [H, W]; its first `width` columns are the original column of each neuron that is left, rising along
        each row; the columns after those repeat the last one.
      costs: float32 [W], the mean cost per neuron of each removed seam; infinite past `removed`.
      removed: int32, how many were removed.
      width: int32, how many columns are left.
    """

    order: Int32[Array, "h w"]
    kept: Int32[Array, "h w"]
    costs: Float32[Array, " w"]
    removed: Int32[Array, ""]
    width: Int32[Array, ""]


class _State(NamedTuple):
    cost: jax.Array  # [H, W] what is left, packed to the left, infinite beyond
    columns: jax.Array  # [H, W] original columns of what is left
    order: jax.Array
    costs: jax.Array
    removed: jax.Array
    running: jax.Array  # whether the last seam was cheap enough to go


def find_seams(
    cost: Float32[Array, "h w"],
    count: Whole,
    *,
    threshold: Number = jnp.inf,
    size: AnySize | None = None,
    levelled: bool = False,
) -> Seams:
    """Removes 8-connected top-to-bottom seams of minimal summed cost, one after the other (Sec. 3.1).

    Ties: leftmost at the bottom row; going up, straight, then left, then right.

    Args:
      cost: float32 [H, W], finite.
      count: int32, the most seams to remove; at most the valid width.
      threshold: float32; a seam other than the first goes only if its mean cost per neuron is at most this.
      size: the valid (height, width) of `cost`; None for all of it. Seams cannot leave it.
      levelled: for costs of very different sizes, as masks make them: sums are kept small, so that among seams that
        take the same of what is marked the cheapest is still told apart.
    """
    height, width = cost.shape
    # The barrier keeps XLA from dividing by a constant height as by its reciprocal, one ulp off other calls' means.
    valid_height, valid_width = (lax.optimization_barrier(jnp.asarray(n, jnp.int32)) for n in (size or cost.shape))
    columns = jnp.arange(width, dtype=jnp.int32)
    rows = jnp.arange(height, dtype=jnp.int32)
    count = jnp.minimum(jnp.asarray(count, jnp.int32), valid_width)
    threshold = jnp.asarray(threshold, jnp.float32)

    def remove_one(state: _State) -> _State:
        """Removes the cheapest seam, or stops with everything as it is if that costs too much."""
        totals, taken = cumulative_cost(state.cost, valid_height, levelled=levelled)
        mean = (jnp.min(totals[-1]) + taken) / valid_height.astype(jnp.float32)
        goes = (state.removed == 0) | (mean <= threshold)
        # Past the last column nothing is written, and nothing moves.
        seam = jnp.where(goes, trace_back(totals), width)
        passed = jnp.where(goes, state.columns[rows, seam], width)
        order = state.order.at[rows, passed].set(jnp.where(rows < valid_height, state.removed, width), mode="drop")
        costs = state.costs.at[jnp.where(goes, state.removed, width)].set(mean, mode="drop")
        after = columns[None, :] >= seam[:, None]
        cost = jnp.where(after, _shift_left(state.cost, jnp.inf), state.cost)
        left = jnp.where(after, _shift_left(state.columns, width), state.columns)
        return _State(cost, left, order, costs, state.removed + goes.astype(jnp.int32), goes)

    state = _State(
        cost=jnp.where(columns[None, :] < valid_width, cost.astype(jnp.float32), jnp.inf),
        columns=jnp.broadcast_to(columns[None, :], cost.shape),
        order=jnp.full(cost.shape, width, jnp.int32),
        costs=jnp.full((width,), jnp.inf, jnp.float32),
        removed=jnp.int32(0),
        running=jnp.asarray(True),
    )
    state = lax.while_loop(lambda state: (state.removed < count) & state.running, remove_one, state)
    left = valid_width - state.removed
    last = jnp.take(state.columns, jnp.maximum(left - 1, 0), axis=1)[:, None]
    kept = jnp.where(columns[None, :] < left, state.columns, jnp.minimum(last, width - 1))
    return Seams(state.order, kept, state.costs, state.removed, left)


def cumulative_cost(
    cost: Float32[Array, "h w"], valid_height: Whole, *, levelled: bool = False
) -> tuple[Float32[Array, "h w"], Float32[Array, ""]]:
    """The least cost of a seam from the top row to each place, float32 [H, W]; rows past the last valid one repeat it.

    `M(i, j) = cost(i, j) + min(M(i-1, j), M(i-1, j-1), M(i-1, j+1))`.

    Args:
      cost: float32 [H, W].
      valid_height: how many of its rows are valid.
      levelled: take from each row of sums its least, which leaves the ways up as they are and the sums near 0.

    Returns:
      The sums; and what was taken from the last row, float32, 0 where they are not levelled.
    """
    edge = jnp.full((1,), jnp.inf, cost.dtype)

    def level(sums: jax.Array, taken: jax.Array) -> tuple[jax.Array, jax.Array]:
        least = jnp.min(sums)
        return sums - least, taken + least

    def step(
        above: tuple[jax.Array, jax.Array], row: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        (sums, taken), (values, valid) = above, row
        left = jnp.concatenate([edge, sums[:-1]])
        right = jnp.concatenate([sums[1:], edge])
        total = jnp.where(valid, values + jnp.minimum(sums, jnp.minimum(left, right)), sums)
        after = level(total, taken) if levelled else (total, taken)
        return after, after[0]

    valid = jnp.arange(1, cost.shape[0]) < valid_height
    first = level(cost[0], jnp.float32(0)) if levelled else (cost[0], jnp.float32(0))
    (_, taken), totals = lax.scan(step, first, (cost[1:], valid))
    return jnp.concatenate([first[0][None], totals]), taken


def trace_back(totals: Float32[Array, "h w"]) -> Int32[Array, " h"]:
    """The cheapest seam's column in each row, int32 [H], from cumulative costs float32 [H, W]."""
    padded = jnp.pad(totals, ((0, 0), (1, 1)), constant_values=jnp.inf)

    def step(column: jax.Array, above: jax.Array) -> tuple[jax.Array, jax.Array]:
        left, straight, right = lax.dynamic_slice(above, (column,), (3,))
        move = jnp.where(left < straight, -1, 0)
        move = jnp.where(right < jnp.minimum(left, straight), 1, move)
        column = column + move.astype(jnp.int32)
        return column, column

    bottom = jnp.argmin(totals[-1]).astype(jnp.int32)
    _, seam = lax.scan(step, bottom, padded[:-1], reverse=True)
    return jnp.concatenate([seam, bottom[None]])


def _shift_left(x: jax.Array, fill: float | int) -> jax.Array:
    return jnp.concatenate([x[:, 1:], jnp.full((x.shape[0], 1), fill, x.dtype)], 1)
