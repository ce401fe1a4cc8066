"""What was drawn by hand on photos: faces and words, and where the photos are.

Boxes are (top, left, bottom, right), polygons are lists of (row, column), all in pixels. What the person who drew them
was not sure about (hidden, cut off, drawn, illegible, single letters) stands apart.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags
from PIL import Image

BOXES = Path(__file__).parents[2] / "tests/data/face_and_word_boxes.json"
"""What was drawn on 62 photos."""


class Drawn(NamedTuple):
    """The boxes and polygons that were drawn on one photo; `size` is the photo's (height, width)."""

    size: tuple[int, int]
    faces: list[list[float]]
    unsure_faces: list[list[float]]
    words: list[list[list[float]]]
    unsure_words: list[list[list[float]]]


def define_flags(name: str) -> flags.FlagValues:
    """The flags of a command of that name that measures against what was drawn."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": name}
    flags.DEFINE_list("photos", None, "Folders of photos, NAME.* or NAME/src.* for each entry of --boxes.", **text)
    flags.DEFINE_string("boxes", str(BOXES), "JSON file of what was drawn.", **text)
    flags.DEFINE_boolean("update_docs", False, "Keep the figures for the documents.", **text)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    return values


def load_drawn(path: Path) -> dict[str, Drawn]:
    """Reads what was drawn on each photo, by the photo's name.

    Raises:
      ValueError: the file holds no such boxes.
    """
    try:
        entries = json.loads(path.read_text("utf-8"))
        return {name: Drawn(tuple(entry.pop("size")), **entry) for name, entry in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} holds no boxes of faces and words: {error}") from None


def read_photo(folders: Sequence[Path], name: str, drawn: Drawn) -> np.ndarray:
    """Reads the photo of a name from any of the folders, NAME.* or NAME/src.*; uint8 [H, W, 3].

    Raises:
      FileNotFoundError: no folder has it.
      ValueError: it has another size than what was drawn.
    """
    found = [file for folder in folders for file in sorted([*folder.glob(f"{name}.*"), *folder.glob(f"{name}/src.*")])]
    if not found:
        raise FileNotFoundError(f"no photo {name} in {', '.join(map(str, folders))}")
    photo = np.asarray(Image.open(found[0]).convert("RGB"))
    if photo.shape[:2] != drawn.size:
        raise ValueError(f"{name} is {photo.shape[:2]} pixels, but was drawn on at {drawn.size}")
    return photo
