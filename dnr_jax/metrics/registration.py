"""Backward registration: where in the original each pixel of a retargeted image comes from.

References:
  Y. Zhang, Y. Fang, W. Lin, X. Zhang, L. Li. Backward registration-based aspect ratio similarity for image retargeting
    quality assessment. IEEE Transactions on Image Processing 25(9), 2016.
  H. Hirschmueller. Stereo processing by semiglobal matching and mutual information. IEEE PAMI 30(2), 2008.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import map_coordinates, uniform_filter

from dnr_jax.metrics.pairs import area_scale, check_pair, common_scale, scaled_shape, to_lab

SIDE = 256
"""The longer side in pixels at which the original is registered."""
_MARGINS = (0.06, 0.3)
"""How far positions may lie beyond what the change of size explains, as a share of the side; the second where the first
is too little, as in warps along both axes that keep the height and yet move the ground by a fifth of it."""
_WINDOW = 3
_MOST_DIFFERENCE = 60.0
_SMOOTHNESS = 1.5
_OUTSIDE = 1e4


class Registration(NamedTuple):
    """Where each pixel of the retargeted image comes from, whether estimated or known exactly.

    Attributes:
      rows: float32 [H', W'], in the original, pixel centres at whole numbers.
      columns: float32 [H', W'].
    """

    rows: Float32[np.ndarray, "h w"]
    columns: Float32[np.ndarray, "h w"]


def register(original: np.ndarray, retargeted: np.ndarray, *, side: int = SIDE, sweeps: int = 2) -> Registration:
    """Finds the place in the original of every pixel of a retargeted image.

    Both images are shrunk by one common factor. One axis at a time is solved on integer positions by dynamic
    programming: the cost of a match is the difference of colours (L*a*b*, truncated) around it; along the axis
    positions never run backwards, and neighbours pay for the difference of their displacements. Across the axis the
    same penalty is passed up and down (semi-global matching) before each line is solved exactly. Then comes the other
    axis, with the first as found, and so on. The first axis solved takes the other to have scaled evenly; where both
    sides changed, either order is tried, and the one whose colours match better is taken. Positions are sought near
    those that the change of size explains; where they reach the limit of that, both orders are tried again in a wide
    range.

    The penalty is linear, so that a sequence that never runs backwards pays the same in total however it shrinks:
    evenly, as in scaling, or in jumps, as in seam carving.

    Differs from the paper, which matches SIFT and colour with SIFT flow: its truncated smoothness in both directions
    lets positions run backwards and rewards piecewise constant displacements, which favours carving and cropping over
    scaling; and the search window for a side halved would be far larger than that of a monotone line.

    Args:
      original: uint8 or float [H, W, 3], RGB in [0, 255].
      retargeted: the result, uint8 or float [H', W', 3] in [0, 255], of any size.
      side: the longer side in pixels at which the original is compared; it is never enlarged.
      sweeps: how often each axis is solved.

    Raises:
      ValueError: unusable images.
    """
    images = check_pair(original, retargeted)
    factor = common_scale(original.shape, side)
    shapes = [scaled_shape(image.shape, factor) for image in images]
    source, target = (to_lab(area_scale(image, shape)) for image, shape in zip(images, shapes, strict=True))
    rows, columns = (
        np.broadcast_to(_uniform(old, new).reshape((-1, 1) if axis == 0 else (1, -1)), shapes[1])
        for axis, (old, new) in enumerate(zip(*shapes, strict=True))
    )
    start = Registration(rows, columns)
    changed = [axis for axis in (1, 0) if original.shape[axis] != retargeted.shape[axis]] or [1]
    tried = [_alternate(source, target, start, axis, sweeps, _MARGINS[0]) for axis in changed]
    found = min(tried, key=lambda places: _mismatch(source, target, places))
    if _reaches_limit(source, found, _MARGINS[0]):
        tried = [found, *(_alternate(source, target, start, axis, sweeps, _MARGINS[1]) for axis in (1, 0))]
        found = min(tried, key=lambda places: _mismatch(source, target, places))
    return Registration(
        _enlarge(found.rows, retargeted.shape, original.shape[0], shapes[0][0]),
        _enlarge(found.columns, retargeted.shape, original.shape[1], shapes[0][1]),
    )


def scaling_map(size: tuple[int, int], target: tuple[int, int]) -> Registration:
    """The exact map of uniform scaling from (height, width) `size` to `target`."""
    rows, columns = np.meshgrid(*(_uniform(old, new) for old, new in zip(size, target, strict=True)), indexing="ij")
    return Registration(rows, columns)


def _alternate(
    source: np.ndarray, target: np.ndarray, places: Registration, first: int, sweeps: int, margin: float
) -> Registration:
    """Solves both axes in turn, beginning with axis `first`."""
    rows, columns = places
    for number in range(2 * sweeps):
        if (first + number) % 2:
            columns = _solve(source, target, rows, margin)
        else:
            rows = _solve(source.swapaxes(0, 1), target.swapaxes(0, 1), columns.T, margin).T
    return Registration(rows, columns)


def _reaches_limit(source: np.ndarray, places: Registration, margin: float) -> bool:
    """Whether the shifts of either axis include the first or the last of those that were sought."""
    for axis, positions in enumerate(places):
        old, new = source.shape[axis], positions.shape[axis]
        numbers = np.arange(new, dtype=np.float32)
        moved, sought = positions - (numbers[:, None] if axis == 0 else numbers), _shifts(old, new, margin)
        if moved.min() <= sought[0] or moved.max() >= sought[-1]:
            return True
    return False


def _shifts(old: int, new: int, margin: float) -> np.ndarray:
    """Old position minus new one, all that are sought, of `new` pixels along an axis that had `old`."""
    wide = max(2, round(margin * max(old, new)))
    return np.arange(min(0, old - new) - wide, max(0, old - new) + wide + 1)


def _mismatch(source: np.ndarray, target: np.ndarray, places: Registration) -> float:
    rows, columns = (np.clip(np.rint(p).astype(np.intp), 0, n - 1) for p, n in zip(places, source.shape, strict=False))
    return float(np.minimum(np.abs(target - source[rows, columns]).sum(-1), _MOST_DIFFERENCE).mean())


def _uniform(old: int, new: int) -> np.ndarray:
    """Where `new` evenly spaced pixels lie among `old`, float32 [new]."""
    return ((np.arange(new) + 0.5) * (old / new) - 0.5).astype(np.float32)


def _solve(source: np.ndarray, target: np.ndarray, rows: np.ndarray, margin: float) -> np.ndarray:
    """The source column of every target pixel, given its source row; float32 [h', w'].

    Args:
      source: L*a*b*, float32 [h, w, 3].
      target: L*a*b*, float32 [h', w', 3].
      rows: float32 [h', w'].
      margin: one of `_MARGINS`.
    """
    new_width = target.shape[1]
    shifts = _shifts(source.shape[1], new_width, margin)
    cost = _match_costs(source, target, rows, shifts)
    cost = _smooth_across(cost)
    return np.arange(new_width, dtype=np.float32)[None, :] + shifts[_cheapest_lines(cost)].astype(np.float32)


def _match_costs(source: np.ndarray, target: np.ndarray, rows: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """The cost of each shift at each target pixel, float32 [h', w', shifts]; high where it leads outside."""
    nearest_row = np.clip(np.rint(rows).astype(np.intp), 0, source.shape[0] - 1)
    places = np.arange(target.shape[1])
    cost = np.empty((*target.shape[:2], len(shifts)), np.float32)
    for number, shift in enumerate(shifts):
        columns = np.clip(places + shift, 0, source.shape[1] - 1)
        difference = np.abs(target - source[nearest_row, columns[None, :]]).sum(-1)
        smoothed = uniform_filter(np.minimum(difference, _MOST_DIFFERENCE), _WINDOW, mode="nearest")
        cost[..., number] = np.where((places + shift == columns)[None, :], smoothed, _OUTSIDE)
    return cost


def _smooth_across(cost: np.ndarray) -> np.ndarray:
    """Each pixel's cost of each shift when the line across it, up and down, is chosen best; divided by 2."""
    down, up = cost.copy(), cost.copy()
    for line in range(1, len(cost)):
        down[line] += _spread(down[line - 1])
        up[-1 - line] += _spread(up[-line])
    total = down + up - cost
    return (total - total.min(-1, keepdims=True)) / 2


