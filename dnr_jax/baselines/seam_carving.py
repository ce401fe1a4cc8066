"""Seam carving on pixels: gradient energy (Avidan and Shamir 2007) and forward energy (Rubinstein et al. 2008).

Unlike `dnr_jax.planning.seams.find_seams`, whose costs stand still, the energy is computed anew after every removal, as
published. Width, then height; Avidan and Shamir's optimal order of the two (their transport map) needs all H x W
intermediate images and is left out.

References: S. Avidan and A. Shamir, "Seam carving for content-aware image resizing", ACM TOG 26(3), 2007.
M. Rubinstein, A. Shamir and S. Avidan, "Improved seam carving for video retargeting", ACM TOG 27(3), 2008.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float32, Int32, Shaped

from dnr_jax.arrays import Whole
from dnr_jax.baselines import Context
from dnr_jax.photos.luma import luma
from dnr_jax.planning.carve import insert_width
from dnr_jax.planning.seams import Seams, cumulative_cost, trace_back


def carve_gradient(
    image: Float32[np.ndarray, "_ _ c"], target: tuple[int, int], context: Context
) -> Float32[np.ndarray, "_ _ c"]:
    """Seam carving with gradient energy, `|dI/dx| + |dI/dy|` of the grey photo; see `Baseline`."""
    return carve(image, target, "gradient", context)


def carve_forward(
    image: Float32[np.ndarray, "_ _ c"], target: tuple[int, int], context: Context
) -> Float32[np.ndarray, "_ _ c"]:
    """Seam carving with forward energy: what a removal's new neighbours differ by; see `Baseline`."""
    return carve(image, target, "forward", context)


def carve(
    image: Float32[np.ndarray, "_ _ c"], target: tuple[int, int], energy: str, context: Context
) -> Float32[np.ndarray, "_ _ c"]:
    """Removes or inserts seams until an image float32 [H, W, C] has the target's size, width first."""
    image = carve_photo(image, target[1], energy, context)
    return carve_photo(image.swapaxes(0, 1), target[0], energy, context).swapaxes(0, 1)


