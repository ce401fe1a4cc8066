"""Plain NumPy and SciPy versions of the networks, the sampler, the loss and Adam, in float64, written for clarity."""

from collections.abc import Mapping

import numpy as np
import scipy.ndimage
import scipy.signal

CONVS = {1: 2, 2: 2, 3: 4, 4: 4, 5: 4}
STRIDES = {
    **{f"block{block}_conv{conv}": 2 ** (block - 1) for block, convs in CONVS.items() for conv in range(1, convs + 1)},
    **{f"block{block}_pool": 2**block for block in CONVS},
}
KERAS_MEANS = {"blue": 103.939, "green": 116.779, "red": 123.68}


def correlate_loop(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A SAME zero-padded convolution (cross-correlation) of [h, w, c], one pair of channels at a time."""
    result = np.zeros((*x.shape[:2], kernel.shape[3]))
    for i in range(kernel.shape[2]):
        for o in range(kernel.shape[3]):
            plane, stencil = x[:, :, i].astype(np.float64), kernel[:, :, i, o].astype(np.float64)
            result[:, :, o] += scipy.signal.correlate2d(plane, stencil, mode="same", boundary="fill", fillvalue=0)
    return result


def correlate_matmul(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The same for 3x3 kernels as nine matrix products: quick enough for hundreds of channels."""
    height, width = x.shape[:2]
    padded = np.pad(x.astype(np.float64), ((1, 1), (1, 1), (0, 0)))
    result = np.zeros((height, width, kernel.shape[3]))
    for dy in range(3):
        for dx in range(3):
            result += padded[dy : dy + height, dx : dx + width] @ kernel[dy, dx].astype(np.float64)
    return result


def pool(x: np.ndarray) -> np.ndarray:
    """2x2 maxima; an odd last row or column is dropped."""
    result = np.zeros((x.shape[0] // 2, x.shape[1] // 2, x.shape[2]), x.dtype)
    for i in range(result.shape[0]):
        for j in range(result.shape[1]):
            result[i, j] = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max((0, 1))
    return result


def keras_input(image: np.ndarray) -> np.ndarray:
    """Blue, green, red, each without its ImageNet mean."""
    red, green, blue = (image[:, :, c].astype(np.float64) for c in range(3))
    means = KERAS_MEANS
    return np.stack([blue - means["blue"], green - means["green"], red - means["red"]], -1)


def vgg(x: np.ndarray, params: Mapping[str, Mapping[str, np.ndarray]], last: str) -> dict[str, np.ndarray]:
    """All activations of a preprocessed image up to `last`: zero-padded convolutions, bias, ReLU, pools."""
    activations: dict[str, np.ndarray] = {}
    for block, convs in CONVS.items():
        for conv in range(1, convs + 1):
            name = f"block{block}_conv{conv}"
            kernel, bias = np.asarray(params[name]["kernel"]), np.asarray(params[name]["bias"])
            x = np.maximum(correlate_matmul(x, kernel) + bias.astype(np.float64), 0)
            activations[name] = x
            if name == last:
                return activations
        x = activations[f"block{block}_pool"] = pool(x)
        if f"block{block}_pool" == last:
            return activations
    raise ValueError(last)


def shifted(x: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """`x` looked up (dy, dx) further on, at the nearest place inside."""
    rows = np.clip(np.arange(x.shape[0]) + dy, 0, x.shape[0] - 1)
    columns = np.clip(np.arange(x.shape[1]) + dx, 0, x.shape[1] - 1)
    return x[rows][:, columns]


def binomial(x: np.ndarray, dilation: int = 1) -> np.ndarray:
    """[1 2 1] / 4 down and across, the edge repeated, its outer taps `dilation` away."""
    weights = np.zeros(2 * dilation + 1)
    weights[[0, dilation, -1]] = 0.25, 0.5, 0.25
    for axis in (0, 1):
        x = scipy.ndimage.correlate1d(x, weights, axis=axis, mode="nearest")
    return x


def embedded_conv1(image: np.ndarray) -> np.ndarray:
    """Block 1's first 16 channels: opponent colours, forward differences, difference from the binomial mean."""
    red, green, blue = (image[:, :, c].astype(np.float64) / 255 - 0.5 for c in range(3))
    intensity = (red + green + blue) / 3
    colours = [intensity, (red - green) / 2, blue / 2 - (red + green) / 4]
    derivatives = [
        2 * (shifted(intensity, 0, 1) - intensity),
        2 * (shifted(intensity, 1, 0) - intensity),
        2 * (shifted(intensity, 1, 1) - intensity) / np.sqrt(2),
        2 * (shifted(intensity, 1, -1) - intensity) / np.sqrt(2),
        2 * (intensity - binomial(intensity)),
    ]
    channels = [half + 0.1 for value in colours for half in (value, -value)]
    channels += [half for value in derivatives for half in (value, -value)]
    return np.maximum(np.stack(channels, -1), 0)


def embedded_conv2(x: np.ndarray) -> np.ndarray:
    """Each derivative smoothed along its edge: at right angles to the direction that it differences."""
    result = x.copy()
    # Horizontal differences have vertical edges, and so on; the edge of a falling diagonal rises.
    for first, (dy, dx) in {6: (1, 0), 8: (0, 1), 10: (1, -1), 12: (1, 1)}.items():
        for channel in (first, first + 1):
            plane = x[:, :, channel]
            result[:, :, channel] = shifted(plane, -dy, -dx) / 4 + plane / 2 + shifted(plane, dy, dx) / 4
    return result


def colour_and_energy(pooled: np.ndarray) -> np.ndarray:
    """What later blocks see of the pooled block 1: unbiased colour halves times .25, energies times .5."""
    colours = [0.25 * np.maximum(pooled[:, :, c] - 0.1, 0) for c in range(6)]
    energies = [0.5 * (pooled[:, :, c] + pooled[:, :, c + 1]) for c in (6, 8, 10, 12, 14)]
    return np.stack(colours + energies, -1)


def border_contrast(x: np.ndarray) -> np.ndarray:
    """Compressed z-scores of signed colours and root energies against a border ring of 8 % of each side."""
    height, width = x.shape[:2]
    signed = [4 * (x[:, :, c] - x[:, :, c + 1]) for c in (0, 2, 4)]
    values = [binomial(v) for v in signed + [np.sqrt(x[:, :, c] + 1e-4) for c in range(6, 11)]]
    ring = np.ones((height, width), bool)
    rows, columns = max(1, int(height * 0.08)), max(1, int(width * 0.08))
    ring[rows : height - rows, columns : width - columns] = False
    floors = [0.04, 0.02, 0.02] + [0.05] * 5
    z = [(v - v[ring].mean()) / np.sqrt(v[ring].var() + s**2) for v, s in zip(values, floors, strict=True)]
    y = np.maximum(np.stack([*z, *(-v for v in z[:3])], -1) - 1.5, 0)
    return y / (1 + y / 3)


def embedded(image: np.ndarray) -> dict[str, np.ndarray]:
    """All taps of the embedded network."""
    taps = {"block1_conv1": embedded_conv1(image)}
    taps["block1_conv2"] = embedded_conv2(taps["block1_conv1"])
    taps["block1_pool"] = pool(taps["block1_conv2"])
    x = colour_and_energy(taps["block1_pool"])
    for block in (2, 3):
        for conv in range(1, CONVS[block] + 1):
            x = taps[f"block{block}_conv{conv}"] = binomial(x)
        x = taps[f"block{block}_pool"] = pool(x)
    y = border_contrast(x)
    taps["block4_conv1"] = 0.3 * y
    for conv in (2, 3, 4):
        y = binomial(y)
        taps[f"block4_conv{conv}"] = 0.3 * y
    y = pool(y)
    taps["block4_pool"] = taps["block5_conv1"] = 0.3 * y
    for conv, dilation in ((2, 1), (3, 2), (4, 1)):
        y = binomial(y, dilation)
        taps[f"block5_conv{conv}"] = 0.3 * y
    taps["block5_pool"] = 0.3 * pool(y)
    return taps


def border_score(x: np.ndarray) -> np.ndarray:
    """Each channel's deviations from its mean on a border ring of 8 % of each side, clipped at six."""
    height, width, channels = x.shape
    rows, columns = max(1, int(height * 0.08)), max(1, int(width * 0.08))
    ring = np.ones((height, width), bool)
    ring[rows : height - rows, columns : width - columns] = False
    result = np.zeros(x.shape)
    for c in range(channels):
        plane = x[:, :, c]
        spread = plane[ring].var() + 0.04 * (plane**2).mean() + 1e-6
        result[:, :, c] = np.clip((plane - plane[ring].mean()) / np.sqrt(spread), -6, 6)
    return result


def spread_out(kernel: np.ndarray, dilation: int) -> np.ndarray:
    """A 3x3 kernel with zeros between its places."""
    result = np.zeros((2 * dilation + 1, 2 * dilation + 1, *kernel.shape[2:]))
    result[::dilation, ::dilation] = kernel
    return result


def learned(
    image: np.ndarray,
    params: Mapping[str, Mapping[str, np.ndarray]],
    dilations: tuple[tuple[int, ...], ...],
    contrast: bool,
    contrast_gain: float = 0.0,
) -> dict[str, np.ndarray]:
    """All taps of the learned network."""
    taps = {"block1_conv1": embedded_conv1(image)}
    taps["block1_conv2"] = embedded_conv2(taps["block1_conv1"])
    x = taps["block1_pool"] = pool(taps["block1_conv2"])
    y = colour_and_energy(x)
    for binomials in (2, 4):
        for _ in range(binomials):
            y = binomial(y)
        y = pool(y)
    y = border_contrast(y)
    analytic = embedded(image)
    x = np.concatenate([np.maximum(x[:, :, :6] - 0.1, 0), x[:, :, 6:]], -1)
    for block in (2, 3, 4, 5):
        if block >= 4:
            x = np.concatenate([8 * x, border_score(x), *([y] if contrast else [])], -1)
        for conv in range(1, CONVS[block] + 1):
            name = f"block{block}_conv{conv}"
            reach = dilations[block - 4][conv - 1] if block >= 4 else 1
            padded = np.pad(x, ((9, 9), (9, 9), (0, 0)))  # SciPy's "same" needs the array larger than the kernel.
            x = correlate_loop(padded, spread_out(np.asarray(params[name]["kernel"]), reach))[9:-9, 9:-9]
            x = taps[name] = np.maximum(x + np.asarray(params[name]["bias"], np.float64), 0)
        x = taps[f"block{block}_pool"] = pool(x)
        y = pool(y) if block == 4 else y
    if contrast_gain:
        for tap in ("block4_conv4", "block4_pool", "block5_conv4", "block5_pool"):
            # The analytic network's taps are scaled by .3.
            taps[tap] = np.concatenate([taps[tap], contrast_gain / 0.3 * analytic[tap]], -1)
    return taps


def sample(image: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """Bilinear lookup pixel by pixel, coordinates clamped to the image."""
    height, width = image.shape[:2]
    rows, columns = displacement.shape[:2]
    result = np.zeros((rows, columns, image.shape[2]))
    for i in range(rows):
        for j in range(columns):
            y = min(max(i + float(displacement[i, j, 0]), 0.0), height - 1.0)
            x = min(max(j + float(displacement[i, j, 1]), 0.0), width - 1.0)
            for row in (int(np.floor(y)), int(np.floor(y)) + 1):
                for column in (int(np.floor(x)), int(np.floor(x)) + 1):
                    share = (1 - abs(y - row)) * (1 - abs(x - column))
                    if share > 0:
                        result[i, j] += share * image[row, column]
    return result


def feature_loss(features: list[np.ndarray], targets: list[np.ndarray], weights: list[float], kind: str) -> float:
    """The weighted sum over taps of the norms, or squared norms, of the differences."""
    total = 0.0
    for feature, target, weight in zip(features, targets, weights, strict=True):
        squares = float(((feature.astype(np.float64) - target) ** 2).sum())
        total += weight * (squares if kind == "squared" else squares**0.5)
    return total


def adam_on_quadratic(
    start: np.ndarray, centre: np.ndarray, scale: np.ndarray, steps: int, rate: float, cosine: bool
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Adam on `sum(scale * (x - centre)^2)`: the loss before each step and at the end, and every iterate."""
    x, mean, square = start.astype(np.float64), np.zeros(start.shape), np.zeros(start.shape)
    losses, iterates = [], []
    for t in range(steps):
        losses.append(float((scale * (x - centre) ** 2).sum()))
        gradient = 2 * scale * (x - centre)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        step_rate = rate * 0.5 * (1 + np.cos(np.pi * t / steps)) if cosine else rate
        x = x - step_rate * (mean / (1 - 0.9 ** (t + 1))) / (np.sqrt(square / (1 - 0.999 ** (t + 1))) + 1e-8)
        iterates.append(x)
    losses.append(float((scale * (x - centre) ** 2).sum()))
    return np.array(losses), iterates
