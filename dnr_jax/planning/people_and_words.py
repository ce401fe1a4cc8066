"""Faces and words of a photo as soft maps, of the same form as the salience that `objects` joins with importance.

A salience network sees one main object. Faces and words matter wherever they are and however small: people notice at
once when one is bent. Both maps have the salience's 320 x 320 places and span the photo whatever its shape, so that the
larger of the three at each place can stand wherever salience does. That is finer than any level at which objects count
(every eighth pixel) for photos up to 2,500 pixels.
"""

import numpy as np
from jaxtyping import Float, Float32, Float64

from dnr_jax.networks.u2net import SIDE

HAIR_AND_NECK, EARS = 0.25, 0.05
"""How far a face's box is widened above and below, and on either side, as shares of its height and width."""
FACE_EDGE = 0.2
"""The share of the ellipse's radius over which a face's map falls to 0 outside it."""
WORD_MARGIN, WORD_EDGE = 0.1, 0.4
"""Shares of a line's height by which its rectangle is widened, and over which its map then falls to 0."""


def draw_faces(boxes: Float[np.ndarray, "n 4"], size: tuple[int, int]) -> Float32[np.ndarray, "320 320"]:
    """The map of faces: 1 in an ellipse as wide as each box and higher, for hair and neck, falling to 0 around it.

    Args:
      boxes: [n, 4], (top, left, bottom, right) in pixels.
      size: the photo's (height, width).

    Returns:
      float32 [SIDE, SIDE] in [0, 1].
    """
    result = np.zeros((SIDE, SIDE), np.float32)
    for box in boxes.astype(np.float64):
        middle, lengths = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        radii = np.maximum((0.5 + np.array([HAIR_AND_NECK, EARS])) * lengths, places(size) / 2)
        window, y, x = _window(size, middle - (1 + FACE_EDGE) * radii, middle + (1 + FACE_EDGE) * radii)
        distance = np.hypot((y - middle[0]) / radii[0], (x - middle[1]) / radii[1])
        result[window] = np.maximum(result[window], np.clip(1 - (distance - 1) / FACE_EDGE, 0, 1))
    return result


def draw_words(corners: Float[np.ndarray, "n 4 2"], size: tuple[int, int]) -> Float32[np.ndarray, "320 320"]:
    """The map of words: 1 in each rectangle and a little beyond, falling to 0 around it.

    Args:
      corners: [n, 4, 2], (row, column) in pixels, in the order of going round.
      size: the photo's (height, width).

    Returns:
      float32 [SIDE, SIDE] in [0, 1].
    """
    result = np.zeros((SIDE, SIDE), np.float32)
    for line in corners.astype(np.float64):
        middle, sides = line.mean(0), (line[1] - line[0], line[2] - line[1])
        lengths = [float(np.hypot(*side)) for side in sides]
        margin, edge = WORD_MARGIN * min(lengths), max(WORD_EDGE * min(lengths), *places(size))
        window, y, x = _window(size, line.min(0) - 2 * margin - edge, line.max(0) + 2 * margin + edge)
        beyond = [
            np.maximum(np.abs((y - middle[0]) * side[0] + (x - middle[1]) * side[1]) / length - length / 2 - margin, 0)
            for side, length in zip(sides, lengths, strict=True)
        ]
        result[window] = np.maximum(result[window], np.clip(1 - np.hypot(*beyond) / edge, 0, 1))
    return result


def places(size: tuple[int, int]) -> Float64[np.ndarray, "2"]:
    """Rows and columns of pixels from one place of a map to the next, float64 [2]."""
    return np.array(size, np.float64) / SIDE


def _window(
    size: tuple[int, int], first: np.ndarray, last: np.ndarray
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """The part of a map from pixel (row, column) `first` to `last`: its slices, and its places' rows and columns."""
    start = np.clip(np.floor(first / places(size)), 0, SIDE).astype(int)
    stop = np.clip(np.ceil(last / places(size)), 0, SIDE).astype(int)
    y, x = ((np.arange(a, b) + 0.5) * step for a, b, step in zip(start, stop, places(size), strict=True))
    return (slice(start[0], stop[0]), slice(start[1], stop[1])), y[:, None], x[None, :]
