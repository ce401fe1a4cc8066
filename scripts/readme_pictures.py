"""Makes the README's pictures: sample photos beside what the package makes of them.

python scripts/readme_pictures.py
"""

import sys
from pathlib import Path

import numpy as np
import PIL.Image

from dnr_jax import Masks, RetargetConfig, load_weights, retarget
from dnr_jax.photos.files import read_image, write_image

PICTURES = Path(__file__).parent / "pictures"
GAP = 8
CUP = (165, 10, 415, 290)
"""Left, top, right and bottom of the cup in coffee.jpg."""
MAST = (428, 112, 476, 427)
"""Of the mast to the right of the rocket in rocket.jpg, with the lamp at its foot."""


def beside(images: list[np.ndarray]) -> np.ndarray:
    """Images in a row on white, tops aligned, uint8 [H, W, 3]."""
    height = max(image.shape[0] for image in images)
    row = []
    for image in images:
        below = ((0, height - image.shape[0]), (0, GAP), (0, 0))
        row.append(np.pad(image, below, constant_values=255))
    return np.concatenate(row, 1)[:, :-GAP]


def marked(photo: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """A mask that is true in a box, bool [H, W]."""
    mask = np.zeros(photo.shape[:2], bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def outlined(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The photo, bright where the mask is and dim elsewhere."""
    return np.where(mask[..., None], photo, photo // 2 + 64).astype(np.uint8)


def main() -> int:
    """Writes the pictures; returns the exit code."""
    weights, config = load_weights("embedded"), RetargetConfig()
    rocket, coffee = (read_image(PICTURES / name) for name in ("rocket.jpg", "coffee.jpg"))

    def made(photo: np.ndarray, width: float, height: float = 1, masks: Masks = Masks()) -> np.ndarray:  # noqa: B008
        target = (round(photo.shape[0] * height), round(photo.shape[1] * width))
        return retarget(photo, target, config, weights, masks=masks).image

    scaled = np.asarray(PIL.Image.fromarray(rocket).resize((480, rocket.shape[0]), PIL.Image.Resampling.BOX))
    cup, mast = marked(coffee, CUP), marked(rocket, MAST)
    pictures = {
        "rocket_75": [rocket, made(rocket, 0.75), scaled],
        "protect": [outlined(coffee, cup), made(coffee, 0.6), made(coffee, 0.6, masks=Masks(protect=cup))],
        "remove": [outlined(rocket, mast), made(rocket, 1, masks=Masks(remove=mast))],
        "enlarge": [rocket, made(rocket, 1.3)],
        "both": [rocket, made(rocket, 0.7, 0.85)],
    }
    for name, images in pictures.items():
        write_image(PICTURES / f"{name}.jpg", beside(images))
    return 0


if __name__ == "__main__":
    sys.exit(main())