def _spread(values: np.ndarray) -> np.ndarray:
    """`min over e of values[..., e] + penalty |d - e|` for every d, less the least of all."""
    slope = _SMOOTHNESS * np.arange(values.shape[-1], dtype=np.float32)
    rising = np.minimum.accumulate(values - slope, -1) + slope
    falling = (np.minimum.accumulate((values + slope)[..., ::-1], -1))[..., ::-1] - slope
    return np.minimum(rising, falling) - values.min(-1, keepdims=True)


def _cheapest_lines(cost: np.ndarray) -> np.ndarray:
    """For every row the cheapest sequence of shifts in which positions never run backwards, intp [h', w'].

    A shift may fall by one at most from a pixel to the next (then both have one position), and rise by any number.
    """
    height, width, count = cost.shape
    slope = _SMOOTHNESS * np.arange(count, dtype=np.float32)
    sums = np.empty_like(cost)
    sums[:, 0] = cost[:, 0]
    for place in range(1, width):
        before = sums[:, place - 1]
        best = np.minimum.accumulate(before - slope, -1) + slope
        best[:, :-1] = np.minimum(best[:, :-1], before[:, 1:] + _SMOOTHNESS)
        sums[:, place] = cost[:, place] + best - best.min(-1, keepdims=True)
    chosen = np.empty((height, width), np.intp)
    chosen[:, -1] = sums[:, -1].argmin(-1)
    numbers = np.arange(count)[None, :]
    for place in range(width - 2, -1, -1):
        step = chosen[:, place + 1, None] - numbers
        allowed = np.where(step >= -1, sums[:, place] + _SMOOTHNESS * np.abs(step), np.inf)
        chosen[:, place] = allowed.argmin(-1)
    return chosen


def _enlarge(places: np.ndarray, shape: tuple[int, ...], length: int, small_length: int) -> np.ndarray:
    """Positions of a shrunk pair as positions of the full one, float32 `shape[:2]`, inside the original."""
    steps = [_uniform(old, new) for old, new in zip(places.shape, shape[:2], strict=True)]
    sampled = map_coordinates(places, np.meshgrid(*steps, indexing="ij"), order=1, mode="nearest")
    return np.clip((sampled + 0.5) * (length / small_length) - 0.5, 0, length - 1).astype(np.float32)
