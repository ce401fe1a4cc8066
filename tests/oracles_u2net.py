"""Plain NumPy versions of the small U²-Net's parts, in float64, written for clarity; they share no code with it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

Params = Mapping[str, Any]


def convolution(x: np.ndarray, layer: Params, dilation: int = 1) -> np.ndarray:
    """A zero-padded convolution with bias, [h, w, c] -> [h, w, d], one place of the kernel at a time."""
    kernel, bias = np.asarray(layer["kernel"], np.float64), np.asarray(layer["bias"], np.float64)
    height, width = x.shape[:2]
    reach = kernel.shape[0] // 2 * dilation
    padded = np.pad(x.astype(np.float64), ((reach, reach), (reach, reach), (0, 0)))
    result = np.zeros((height, width, kernel.shape[3])) + bias
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            y, x0 = i * dilation, j * dilation
            result += padded[y : y + height, x0 : x0 + width] @ kernel[i, j]
    return result


def rectified(x: np.ndarray, layer: Params, dilation: int = 1) -> np.ndarray:
    return np.maximum(convolution(x, layer, dilation), 0)


def pool(x: np.ndarray) -> np.ndarray:
    """2x2 maxima; an odd last row or column is pooled by itself."""
    result = np.zeros((-(-x.shape[0] // 2), -(-x.shape[1] // 2), x.shape[2]))
    for i in range(result.shape[0]):
        for j in range(result.shape[1]):
            result[i, j] = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max((0, 1))
    return result


def enlarge(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bilinear interpolation of [h, w, c] with half-pixel centres, one output pixel at a time; edges repeated."""
    height, width = x.shape[:2]
    result = np.zeros((shape[0], shape[1], x.shape[2]))
    for i in range(shape[0]):
        for j in range(shape[1]):
            y = min(max((i + 0.5) / (shape[0] / height) - 0.5, 0), height - 1)
            x0 = min(max((j + 0.5) / (shape[1] / width) - 0.5, 0), width - 1)
            top, left = int(y), int(x0)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            above = x[top, left] * (left + 1 - x0) + x[top, right] * (x0 - left)
            below = x[bottom, left] * (left + 1 - x0) + x[bottom, right] * (x0 - left)
            result[i, j] = above * (top + 1 - y) + below * (y - top)
    return result


def residual_block(x: np.ndarray, layers: Params, height: int) -> np.ndarray:
    """The authors' RSU of `height`, as their recursive figure has it: what is inside is a smaller block."""
    entered = rectified(x, layers["in"])

    def inside(x: np.ndarray, level: int) -> np.ndarray:
        here = rectified(x, layers[f"down{level}"])
        if level == height - 1:
            deeper = rectified(here, layers[f"down{height}"], dilation=2)
        else:
            deeper = enlarge(inside(pool(here), level + 1), here.shape)
        return rectified(np.concatenate([deeper, here], -1), layers[f"up{level}"])

    return inside(entered, 1) + entered


def dilated_block(x: np.ndarray, layers: Params) -> np.ndarray:
    """The authors' RSU-4F, one layer after the other."""
    entered = rectified(x, layers["in"])
    first = rectified(entered, layers["down1"])
    second = rectified(first, layers["down2"], 2)
    third = rectified(second, layers["down3"], 4)
    fourth = rectified(third, layers["down4"], 8)
    up = rectified(np.concatenate([fourth, third], -1), layers["up3"], 4)
    up = rectified(np.concatenate([up, second], -1), layers["up2"], 2)
    return rectified(np.concatenate([up, first], -1), layers["up1"]) + entered


def u2net(x: np.ndarray, params: Params) -> list[np.ndarray]:
    """The seven maps of a normalised [h, w, 3], each [h, w]."""
    first = residual_block(x, params["stage1"], 7)
    second = residual_block(pool(first), params["stage2"], 6)
    third = residual_block(pool(second), params["stage3"], 5)
    fourth = residual_block(pool(third), params["stage4"], 4)
    fifth = dilated_block(pool(fourth), params["stage5"])
    sixth = dilated_block(pool(fifth), params["stage6"])

    def joined(below: np.ndarray, beside: np.ndarray) -> np.ndarray:
        return np.concatenate([enlarge(below, beside.shape), beside], -1)

    fifth = dilated_block(joined(sixth, fifth), params["stage5d"])
    fourth = residual_block(joined(fifth, fourth), params["stage4d"], 4)
    third = residual_block(joined(fourth, third), params["stage3d"], 5)
    second = residual_block(joined(third, second), params["stage2d"], 6)
    first = residual_block(joined(second, first), params["stage1d"], 7)
    stages = [first, second, third, fourth, fifth, sixth]
    sides = [enlarge(convolution(stage, params[f"side{n}"]), x.shape) for n, stage in enumerate(stages, 1)]
    fused = convolution(np.concatenate(sides, -1), params["fuse"])
    return [1 / (1 + np.exp(-logits[:, :, 0])) for logits in (fused, *sides)]


def network_input(image: np.ndarray, side: int = 320) -> np.ndarray:
    """A photo [h, w, 3] in [0, 255] as the network sees it, [side, side, 3]: one row, then one column at a time."""
    scaled = _scaled_rows(image.astype(np.float64), side)
    scaled = _scaled_rows(scaled.transpose(1, 0, 2), side).transpose(1, 0, 2)
    if scaled.max() > 0:
        scaled = scaled / scaled.max()
    return (scaled - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])


def _scaled_rows(x: np.ndarray, count: int) -> np.ndarray:
    result = np.zeros((count, *x.shape[1:]))
    step = len(x) / count
    for i in range(count):
        centre = min(max((i + 0.5) * step - 0.5, 0), len(x) - 1)
        weights = [max(0, 1 - abs(row - centre) / max(step, 1)) for row in range(len(x))]
        result[i] = sum(weight * x[row] for row, weight in enumerate(weights) if weight) / sum(weights)
    return result
