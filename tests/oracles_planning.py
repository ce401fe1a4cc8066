"""Objects and proportions as plain loops in float64, sharing no code with the package."""

import itertools
from collections.abc import Sequence

import numpy as np
from scipy.optimize import lsq_linear

CELLS = 40

# The map of objects.


def smooth_resample(values: np.ndarray, shape: tuple[int, int], steps: tuple[float, float]) -> np.ndarray:
    """Interpolation with a triangle as wide as the step, but no narrower than one element; edges repeated."""

    def weights(count: int, length: int, step: float) -> np.ndarray:
        result = np.zeros((count, length))
        for i in range(count):
            centre = min(max((i + 0.5) * step - 0.5, 0.0), length - 1.0)
            for j in range(length):
                result[i, j] = max(0.0, 1 - abs(centre - j) / max(step, 1.0))
            result[i] /= result[i].sum()
        return result

    rows, columns = (weights(*parts) for parts in zip(shape, values.shape, steps, strict=True))
    return rows @ values.astype(np.float64) @ columns.T


def centre_weight(shape: tuple[int, int], prior: float, stride: int, size: tuple[int, int]) -> np.ndarray:
    """One, mixed with a Gaussian in shares of the valid sides, neuron by neuron."""
    result = np.zeros(shape)
    for i, j in np.ndindex(*shape):
        y, x = (i + 0.5) / (size[0] // stride) - 0.5, (j + 0.5) / (size[1] // stride) - 0.5
        result[i, j] = 1 - prior + prior * np.exp(-(y * y + x * x) / (2 * 0.3**2))
    return result


def object_map(values: np.ndarray, salience: np.ndarray | None, size: tuple[int, int], stride: int) -> np.ndarray:
    """The larger of salience and a share of what one level without padding finds outstanding."""
    highest = float(np.percentile(values.astype(np.float64), 98))
    own = np.clip(values / (highest if highest > 0 else 1), 0, 1)
    if salience is None:
        return own
    steps = (salience.shape[0] * stride / size[0], salience.shape[1] * stride / size[1])
    return np.maximum(np.clip(smooth_resample(salience, (own.shape[0], own.shape[1]), steps), 0, 2), 0.35 * own)


def weigh_importance(
    maps: Sequence[np.ndarray],
    objects: np.ndarray | None,
    prior: float,
    size: tuple[int, int],
    strides: Sequence[int],
    own: int,
) -> list[np.ndarray]:
    """Maps without padding under both priors; `own` is the stride of the map of objects."""
    result = []
    for values, stride in zip(maps, strides, strict=True):
        weighted, shape = values.astype(np.float64), (values.shape[0], values.shape[1])
        if objects is not None:
            mean = weighted.mean()
            held = smooth_resample(objects, shape, (stride / own, stride / own))
            weighted = weighted / (mean if mean > 0 else 1) * (0.1 + held)
        result.append(weighted * centre_weight(shape, prior, stride, size))
    return result


# Proportions.


def cell_means(values: np.ndarray) -> np.ndarray:
    """Means over 40 x 40 cells of a map, whose places may lie across a border."""

    def overlaps(length: int) -> list[dict[int, float]]:
        parts = []
        for cell in range(CELLS):
            low, high = cell * length / CELLS, (cell + 1) * length / CELLS
            shares = {i: min(high, i + 1) - max(low, i) for i in range(int(low), min(int(high) + 1, length))}
            parts.append({i: share for i, share in shares.items() if share > 1e-9})
        return parts

    rows, columns = (overlaps(n) for n in values.shape)
    result = np.zeros((CELLS, CELLS))
    for y, x in np.ndindex(CELLS, CELLS):
        pairs = list(itertools.product(rows[y].items(), columns[x].items()))
        total = sum(a * b for (_, a), (_, b) in pairs)
        result[y, x] = sum(float(values[i, j]) * a * b for (i, a), (j, b) in pairs) / total
    return result


def strongest(values: Sequence[float]) -> float:
    """The mean of the 5 largest of 40; of what is above 1, a face, only 1 counts."""
    return sum(sorted(min(value, 1.0) for value in values)[-5:]) / 5


def face_in(values: Sequence[float]) -> float:
    """How much of a face any of the cells holds: what is above 1."""
    return max(max(value - 1.0, 0.0) for value in values)


def mean_of(values: Sequence[float]) -> float:
    """The mean without what makes a face a face."""
    return sum(min(value, 1.0) for value in values) / len(values)


def column_weights(objects: np.ndarray, protected: np.ndarray) -> list[float]:
    """What each column counts: more with its mean and its strongest eighth, smoothed; protected ones above all."""
    raw = []
    for column in objects.T.astype(np.float64):
        peak = strongest(column.tolist())
        raw.append(0.08 + 0.4 * mean_of(column) + 0.3 * peak + 2 * peak**2 + 5 * face_in(column))
    result = []
    for j in range(CELLS):
        around = raw[max(j - 1, 0)], raw[j], raw[min(j + 1, CELLS - 1)]
        result.append((around[0] + 2 * around[1] + around[2]) / 4 + (50 if protected[:, j].any() else 0))
    return result


def share_out(wanted: np.ndarray, weights: np.ndarray, total: float, low: float, high: float) -> np.ndarray:
    """The minimum of `sum weights (s - wanted)^2` with `sum s = total`, low <= s <= high, by bounded least squares.

    The sum is one more row, so heavy that what it gives way is far below any tolerance.
    """
    heavy = 1e4 * np.sqrt(weights.max())
    rows = np.vstack([np.diag(np.sqrt(weights)), np.full(len(weights), heavy)])
    values = np.append(np.sqrt(weights) * wanted, heavy * total)
    found = lsq_linear(rows, values, (low, high + 1e-12), method="bvls", tol=1e-14, max_iter=1000)
    assert found.success, found.message
    return found.x


def first_bounds(total: float, count: int) -> tuple[float, float]:
    """The least and the most scale of the side that changes most."""
    return min(0.5, 0.75 * total / count), max(1.0, 2 * total / CELLS - 1)


def peaks_of(objects: np.ndarray) -> list[float]:
    """The most that each column holds: its strongest eighth, or its face where that is more."""
    return [max(strongest(column.tolist()), face_in(column)) for column in objects.T.astype(np.float64)]


def nearness(peaks: Sequence[float]) -> list[float]:
    """What each column or one near it holds: an object keeps three columns of room, the less the weaker it is."""
    shares = {0: 1.0, 1: 0.8, 2: 0.8, 3: 0.5}
    return [max(shares.get(abs(cell - other), 0) * peak for other, peak in enumerate(peaks)) for cell in range(CELLS)]


def least_of_face_rows(objects: np.ndarray, total: float) -> float:
    """The least mean scale that rows with faces can have: the others take what they can, a quarter more each."""
    rows = sum(face_in(row) > 0.5 for row in objects.astype(np.float64))
    return (total - 1.25 * (CELLS - rows)) / rows if rows else -1.0


def plan_first(
    objects: np.ndarray, protected: np.ndarray, total: float, most_crop: float, other_total: float = CELLS
) -> tuple[int, int, np.ndarray]:
    """The window of cells that stay, and their scales: cell after cell leaves while that pays."""
    weights = np.array(column_weights(objects, protected))
    columns, peaks = objects.T.astype(np.float64), peaks_of(objects)
    near = nearness(peaks)
    rank = [peak + 0.3 * mean_of(column) for peak, column in zip(near, columns, strict=True)]

    def solve(left: int, right: int, amount: float) -> np.ndarray:
        part = weights[left:right]
        return share_out(np.ones(right - left), part, amount, *first_bounds(total, right - left))

    def cost(left: int, right: int, amount: float) -> float:
        return float(np.sum(weights[left:right] * (1 - solve(left, right, amount)) ** 2))

    faces = [face_in(column) for column in columns]
    follow = least_of_face_rows(objects, other_total)

    def is_cramped(scales: np.ndarray, left: int) -> bool:
        """Whether faces, whose rows cannot follow, get much narrower."""
        shown = [scales[cell - left] for cell, face in enumerate(faces) if face > 0.5]
        return bool(shown) and follow > 0.65 and sum(shown) / len(shown) < 0.85 * follow

    def goes(cell: int, left: int, right: int) -> bool:
        scales = solve(left, right, total)
        scale = scales[cell - left]
        around = max(0.8 * faces[max(cell - 1, 0)], faces[cell], 0.8 * faces[min(cell + 1, CELLS - 1)])
        if protected[:, cell].any() or (near[cell] >= 0.35 and not (is_cramped(scales, left) and around < 0.35)):
            return False
        # What the others gain by the width that it leaves them, to first order, by a difference.
        step = 1e-3
        gain = (cost(left, right, total - step) - cost(left, right, total + step)) / (2 * step) * scale
        return weights[cell] * (1 - scale) ** 2 + gain > 0.35 * weights[cell] + peaks[cell] ** 2

    left, right = 0, CELLS
    least = max(total, CELLS - most_crop * (CELLS - total))
    while total < CELLS and right - left - 1 >= least - 0.1:
        ends = [cell for cell in (left, right - 1) if goes(cell, left, right)]
        if not ends:
            break
        taken = {left: left, right - 1: CELLS - right}
        gone = min(ends, key=lambda cell: (rank[cell] + 0.02 * taken[cell], cell))
        left, right = (left + 1, right) if gone == left else (left, right - 1)
    scales = np.zeros(CELLS)
    scales[left:right] = solve(left, right, total)
    return left, right, scales


def plan_second(objects: np.ndarray, protected: np.ndarray, first: np.ndarray, total: float) -> np.ndarray:
    """The rows' scales, which follow those that their objects got along the columns."""
    wanted, weights, face = [], [], 0.0
    for row, marks in zip(objects.astype(np.float64), protected, strict=True):
        seen = [float(value) if scale > 0 else 0.0 for value, scale in zip(row, first, strict=True)]
        most = [min(value, 1.0) ** 4 + 10 * max(value - 1.0, 0.0) for value in seen]
        most = [value + 1e3 * bool(mark and scale > 0) for value, mark, scale in zip(most, marks, first, strict=True)]
        own = (sum(value * scale for value, scale in zip(most, first, strict=True)) + 1e-6) / (sum(most) + 1e-6)
        pull = 1.5 * strongest(seen) ** 2 + 40 * face_in(seen) + (50 if (marks & (first > 0)).any() else 0)
        weights.append(0.03 + pull)
        wanted.append((0.03 + pull * own) / (0.03 + pull))
        face = max(face, face_in(seen))
    ratio, least = total / CELLS, 0.72 * (1 - face) + 0.65 * face
    low, high = min(least, least * ratio), max(1.2 * (1 - face) + 1.25 * face, 2 * ratio - 1)
    return share_out(np.array(wanted), np.array(weights), total, low, high)


def relative(size: Sequence[int], target: Sequence[int]) -> tuple[float, list[float], bool]:
    """The scale that both sides share, what is left of each side's ratio, and whether the height changes most."""
    ratios = [b / a for a, b in zip(size, target, strict=True)]
    if max(ratios) < 1:
        scale = max(ratios)
    elif min(ratios) > 1:
        scale = min(ratios)
    else:
        scale = 1.0
    left = [ratio / scale for ratio in ratios]
    first_is_height = left[0] < left[1] if min(left) < 1 else left[0] > left[1]
    return scale, left, first_is_height


def strain(
    objects: np.ndarray,
    protected: np.ndarray,
    edges: Sequence[tuple[np.ndarray, np.ndarray]],
    size: Sequence[int],
    target: Sequence[int],
) -> float:
    """What old and new edges of the width and of the height do, on the side that changes most, cell by cell."""
    scale, _, first_is_height = relative(size, target)
    if first_is_height:
        objects, protected = objects.T, protected.T
    old, new = edges[1 if first_is_height else 0]
    cell = size[0 if first_is_height else 1] / CELLS
    total = 0.0
    for j, weight in enumerate(column_weights(objects, protected)):
        column = objects[:, j].astype(np.float64).tolist()
        peak = max(strongest(column), face_in(column))
        begin, end = j * cell, (j + 1) * cell
        if end <= old[0] + cell / 2 or begin >= old[-1] - cell / 2:
            total += 0.35 * weight + peak**2
        else:
            width = float(np.interp(end, old, new) - np.interp(begin, old, new))
            total += weight * (width / (cell * scale) - 1) ** 2
    return total
