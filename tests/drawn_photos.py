"""Photos that tests draw, and the config that suits them: a disc on smooth ground, smooth noise, and lettering."""

import jax
import numpy as np
from configs import paper_config
from PIL import Image, ImageDraw, ImageFont

QUICK = paper_config(taps=("block1_conv2", "block3_conv4"), reconstruct_steps=4, refine_steps=2)
"""Few steps and two levels, which compile sooner than five."""


def disc_photo(
    height: int = 192, width: int = 256, centre: tuple[int, int] = (96, 110), radius: int = 42
) -> np.ndarray:
    """A red disc on smooth ground, uint8 [H, W, 3], its edge antialiased."""
    y, x = np.mgrid[:height, :width].astype(float)
    ground = np.stack([90 + 60 * y / height, 120 + 40 * x / width, 150 - 30 * y / height], -1)
    cover = np.clip(radius - np.hypot(y - centre[0], x - centre[1]) + 0.5, 0, 1)[..., None]
    return (ground * (1 - cover) + cover * np.array([220, 60, 40])).round().astype(np.uint8)


def disc_aspect(image: np.ndarray) -> float:
    """The disc's width over its height, at subpixel accuracy, by how red the image is."""
    cover = np.clip((image[..., 0].astype(float) - image[..., 1] - 50) / 100, 0, 1)
    return cover.max(0).sum() / cover.max(1).sum()


def textured_photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth noise, uint8 [H, W, 3]."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (height // 8 + 1, width // 8 + 1, 3))
    fine = jax.image.resize(coarse, (height, width, 3), "cubic")
    return np.clip(np.asarray(fine), 0, 255).astype(np.uint8)


def sign(text: str, place: tuple[int, int], height: int, size: tuple[int, int] = (400, 500)) -> np.ndarray:
    """Lettering on grey, `height` pixels high in capitals, from (row, column) `place`; float32."""
    picture = Image.new("RGB", (size[1], size[0]), (150, 160, 150))
    font = ImageFont.load_default(height / 0.72)
    ImageDraw.Draw(picture).text((place[1], place[0]), text, (20, 20, 60), font=font, anchor="lt")
    return np.asarray(picture, np.float32)
