"""Bi-Directional Warping, the image similarity that multi-operator retargeting minimises (Rubinstein et al. 2009).

Rows of two images of one height are compared. An asymmetric warping assigns to every pixel of a row a pixel of the
other row, in order, so that the patches around them differ least; pixels of the other row may stay without partner or
serve several. With the squared difference d of patches, averaged over their elements, and A(s -> t) the least sum of d,

  `BDW(S, T) = sum_h A(S_h -> T_h) / (H w_S) + sum_h A(T_h -> S_h) / (H w_T)`:

what of S is missing in T, and what of T is not in S.

Reference: M. Rubinstein, A. Shamir and S. Avidan, "Multi-operator media retargeting", ACM TOG 28(3), 2009.
"""

import numpy as np
from jaxtyping import Float32

PATCH = 7
"""Side of the patches in pixels."""


def bidirectional_warping(
    source: Float32[np.ndarray, "h _ c"], image: Float32[np.ndarray, "h _ c"], *, patch: int = PATCH
) -> float:
    """BDW of two images float32 [H, W, C] and [H, W2, C]; 0 for equal ones, in squared grey levels.

    Args:
      source: S.
      image: T.
      patch: side of the patches, odd; edges are repeated.
    """
    distance = patch_distances(source, image, patch)
    there = warping_cost(distance) / source.shape[1]
    back = warping_cost(distance.swapaxes(1, 2)) / image.shape[1]
    return float(np.mean(there + back, dtype=np.float64))


def warping_cost(distance: Float32[np.ndarray, "h _ _"]) -> Float32[np.ndarray, " h"]:
    """The least sum of distances over all assignments in order, float32 [H], one for each row.

    `P(i, j) = min(P(i, j-1), P(i-1, j) + d(i, j))`, the least cost of pixels 0..i with partners up to j.

    Args:
      distance: float32 [H, W, W2] between pixels i of the one and j of the other row.
    """
    costs = np.zeros((distance.shape[0], distance.shape[2]), np.float32)
    for i in range(distance.shape[1]):
        costs = np.minimum.accumulate(costs + distance[:, i], axis=1)
    return costs[:, -1]


def patch_distances(
    a: Float32[np.ndarray, "h w c"], b: Float32[np.ndarray, "h v c"], patch: int
) -> Float32[np.ndarray, "h w v"]:
    """Mean squared difference of the patches around pixels i of `a` and j of `b` in each row, float32 [H, W, W2].

    The sum over a patch runs over pixel distances of the rows above and below, and along the diagonal of (i, j).
    """
    reach = patch // 2
    a, b = (np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge") for image in (a, b))
    pixels = np.zeros((a.shape[0], a.shape[1], b.shape[1]), np.float32)
    for channel in range(a.shape[2]):
        difference = a[:, :, None, channel] - b[:, None, :, channel]
        pixels += difference * difference
    rows = sum(pixels[dy : pixels.shape[0] - 2 * reach + dy] for dy in range(patch))
    assert isinstance(rows, np.ndarray)
    height, width, other = rows.shape[0], rows.shape[1] - 2 * reach, rows.shape[2] - 2 * reach
    total = np.zeros((height, width, other), np.float32)
    for dx in range(patch):
        total += rows[:, dx : dx + width, dx : dx + other]
    return total / np.float32(patch * patch * a.shape[2])
