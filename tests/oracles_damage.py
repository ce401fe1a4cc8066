"""What seams damage, as plain loops in float64, sharing no code with the package."""

import numpy as np
from oracles_planning import CELLS, cell_means, nearness, peaks_of


def contrast(a: np.ndarray, b: np.ndarray) -> float:
    """The root of the mean square over channels."""
    return float(np.sqrt(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)))


def look_of(photo: np.ndarray) -> np.ndarray:
    """The smoothed photo, and in the fourth channel the largest contrast of neighbours that touch a 9 x 9 window."""
    height, width = photo.shape[:2]
    values = photo.astype(np.float64) / 255
    smooth = np.zeros_like(values)
    for i, j in np.ndindex(height, width):
        for di, wi in ((-1, 1), (0, 2), (1, 1)):
            for dj, wj in ((-1, 1), (0, 2), (1, 1)):
                row, column = min(max(i + di, 0), height - 1), min(max(j + dj, 0), width - 1)
                smooth[i, j] += wi * wj / 16 * values[row, column]
    largest = np.zeros((height, width))
    for i, j in np.ndindex(height, width):
        for row, column in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
            if 0 <= row < height and 0 <= column < width:
                largest[i, j] = max(largest[i, j], contrast(smooth[i, j], smooth[row, column]))
    nearby = np.zeros((height, width, 1))
    for i, j in np.ndindex(height, width):
        nearby[i, j, 0] = largest[max(i - 4, 0) : i + 5, max(j - 4, 0) : j + 5].max()
    return np.concatenate([smooth, nearby], -1)


def joint_damage(look: np.ndarray, objects: np.ndarray, kept: np.ndarray, stride: int) -> float:
    """Every pair of pixels that meet and did not before, right and below, by its contrast beyond the largest nearby.

    Args:
      look: of the photo before the seams.
      objects: the map of objects after the seams.
      kept: each row's columns that stay.
      stride: pixels per place of the map of objects.
    """
    height, width = kept.shape
    total = 0.0

    def broken(a: np.ndarray, b: np.ndarray, place: tuple[int, int]) -> float:
        beyond = max(0.0, contrast(a[:3], b[:3]) - max(float(a[3]), float(b[3])))
        i, j = (min(n // stride, most - 1) for n, most in zip(place, objects.shape, strict=True))
        return beyond**2 * (1 + 20 * float(objects[i, j]) ** 2)

    for i, j in np.ndindex(height, width):
        here = look[i, kept[i, j]]
        if j > 0 and kept[i, j] != kept[i, j - 1] + 1:
            total += broken(look[i, kept[i, j - 1]], here, (i, j))
        if i > 0 and kept[i, j] != kept[i - 1, j]:
            total += broken(look[i - 1, kept[i - 1, j]], here, (i, j))
    return 240 * total / height


def removal_damage(before: np.ndarray, after: np.ndarray) -> float:
    """What the map of objects counts before and no more after, in columns of the grid."""

    def total(objects: np.ndarray) -> float:
        counts = 0.0
        for value in objects.astype(np.float64).ravel().tolist():
            count = 0.08 + 0.7 * value
            counts += 0.35 * count if value < 0.35 else count + 2 * value**2
        return counts

    return CELLS * abs(total(before) - total(after)) / before.size


def room_damage(before: np.ndarray, after: np.ndarray) -> float:
    """What comes nearer to the first and the last column of the grid than it was, in squares."""
    near = [nearness(peaks_of(cell_means(values))) for values in (before, after)]
    return 2 * sum(max(0.0, near[1][end] ** 2 - near[0][end] ** 2) for end in (0, -1))


def cut_damage(objects: np.ndarray, kept: np.ndarray) -> float:
    """What is missing at either end of each row, in columns of the grid, where it is no longer plain."""
    gone = np.zeros(objects.shape)
    for i, j in np.ndindex(*objects.shape):
        if j < min(kept[i]) or j > max(kept[i]):
            gone[i, j] = objects[i, j]
    return 10 * sum(max(0.0, peak**2 - 0.35**2) for peak in peaks_of(cell_means(gone)))
