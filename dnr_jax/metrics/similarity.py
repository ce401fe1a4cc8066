"""Bidirectional similarity: is all of the photo in the result, and nothing in the result that is not the photo's?

References:
  D. Simakov, Y. Caspi, E. Shechtman, M. Irani. Summarizing visual data using bidirectional similarity. CVPR 2008.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int
from numpy.lib.stride_tricks import sliding_window_view

from dnr_jax.metrics.pairs import area_scale, check_pair, common_scale, scaled_shape, to_lab

_BLOCK = 1024
"""Patches whose distances to all others are held at once."""


class Bidirectional(NamedTuple):
    """The two halves of the measure, in squared CIE76 colour differences a pixel; lower is more similar.

    Attributes:
      completeness: mean distance of the photo's patches to their nearest in the result: what was lost.
      coherence: mean distance of the result's patches to their nearest in the photo: what is new.
    """

    completeness: float
    coherence: float


def bidirectional_similarity(
    original: np.ndarray, retargeted: np.ndarray, *, patch: int = 7, side: int = 128, scales: int = 3
) -> float:
    """Simakov et al.'s d(S, T), the sum of completeness and coherence: 0 for the photo itself, rising with the damage.

    `d(S, T) = 1/N_S sum_P min_Q D(P, Q) + 1/N_T sum_Q min_P D(Q, P)` over all patches P of the original and Q of the
    result, D the squared difference in L*a*b* (here divided by the patch's pixels, so that it does not depend on its
    size). Every nearest patch is exact.

    Patches of several scales are compared, each scale with its own kind: both images are shrunk by one common factor
    until the original's longer side is `side`, then by two once and again. Differs from the paper, which pools the
    patches of all scales: here the scales' means are averaged, so that large structures count as much as small.

    Args:
      original: uint8 or float [H, W, 3], RGB in [0, 255].
      retargeted: the result, uint8 or float [H', W', 3] in [0, 255], of any size.
      patch: pixels along a patch's side.
      side: the longer side in pixels of the original at the finest scale; it is never enlarged.
      scales: how many; those at which a patch does not fit into both images are left out.

    Raises:
      ValueError: unusable images, or a patch that fits at no scale.
    """
    return sum(bidirectional_parts(original, retargeted, patch=patch, side=side, scales=scales))


def bidirectional_parts(
    original: np.ndarray, retargeted: np.ndarray, *, patch: int = 7, side: int = 128, scales: int = 3
) -> Bidirectional:
    """Completeness and coherence apart; see `bidirectional_similarity`."""
    images = check_pair(original, retargeted)
    if patch < 1 or scales < 1 or side < patch:
        raise ValueError(
            f"patch is {patch}, side {side}, scales {scales}: give a patch that fits and at least one scale"
        )
    factor, parts = common_scale(original.shape, side), []
    for scale in range(scales):
        shapes = [scaled_shape(image.shape, factor / 2**scale) for image in images]
        if min(min(shape) for shape in shapes) < patch:
            break
        small = [to_lab(area_scale(image, shape)) for image, shape in zip(images, shapes, strict=True)]
        parts.append(_compare(_patches(small[0], patch), _patches(small[1], patch), patch * patch))
    if not parts:
        raise ValueError(f"no patch of {patch} pixels fits into both images at a longer side of {side}: raise side")
    return Bidirectional(*(float(value) for value in np.mean(parts, 0)))


def _patches(lab: np.ndarray, patch: int) -> np.ndarray:
    """Every patch as a row, float32 [n, 3 patch^2]."""
    windows = sliding_window_view(lab, (patch, patch), (0, 1))
    return np.ascontiguousarray(windows).reshape(windows.shape[0] * windows.shape[1], -1)


def _compare(source: np.ndarray, target: np.ndarray, pixels: int) -> tuple[float, float]:
    nearest_target, nearest_source = nearest_rows(source, target)
    completeness = np.square(source - target[nearest_target], dtype=np.float64).sum(1).mean()
    coherence = np.square(target - source[nearest_source], dtype=np.float64).sum(1).mean()
    return completeness / pixels, coherence / pixels


def nearest_rows(
    first: Float32[np.ndarray, "n k"], second: Float32[np.ndarray, "m k"]
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " m"]]:
    """For each row of one array the nearest row of the other (Euclidean), both ways, by matrix products in blocks.

    Args:
      first: float32 [n, k].
      second: float32 [m, k].

    Returns:
      Indices into `second`, [n], and into `first`, [m].
    """
    centre = second.mean(0, dtype=np.float64).astype(np.float32)  # Smaller numbers, smaller rounding errors.
    first, second = first - centre, second - centre
    lengths = [0.5 * np.square(rows).sum(1) for rows in (first, second)]
    forth = np.empty(len(first), np.intp)
    back, best = np.zeros(len(second), np.intp), np.full(len(second), np.inf, np.float32)
    columns = np.arange(len(second))
    for start in range(0, len(first), _BLOCK):
        part = slice(start, start + _BLOCK)
        half_distance = first[part] @ second.T
        np.subtract(lengths[1][None, :], half_distance, out=half_distance)
        half_distance += lengths[0][part, None]
        forth[part] = half_distance.argmin(1)
        row = half_distance.argmin(0)
        value = half_distance[row, columns]
        better = value < best
        back[better], best[better] = row[better] + start, value[better]
    return forth, back
