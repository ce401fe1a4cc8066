"""What the baselines' publications say, as plain NumPy loops that share no code with the package."""

from itertools import combinations_with_replacement

import numpy as np


def luma(image: np.ndarray) -> np.ndarray:
    return 0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2]


def clamped(grey: np.ndarray, i: int, j: int) -> float:
    return float(grey[min(max(i, 0), grey.shape[0] - 1), min(max(j, 0), grey.shape[1] - 1)])


# Seam carving.


def gradient_energy(grey: np.ndarray) -> np.ndarray:
    """|dI/dx| + |dI/dy| by Sobel's masks, neuron by neuron."""
    energy = np.zeros(grey.shape)
    for i in range(grey.shape[0]):
        for j in range(grey.shape[1]):
            dx = sum(
                k * (clamped(grey, i + d, j + 1) - clamped(grey, i + d, j - 1)) for d, k in ((-1, 1), (0, 2), (1, 1))
            )
            dy = sum(
                k * (clamped(grey, i + 1, j + d) - clamped(grey, i - 1, j + d)) for d, k in ((-1, 1), (0, 2), (1, 1))
            )
            energy[i, j] = abs(dx) + abs(dy)
    return energy


def seam(grey: np.ndarray, energy: str) -> list[int]:
    """The cheapest seam's columns: straight before left before right, leftmost at the bottom."""
    height, width = grey.shape
    own = gradient_energy(grey) if energy == "gradient" else None
    cost, came = np.zeros((height, width)), np.zeros((height, width), int)
    for i in range(height):
        for j in range(width):
            across = abs(clamped(grey, i, j + 1) - clamped(grey, i, j - 1)) if own is None else own[i, j]
            cost[i, j] = across
            if i == 0:
                continue
            options = []
            for k in (j, j - 1, j + 1):
                if 0 <= k < width:
                    joint = 0.0
                    if own is None and k != j:
                        joint = abs(clamped(grey, i - 1, j) - clamped(grey, i, k))
                    options.append((cost[i - 1, k] + joint, k))
            best, came[i, j] = min(options, key=lambda option: option[0])
            cost[i, j] += best
    column = int(np.argmin(cost[-1]))
    found = [column]
    for i in range(height - 1, 0, -1):
        column = int(came[i, column])
        found.insert(0, column)
    return found


def carve(image: np.ndarray, width: int, energy: str) -> np.ndarray:
    """Removes seams, looking anew at what is left each time."""
    rows = [list(row) for row in image.astype(float)]
    while len(rows[0]) > width:
        for row, column in zip(rows, seam(luma(np.array(rows)), energy), strict=True):
            row.pop(column)
    return np.array(rows)


# Warping.


def warp_edges(saliency: np.ndarray, width: int, alignment: float) -> np.ndarray:
    """The least-squares system of Wolf et al. written out as a dense matrix over all edges, ends fixed by hand."""
    height, length = saliency.shape
    free = length - 1
    equations, right = [], []

    def row(terms: list[tuple[float, int, int]], value: float) -> None:
        line = np.zeros(height * free)
        for factor, i, j in terms:
            if j == length:
                value -= factor * width
            elif j > 0:
                line[i * free + j - 1] += factor
        equations.append(line)
        right.append(value)

    for i in range(height):
        for j in range(length):
            row([(saliency[i, j], i, j + 1), (-saliency[i, j], i, j)], saliency[i, j])
        for j in range(1, length):
            if i + 1 < height:
                row([(alignment, i, j), (-alignment, i + 1, j)], 0)
    solved = np.linalg.lstsq(np.array(equations), np.array(right), rcond=None)[0].reshape(height, free)
    return np.concatenate([np.zeros((height, 1)), solved, np.full((height, 1), width)], 1)


# Bi-Directional Warping.


def bidirectional_warping(source: np.ndarray, image: np.ndarray, patch: int) -> float:
    """By trying every assignment in order of every row; for rows of a few pixels."""

    def patch_at(picture: np.ndarray, i: int, j: int) -> np.ndarray:
        reach = range(-(patch // 2), patch // 2 + 1)
        rows = [min(max(i + d, 0), picture.shape[0] - 1) for d in reach]
        columns = [min(max(j + d, 0), picture.shape[1] - 1) for d in reach]
        return picture[np.ix_(rows, columns)]

    def one_way(a: np.ndarray, b: np.ndarray) -> float:
        total = 0.0
        for i in range(a.shape[0]):
            distance = [
                [np.mean((patch_at(a, i, j) - patch_at(b, i, k)) ** 2) for k in range(b.shape[1])]
                for j in range(a.shape[1])
            ]
            total += min(
                sum(distance[j][k] for j, k in enumerate(partners))
                for partners in combinations_with_replacement(range(b.shape[1]), a.shape[1])
            )
        return total / (a.shape[0] * a.shape[1])

    return one_way(source, image) + one_way(image, source)


# Patch matching.


def patch_cost(wanted: np.ndarray, source: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Summed squared differences of 3x3 patches, edges repeated."""

    def at(values: np.ndarray, i: int, j: int) -> np.ndarray:
        return values[min(max(i, 0), values.shape[0] - 1), min(max(j, 0), values.shape[1] - 1)]

    cost = np.zeros(wanted.shape[:2])
    for i, j in np.ndindex(*wanted.shape[:2]):
        y, x = field[i, j]
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                cost[i, j] += ((at(wanted, i + dy, j + dx) - at(source, y + dy, x + dx)) ** 2).sum()
    return cost
