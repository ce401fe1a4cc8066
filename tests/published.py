"""RetargetMe's photos and the results that were published for them."""

import json
from pathlib import Path

import numpy as np
import PIL.Image


def photo(shared: Path, name: str) -> np.ndarray:
    """uint8 [H, W, 3]."""
    return result(shared, name, "src").astype(np.uint8)


def result(shared: Path, name: str, operator: str) -> np.ndarray:
    """A published result, float64 [H, W, 3]."""
    path = shared / "data/retargetme" / name / f"{operator}.jpg"
    return np.asarray(PIL.Image.open(path).convert("RGB")).astype(float)


def target(shared: Path, name: str) -> tuple[int, int]:
    """(height, width) of a photo's results."""
    width, height = json.loads((shared / "data/retargetme/manifest.json").read_text())[name]["target_size"]
    return height, width


def difference(image: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference in grey levels."""
    return float(np.abs(image.astype(float) - other).mean())