def carve_photo(
    image: Shaped[np.ndarray, "h _ c"], width: int, energy: str, context: Context, *, canvas: int | None = None
) -> Shaped[np.ndarray, "h _ c"]:
    """Brings an image [H, W, C] in [0, 255] to `width` columns.

    Seams are inserted as DNR inserts them: found as if to remove them, each followed by the mean of itself and its
    right neighbour, at most half the width in one round.

    Args:
      image: what to carve.
      width: the columns wanted.
      energy: "gradient" or "forward".
      context: hears of progress.
      canvas: columns of the arrays to work on, at least `width` and the image's own; calls with one canvas share a
        compilation. Default: the larger of the two.
    """
    canvas = max(width, image.shape[1]) if canvas is None else canvas
    while (length := image.shape[1]) != width:
        wanted = width if width < length else min(width, length + max(1, length // 2))
        padded = np.pad(image, ((0, 0), (0, canvas - length), (0, 0)), mode="edge")
        seams = find_pixel_seams(luma(padded), length, abs(wanted - length), energy, context)
        if wanted < length:
            image = np.take_along_axis(image, np.asarray(seams.kept)[:, :wanted, None], 1)
        else:
            image = np.asarray(_insert(padded, seams, canvas))[:, :wanted]
    return image


class _State(NamedTuple):
    grey: jax.Array  # [H, W] what is left, packed to the left; the columns after it repeat its last one
    columns: jax.Array  # [H, W] original columns, likewise
    order: jax.Array  # [H, W] number of the seam that took each original neuron
    removed: jax.Array


def find_pixel_seams(grey: Float32[np.ndarray, "h w"], width: int, count: int, energy: str, context: Context) -> Seams:
    """Finds `count` vertical seams, the energy computed anew after each removal.

    Args:
      grey: float32 [H, W].
      width: how many columns are valid; the others are ignored, so that arrays of one shape share a compilation.
      count: how many seams to find, at most `width`.
      energy: "gradient" or "forward".
      context: hears of progress.

    Returns:
      Seams as `find_seams` gives them; their costs are not kept and are infinite.
    """
    state = _start(jnp.asarray(grey, jnp.float32), width)
    chunk = count if context.progress is None else max(1, count // 20)
    done = 0
    while done < count:
        done = min(count, done + chunk)
        state = _remove_until(state, width, done, energy=energy)
        if context.progress is not None:
            context.report("seams", int(state.removed), count)
    unknown = jnp.full((grey.shape[1],), jnp.inf, jnp.float32)
    return Seams(state.order, state.columns, unknown, state.removed, jnp.int32(width - count))


@jax.jit
def _start(grey: jax.Array, width: jax.Array | int) -> _State:
    columns = jnp.broadcast_to(jnp.minimum(jnp.arange(grey.shape[1], dtype=jnp.int32), width - 1), grey.shape)
    order = jnp.full(grey.shape, grey.shape[1], jnp.int32)
    return _State(jnp.take_along_axis(grey, columns, 1), columns, order, jnp.int32(0))


@partial(jax.jit, static_argnames=("energy",))
def _remove_until(state: _State, width: jax.Array | int, until: jax.Array | int, *, energy: str) -> _State:
    rows = jnp.arange(state.grey.shape[0], dtype=jnp.int32)
    columns = jnp.arange(state.grey.shape[1], dtype=jnp.int32)[None, :]

    def remove_one(state: _State) -> _State:
        left = width - state.removed
        seam = _SEAMS[energy](state.grey, left)
        order = state.order.at[rows, state.columns[rows, seam]].set(state.removed)
        # What remains moves up; the last remaining column is repeated from there on.
        source = jnp.minimum(columns, jnp.maximum(left - 2, 0))
        source = source + (source >= seam[:, None]).astype(jnp.int32)
        return _State(
            jnp.take_along_axis(state.grey, source, 1, mode="clip"),
            jnp.take_along_axis(state.columns, source, 1, mode="clip"),
            order,
            state.removed + 1,
        )

    return lax.while_loop(lambda state: state.removed < until, remove_one, state)


def gradient_energy(grey: Float32[Array, "h w"]) -> Float32[Array, "h w"]:
    """`|dI/dx| + |dI/dy|` by 3x3 Sobel filters, edges repeated; float32 [H, W] -> [H, W]."""
    height, width = grey.shape
    padded = jnp.pad(grey, 1, mode="edge")
    across = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    down = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return jnp.abs(across[:, 2:] - across[:, :width]) + jnp.abs(down[2:] - down[:height])


def gradient_seam(grey: Float32[Array, "h w"], width: Whole) -> Int32[Array, " h"]:
    """The seam of least gradient energy, int32 [H], of a map whose columns from `width` on repeat the last one."""
    columns = jnp.arange(grey.shape[1])[None, :]
    totals, _ = cumulative_cost(jnp.where(columns < width, gradient_energy(grey), jnp.inf), grey.shape[0])
    return trace_back(totals)


def forward_seam(grey: Float32[Array, "h w"], width: Whole) -> Int32[Array, " h"]:
    """The seam of least forward energy, int32 [H], of a map whose columns from `width` on repeat the last one.

    `M(i, j) = C_U + min(M(i-1, j), M(i-1, j-1) + |I(i-1, j) - I(i, j-1)|, M(i-1, j+1) + |I(i-1, j) - I(i, j+1)|)`,
    `C_U = |I(i, j+1) - I(i, j-1)|`; edges are repeated. Ties: as `find_seams`.
    """
    padded = jnp.pad(grey, ((0, 0), (1, 1)), mode="edge")
    left, right = padded[:, :-2], padded[:, 2:]
    valid = jnp.arange(grey.shape[1]) < width
    across = jnp.where(valid[None, :], jnp.abs(right - left), jnp.inf)
    edge = jnp.full((1,), jnp.inf, grey.dtype)

    def step(above: jax.Array, row: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        across, to_left, to_right = row
        straight = above
        from_left = jnp.concatenate([edge, above[:-1]]) + to_left
        from_right = jnp.concatenate([above[1:], edge]) + to_right
        move = jnp.where(from_left < straight, -1, 0)
        move = jnp.where(from_right < jnp.minimum(from_left, straight), 1, move)
        total = across + jnp.minimum(straight, jnp.minimum(from_left, from_right))
        return total, move.astype(jnp.int32)

    to_left, to_right = jnp.abs(grey[:-1] - left[1:]), jnp.abs(grey[:-1] - right[1:])
    last, moves = lax.scan(step, across[0], (across[1:], to_left, to_right))

    def back(column: jax.Array, move: jax.Array) -> tuple[jax.Array, jax.Array]:
        column = column + move[column]
        return column, column

    bottom = jnp.argmin(last).astype(jnp.int32)
    _, seam = lax.scan(back, bottom, moves, reverse=True)
    return jnp.concatenate([seam, bottom[None]])


_insert = jax.jit(insert_width, static_argnames=("width",))
_SEAMS = {"gradient": gradient_seam, "forward": forward_seam}
