"""The brightness of pixels."""

import numpy as np
from jaxtyping import Float32, Num

_RED, _BLUE = np.float32(0.299), np.float32(0.114)
"""What red and blue add to the brightness of a pixel (Rec. 601); green adds the rest."""


def luma(pixels: Num[np.ndarray, "*shape channels"]) -> Float32[np.ndarray, "*shape"]:
    """Rec. 601 luma of pixels, [..., 3 or more], red, green and blue first, in their own range.

    Returns:
      float32 [...]; of grey pixels exactly their value.
    """
    red, green, blue = (pixels[..., channel].astype(np.float32) for channel in range(3))
    return green + _RED * (red - green) + _BLUE * (blue - green)
