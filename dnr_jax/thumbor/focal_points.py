"""Finds what must not be cut off a photo: rectangles around objects, faces and words. Needs no thumbor."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from dnr_jax.config import RetargetConfig
from dnr_jax.padding import pad, traced_size
from dnr_jax.program_limit import make_room
from dnr_jax.shapes import bucket_shape
from dnr_jax.sight import see

CLEAR = 0.5
"""The salience that a place must have to belong to a rectangle."""
LEAST_SHARE = 0.01
"""The weight below which a rectangle is left out."""


class Focus(NamedTuple):
    """A rectangle of a photo that matters.

    Attributes:
      left: the pixels of the photo to the left of it.
      top: the pixels of the photo above it.
      width: how wide it is in pixels, at least 1.
      height: how high it is in pixels, at least 1.
      weight: its share, in (0, 1], of all the salience that stands out in the photo.
    """

    left: int
    top: int
    width: int
    height: int
    weight: float


def find_focal_points(image: np.ndarray, *, config: RetargetConfig | None = None) -> list[Focus]:
    """Rectangles around what stands out in a photo, the weightiest first; none where nothing does.

    Args:
      image: uint8 or float [H, W, 3] in [0, 255], of any size.
      config: says by `keep` and its weights what counts; None for the defaults.

    Example:
      >>> find_focal_points(np.zeros((32, 48, 3), np.uint8))
      []
    """
    make_room()
    size = (image.shape[0], image.shape[1])
    photo = jnp.asarray(pad(np.asarray(image, np.float32), bucket_shape(size)))
    return surround(see(photo, traced_size(size), config or RetargetConfig()).salience, size)


def surround(salience: np.ndarray, size: tuple[int, int]) -> list[Focus]:
    """Rectangles around the parts of a map that stand out, the weightiest first.

    Args:
      salience: float [h, w] in [0, 2], a map of the whole photo.
      size: the photo's (height, width).
    """
    labels = np.zeros(salience.shape, np.int32)
    ndimage.label(salience >= CLEAR, output=labels)
    found = []
    total = float(salience[labels > 0].sum())
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        weight = float(salience[labels == number].sum()) / total
        if weight < LEAST_SHARE:
            continue
        top, bottom = (edge * size[0] / salience.shape[0] for edge in (rows.start, rows.stop))
        left, right = (edge * size[1] / salience.shape[1] for edge in (columns.start, columns.stop))
        width, height = max(1, round(right - left)), max(1, round(bottom - top))
        found.append(Focus(int(left), int(top), width, height, weight))
    return sorted(found, key=lambda focus: -focus.weight)
