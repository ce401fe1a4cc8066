"""Scales photos to a size, whatever they show."""

import numpy as np
import PIL.Image


def scale_pixels(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scales a picture by bicubic interpolation, with the filter widened where the picture shrinks.

    Args:
      pixels: float or uint8 [H, W, C] in [0, 255].
      size: the (height, width) wanted.

    Returns:
      float32 [height, width, C] in [0, 255]; where the size is the picture's, the picture itself, unchanged.
    """
    if pixels.shape[:2] == tuple(size):
        return pixels
    channels = [
        np.asarray(
            PIL.Image.fromarray(np.ascontiguousarray(channel)).resize((size[1], size[0]), PIL.Image.Resampling.BICUBIC)
        )
        for channel in np.moveaxis(pixels.astype(np.float32), -1, 0)
    ]
    return np.clip(np.stack(channels, -1), 0, 255)
