"""What a photo is of: salience as a prior on every level's importance, and the map of objects that the warp goes by.

Seams and warp need to tell objects from ground. The feature norm of Eq. 1 alone does so badly; a small salience network
(`dnr_jax.networks.u2net`) does it well but sees one main object. So importance is weighted by salience, and the warp
goes by salience together with what the network itself finds outstanding, so that second objects count too.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float32

from dnr_jax.arrays import Maps, Number
from dnr_jax.networks.taps import Level, levels_of
from dnr_jax.padding import AnySize
from dnr_jax.planning.importance import percentile, resample, valid_mean
from dnr_jax.programs import program

CENTRE_SIGMA = 0.3
OBJECT_FLOOR = 0.1
"""The share of its importance that ground keeps where salience is 0."""
SECOND = 0.35
"""How much the most outstanding place of the network's own map counts beside full salience."""
_OBJECT_STRIDE = 8  # Fine enough for a face, coarse enough to show things and not their edges.
_OUTSTANDING = 98.0  # The percentile of the network's map that counts fully.


def object_level(taps: tuple[str, ...]) -> Level:
    """The level of `taps` whose resolution the map of objects has: the deepest tap of stride 8 or less, else the first.

    Example:
      >>> object_level(("block1_conv2", "block4_conv4", "block5_pool")).number
      1
    """
    levels = levels_of(taps)
    return next((level for level in reversed(levels) if level.stride <= _OBJECT_STRIDE), levels[0])


@program(static_argnames=("taps",))
def weigh_importance(
    importance: Maps,
    objects: Float32[Array, "_ _"] | None,
    centre_prior: Number,
    size: AnySize,
    *,
    taps: tuple[str, ...],
) -> Maps:
    """Importance with its priors: each map divided by its mean and times (0.1 + objects), and the centre's weight.

    Args:
      importance: S_l of each tap, float32 [h_l, w_l].
      objects: what `object_map` returned; None leaves the maps' scale alone.
      centre_prior: p of `centre_weight`, from 0 to below 1.
      size: the valid (height, width) of the photo in pixels.
      taps: the taps that the maps belong to.
    """
    weighted, own = [], object_level(taps)
    for values, level in zip(importance, levels_of(taps), strict=True):
        if objects is not None:
            mean, step = valid_mean(values, level.size(size)), level.stride / own.stride
            held = resample(
                objects, (values.shape[0], values.shape[1]), (step, step), size=own.size(size), antialias=True
            )
            values = values / jnp.where(mean > 0, mean, 1) * (OBJECT_FLOOR + held)
        weighted.append(values * centre_weight(values.shape, centre_prior, stride=level.stride, size=size))
    return tuple(weighted)


@program(static_argnames=("taps",))
def object_map(
    importance: Maps, salience: Float32[Array, "_ _"] | None, size: AnySize, *, taps: tuple[str, ...]
) -> Float32[Array, "_ _"]:
    """What the photo is of, float32 [h_l, w_l] in [0, 2] at `object_level`.

    The larger of salience and 0.35 times the level's own importance, without priors, over its 98th percentile;
    without salience, the level's own importance alone.

    Args:
      importance: S_l of each tap, float32 [h_l, w_l].
      salience: float32 [h, w] in [0, 2], above 1 on faces, of any resolution, covering the photo; None for what the
        maps alone say.
      size: the valid (height, width) of the photo in pixels.
      taps: the taps that the maps belong to.
    """
    level = object_level(taps)
    values = importance[level.number]
    highest = percentile(values, _OUTSTANDING, size=level.size(size))
    own = jnp.clip(values / jnp.where(highest > 0, highest, 1), 0, 1)
    if salience is None:
        return own
    # Neuron i sits at pixel (i + 1/2) * stride.
    y, x = (n * level.stride / jnp.asarray(m, jnp.float32) for n, m in zip(salience.shape, size, strict=True))
    held = resample(salience, (values.shape[0], values.shape[1]), (y, x), antialias=True)
    return jnp.maximum(jnp.clip(held, 0, 2), SECOND * own)


def centre_weight(
    shape: tuple[int, ...], prior: Number, *, stride: int = 1, size: AnySize | None = None
) -> Float32[Array, "_ _"]:
    """`1 - p + p exp(-(y^2 + x^2) / (2 0.3^2))`, y and x from the centre in shares of the side; float32 of `shape`.

    Args:
      shape: (height, width) of the map.
      prior: how much the centre counts, p in the formula, from 0 to 1.
      stride: pixels per neuron of the map; with `size` only.
      size: the valid (height, width) of the photo in pixels, where the map is padded.
    """
    lengths = shape if size is None else tuple(jnp.asarray(n // stride, jnp.float32) for n in size)
    y, x = ((jnp.arange(n, dtype=jnp.float32) + 0.5) / m - 0.5 for n, m in zip(shape, lengths, strict=True))
    distance = jnp.square(y)[:, None] + jnp.square(x)[None, :]
    return 1 - prior + prior * jnp.exp(-distance / (2 * CENTRE_SIGMA**2))
