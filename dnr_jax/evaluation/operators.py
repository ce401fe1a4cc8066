"""The operators that DNR is compared with, by name: (image, target size) -> image."""

from collections.abc import Callable

import numpy as np

from dnr_jax.metrics.pairs import area_scale

Operator = Callable[[np.ndarray, tuple[int, int]], np.ndarray]
"""Takes uint8 [H, W, 3] and (height, width), returns uint8 of that size."""


def scale_uniformly(image: np.ndarray, target: tuple[int, int]) -> np.ndarray:
    """Linear scaling of both sides, each new pixel the mean of what it covers."""
    return np.rint(np.clip(area_scale(image.astype(np.float32), target), 0, 255)).astype(np.uint8)


OPERATORS: dict[str, Operator] = {"scl": scale_uniformly}
