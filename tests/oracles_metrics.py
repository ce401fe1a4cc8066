"""The measures as plain loops in float64, sharing no code with the package; and images with a known history."""

import itertools
import math

import numpy as np


def lab(pixel: np.ndarray) -> list[float]:
    """One sRGB pixel in [0, 255] in CIE L*a*b*, by the standard's formulas (IEC 61966-2-1; D65)."""
    linear = []
    for value in (float(v) / 255 for v in pixel):
        linear.append(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
    r, g, b = linear
    x = (0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047
    y = 0.2126729 * r + 0.7151522 * g + 0.0721750 * b
    z = (0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883
    fx, fy, fz = (t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in (x, y, z))
    return [116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)]


def bidirectional(original: np.ndarray, retargeted: np.ndarray, patch: int) -> tuple[float, float]:
    """Completeness and coherence at one scale, every patch against every other."""

    def patches(image: np.ndarray) -> list[np.ndarray]:
        colours = np.array([[lab(pixel) for pixel in row] for row in image])
        height, width = image.shape[:2]
        return [
            colours[i : i + patch, j : j + patch] for i in range(height - patch + 1) for j in range(width - patch + 1)
        ]

    sources, targets = patches(original), patches(retargeted)
    lost = [min(((p - q) ** 2).sum() for q in targets) for p in sources]
    new = [min(((p - q) ** 2).sum() for p in sources) for q in targets]
    return sum(lost) / len(lost) / patch**2, sum(new) / len(new) / patch**2


def halved(image: np.ndarray) -> np.ndarray:
    """Means of two by two pixels; both sides even."""
    return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4


def line_cost(cost: np.ndarray, line: tuple[int, ...], penalty: float) -> float:
    """What a sequence of shifts costs."""
    own = sum(float(cost[place, shift]) for place, shift in enumerate(line))
    return own + penalty * sum(abs(a - b) for a, b in itertools.pairwise(line))


def cheapest_line(cost: np.ndarray, penalty: float) -> float:
    """The least cost of all sequences in which no shift falls by more than one, tried one by one."""
    lines = itertools.product(range(cost.shape[1]), repeat=len(cost))
    return min(
        line_cost(cost, line, penalty) for line in lines if all(b - a >= -1 for a, b in itertools.pairwise(line))
    )


def best_through(cost: np.ndarray, place: int, shift: int, penalty: float) -> float:
    """The least cost of all sequences with a given shift at a given place."""
    lines = itertools.product(range(cost.shape[1]), repeat=len(cost))
    return min(line_cost(cost, line, penalty) for line in lines if line[place] == shift)


def aspect_ratio(columns: np.ndarray, width: int, block: int, weights: np.ndarray, alpha: float) -> float:
    """ARS of a result whose rows stayed where they were: a block's new width is its pixels over its rows."""
    height = len(columns)
    score = total = 0.0
    for top in range(0, height, block):
        for left in range(0, width, block):
            bottom, right = min(top + block, height), min(left + block, width)
            count = sum(left <= math.floor(c + 0.5) < right for row in columns[top:bottom] for c in row)
            wide = count / ((bottom - top) * (right - left))
            # Nothing left at all: neither side is.
            high = 1.0 if count else 0.0
            similar = (2 * wide * high + 1e-6) / (wide**2 + high**2 + 1e-6)
            weight = weights[top:bottom, left:right].sum()
            score += weight * math.exp(-alpha * ((wide + high) / 2 - 1) ** 2) * similar
            total += weight
    return score / total


def jaggedness(original: np.ndarray, retargeted: np.ndarray, columns: np.ndarray, reach: int) -> float:
    """Seam discontinuity of grey images [h, w] of one height, rows in place, by loops."""
    height, width = retargeted.shape

    def second(image: np.ndarray, y: int, x: int, slant: int = 0) -> float:
        if not 0 < y < len(image) - 1:
            return 0.0
        left, right = max(0, x - slant), min(image.shape[1] - 1, x + slant)
        left, right = min(left, image.shape[1] - 1), max(right, 0)
        return abs(float(image[y, x]) - (float(image[y - 1, left]) + float(image[y + 1, right])) / 2)

    total = 0.0
    for y in range(height):
        for x in range(width):
            from_x = round(float(columns[y, x]))
            allowed = max(
                second(original, v, u)
                for v in range(max(0, y - reach), min(height, y + reach + 1))
                for u in range(max(0, from_x - reach), min(original.shape[1], from_x + reach + 1))
            )
            found = min(second(retargeted, y, x, slant) for slant in range(-3, 4))
            total += max(0.0, found - allowed - 1)
    return total / (height * width)


def seen_pixels(mask: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> list[tuple[int, int]]:
    """The (row, column) of every result pixel whose nearest photo pixel is in a mask."""
    found = []
    for y in range(rows.shape[0]):
        for x in range(rows.shape[1]):
            v, u = math.floor(rows[y, x] + 0.5), math.floor(columns[y, x] + 0.5)
            if 0 <= v < mask.shape[0] and 0 <= u < mask.shape[1] and mask[v, u]:
                found.append((y, x))
    return found


def discarded(masks: list[np.ndarray], rows: np.ndarray, columns: np.ndarray, axis: int) -> float:
    """SDR along one axis (1: columns), by sets of lines that hold any object."""
    before = {(y, x)[axis] for mask in masks for y, x in zip(*np.nonzero(mask), strict=True)}
    after = {pixel[axis] for mask in masks for pixel in seen_pixels(mask, rows, columns)}
    return abs(len(before) - len(after)) / len(before)


def proportions_changed(mask: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
    """`|log|` of how the proportions of an object's visible part changed; log 4 where a tenth or less is left."""
    seen = seen_pixels(mask, rows, columns)
    sides = []
    for axis, places in enumerate((rows, columns)):
        whole = [pixel[axis] for pixel in zip(*np.nonzero(mask), strict=True)]
        after = [pixel[axis] for pixel in seen]
        before = [float(places[pixel]) for pixel in seen]
        if not seen or max(before) - min(before) < (max(whole) - min(whole)) / 10 or max(after) == min(after):
            return math.log(4)
        sides.append((max(after) - min(after)) / (max(before) - min(before)))
    return min(math.log(4), abs(math.log(sides[1]) - math.log(sides[0])))


def inside(x: float, y: float, polygon: list[tuple[float, float]]) -> bool:
    """Whether a point lies inside a polygon, by counting the edges that a ray to the right crosses."""
    crossings = 0
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
            crossings += 1
    return crossings % 2 == 1


def textured(shape: tuple[int, int], seed: int) -> np.ndarray:
    """An image with structure at several sizes, so that every place can be told from its neighbours; float32."""
    rng = np.random.default_rng(seed)
    image = np.zeros((*shape, 3))
    for cell in (4, 12, 40):
        coarse = rng.uniform(-1, 1, (shape[0] // cell + 2, shape[1] // cell + 2, 3))
        ys, xs = (np.arange(n) / cell for n in shape)
        y0, x0 = ys.astype(int), xs.astype(int)
        fy, fx = (ys - y0)[:, None, None], (xs - x0)[None, :, None]
        top = coarse[y0][:, x0] * (1 - fx) + coarse[y0][:, x0 + 1] * fx
        bottom = coarse[y0 + 1][:, x0] * (1 - fx) + coarse[y0 + 1][:, x0 + 1] * fx
        image += (top * (1 - fy) + bottom * fy) * (30 if cell == 4 else 45)
    return np.clip(128 + image, 0, 255).astype(np.float32)


def carved_columns(shape: tuple[int, int], count: int, seed: int) -> np.ndarray:
    """Kept columns after `count` wandering seams, int [h, w - count], rising along every row."""
    rng = np.random.default_rng(seed)
    kept = [list(range(shape[1])) for _ in range(shape[0])]
    for _ in range(count):
        place = int(rng.integers(0, len(kept[0])))
        for row in kept:
            place = min(max(place + int(rng.integers(-1, 2)), 0), len(row) - 1)
            del row[place]
    return np.array(kept)
