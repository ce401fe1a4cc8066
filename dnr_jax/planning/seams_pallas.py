"""The seam finder as one kernel a map, in Pallas for its Mosaic GPU backend (Hopper and newer).

One thread block per photo does everything: sweeps, threshold test, walks back and removals, without a word from the
host. Its 128 threads share a row, column j belonging to thread j mod 128. A removal and the sweep that follows it are
one pass over the map: each row closes up where the last seam passed, and its cumulative costs, which live in shared
memory, follow at once, while the next row is already being fetched. A sweep leaves two bits a place, where the
cheapest way up goes: sixteen rows to a word, in shared memory where they fit, so that the walk back, a chain of
dependent loads, never waits for global memory.

Lowering semantics: the kernel is written for those that Pallas calls Lane, in which each operation becomes instructions
of the 128 threads at once, rows lie over them as `_strided` says, and Pallas puts barriers around loads and stores of
shared memory. They are asked for by name, because they are the default up to JAX 0.10.2 only: from 0.11 on it is
Warpgroup, which infers layouts by passes of its own that this kernel was never tried with.

On other platforms the kernel is interpreted, which is slow and exact: one operation after the other on whole arrays,
with no threads, layouts or barriers, so that what it shows is the algorithm and not the lowering.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import mosaic_gpu as plgpu
from jaxtyping import Array, Float32

from dnr_jax.arrays import Number, Whole
from dnr_jax.padding import AnySize
from dnr_jax.planning.seams import Seams

LANES = 128
"""Threads of a block; rows are padded to multiples of it."""
ROWS_PER_WORD = 16
SHARED_BYTES = 200 * 1024
"""Shared memory that a block may fill with the ways up; a Hopper block has 227 KiB in all."""


def find_seams(
    cost: Float32[Array, "h w"],
    count: Whole,
    *,
    threshold: Number = jnp.inf,
    size: AnySize | None = None,
    interpret: bool | None = None,
    shared_bytes: int = SHARED_BYTES,
) -> Seams:
    """What `seams.find_seams` returns for the same arguments, bit for bit; `jax.vmap` makes a grid of photos.

    Args:
      cost: float32 [H, W], finite.
      count: int32, the most seams to remove.
      threshold: float32, the most mean cost of any seam but the first.
      size: the valid (height, width) of `cost`; None for all of it.
      interpret: run the kernel's operations one by one; None: wherever the default device is no GPU.
      shared_bytes: the most shared memory for the ways up; larger maps keep theirs in global memory.
    """
    width = cost.shape[1]
    # The barrier as in the plain version: the mean is a division by a value, not by a constant.
    valid_height, valid_width = (lax.optimization_barrier(jnp.asarray(n, jnp.int32)) for n in (size or cost.shape))
    count = jnp.minimum(jnp.asarray(count, jnp.int32), valid_width)
    columns = jnp.arange(width, dtype=jnp.int32)
    packed = jnp.where(columns[None, :] < valid_width, cost.astype(jnp.float32), jnp.inf)
    interpret = jax.default_backend() != "gpu" if interpret is None else interpret
    launch = _launcher(interpret, shared_bytes)
    numbers = jnp.stack([count, valid_height])
    order, left_columns, costs, removed = launch(packed, numbers, jnp.asarray(threshold, jnp.float32)[None])
    left = valid_width - removed[0]
    last = jnp.take(left_columns, jnp.maximum(left - 1, 0), axis=1)[:, None]
    kept = jnp.where(columns[None, :] < left, left_columns, jnp.minimum(last, width - 1))
    return Seams(order, kept, costs, removed[0], left)


def _launcher(interpret: bool, shared_bytes: int) -> Any:
    """The kernel for one photo, which `jax.vmap` turns into one launch for all."""
    batched = partial(_find_in_batch, interpret=interpret, shared_bytes=shared_bytes)

    @jax.custom_batching.custom_vmap
    def launch(cost: jax.Array, numbers: jax.Array, threshold: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(x[0] for x in batched(cost[None], numbers[None], threshold[None]))

    @launch.def_vmap
    def _(axis_size: int, in_batched: list[bool], *arguments: jax.Array) -> tuple[Any, Any]:
        filled = [
            x if is_batched else jnp.broadcast_to(x[None], (axis_size, *x.shape))
            for x, is_batched in zip(arguments, in_batched, strict=True)
        ]
        return batched(*filled), (True,) * 4

    return launch


def _find_in_batch(
    cost: jax.Array, numbers: jax.Array, threshold: jax.Array, *, interpret: bool, shared_bytes: int
) -> tuple[jax.Array, ...]:
    """Seams of every map of a batch.

    Args:
      cost: float32 [B, H, W], infinite past the valid width.
      numbers: int32 [B, 2], each map's count and valid height.
      threshold: float32 [B, 1].

    Returns:
      order int32 [B, H, W], columns of what is left int32 [B, H, W], mean costs float32 [B, W], number removed [B, 1].
    """
    batch, height, width = cost.shape
    rows, places = _up(height, ROWS_PER_WORD), _up(width, LANES)
    # A spare stretch of infinite cost on the right is what closes up into the map.
    spare = places + LANES
    padded = jnp.pad(cost, ((0, 0), (0, rows - height), (0, spare - width)), constant_values=jnp.inf)
    words = (rows // ROWS_PER_WORD, places)
    in_shared = 4 * words[0] * words[1] <= shared_bytes
    ways = plgpu.SMEM(words, jnp.int32) if in_shared else jax.ShapeDtypeStruct((batch, *words), jnp.int32)
    outputs = [
        jax.ShapeDtypeStruct((batch, rows, spare), jnp.int32),  # order
        jax.ShapeDtypeStruct((batch, rows, spare), jnp.int32),  # columns of what is left
        jax.ShapeDtypeStruct((batch, spare), jnp.float32),  # mean costs
        jax.ShapeDtypeStruct((batch, 1), jnp.int32),  # number removed
        jax.ShapeDtypeStruct((batch, rows, spare), jnp.float32),  # costs of what is left
        *(() if in_shared else (ways,)),
    ]
    scratch = [
        plgpu.SMEM((spare + LANES,), jnp.float32),  # a row of cumulative costs, LANES places in, infinite around
        plgpu.SMEM((rows,), jnp.int32),  # the last seam
        *((ways,) if in_shared else ()),
    ]
    body = partial(_kernel, width=width, in_shared=in_shared)
    if interpret:
        whole = pl.BlockSpec(memory_space=plgpu.GMEM)
        run = pl.pallas_call(
            lambda *refs: body(pl.program_id(0), _no_layout, *refs),
            grid=(batch,),
            in_specs=[whole] * 3,
            out_specs=[whole] * len(outputs),
            out_shape=outputs,
            scratch_shapes=scratch,
            interpret=True,
        )
    else:
        run = plgpu.kernel(
            lambda *refs: body(lax.axis_index("photo"), _strided, *refs),
            out_type=outputs,
            scratch_types=scratch,
            grid=(batch,),
            grid_names=("photo",),
            kernel_name="find_seams",
            compiler_params=plgpu.CompilerParams(lowering_semantics=plgpu.LoweringSemantics.Lane),
        )
    order, columns, costs, removed, *_ = run(padded, numbers, threshold)
    return order[:, :height, :width], columns[:, :height, :width], costs[:, :width], removed


def _kernel(
    photo: jax.Array,
    layout: Any,
    cost_ref: Any,
    numbers_ref: Any,
    threshold_ref: Any,
    *refs: Any,
    width: int,
    in_shared: bool,
) -> None:
    """One block: all seams of map number `photo`; `refs` are outputs, then scratch, as `_find_in_batch` lists them.

    `layout` says which thread holds which place of a row.
    """
    order_ref, columns_ref, costs_ref, removed_ref, left_ref, *others = refs
    if in_shared:
        above_ref, seam_ref, ways_ref = others
        way: tuple[Any, ...] = ()
    else:
        ways_ref, above_ref, seam_ref = others
        way = (photo,)
    rows, spare = cost_ref.shape[1:]
    places = spare - LANES
    middle = pl.ds(LANES, places)
    count, valid_height, threshold = numbers_ref[photo, 0], numbers_ref[photo, 1], threshold_ref[photo, 0]
    column = layout(lax.broadcasted_iota(jnp.int32, (places,), 0))

    def start(row: jax.Array, _: None) -> None:
        left_ref[photo, row] = layout(cost_ref[photo, row])
        columns_ref[photo, row] = layout(lax.broadcasted_iota(jnp.int32, (spare,), 0))
        order_ref[photo, row] = layout(jnp.full((spare,), width, jnp.int32))
        seam_ref[row] = jnp.int32(places)  # Past the map: nothing closes up.

    def fetch(row: jax.Array) -> tuple[jax.Array, ...]:
        """What a row's turn needs: the seam's place and original column, and all it holds with what is to the right."""
        seam = seam_ref[row]
        held = [layout(ref[photo, row, pl.ds(shift, places)]) for ref in (left_ref, columns_ref) for shift in (0, 1)]
        return seam, columns_ref[photo, row, seam], *held

    def sweep(number: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Closes the map up where seam `number` passed; the least cumulative cost at the bottom, and its column."""
        # Minus zero adds nothing to the first row, not even to the sign of a zero.
        above_ref[middle] = layout(jnp.full((places,), -0.0, jnp.float32))

        def sweep_row(within: jax.Array, carry: tuple[Any, ...], first: jax.Array) -> tuple[Any, ...]:
            word, (seam, passed, cost, cost_right, original, original_right) = carry
            row = first + within
            following = fetch(jnp.minimum(row + 1, rows - 1))
            valid = row < valid_height
            closed = column >= seam
            cost = jnp.where(closed, cost_right, cost)
            left_ref[photo, row, pl.ds(0, places)] = cost
            columns_ref[photo, row, pl.ds(0, places)] = jnp.where(closed, original_right, original)
            order_ref[photo, row, passed] = jnp.where(valid, number, width)
            straight = layout(above_ref[middle])
            left, right = (layout(above_ref[pl.ds(LANES + side, places)]) for side in (-1, 1))
            least = jnp.minimum(left, straight)
            to_left = jnp.where(left < straight, 0, 1)
            up = jnp.where(right < least, 2, to_left)
            above_ref[middle] = jnp.where(valid, cost + jnp.minimum(straight, jnp.minimum(left, right)), straight)
            return word | (up << (2 * within)), following

        def sweep_word(index: jax.Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
            nothing = layout(jnp.full((places,), 0, jnp.int32))
            first = index * ROWS_PER_WORD
            step = partial(sweep_row, first=first)
            word, carry = lax.fori_loop(0, ROWS_PER_WORD, step, (nothing, carry))
            ways_ref[*way, index] = word
            return carry

        lax.fori_loop(0, rows // ROWS_PER_WORD, sweep_word, fetch(jnp.int32(0)))
        totals = layout(above_ref[middle])
        least = jnp.min(totals)
        return least, jnp.min(jnp.where(totals == least, column, places))

    def trace_back(bottom: jax.Array) -> None:
        def step(index: jax.Array, place: jax.Array) -> jax.Array:
            row = rows - 1 - index
            seam_ref[row] = place
            up = (ways_ref[*way, row // ROWS_PER_WORD, place] >> (2 * (row % ROWS_PER_WORD))) & 3
            return place + jnp.where((row < valid_height) & (row > 0), up - 1, 0)

        lax.fori_loop(0, rows, step, bottom)

    def wanted(state: tuple[jax.Array, ...]) -> jax.Array:
        removed, mean, _ = state
        return (removed < count) & ((removed == 0) | (mean <= threshold))

    def remove_one(state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        removed, mean, bottom = state
        costs_ref[photo, removed] = mean
        trace_back(bottom)
        least, bottom = sweep(removed)
        return removed + 1, least / valid_height.astype(jnp.float32), bottom

    lax.fori_loop(0, rows, start, None)
    costs_ref[photo] = layout(jnp.full((spare,), jnp.inf, jnp.float32))
    above_ref[...] = layout(jnp.full((spare + LANES,), jnp.inf, jnp.float32))
    least, bottom = sweep(jnp.int32(width))
    state = (jnp.int32(0), least / valid_height.astype(jnp.float32), bottom)
    removed_ref[photo, 0] = lax.while_loop(wanted, remove_one, state)[0]


def _strided(x: jax.Array) -> jax.Array:
    """One row over the block's threads, neighbours on neighbours, so that loads of a shifted row stay aligned."""
    return plgpu.layout_cast(x, plgpu.Layout.WG_STRIDED(x.shape, vec_size=1))


def _no_layout(x: jax.Array) -> jax.Array:
    return x


def _up(length: int, step: int) -> int:
    return -(-length // step) * step
