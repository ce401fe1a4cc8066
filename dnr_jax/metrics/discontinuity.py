"""Seam discontinuity: the jagged edges that appear where carving joins pixels which were no neighbours (Fig. 10).

Carving shifts each row by another amount. Where a seam wanders through structure, an edge that ran straight down the
photo steps sideways from one row to the next. Such a step is a second difference down a column, `|O(y) - (O(y - 1) +
O(y + 1)) / 2|`, which the photo does not have anywhere near the place that the pixel comes from.

An edge that a warp merely tilts is straight along another direction: so of the result the least second difference over
a few directions is taken, `|O(y, x) - (O(y - 1, x - s) + O(y + 1, x + s)) / 2|` for s from -3 to 3.

What the measure counts is that excess alone, and so it is 0 by construction for everything that moves whole columns
alike: cropping, scaling, a grid warp of columns, straight seams. Each of their pixels is a mean of photo pixels of its
row with weights that the rows share, and the second difference of means is at most the largest that was averaged. Blur
lowers second differences and costs nothing either: this measure is about one artifact, not about quality.
"""

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import maximum_filter

from dnr_jax.metrics.pairs import area_scale, check_pair
from dnr_jax.metrics.registration import SIDE, Registration, register
from dnr_jax.photos.luma import luma

_MOST_SLANT = 3
_ROUNDING = 1.0
"""Grey levels by which rounding to 8 bits can change a second difference."""


def seam_discontinuity(
    original: np.ndarray,
    retargeted: np.ndarray,
    *,
    registration: Registration | None = None,
    reach: int | None = None,
) -> float:
    """The mean over pixels of second differences that the photo does not explain, in grey levels; 0: no jagged edge.

    Where the width changed, differences run down the columns, where the height did, along the rows, and where both did
    or neither, the two results are averaged. A pixel may differ from its neighbours as much as any pixel of the photo
    within `reach` of where it comes from, in the photo as it is and scaled to the result's size along the difference.

    Args:
      original: uint8 or float [H, W, 3], RGB in [0, 255].
      retargeted: the result, uint8 or float [H', W', 3] in [0, 255], of any size.
      registration: what `register` returned, where it is at hand already.
      reach: how far, in pixels, the photo is looked at; by default two steps of the registration's grid: its error.

    Raises:
      ValueError: unusable images.
    """
    first, second = check_pair(original, retargeted)
    if registration is None:
        registration = register(first, second)
    if reach is None:
        reach = 2 * max(1, -(-max(first.shape[:2]) // SIDE))
    changed = [axis for axis in (0, 1) if first.shape[axis] != second.shape[axis]] or [0, 1]
    # Carving the width (axis 1) shows down the columns (axis 0), and the other way round.
    return float(np.mean([excess_map(first, second, registration, reach, 1 - axis).mean() for axis in changed]))


def excess_map(
    original: Float32[np.ndarray, "_ _ 3"],
    retargeted: Float32[np.ndarray, "h w 3"],
    registration: Registration,
    reach: int,
    axis: int,
) -> Float32[np.ndarray, "h w"]:
    """Second differences along `axis` beyond what the photo explains, float32 [H', W'] in grey levels.

    Args:
      original: float32 [H, W, 3].
      retargeted: float32 [H', W', 3].
      registration: where the pixels of the retargeted image come from.
      reach: how far, in pixels, the photo is looked at.
      axis: 0 for differences down the columns, 1 along the rows.
    """
    length = retargeted.shape[axis]
    scaled = (length, original.shape[1]) if axis == 0 else (original.shape[0], length)
    grey = luma(retargeted)
    found = np.min([_second_differences(grey, axis, slant) for slant in range(-_MOST_SLANT, _MOST_SLANT + 1)], 0)
    allowed = np.zeros_like(found)
    # Carving keeps the photo's edges as they are, scaling softens or sharpens them: either is explained.
    for shape in dict.fromkeys((original.shape[:2], scaled)):
        photo = maximum_filter(_second_differences(area_scale(luma(original), shape), axis), 2 * reach + 1)
        places = []
        for positions, new, old in zip(registration, shape, original.shape, strict=False):
            places.append(np.clip(np.rint((positions + 0.5) * (new / old) - 0.5).astype(np.intp), 0, new - 1))
        allowed = np.maximum(allowed, photo[places[0], places[1]])
    return np.maximum(found - allowed - _ROUNDING, 0)


def _second_differences(grey: np.ndarray, axis: int, slant: int = 0) -> np.ndarray:
    """`|x - mean of its two neighbours|` along an axis, 0 at both ends; float32 of the same shape.

    The neighbour before is taken `slant` pixels to one side, the one after as many to the other, edges repeated.
    """
    lines = grey if axis == 0 else grey.T
    places = np.arange(lines.shape[1])
    before, after = (np.clip(places + shift, 0, lines.shape[1] - 1) for shift in (-slant, slant))
    differences = np.zeros_like(lines)
    differences[1:-1] = np.abs(lines[1:-1] - (lines[:-2, before] + lines[2:, after]) / 2)
    return differences if axis == 0 else differences.T
