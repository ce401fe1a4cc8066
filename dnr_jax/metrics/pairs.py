"""What the measures share: a pair of images made ready, CIE L*a*b* and area scaling. NumPy on the host."""

import numpy as np
from jaxtyping import Float32, Num

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _TO_XYZ.sum(1)
"""D65, as the white of sRGB."""


def check_pair(
    original: np.ndarray, retargeted: np.ndarray
) -> tuple[Float32[np.ndarray, "_ _ 3"], Float32[np.ndarray, "_ _ 3"]]:
    """Both images as float32 [H, W, 3].

    Args:
      original: uint8 or float [H, W, 3], RGB in [0, 255].
      retargeted: the result, uint8 or float [H', W', 3] in [0, 255], of any size.

    Raises:
      ValueError: another shape or type, or values outside [0, 255].
    """
    ready = []
    for name, image in (("original", original), ("retargeted", retargeted)):
        if image.ndim != 3 or image.shape[-1] != 3 or not (image.dtype == np.uint8 or image.dtype.kind == "f"):
            raise ValueError(f"the {name} image is {image.dtype} {image.shape}: give uint8 or float [height, width, 3]")
        if 0 in image.shape:
            raise ValueError(f"the {name} image is empty, {image.shape}")
        values = np.asarray(image, np.float32)
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 255):
            raise ValueError(f"the {name} image holds values outside [0, 255]: scale it to that range")
        ready.append(values)
    return ready[0], ready[1]


def to_lab(image: Num[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """sRGB in [0, 255] to CIE L*a*b* (D65), [H, W, 3] -> float32 [H, W, 3]; distances are CIE76 differences."""
    values = np.asarray(image, np.float64) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    ratios = linear @ (_TO_XYZ / _WHITE[:, None]).T
    roots = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(roots, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1).astype(np.float32)


def area_scale(image: Num[np.ndarray, "_ _ *c"], shape: tuple[int, int]) -> Num[np.ndarray, "_ _ *c"]:
    """Scales [H, W, ...] to `shape`, each new pixel the mean of the area that it covers; exact at the identity."""
    for axis, length in enumerate(shape):
        if image.shape[axis] != length:
            weights = _area_weights(image.shape[axis], length)
            image = np.moveaxis(np.tensordot(weights, image, (1, axis)), 0, axis)
    return image


def common_scale(shape: tuple[int, ...], side: int) -> float:
    """The factor that takes the longer side of (height, width) `shape` to `side` pixels; never above 1."""
    return min(1.0, side / max(shape[:2]))


def scaled_shape(shape: tuple[int, ...], factor: float) -> tuple[int, int]:
    """(height, width) times a factor, at least one pixel each."""
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def _area_weights(old: int, new: int) -> np.ndarray:
    """Rows that sum to 1: how much of each old pixel a new one covers, float32 [new, old]."""
    edges, pixels = np.linspace(0, old, new + 1)[:, None], np.arange(old)[None, :]
    overlap = np.clip(np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels), 0, None)
    return (overlap * (new / old)).astype(np.float32)
