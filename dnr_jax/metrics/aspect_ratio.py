"""Aspect-ratio similarity: do the parts of a photo that matter keep their proportions, and their size?

References:
  Y. Zhang, Y. Fang, W. Lin, X. Zhang, L. Li. Backward registration-based aspect ratio similarity for image retargeting
    quality assessment. IEEE Transactions on Image Processing 25(9), 2016.
"""

import numpy as np
from jaxtyping import Float64

from dnr_jax.metrics.pairs import check_pair
from dnr_jax.metrics.registration import Registration, register

SIZE_SENSITIVITY = 0.3
"""The paper's alpha: how much a change of size weighs beside one of proportions."""
_STABILISER = 1e-6
_LEAST_SLOPE = 1e-3


def aspect_ratio_similarity(
    original: np.ndarray,
    retargeted: np.ndarray,
    *,
    importance: np.ndarray | None = None,
    block: int = 16,
    alpha: float = SIZE_SENSITIVITY,
    registration: Registration | None = None,
) -> float:
    """Zhang et al.'s ARS: 1 for the photo itself, less where important blocks are squeezed, shrunk or lost.

    With r_w and r_h the ratios of a block's new width and height to its old ones and m their mean, a block scores
    `exp(-alpha (m - 1)^2) * (2 r_w r_h + C) / (r_w^2 + r_h^2 + C)`, C = 1e-6; the result is the mean over blocks,
    weighted by their summed importance. A block of which nothing is left scores exp(-alpha).

    Differs from the paper in the registration (see `register`) and in how a block's new sides are read from it: the
    paper takes the bounding box of the pixels that come from the block, which one stray pixel can stretch and which
    counts a sheared block as widened; here their number gives the product of the ratios, and how fast positions run
    along each axis gives their quotient.

    Args:
      original: uint8 or float [H, W, 3], RGB in [0, 255].
      retargeted: the result, uint8 or float [H', W', 3] in [0, 255], of any size.
      importance: [H, W], not negative; None: all blocks weigh what their area does.
      block: side of a block in pixels of the original; the last ones may be narrower.
      alpha: the weight of a change of size.
      registration: what `register` returned, where it is at hand already.

    Raises:
      ValueError: unusable images, or importance of another size or with negative values.
    """
    first, second = check_pair(original, retargeted)
    size = first.shape[:2]
    weights = np.ones(size) if importance is None else np.asarray(importance, np.float64)
    if weights.shape != size or not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError(f"importance is {weights.shape}: give {size} values of 0 or more, one a pixel of the original")
    if registration is None:
        registration = register(first, second)
    block_weights = _sums(weights, block)
    if block_weights.sum() <= 0:
        block_weights = _sums(np.ones(size), block)
    wide, high = block_ratios(registration, size, block)
    mean = (wide + high) / 2
    scores = np.exp(-alpha * (mean - 1) ** 2) * (2 * wide * high + _STABILISER) / (wide**2 + high**2 + _STABILISER)
    return float((block_weights * scores).sum() / block_weights.sum())


def block_ratios(
    registration: Registration, size: tuple[int, ...], block: int
) -> tuple[Float64[np.ndarray, "down across"], Float64[np.ndarray, "down across"]]:
    """The new width and height of each block of the original, as shares of the old; float64 [blocks down, across].

    Args:
      registration: where the pixels of the retargeted image come from.
      size: (height, width) of the original.
      block: side of a block in pixels.
    """
    shape = (-(-size[0] // block), -(-size[1] // block))
    places = [np.floor(positions + 0.5).astype(np.intp) // block for positions in registration]
    number = (places[0] * shape[1] + places[1]).ravel()
    counts = np.bincount(number, minlength=shape[0] * shape[1])
    slopes = [
        np.bincount(number, np.maximum(_slope(positions, axis), 0).ravel(), minlength=len(counts))
        for axis, positions in enumerate(registration)
    ]
    # Where nothing is left both ratios are 0, whatever the quotient.
    down, across = (np.maximum(sums / np.maximum(counts, 1), _LEAST_SLOPE) for sums in slopes)
    area = counts / _sums(np.ones(size), block).ravel()
    wide, high = np.sqrt(area * down / across), np.sqrt(area * across / down)
    return wide.reshape(shape), high.reshape(shape)


def _slope(positions: np.ndarray, axis: int) -> np.ndarray:
    return np.gradient(positions, axis=axis) if positions.shape[axis] > 1 else np.ones_like(positions)


def _sums(values: np.ndarray, block: int) -> np.ndarray:
    """The sum over each block, [H, W] -> float64 [blocks down, across]."""
    down = np.add.reduceat(values, np.arange(0, values.shape[0], block), axis=0)
    return np.add.reduceat(down, np.arange(0, values.shape[1], block), axis=1)
