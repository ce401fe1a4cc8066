"""Measures how well faces and words were found, against what was drawn by hand (see `detection.drawn`).

What the person who drew was not sure about counts neither as missed nor as false.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from detection.drawn import Drawn

SAME_FACE = 0.4
"""The intersection over union that a found box must have with a drawn one to count as the same face."""
LEAST_FACE = 20.0
"""The least size of a face that is counted: the root of its area, in pixels."""
COVERED = 0.5
"""The share of a word that found rectangles must cover for it to count as found."""
LEAST_WORD = 12.0
"""The least height of a word that is counted, in pixels."""
ON_TEXT = 0.3
"""The share of a found rectangle that must lie on text for it not to count as false."""


class Count(NamedTuple):
    """How many things were found, of how many there are, how many found ones are false, and on how many photos."""

    found: int
    drawn: int
    false: int
    photos: int = 1

    def __add__(self, other: object) -> "Count":
        assert isinstance(other, Count)
        return Count(*(a + b for a, b in zip(self, other, strict=True)))


def count_faces(drawn: Drawn, boxes: np.ndarray) -> Count:
    """Counts the faces of a photo that are at least `LEAST_FACE` large; a found box belongs to at most one of them.

    Args:
      drawn: what was drawn on the photo.
      boxes: the boxes that were found, float [n, 4], the likeliest first.
    """
    used: set[int] = set()
    found = counted = 0
    for face in drawn.faces:
        shares = [overlap(face, box) if n not in used else 0.0 for n, box in enumerate(boxes)]
        best = int(np.argmax(shares)) if shares else -1
        hit = best >= 0 and shares[best] >= SAME_FACE
        if hit:
            used.add(best)
        if (face[2] - face[0]) * (face[3] - face[1]) >= LEAST_FACE**2:
            counted, found = counted + 1, found + hit
    false = 0
    for n, box in enumerate(boxes):
        unsure = any(
            overlap(box, other) >= SAME_FACE or shared(box, other) >= 0.5 * area(box) for other in drawn.unsure_faces
        )
        false += n not in used and not unsure
    return Count(found, counted, false)


def count_words(drawn: Drawn, corners: np.ndarray) -> Count:
    """Counts the words of a photo that are at least `LEAST_WORD` high.

    Args:
      drawn: what was drawn on the photo.
      corners: the corners (row, column) of the rectangles that were found, float [n, 4, 2].
    """
    cover = fill(drawn.size, corners.tolist())
    text = fill(drawn.size, drawn.words + drawn.unsure_words)
    words = [word for word in drawn.words if height(word) >= LEAST_WORD]
    found = sum(cover[fill(drawn.size, [word])].mean() >= COVERED for word in words)
    false = sum(
        bool(inside.any()) and text[inside].mean() < ON_TEXT for inside in (fill(drawn.size, [c]) for c in corners)
    )
    return Count(int(found), len(words), int(false))


def area(box: list[float] | np.ndarray) -> float:
    """The area of a box in pixels."""
    return max(0.0, float(box[2] - box[0])) * max(0.0, float(box[3] - box[1]))


def shared(first: list[float] | np.ndarray, second: list[float] | np.ndarray) -> float:
    """The area that two boxes share."""
    return area(np.concatenate([np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])]))


def overlap(first: list[float] | np.ndarray, second: list[float] | np.ndarray) -> float:
    """The intersection over union of two boxes."""
    common = shared(first, second)
    return common / max(area(first) + area(second) - common, 1e-9)


def fill(size: tuple[int, int], polygons: list) -> np.ndarray:
    """Marks the pixels of a photo of (height, width) `size` that lie in any of the polygons, bool [height, width]."""
    picture = Image.new("L", (size[1], size[0]))
    for polygon in polygons:
        ImageDraw.Draw(picture).polygon([(x, y) for y, x in polygon], fill=1)
    return np.asarray(picture, bool)


def height(polygon: list[list[float]]) -> float:
    """The least extent of a polygon across any of its sides: the height of a line of text."""
    points, least = np.array(polygon, float), np.inf
    for first, second in zip(points, np.roll(points, -1, 0), strict=True):
        across = np.array([first[1] - second[1], second[0] - first[0]])
        if across.any():
            places = points @ across / np.hypot(*across)
            least = min(least, float(np.ptp(places)))
    return least
