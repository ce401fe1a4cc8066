"""Finds where a photo's object is without any human label, by two unsupervised saliency methods.

Robust background detection (Zhu et al., "Saliency Optimization from Robust Background Detection", CVPR 2014) on SLIC
superpixels, and the minimum barrier distance to the border (Zhang et al., "Minimum Barrier Salient Object
Detection at 80 FPS", ICCV 2015). Photos are RGB float64 [h, w, 3] in [0, 1]; maps are float64 [h, w] in [0, 1].
"""

from typing import NamedTuple

import numpy as np
import scipy.ndimage
import scipy.sparse.csgraph
import skimage.color
import skimage.filters
import skimage.segmentation

SEGMENTS = (250, 120)
GEODESIC_SIGMA, COLOUR_SIGMA, SPATIAL_SIGMA, BOUNDARY_SIGMA = 7.0, 10.0, 0.4, 1.0
BACKGROUND_WEIGHT, SMOOTHNESS_FLOOR = 5.0, 0.1
LEAST_EDGE = 1e-4
BARRIER_PASSES = 3
BORDER_SHARE = 0.1
SIGMOID_SLOPE = 10.0


class Saliency(NamedTuple):
    """The maps of the methods; `centred` is the barrier distance weighted towards the photo's centre."""

    background: np.ndarray
    barrier: np.ndarray
    centred: np.ndarray


def find_saliency(photo: np.ndarray) -> Saliency:
    """Makes all maps of a photo."""
    background = unit_range(np.mean([background_detection(photo, count) for count in SEGMENTS], 0))
    raw = barrier_contrast(photo)
    rows, columns = (np.linspace(-1, 1, n) for n in raw.shape)
    centre = 1 - np.hypot(rows[:, None], columns[None, :]) / np.sqrt(2)
    return Saliency(background, sharpen(raw), sharpen(unit_range(raw * centre)))


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation of two maps; 0 where one is flat."""
    return 0.0 if a.std() < 1e-6 or b.std() < 1e-6 else float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def unit_range(values: np.ndarray) -> np.ndarray:
    """Shifts and scales values to [0, 1]; gives zeros where they are all the same but for rounding."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high - low > 1e-9 else np.zeros_like(values)


def background_detection(photo: np.ndarray, segments: int) -> np.ndarray:
    """Saliency by robust background detection on about `segments` superpixels."""
    labels = skimage.segmentation.slic(photo, segments, compactness=18, start_label=0)
    count = labels.max() + 1
    lab = skimage.color.rgb2lab(photo)
    sizes = np.bincount(labels.ravel(), minlength=count).astype(float)
    grid = np.moveaxis(np.mgrid[: labels.shape[0], : labels.shape[1]], 0, -1) / max(labels.shape)
    colours, places = (_segment_means(values, labels, sizes) for values in (lab, grid))
    colour_distance = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
    place_distance = np.linalg.norm(places[:, None] - places[None], axis=-1)
    on_border = np.zeros(count, bool)
    on_border[np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))] = True

    neighbours = _adjacency(labels, count)
    linked = neighbours | (on_border[:, None] & on_border[None, :])
    np.fill_diagonal(linked, False)
    background = background_probability(linked, colour_distance, on_border)
    foreground = unit_range((colour_distance * _gaussian(place_distance, SPATIAL_SIGMA)) @ background)
    if foreground.max() > 0:
        foreground[foreground < skimage.filters.threshold_otsu(foreground)] = 0

    reach = neighbours.astype(float)
    near = linked | ((reach @ reach) > 0)  # Neighbours of neighbours too, and the border as one.
    np.fill_diagonal(near, False)
    weights = np.where(near, _gaussian(colour_distance, COLOUR_SIGMA) + SMOOTHNESS_FLOOR, 0)
    laplacian = np.diag(weights.sum(1)) - weights
    system = laplacian + np.diag(BACKGROUND_WEIGHT * background + foreground)
    return unit_range(np.linalg.solve(system + 1e-9 * np.eye(count), foreground))[labels]


def background_probability(linked: np.ndarray, colour_distance: np.ndarray, on_border: np.ndarray) -> np.ndarray:
    """How surely each superpixel is background, from the share of its soft region's outline that is border.

    Args:
      linked: bool [n, n], which superpixels touch; those on the border count as touching each other.
      colour_distance: float [n, n], how far the colours of superpixels are apart.
      on_border: bool [n], which superpixels lie on the border.
    """
    closest = np.where(linked, colour_distance, np.inf).min(1)
    slack = np.mean(closest[np.isfinite(closest)]) if np.isfinite(closest).any() else 0.0
    # SciPy reads what is close to 0 as no edge at all.
    edges = np.where(linked, np.maximum(colour_distance - slack, LEAST_EDGE), 0)
    geodesic = scipy.sparse.csgraph.shortest_path(edges, directed=False)
    similar = _gaussian(geodesic, GEODESIC_SIGMA)
    connectivity = similar[:, on_border].sum(1) / np.sqrt(similar.sum(1))
    return 1 - _gaussian(connectivity, BOUNDARY_SIGMA)


