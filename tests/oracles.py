"""What the method says, as plain NumPy loops that share no code with the package."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

CONVS_PER_BLOCK = {1: 2, 2: 2, 3: 4, 4: 4, 5: 4}
DEFAULT_TAPS = ("block1_conv2", "block2_conv2", "block3_conv4", "block4_conv4", "block5_pool")


# Taps.


def layers() -> list[str]:
    """VGG19's convolutions and pools, shallow to deep."""
    names = []
    for block, convs in CONVS_PER_BLOCK.items():
        names += [f"block{block}_conv{conv}" for conv in range(1, convs + 1)]
        names.append(f"block{block}_pool")
    return names


def stride(tap: str) -> int:
    """Pixels per neuron: one doubling for each pool up to and including the tap."""
    names = layers()
    return 2 ** sum(name.endswith("pool") for name in names[: names.index(tap) + 1])


def size(tap: str, shape: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a tap's map: every pool up to it halves, and drops an odd row or column."""
    height, width = shape
    names = layers()
    for name in names[: names.index(tap) + 1]:
        if name.endswith("pool"):
            height, width = height // 2, width // 2
    return height, width


def receptive_indices(shallow: str, deep: str, index: int) -> set[int]:
    """Along one side, the neurons of `shallow` that neuron `index` of `deep` sees, unbounded on either side."""
    names = layers()
    seen = {index}
    for name in reversed(names[names.index(shallow) + 1 : names.index(deep) + 1]):
        # A pool's neuron sees two neurons of the layer before it, a 3x3 convolution's three.
        reach = (
            [2 * i + k for i in seen for k in (0, 1)] if "pool" in name else [i + k for i in seen for k in (-1, 0, 1)]
        )
        seen = set(reach)
    return seen


# Seams.


class Seams(NamedTuple):
    """What `find_seams` must return for a map without padding, and each seam's columns in the closed-up map."""

    order: np.ndarray
    kept: np.ndarray
    costs: np.ndarray
    removed: int
    width: int
    seams: list[list[int]]


def cumulative(cost: np.ndarray) -> np.ndarray:
    """The least cost of a seam from the top to each place."""
    totals = cost.copy()
    for i in range(1, cost.shape[0]):
        for j in range(cost.shape[1]):
            totals[i, j] = cost[i, j] + totals[i - 1, max(j - 1, 0) : j + 2].min()
    return totals


def cheapest_seam(cost: np.ndarray) -> tuple[list[int], np.float32]:
    """The seam's column in each row and its summed cost."""
    totals = cumulative(cost)
    height, width = cost.shape
    column = min(range(width), key=lambda j: totals[-1, j])
    total = totals[-1, column]
    seam = [column]
    for i in range(height - 2, -1, -1):
        # `min` takes the first of equals: straight, then left, then right.
        column = min((j for j in (column, column - 1, column + 1) if 0 <= j < width), key=lambda j: totals[i, j])
        seam.insert(0, column)
    return seam, total


def find_seams(cost: np.ndarray, count: int, threshold: float = np.inf) -> Seams:
    """Removes one seam after the other; each row is a list of what is left of it."""
    height, width = cost.shape
    order = np.full((height, width), width, np.int32)
    costs = np.full(width, np.inf, np.float32)
    values = [list(row) for row in cost.astype(np.float32)]
    columns = [list(range(width)) for _ in range(height)]
    seams = []
    for k in range(min(count, width)):
        seam, total = cheapest_seam(np.array(values, np.float32))
        mean = np.float32(total) / np.float32(height)
        if k > 0 and not mean <= np.float32(threshold):
            break
        for i, j in enumerate(seam):
            order[i, columns[i].pop(j)] = k
            values[i].pop(j)
        costs[k] = mean
        seams.append(seam)
    kept = np.array(columns, np.int32).reshape(height, width - len(seams))
    return Seams(order, kept, costs, len(seams), width - len(seams), seams)


def least_path_cost(cost: np.ndarray) -> float:
    """The least sum over all 8-connected top-to-bottom paths, each of them walked."""
    height, width = cost.shape

    def walk(i: int, j: int) -> float:
        below = [walk(i + 1, n) for n in (j - 1, j, j + 1) if 0 <= n < width] if i + 1 < height else [0.0]
        return float(cost[i, j]) + min(below)

    return min(walk(0, j) for j in range(width))


def closed_up(order: np.ndarray, k: int) -> list[int]:
    """Where seam k lies in each row of the map that the seams before it left."""
    positions = []
    for row in order:
        (column,) = np.flatnonzero(row == k)
        positions.append(sum(int(earlier >= k) for earlier in row[:column]))
    return positions


# The hierarchy.


class Carving(NamedTuple):
    """What `carve_width` must return for maps without padding."""

    levels: list[Seams]
    guided: list[np.ndarray]
    width: int


def covered(removed: np.ndarray, shape: tuple[int, int], shallow: str, deep: str, region: str) -> np.ndarray:
    """The neurons of `shallow` that removed neurons of `deep` cover, neuron by neuron."""
    ratio = stride(deep) // stride(shallow)

    def along(index: int, deep_length: int, length: int) -> list[int]:
        # Neurons that VALID pooling leaves over belong to the last block.
        end = length if index == deep_length - 1 else (index + 1) * ratio
        block = set(range(index * ratio, end))
        field = receptive_indices(shallow, deep, index) if region == "receptive" else set()
        return sorted(i for i in block | field if 0 <= i < length)

    result = np.zeros(shape, bool)
    for i, j in zip(*np.nonzero(removed), strict=True):
        for row in along(int(i), removed.shape[0], shape[0]):
            for column in along(int(j), removed.shape[1], shape[1]):
                result[row, column] = True
    return result


def intermediate_width(width: int, target: int, removed: int, wanted: int, deep_width: int) -> int:
    """W_mid; a half is rounded up."""
    if removed == wanted:
        return target
    return max(target, width - int(np.floor(width * removed / deep_width + 0.5)))


def carve_width(
    importance: Sequence[np.ndarray],
    width: int,
    target: int,
    threshold: float,
    alpha: float,
    taps: Sequence[str],
    region: str,
) -> Carving:
    """Every level's seams, from the deepest to the shallowest."""
    widths = [width // stride(tap) for tap in taps]
    wanted = widths[-1] - target // stride(taps[-1])
    levels, guided = [find_seams(importance[-1], wanted, threshold)], [importance[-1]]
    mid = intermediate_width(width, target, levels[0].removed, wanted, widths[-1])
    for (shallow, deep), values in zip(reversed(list(pairwise(taps))), reversed(importance[:-1]), strict=True):
        removed = levels[0].order < levels[0].removed
        cost = values.copy()
        inside = covered(removed, cost.shape, shallow, deep, region)
        cost[inside] = np.float32(alpha) * cost[inside]
        levels.insert(0, find_seams(cost, width // stride(shallow) - mid // stride(shallow)))
        guided.insert(0, cost)
    return Carving(levels, guided, mid)


def gather_columns(array: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Each row's kept columns, [h, w] or [h, w, c]."""
    result = np.zeros((*kept.shape, *array.shape[2:]), array.dtype)
    for i in range(kept.shape[0]):
        for j in range(kept.shape[1]):
            result[i, j] = array[i, kept[i, j]]
    return result


# Importance.


def feature_norm(features: np.ndarray) -> np.ndarray:
    """Eq. 1, neuron by neuron."""
    result = np.zeros(features.shape[:2])
    for i, j in np.ndindex(*result.shape):
        result[i, j] = sum(float(x) ** 2 for x in features[i, j]) ** 0.5
    return result


def _place(index: int, step: float, length: int) -> tuple[int, int, float]:
    place = min(max((index + 0.5) * step - 0.5, 0.0), length - 1.0)
    low = int(np.floor(place))
    return low, min(low + 1, length - 1), place - low


def resample(values: np.ndarray, shape: tuple[int, int], steps: tuple[float, float]) -> np.ndarray:
    """Bilinear interpolation at the centres of evenly spaced elements, edges repeated."""
    values = values.astype(np.float64)
    result = np.zeros(shape)
    for i, j in np.ndindex(*shape):
        top, bottom, y = _place(i, steps[0], values.shape[0])
        left, right, x = _place(j, steps[1], values.shape[1])
        above = (1 - x) * values[top, left] + x * values[top, right]
        below = (1 - x) * values[bottom, left] + x * values[bottom, right]
        result[i, j] = (1 - y) * above + y * below
    return result


def aggregate(maps: Sequence[np.ndarray], strides: Sequence[int], shape: tuple[int, int]) -> np.ndarray:
    """The sum of the maps, each divided by its mean, in pixels."""
    total = np.zeros(shape)
    for values, step in zip(maps, strides, strict=True):
        total += resample(values / values.mean(dtype=np.float64), shape, (1 / step, 1 / step))
    return total


# The grid warp.


def cell_edges(width: int, cell: int) -> list[int]:
    """Cell borders from 0 to `width`; the last cell may be narrower."""
    return [*range(0, width, cell), width]


def cell_widths(importance: np.ndarray, target: float, cell: int) -> list[float]:
    """Eq. 3: shares of the target, clamped at the old widths, what is left shared out again until none moves."""
    edges = cell_edges(importance.shape[1], cell)
    old = [b - a for a, b in pairwise(edges)]
    shares = [importance[:, a:b].mean(dtype=np.float64) * (b - a) for a, b in pairwise(edges)]
    new = [float(width) for width in old]
    free = list(range(len(old)))
    while free:
        left = target - sum(old[i] for i in range(len(old)) if i not in free)
        total = sum(shares[i] for i in free)
        # Nothing to share by: by width.
        weights = {i: shares[i] / total if total > 0 else old[i] / sum(old[n] for n in free) for i in free}
        growing = [i for i in free if left * weights[i] > old[i]]
        for i in free:
            new[i] = float(old[i]) if i in growing else left * weights[i]
        free = [i for i in free if i not in growing]
        if not growing:
            break
    return new


def warp_columns(image: np.ndarray, old_edges: Sequence[float], new_edges: Sequence[float], target: int) -> np.ndarray:
    """Each output column's mean over the input that it covers, pixels being constant; every cell wider than 0."""

    def source(x: float) -> float:
        for (a, b), (c, d) in zip(pairwise(old_edges), pairwise(new_edges), strict=True):
            if x <= d:
                return a + (b - a) * (x - c) / (d - c)
        return old_edges[-1]

    result = np.zeros((image.shape[0], target, image.shape[2]))
    for v in range(target):
        low, high = source(v), source(v + 1)
        for pixel in range(image.shape[1]):
            overlap = max(0.0, min(high, pixel + 1) - max(low, pixel))
            result[:, v] += image[:, pixel] * overlap / (high - low)
    return result
