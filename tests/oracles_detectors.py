"""Plain NumPy versions of the detectors' parts, in float64, written for clarity; they share no code with them."""

from collections.abc import Mapping
from math import erf
from typing import Any

import numpy as np
from oracles_u2net import enlarge

Params = Mapping[str, Any]


def convolution(x: np.ndarray, layer: Params, stride: int = 1, before: int | None = None) -> np.ndarray:
    """A zero-padded convolution, [h, w, c] -> [h / s, w / s, d]; a 3-d kernel is of every channel by itself."""
    kernel = np.asarray(layer["kernel"], np.float64)
    side = kernel.shape[0]
    ahead = (side - 1) // 2 if before is None else before
    padded = np.pad(x.astype(np.float64), ((ahead, side), (ahead, side), (0, 0)))
    height, width = x.shape[0] // stride, x.shape[1] // stride
    result = np.zeros((height, width, kernel.shape[-1])) + np.asarray(layer.get("bias", 0.0), np.float64)
    for i in range(height):
        for j in range(width):
            part = padded[i * stride : i * stride + side, j * stride : j * stride + side]
            result[i, j] += (part * kernel).sum((0, 1)) if kernel.ndim == 3 else np.tensordot(part, kernel, 3)
    return result


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + np.vectorize(erf)(x / 2**0.5)) / 2


def gate(x: np.ndarray, layers: Params, slope: float) -> np.ndarray:
    """Weights of the channels, [1, 1, c]."""
    means = x.mean((0, 1), keepdims=True)
    return np.clip(slope * convolution(relu(convolution(means, layers["squeeze"])), layers["excite"]) + 0.5, 0, 1)


def blaze_block(x: np.ndarray, layers: Params, stride: int) -> np.ndarray:
    """Two depthwise convolutions around a bottleneck, beside what entered."""
    y = convolution(x, layers["first"], stride, 1 if stride == 1 else 0)
    y = relu(convolution(y, layers["narrow"]))
    y = convolution(convolution(y, layers["second"]), layers["widen"])
    result = y.copy()
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            here = x[stride * i : stride * (i + 1), stride * j : stride * (j + 1)].max((0, 1))
            result[i, j, : x.shape[2]] += here
    return relu(result)


def backbone_block(x: np.ndarray, layers: Params, stride: int, gated: bool) -> np.ndarray:
    """A depthwise convolution, a gate and two pointwise convolutions."""
    x = convolution(x, layers["spread"], stride, 1)
    if gated:
        x = x * gate(x, layers["gate"], 1 / 6)
    y = convolution(gelu(convolution(x, layers["widen"])), layers["narrow"])
    return y if stride > 1 else x + y


def enlarged(x: np.ndarray, layer: Params) -> np.ndarray:
    """A transposed convolution of 2x2 with stride 2."""
    kernel = np.asarray(layer["kernel"], np.float64)
    result = np.zeros((2 * x.shape[0], 2 * x.shape[1], kernel.shape[-1])) + np.asarray(layer["bias"], np.float64)
    for i in range(result.shape[0]):
        for j in range(result.shape[1]):
            result[i, j] += x[i // 2, j // 2] @ kernel[i % 2, j % 2]
    return result


def twice(x: np.ndarray) -> np.ndarray:
    """Bilinear interpolation to twice both sides; edges repeated."""
    return enlarge(x, (2 * x.shape[0], 2 * x.shape[1]))


def merged(boxes: np.ndarray, scores: np.ndarray, least: float, vote: float) -> list[tuple[np.ndarray, float]]:
    """Weighted non-maximum suppression, one box after the other."""
    left = [n for n in np.argsort(-scores, kind="stable") if scores[n] >= vote]
    found = []
    while left and scores[left[0]] >= least:
        best = left[0]
        same = [n for n in left if _same(boxes[best], boxes[n])]
        found.append((sum(scores[n] * boxes[n] for n in same) / sum(scores[n] for n in same), scores[best]))
        left = [n for n in left if n not in same]
    return found


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    shared = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared > 0.3 * (sum(areas) - shared) or shared > 0.7 * min(areas)


def face_map(boxes: np.ndarray, size: tuple[int, int], side: int = 320) -> np.ndarray:
    """The map of faces, one place at a time."""
    result = np.zeros((side, side))
    for i in range(side):
        for j in range(side):
            y, x = (i + 0.5) * size[0] / side, (j + 0.5) * size[1] / side
            for top, left, bottom, right in boxes:
                vertical = max(0.75 * (bottom - top), size[0] / side / 2)
                horizontal = max(0.55 * (right - left), size[1] / side / 2)
                radius = (
                    ((y - (top + bottom) / 2) / vertical) ** 2 + ((x - (left + right) / 2) / horizontal) ** 2
                ) ** 0.5
                result[i, j] = max(result[i, j], min(1, 1 - (radius - 1) / 0.2))
    return result


def word_map(lines: np.ndarray, size: tuple[int, int], side: int = 320, every: int = 1) -> np.ndarray:
    """The map of words, one place (of so many) at a time: by the distance from the widened rectangle."""
    result = np.zeros((side, side))
    for i in range(0, side, every):
        for j in range(0, side, every):
            place = np.array([(i + 0.5) * size[0] / side, (j + 0.5) * size[1] / side])
            for line in lines:
                along, across = line[1] - line[0], line[3] - line[0]
                width, height = np.linalg.norm(along), np.linalg.norm(across)
                margin, edge = 0.1 * min(width, height), max(0.4 * min(width, height), *(n / side for n in size))
                u, v = (place - line[0]) @ along / width, (place - line[0]) @ across / height
                beyond = [max(-margin - n, n - m - margin, 0) for n, m in ((u, width), (v, height))]
                result[i, j] = max(result[i, j], 1 - np.hypot(*beyond) / edge)
    return result[::every, ::every]