def barrier_contrast(photo: np.ndarray) -> np.ndarray:
    """The sum of barrier distance and unlikeness to the border's colours, slightly smoothed."""
    lab = skimage.color.rgb2lab(photo)
    raw = unit_range(barrier_distance(np.moveaxis(lab, -1, 0)).sum(0)) + border_unlikeness(lab)
    return unit_range(scipy.ndimage.gaussian_filter(raw, 0.01 * max(raw.shape)))


def sharpen(values: np.ndarray) -> np.ndarray:
    """Applies a sigmoid about Otsu's threshold, and stretches the result to [0, 1]."""
    threshold = skimage.filters.threshold_otsu(values) if values.max() > values.min() else 0.5
    return unit_range(1 / (1 + np.exp(-SIGMOID_SLOPE * (values - threshold))))


def barrier_distance(channels: np.ndarray, passes: int = BARRIER_PASSES) -> np.ndarray:
    """The minimum barrier distance to the border, by raster scans.

    It is the least, over all paths to the border, of the highest minus the lowest value on the path.

    Args:
      channels: float [c, h, w]; each channel is treated by itself.
      passes: how many scans there are, by turns from the top left (over upper and left neighbours) and from the bottom
        right.
    """
    channels = channels.astype(np.float64)
    height, width = channels.shape[1:]
    distance = np.full(channels.shape, np.inf)
    distance[:, [0, -1]] = distance[:, :, [0, -1]] = 0
    high, low = channels.copy(), channels.copy()
    for step in range(passes):
        flip = (slice(None), slice(None, None, -1), slice(None, None, -1)) if step % 2 else (slice(None),) * 3
        image, d, u, v = channels[flip], distance[flip], high[flip], low[flip]
        # Places of one anti-diagonal do not depend on each other.
        for diagonal in range(2, height + width - 3):
            rows = np.arange(max(1, diagonal - width + 2), min(height - 2, diagonal - 1) + 1)
            columns = diagonal - rows
            value = image[:, rows, columns]
            for near in ((rows - 1, columns), (rows, columns - 1)):
                top = np.maximum(u[:, near[0], near[1]], value)
                bottom = np.minimum(v[:, near[0], near[1]], value)
                better = (top - bottom < d[:, rows, columns]) & np.isfinite(d[:, near[0], near[1]])
                for array, new in ((d, top - bottom), (u, top), (v, bottom)):
                    array[:, rows, columns] = np.where(better, new, array[:, rows, columns])
    return np.where(np.isfinite(distance), distance, 0)


def border_unlikeness(lab: np.ndarray) -> np.ndarray:
    """How far colours are, in Mahalanobis distance, from those of each side's border strip.

    At each place the side whose colours differ most is left out.
    """
    height, width = (max(1, round(BORDER_SHARE * n)) for n in lab.shape[:2])
    strips = (lab[:height], lab[-height:], lab[:, :width], lab[:, -width:])
    maps = []
    for strip in strips:
        colours = strip.reshape(-1, 3)
        inverse = np.linalg.inv(np.cov(colours.T) + 1e-2 * np.eye(3))
        away = lab - colours.mean(0)
        distance = np.sqrt(np.einsum("hwi,ij,hwj->hw", away, inverse, away))
        maps.append(distance / max(distance.max(), 1e-6))
    return unit_range(np.sum(maps, 0) - np.max(maps, 0))


def _gaussian(distance: np.ndarray, sigma: float) -> np.ndarray:
    return np.exp(-np.square(distance) / (2 * sigma**2))


def _segment_means(values: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    sums = [np.bincount(labels.ravel(), values[..., c].ravel(), len(sizes)) for c in range(values.shape[-1])]
    return np.stack(sums, -1) / sizes[:, None]


def _adjacency(labels: np.ndarray, count: int) -> np.ndarray:
    """Which superpixels touch, bool [count, count]; it is symmetric, and false on the diagonal."""
    touching = np.zeros((count, count), bool)
    for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        touching[a, b] = touching[b, a] = True
    np.fill_diagonal(touching, False)
    return touching
