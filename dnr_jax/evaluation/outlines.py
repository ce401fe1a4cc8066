"""Reads outlines of objects that were drawn by hand, and makes masks of them. The outlines are a JSON file:

  {"001": {"size": [width, height], "polygons": [[[x, y], [x, y], ...], ...]}, ...}

`size` is the photo's; each polygon is one object, its corners in pixels of the photo.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageDraw

Corner = tuple[float, float]
OUTLINES = Path(__file__).with_name("object_masks.json")
"""The file of the outlines of objects on 22 photos of RetargetMe."""


class Outlines(NamedTuple):
    """The objects of one photo.

    Attributes:
      size: (height, width) of the photo.
      polygons: the corners (x, y) of each object.
    """

    size: tuple[int, int]
    polygons: tuple[tuple[Corner, ...], ...]


def read_outlines(path: Path) -> dict[str, Outlines]:
    """Reads the outlines of a file, by the name of the photo.

    Raises:
      ValueError: there is no such file, or it holds no outlines; the message is one line with the remedy.
    """
    try:
        entries = json.loads(path.read_text("utf-8"))
        outlines = {name: _outlines(entry) for name, entry in entries.items()}
    except FileNotFoundError:
        raise ValueError(f"no file of outlines {path}: name one") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        form = '{"photo": {"size": [width, height], "polygons": [[[x, y], ...]]}}'
        raise ValueError(f"{path} cannot be read ({error}): expected {form}") from None
    return outlines


def _outlines(entry: dict) -> Outlines:
    width, height = (int(side) for side in entry["size"])
    polygons = tuple(tuple((float(x), float(y)) for x, y in polygon) for polygon in entry["polygons"])
    for polygon in polygons:
        if len(polygon) < 3:
            raise ValueError(f"a polygon has {len(polygon)} corners")
        xs, ys = zip(*polygon, strict=True)
        if max(xs) < 0 or max(ys) < 0 or min(xs) >= width or min(ys) >= height:
            raise ValueError("a polygon lies outside its photo")
    if not polygons:
        raise ValueError("a photo has no polygon")
    return Outlines((height, width), polygons)


def draw_objects(outlines: Outlines, shape: tuple[int, int]) -> np.ndarray:
    """Draws the objects of a photo as masks.

    Args:
      outlines: the outlines of the objects.
      shape: the (height, width) that the photo was scaled to.

    Returns:
      bool [n, height, width], none of them empty.
    """
    height, width = outlines.size
    masks = []
    for polygon in outlines.polygons:
        picture = PIL.Image.new("L", (width, height), 0)
        PIL.ImageDraw.Draw(picture).polygon(polygon, fill=255)
        cover = np.asarray(picture.resize((shape[1], shape[0]), PIL.Image.Resampling.BOX))
        # More than half of a pixel; of an object too small for that, the pixels that hold most of it.
        masks.append(cover >= max(1, min(128, int(cover.max()))))
    return np.stack(masks)
