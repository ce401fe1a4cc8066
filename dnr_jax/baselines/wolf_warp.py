"""Non-homogeneous warping: each pixel's new place by one sparse least-squares system (Wolf et al. 2007).

Every pixel wants to stay one pixel away from its left neighbour, as strongly as it is salient, and above its lower
neighbour. With x(i, j) the place of the left edge of pixel (i, j), the map of columns minimises

  `sum S(i, j)^2 (x(i, j+1) - x(i, j) - 1)^2 + W^2 sum (x(i, j) - x(i+1, j))^2`,  `x(i, 0) = 0`, `x(i, w) = w'`.

Saliency S is the gradient magnitude of the grey photo over its largest value, plus a floor. Width, then height.

Differs from the paper: no face or motion saliency (there is no detector, and a photo has no motion); edges are mapped
rather than centres, so that the identity is exact; the map is inverted and box-filtered rather than splatted; places
that would run backwards are pushed to their left neighbour's. The paper gives no value for the weight W that could be
checked here: W and the floor are those nearest to RetargetMe's published results.

Reference: L. Wolf, M. Guttmann and D. Cohen-Or, "Non-homogeneous content-driven video-retargeting", ICCV 2007.
"""

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl
from jaxtyping import Float, Float32, Float64

from dnr_jax.baselines import Context
from dnr_jax.photos.luma import luma
from dnr_jax.planning.sides import AXES, SIDES, turned

ALIGNMENT = 1.0
"""W: how strongly a pixel stays above its lower neighbour, where saliency ends at 1."""
FLOOR = 0.01
"""Added to saliency, so that flat ground resists evenly."""
LARGEST_SIDE = 512
"""Larger photos are mapped on cells of several pixels, whose saliency is the root of the mean square."""


def warp(
    image: Float32[np.ndarray, "_ _ c"], target: tuple[int, int], context: Context
) -> Float32[np.ndarray, "_ _ c"]:
    """Wolf et al.'s warp; see `Baseline`."""
    for step, side in enumerate(SIDES, 1):
        lying, length = turned(image, side), target[AXES[side]]
        if lying.shape[1] != length:
            image = turned(warp_rows(lying, warp_edges(saliency(lying), length)), side)
        context.report("warp", step, 2)
    return image


def saliency(image: Float32[np.ndarray, "h w _"]) -> Float64[np.ndarray, "h w"]:
    """The gradient magnitude of the grey image over its largest value, plus a floor; float64 [H, W]."""
    padded = np.pad(luma(image).astype(np.float64), 1, mode="edge")
    magnitude = np.hypot(padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1])
    return magnitude / max(magnitude.max(), 1e-12) + FLOOR


def warp_edges(
    saliency: Float[np.ndarray, "h w"], width: int, *, alignment: float = ALIGNMENT
) -> Float64[np.ndarray, "h w+1"]:
    """Where the pixels' edges go, float64 [H, W + 1], rising along each row from 0 to `width`.

    Args:
      saliency: float [H, W], positive.
      width: the target width.
      alignment: W.
    """
    height, length = saliency.shape
    cell = -(-max(saliency.shape) // LARGEST_SIDE)
    row_starts, column_starts = np.arange(0, height, cell), np.arange(0, length, cell)
    sums = np.add.reduceat(np.add.reduceat(saliency**2, row_starts, 0), column_starts, 1)
    heights, widths = (
        np.diff(np.append(s, n)).astype(np.float64) for s, n in ((row_starts, height), (column_starts, length))
    )
    # A cell of n pixels: its pixels share its stretch, so their terms add up to (rows / columns) of mean square.
    spring = sums / np.square(widths)[None, :]
    solved = solve_edges(spring, widths, width, alignment)
    if cell > 1:
        centres, edges = row_starts + heights / 2, np.append(column_starts, length)
        solved = np.stack([np.interp(np.arange(length + 1), edges, row) for row in solved])
        rows = np.interp(np.arange(height) + 0.5, centres, np.arange(len(centres)))
        above = np.minimum(rows.astype(int), len(centres) - 1)
        below, share = np.minimum(above + 1, len(centres) - 1), (rows - above)[:, None]
        solved = (1 - share) * solved[above] + share * solved[below]
    return np.clip(np.maximum.accumulate(solved, 1), 0, width)


def solve_edges(
    spring: Float64[np.ndarray, "h w"], rest: Float64[np.ndarray, " w"], width: int, alignment: float
) -> Float64[np.ndarray, "h w+1"]:
    """Minimises `sum spring (x(i, j+1) - x(i, j) - rest(j))^2 + alignment^2 sum (x(i, j) - x(i+1, j))^2`.

    By its normal equations, solved directly.

    Args:
      spring: float64 [h, w], positive.
      rest: float64 [w].
      width: what the last edge of every row is fixed to; the first is fixed to 0.
      alignment: W.

    Returns:
      x, float64 [h, w + 1].
    """
    rows, columns = spring.shape
    edges = np.zeros((rows, columns + 1))
    edges[:, -1] = width
    inner = columns - 1
    if inner == 0:
        return edges
    number = np.arange(rows * inner).reshape(rows, inner)
    across, down = -spring[:, 1:-1], np.full((rows - 1, inner), -(alignment**2))
    diagonal = spring[:, :-1] + spring[:, 1:]
    diagonal[1:] -= down
    diagonal[:-1] -= down
    pulls = spring * rest
    right = pulls[:, :-1] - pulls[:, 1:]
    right[:, -1] += spring[:, -1] * width
    i = [number, number[:, :-1], number[:, 1:], number[:-1], number[1:]]
    j = [number, number[:, 1:], number[:, :-1], number[1:], number[:-1]]
    values = np.concatenate([block.ravel() for block in (diagonal, across, across, down, down)])
    places = tuple(np.concatenate([block.ravel() for block in blocks]) for blocks in (i, j))
    matrix = sp.csc_matrix((values, places), shape=(number.size, number.size))
    # Symmetric and positive definite: this ordering fills in far less than the default one.
    factors = spl.splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    edges[:, 1:-1] = factors.solve(right.ravel()).reshape(rows, inner)
    return edges


def warp_rows(image: Float32[np.ndarray, "h w c"], edges: Float64[np.ndarray, "h w+1"]) -> Float32[np.ndarray, "h _ c"]:
    """Brings each row's pixels to their new edges, with the filter of `dnr_jax.planning.warp.warp_width`.

    An output pixel is the mean over what it covers of the row, or over one pixel where that is less. The means come
    from running sums, because every row has a map of its own.

    Args:
      image: float32 [H, W, C].
      edges: float64 [H, W + 1], rising from 0 to W' along each row.

    Returns:
      float32 [H, W', C].
    """
    height, length, channels = image.shape
    width = round(float(edges[0, -1]))
    sums = np.zeros((height, length + 1, channels))
    np.cumsum(image, axis=1, dtype=np.float64, out=sums[:, 1:])
    result = np.empty((height, width, channels), np.float32)
    old, wanted = np.arange(length + 1.0), np.arange(width + 1.0)
    for row in range(height):
        ends = np.interp(wanted, edges[row], old)
        centres, half = (ends[1:] + ends[:-1]) / 2, np.maximum(ends[1:] - ends[:-1], 1) / 2
        low, high = np.clip(centres - half, 0, length), np.clip(centres + half, 0, length)
        for channel in range(channels):
            running = sums[row, :, channel]
            result[row, :, channel] = (np.interp(high, old, running) - np.interp(low, old, running)) / (high - low)
    return result
