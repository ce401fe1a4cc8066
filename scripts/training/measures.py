"""Measures importance maps against object masks: by how they rank pixels, and by what seams would take of objects.

Maps are float [h, w]; masks are bool [h, w], true on the object.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np
import PIL.Image
import PIL.ImageDraw

from dnr_jax.planning.seams import find_seams


def load_masks(path: Path, side: int) -> dict[str, np.ndarray]:
    """Reads masks, by the name of the photo, from a JSON file of polygons in pixels: {name: {size, polygons}}.

    `size` is the photo's [width, height]; a polygon is a list of its corners [x, y]. The longer side of every mask has
    `side` pixels.
    """
    masks = {}
    for name, entry in json.loads(path.read_text()).items():
        width, height = entry["size"]
        picture = PIL.Image.new("L", (width, height), 0)
        for polygon in entry["polygons"]:
            PIL.ImageDraw.Draw(picture).polygon([tuple(corner) for corner in polygon], fill=255)
        scale = side / max(width, height)
        small = picture.resize((round(width * scale), round(height * scale)), PIL.Image.Resampling.BOX)
        masks[name] = np.asarray(small) >= 128
    return masks


def roc_area(values: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> float:
    """The chance that a place drawn by the weights `positive` outranks one drawn by `negative`; a tie counts half."""
    _, ranks = np.unique(values, return_inverse=True)
    ups, downs = (np.bincount(ranks.ravel(), weights.ravel().astype(float)) for weights in (positive, negative))
    below = np.cumsum(downs) - downs
    return float((ups * (below + downs / 2)).sum() / (ups.sum() * downs.sum()))


def plain_area(values: np.ndarray, mask: np.ndarray) -> float:
    """The area under the ROC curve that tells the object from the rest of the photo."""
    return roc_area(values, mask, ~mask)


def shuffled_area(values: np.ndarray, mask: np.ndarray, others: Sequence[np.ndarray]) -> float:
    """The area under the ROC curve where the rest is weighted by how often the objects of other photos lie there.

    A map that only knows where objects usually are gets 0.5. The masks of the other photos are stretched to this
    photo's shape.
    """
    usual = np.mean([_stretch(other, mask.shape) for other in others], 0)
    return roc_area(values, mask, usual * ~mask)


def object_lost(values: np.ndarray, mask: np.ndarray, share: float) -> float:
    """The share of the object's pixels that go when seams of least importance narrow the photo to `share` of its width.

    It is compiled once for all masks of one shape; the values of the map must not be negative.
    """
    width = mask.shape[1]
    order = _seam_order(np.asarray(values, np.float32), width - round(width * share))
    return float(((np.asarray(order) < width) & mask).sum() / mask.sum())


@partial(jax.jit)
def _seam_order(values: jax.Array, count: int) -> jax.Array:
    return find_seams(values, count).order


def bootstrap(values: Sequence[float], seed: int = 0, draws: int = 10_000) -> tuple[float, float, float]:
    """The mean over photos, and the 2.5th and 97.5th percentiles of means over photos drawn with replacement."""
    array = np.asarray(values, float)
    drawn = np.random.default_rng(seed).integers(0, len(array), (draws, len(array)))
    low, high = np.percentile(array[drawn].mean(1), (2.5, 97.5))
    return float(array.mean()), float(low), float(high)


def measure(
    maps: Mapping[str, np.ndarray], masks: Mapping[str, np.ndarray], shares: Sequence[float] = (0.75, 0.5)
) -> dict[str, list[float]]:
    """Takes every measure of every photo.

    Args:
      maps: the map of each photo, by its name.
      masks: the mask of each photo, by its name.
      shares: the shares of the width that photos are narrowed to.

    Returns:
      The values of each measure ("auc", "shuffled_auc", "lost_<percent>"), in the order of `masks`.
    """
    found: dict[str, list[float]] = {"auc": [], "shuffled_auc": [], **{f"lost_{round(100 * s)}": [] for s in shares}}
    for name, mask in masks.items():
        found["auc"].append(plain_area(maps[name], mask))
        others = [other for key, other in masks.items() if key != name]
        found["shuffled_auc"].append(shuffled_area(maps[name], mask, others))
        for share in shares:
            found[f"lost_{round(100 * share)}"].append(object_lost(maps[name], mask, share))
    return found


def _stretch(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    picture = PIL.Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(picture.resize((shape[1], shape[0]), PIL.Image.Resampling.BILINEAR), float) / 255
