"""Makes the README's pictures: each sample photo beside its retargeted and its uniformly scaled version.

python scripts/readme_pictures.py
"""

import sys
from pathlib import Path

import numpy as np
import PIL.Image

from dnr_jax import RetargetConfig, load_weights, retarget
from dnr_jax.image_io import read_image, write_image

PICTURES = Path(__file__).parent / "pictures"
GAP = 8


def beside(images: list[np.ndarray]) -> np.ndarray:
    """Images of one height in a row on white, uint8 [H, W, 3]."""
    gap = np.full((images[0].shape[0], GAP, 3), 255, np.uint8)
    row = [images[0]]
    for image in images[1:]:
        row += [gap, image]
    return np.concatenate(row, 1)


def main() -> int:
    """Writes the pictures; returns the exit code."""
    photo = read_image(PICTURES / "rocket.jpg")
    height, width = photo.shape[0], round(photo.shape[1] * 0.75)
    result = retarget(photo, (height, width), RetargetConfig(), load_weights("embedded"))
    scaled = np.asarray(PIL.Image.fromarray(photo).resize((width, height), PIL.Image.Resampling.BOX))
    write_image(PICTURES / "rocket_75.jpg", beside([photo, result.image, scaled]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
