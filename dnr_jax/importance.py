"""Features to importance maps: Eq. 1, the maps of a network that sees the photo at a fixed size, and their sums."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dnr_jax import stripes
from dnr_jax.network import Network
from dnr_jax.taps import tap_size, tap_stride

CENTRE_SIGMA = 0.3


class Analysis(NamedTuple):
    """What the network sees in a photo.

    Attributes:
      importance: S_l for each tap, shallow to deep, float32 [H // stride, W // stride].
      features: F_l for the taps asked for, float32 [H // stride, W // stride, C].
    """

    importance: tuple[jax.Array, ...]
    features: dict[str, jax.Array]


@partial(jax.jit, static_argnames=("taps", "feature_taps"))
def analyse(
    network: Network,
    image: jax.Array,
    taps: tuple[str, ...],
    feature_taps: tuple[str, ...],
    centre_prior: jax.Array | float = 0.0,
) -> Analysis:
    """Importance maps of all `taps` and features of `feature_taps` for one photo.

    Where the network has an `importance_side`, the maps of taps past block 1 come from the photo scaled to that longer
    side (rounded to whole deepest neurons) and are resized to each level; block 1 is always read at full resolution.

    Args:
      image: float32 [H, W, 3], RGB in [0, 255].
      centre_prior: how far importance falls away from the photo's centre, see `centre_weight`.
    """
    side = network.importance_side
    scaled_taps = tuple(tap for tap in taps if side is not None and tap_stride(tap) > 1)
    norms = tuple(tap for tap in taps if tap not in (*scaled_taps, *feature_taps))
    full = stripes.features(network, image, feature_taps, norms, feature_norm) if norms or feature_taps else {}
    maps = {tap: full[tap] if tap in norms else feature_norm(full[tap]) for tap in taps if tap not in scaled_taps}
    if scaled_taps and side is not None:
        height, width = image.shape[:2]
        scale = side / max(height, width)
        small_size = tuple(max(32, 32 * round(n * scale / 32)) for n in (height, width))
        small = network.features(jax.image.resize(image, (*small_size, 3), "linear", antialias=True), scaled_taps)
        for tap in scaled_taps:
            # Neuron i sits at pixel (i + 1/2) * stride of its own image; both images cover the same photo.
            shape = tap_size(tap, (height, width))
            steps = [small_n / n for small_n, n in zip(small_size, (height, width), strict=True)]
            maps[tap] = resample(feature_norm(small[tap]), (shape[0], shape[1]), (steps[0], steps[1]))
    weighted = (maps[tap] * centre_weight(maps[tap].shape, centre_prior) for tap in taps)
    return Analysis(tuple(weighted), {tap: full[tap] for tap in feature_taps})


def centre_weight(shape: tuple[int, ...], prior: jax.Array | float) -> jax.Array:
    """`1 - p + p exp(-(y^2 + x^2) / (2 0.3^2))`, y and x from the centre in shares of the side; float32 of `shape`."""
    y, x = ((jnp.arange(n, dtype=jnp.float32) + 0.5) / n - 0.5 for n in shape)
    distance = jnp.square(y)[:, None] + jnp.square(x)[None, :]
    return 1 - prior + prior * jnp.exp(-distance / (2 * CENTRE_SIGMA**2))


def feature_norm(features: jax.Array) -> jax.Array:
    """Eq. 1: `S(i, j) = ||F(i, j, :)||_2`, [h, w, c] -> [h, w]."""
    return jnp.sqrt(jnp.sum(jnp.square(features), -1))


def resample(
    values: jax.Array,
    shape: tuple[int, int],
    steps: tuple[float | jax.Array, float | jax.Array],
    size: tuple[jax.Array, jax.Array] | None = None,
) -> jax.Array:
    """Bilinear interpolation of a map at evenly spaced places, edges repeated.

    Args:
      values: float32 [h, w].
      shape: (height, width) of the result.
      steps: how far one output element is in elements of `values`, along (y, x).
      size: valid (height, width) of `values`; None for all of it.
    """
    height, width = size or values.shape
    rows = _linear_weights(shape[0], values.shape[0], steps[0], height)
    columns = _linear_weights(shape[1], values.shape[1], steps[1], width)
    values = jnp.where((rows.sum(0) > 0)[:, None] & (columns.sum(0) > 0)[None, :], values, 0)
    matmul = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    return matmul(matmul(rows, values), columns.T)


def aggregate(
    maps: tuple[jax.Array, ...],
    sizes: tuple[tuple[jax.Array, jax.Array], ...],
    strides: tuple[int, ...],
    shape: tuple[int, int],
) -> jax.Array:
    """The sum over levels of each map divided by its mean, upsampled to pixels (Fig. 9; also mu of Eq. 3).

    Args:
      maps: float32 [h_l, w_l] each.
      sizes: the valid (height, width) of each map.
      strides: pixels per neuron of each map.
      shape: (height, width) of the result, float32.
    """
    total = jnp.zeros(shape, jnp.float32)
    for values, (height, width), stride in zip(maps, sizes, strides, strict=True):
        rows, columns = jnp.arange(values.shape[0])[:, None], jnp.arange(values.shape[1])[None, :]
        inside = (rows < height) & (columns < width)
        count = jnp.maximum(1, height * width).astype(jnp.float32)
        mean = jnp.sum(jnp.where(inside, values, 0)) / count
        normalised = values / jnp.where(mean > 0, mean, 1)
        total += resample(normalised, shape, (1 / stride, 1 / stride), (height, width))
    return total


def _linear_weights(count: int, length: int, step: float | jax.Array, valid: int | jax.Array) -> jax.Array:
    """Rows of interpolation weights, float32 [count, length], for centres `(i + 1/2) * step - 1/2` clamped inside."""
    last = jnp.maximum(jnp.asarray(valid, jnp.float32) - 1, 0)
    centres = jnp.clip((jnp.arange(count, dtype=jnp.float32) + 0.5) * step - 0.5, 0, last)
    return jnp.maximum(0, 1 - jnp.abs(centres[:, None] - jnp.arange(length, dtype=jnp.float32)[None, :]))
