"""Features to importance maps: Eq. 1, the maps of a network that sees the photo at a fixed size, and their sums."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

from dnr_jax.arrays import Image, Maps, Number, Whole
from dnr_jax.networks import stripes
from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import Level, levels_of
from dnr_jax.padding import AnySize, Size, traced_size, valid_mask
from dnr_jax.programs import program
from dnr_jax.shapes import bucket_shape, largest_overview


class Analysis(NamedTuple):
    """What the network sees in a photo.

    Attributes:
      importance: S_l for each tap, shallow to deep, float32 [H // stride, W // stride].
      features: F_l of the taps that were asked for, float32 [H // stride, W // stride, C].
    """

    importance: Maps
    features: dict[str, Float32[Array, "_ _ _"]]


class Overview(NamedTuple):
    """Sizes under which a padded photo is analysed; only where arrays are larger than what they hold.

    Attributes:
      size: int32 (height, width) of the photo.
      small: int32 (height, width) of the photo as a network with an `importance_side` sees it (`overview_size`).
    """

    size: Size
    small: Size


@program(static_argnames=("taps", "feature_taps", "small_shape"))
def analyse(
    network: Network,
    image: Image,
    taps: tuple[str, ...],
    feature_taps: tuple[str, ...],
    *,
    overview: Overview | None = None,
    small_shape: tuple[int, int] | None = None,
) -> Analysis:
    """Computes the importance maps of all `taps` (Sec. 3.1, Eq. 1) and the features of `feature_taps` of one photo.

    Where the network has an `importance_side`, the maps of taps past block 1 come from the photo scaled to that longer
    side (rounded to whole deepest neurons) and are resized to each level; block 1 is always read at full resolution.

    Args:
      network: the network whose features are measured.
      image: float32 [H, W, 3], RGB in [0, 255].
      taps: the taps that get a map, shallow to deep.
      feature_taps: the taps whose features are returned.
      overview: the sizes of a padded photo; None where the photo fills `image`. Outside the valid part features are 0
        and maps mean nothing.
      small_shape: the (height, width) of the array that holds the scaled photo, at least its size; with `overview`
        only.

    Raises:
      ValueError: `taps` or `feature_taps` name no tap of VGG19.
    """
    side = network.importance_side
    scaled_taps = tuple(tap for tap in taps if side is not None and Level(tap).stride > 1)
    full_taps = tuple(dict.fromkeys((*(tap for tap in taps if tap not in scaled_taps), *feature_taps)))
    norms = tuple(tap for tap in full_taps if tap not in feature_taps)
    valid = None if overview is None else overview.size
    full = stripes.features(network, image, feature_taps, norms, feature_norm, size=valid) if full_taps else {}
    maps = {tap: full[tap] if tap in norms else feature_norm(full[tap]) for tap in taps if tap not in scaled_taps}
    if scaled_taps and side is not None:
        shape = image.shape[0], image.shape[1]
        seen = overview_size(shape, side)
        size, small = overview or Overview(traced_size(shape), traced_size(seen))
        steps = [n.astype(jnp.float32) / m.astype(jnp.float32) for n, m in zip(size, small, strict=True)]
        # Neuron i sits at pixel (i + 1/2) * stride of its own image; both images cover the same photo.
        shrunk = jax.vmap(
            lambda channel: resample(channel, small_shape or seen, (steps[0], steps[1]), size=size, antialias=True),
            -1,
            -1,
        )(image)
        features = network.features(shrunk, scaled_taps, size=None if overview is None else small)
        back = [m.astype(jnp.float32) / n.astype(jnp.float32) for n, m in zip(size, small, strict=True)]
        for tap in scaled_taps:
            level, seen_map = Level(tap), feature_norm(features[tap])
            valid = None if overview is None else level.size(small)
            maps[tap] = resample(seen_map, level.size(shape), (back[0], back[1]), size=valid)
    return Analysis(tuple(maps[tap] for tap in taps), {tap: full[tap] for tap in feature_taps})


def overview_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The (height, width) in pixels at which a network with an `importance_side` sees a photo of `size`.

    The longer side becomes `side`; both are rounded to multiples of 32, the deepest stride, and are at least that.
    """
    scale = side / max(size)
    return max(32, 32 * round(size[0] * scale / 32)), max(32, 32 * round(size[1] * scale / 32))


def make_overview(size: tuple[int, int], side: int | None) -> tuple[Overview, tuple[int, int] | None]:
    """Says how `analyse` is to see a padded photo.

    Args:
      size: the photo's (height, width) in pixels.
      side: the network's `importance_side`; None for a network that reads importance at full resolution.

    Returns:
      The sizes, traced; and the (height, width) of the array that holds the scaled photo, None without a `side`.
    """
    if side is None:
        return Overview(traced_size(size), traced_size(size)), None
    small = traced_size(overview_size(size, side))
    return Overview(traced_size(size), small), largest_overview(bucket_shape(size), side)


def feature_norm(features: Float32[Array, "h w c"]) -> Float32[Array, "h w"]:
    """Eq. 1: `S(i, j) = ||F(i, j, :)||_2`, float32 [h, w, c] -> float32 [h, w], 0 or more."""
    return jnp.sqrt(jnp.sum(jnp.square(features), -1))


def resample(
    values: Float32[Array, "h w"],
    shape: tuple[int, int],
    steps: tuple[Number, Number],
    *,
    size: AnySize | None = None,
    antialias: bool = False,
) -> Float32[Array, "_ _"]:
    """Interpolates a map bilinearly at evenly spaced places; edges are repeated.

    Args:
      values: float32 [h, w].
      shape: the (height, width) of the result.
      steps: how far it is from one element of the result to the next along (y, x), in elements of `values`.
      size: the valid (height, width) of `values`, outside which anything may lie; None for all of it.
      antialias: whether the triangle filter is widened to the step where that is more than one element.

    Returns:
      float32 of `shape`.
    """
    height, width = size or values.shape
    rows = _linear_weights(shape[0], values.shape[0], steps[0], height, antialias=antialias)
    columns = _linear_weights(shape[1], values.shape[1], steps[1], width, antialias=antialias)
    values = jnp.where((rows.sum(0) > 0)[:, None] & (columns.sum(0) > 0)[None, :], values, 0)
    matmul = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    return matmul(matmul(rows, values), columns.T)


def percentile(values: Float32[Array, "h w"], q: Number, *, size: AnySize | None = None) -> Float32[Array, ""]:
    """The q-th percentile of the valid part of a map, interpolated linearly as `numpy.percentile` does.

    Args:
      values: float32 [h, w], finite in its valid part.
      q: from 0 to 100.
      size: the valid (height, width) of `values`; None for all of it.

    Returns:
      A float32 scalar.
    """
    height, width = (jnp.asarray(n, jnp.int32) for n in (size or values.shape))
    inside = valid_mask(values.shape, (height, width))[..., 0]
    ranked = jnp.sort(jnp.where(inside, values, jnp.inf).reshape(-1))
    last = height * width - 1
    place = jnp.asarray(q, jnp.float32) / 100 * last.astype(jnp.float32)
    low = jnp.clip(jnp.floor(place).astype(jnp.int32), 0, last)
    share = place - low.astype(jnp.float32)
    return ranked[low] * (1 - share) + ranked[jnp.minimum(low + 1, last)] * share


def aggregate(maps: Maps, size: AnySize, *, taps: tuple[str, ...], shape: tuple[int, int]) -> Float32[Array, "_ _"]:
    """Divides each level's map by its mean, upsamples it to pixels and adds all up (Fig. 9; also mu of Eq. 3).

    Args:
      maps: S_l, float32 [h_l, w_l], 0 or more.
      size: the (height, width) of the image in pixels that the maps are valid for.
      taps: the taps that the maps belong to.
      shape: the (height, width) of the result in pixels.

    Returns:
      float32 of `shape`. A map that is 0 everywhere adds 0.
    """
    total = jnp.zeros(shape, jnp.float32)
    for values, level in zip(maps, levels_of(taps), strict=True):
        mean, step = valid_mean(values, level.size(size)), 1 / level.stride
        total += resample(values / jnp.where(mean > 0, mean, 1), shape, (step, step), size=level.size(size))
    return total


def valid_mean(values: Float32[Array, "h w"], size: AnySize) -> Float32[Array, ""]:
    """The mean of a map, float32 [h, w], over its valid (height, width) `size`; 0 where nothing is valid."""
    inside = valid_mask(values.shape, size)[..., 0]
    return jnp.sum(jnp.where(inside, values, 0)) / jnp.maximum(1, size[0] * size[1]).astype(jnp.float32)


def _linear_weights(count: int, length: int, step: Number, valid: Whole, *, antialias: bool = False) -> jax.Array:
    """Rows of interpolation weights, float32 [count, length], for centres `(i + 1/2) * step - 1/2` clamped inside."""
    last = jnp.maximum(jnp.asarray(valid, jnp.float32) - 1, 0)
    centres = jnp.clip((jnp.arange(count, dtype=jnp.float32) + 0.5) * step - 0.5, 0, last)
    places = jnp.arange(length, dtype=jnp.float32)[None, :]
    distance = jnp.abs(centres[:, None] - places)
    if not antialias:
        return jnp.maximum(0, 1 - distance)
    weights = jnp.where(places <= last, jnp.maximum(0, 1 - distance / jnp.maximum(step, 1)), 0)
    return weights / jnp.sum(weights, 1, keepdims=True)
