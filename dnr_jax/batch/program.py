"""The whole method as one pure function of a padded photo, for `jax.vmap` and any number of devices.

Sizes and targets are traced: a photo's seams, canvas and stopping points are its own, whatever its neighbours in the
batch. It composes the functions that `dnr_jax.pipeline.retarget` composes, and gives what that gives.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dnr_jax.batch.buckets import Bucket
from dnr_jax.config import RetargetConfig
from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import tap_stride
from dnr_jax.padding import Size, fit
from dnr_jax.planning.carve import Carving, carve_width
from dnr_jax.planning.importance import Overview, analyse
from dnr_jax.planning.passes import Layers, replay_seams
from dnr_jax.planning.plan import importance_threshold, warp_importance, warp_side
from dnr_jax.planning.warp import plan_warp
from dnr_jax.rendering.optimise import Schedule, minimise_traced
from dnr_jax.rendering.reconstruct import FeatureLoss, FeatureTargets
from dnr_jax.rendering.refine import SampledLoss, SampledTargets
from dnr_jax.rendering.render import noise_image, scaled_image
from dnr_jax.rendering.sampler import sample


class Padded(NamedTuple):
    """One photo in the corner of its bucket's shape.

    Attributes:
      photo: float32 [H, W, 3] in [0, 255].
      size: int32 [2], its (height, width).
      small: int32 [2], its `overview_size`.
      target: int32 [2], the (height, width) wanted, at most the size.
    """

    photo: jax.Array
    size: jax.Array
    small: jax.Array
    target: jax.Array


class Numbers(NamedTuple):
    """The config's options that are traced, so that other values of them ask for no other program; float32 scalars."""

    percentile: jax.Array
    alpha: jax.Array
    reconstruct_rate: jax.Array
    refine_rate: jax.Array
    tolerance: jax.Array


class Carved(NamedTuple):
    """A photo with its seams: `Padded`, features by tap, each side's carving, the maps and the size they leave."""

    padded: Padded
    features: dict[str, jax.Array]
    carvings: tuple[Carving, ...]
    maps: tuple[jax.Array, ...]
    mid: Size


class Course(NamedTuple):
    """How an optimisation went: its losses, float32 [capacity], and how many steps it took, int32."""

    losses: jax.Array
    steps: jax.Array


class Retargeted(NamedTuple):
    """What became of one photo.

    Attributes:
      image: float32 [H', W', 3] in [0, 255], valid in the target, in the corner of the bucket's canvas.
      mid: int32 [2], the (height, width) that the seams led to.
      threshold: float32, the most mean importance that a deepest seam could have.
      removed: int32 [sides, taps], seams.
      reconstruct_losses: float32 [capacity]: before each step, then the final one; infinite past that.
      reconstruct_steps: int32.
      refine_losses: float32 [capacity].
      refine_steps: int32.
      carvings: the seams of each side, on request.
    """

    image: jax.Array
    mid: jax.Array
    threshold: jax.Array
    removed: jax.Array
    reconstruct_losses: jax.Array
    reconstruct_steps: jax.Array
    refine_losses: jax.Array
    refine_steps: jax.Array
    carvings: tuple[Carving, ...] | None


def traced_numbers(config: RetargetConfig) -> Numbers:
    """The traced options of a config."""
    return Numbers._make(
        np.float32(value)
        for value in (
            config.importance_percentile,
            config.alpha,
            config.reconstruct_rate,
            config.refine_rate,
            config.tolerance,
        )
    )


def retarget_padded(
    network: Network,
    padded: Padded,
    numbers: Numbers,
    *,
    config: RetargetConfig,
    bucket: Bucket,
    canvases: tuple[tuple[int, int], ...] | None = None,
    keep_seams: bool = False,
) -> Retargeted:
    """Narrows, lowers or both; what `retarget` gives for the photo alone.

    Args:
      network: its features.
      padded: the photo.
      numbers: from the config.
      config: static; its traced options are read from `numbers`.
      bucket: static shapes and sides.
      canvases: (height, width)s that the intermediate image may be computed on, the first that holds it is taken; the
        last is the bucket's. None: only that. Under `jax.vmap` all of them would be computed.
      keep_seams: whether the result holds the carvings.
    """
    canvases = (bucket.canvas,) if canvases is None else canvases
    overview = Overview((padded.size[0], padded.size[1]), (padded.small[0], padded.small[1]))
    seen = analyse(network, padded.photo, config.taps, config.loss_taps, config.centre_prior, overview, bucket.small)
    deepest = tap_stride(config.taps[-1])
    deep_size = (overview.size[0] // deepest, overview.size[1] // deepest)
    threshold = importance_threshold(seen.importance[-1], numbers.percentile, deep_size)
    carvings, maps, mid = _carve(seen.importance, padded, threshold, numbers, config, bucket)
    carved = Carved(padded, seen.features, carvings, maps, mid)
    ways = [partial(_render, network, numbers, config=config, bucket=bucket, canvas=canvas) for canvas in canvases]
    holds = jnp.stack([(mid[0] <= height) & (mid[1] <= width) for height, width in canvases])
    built, refined, image = lax.switch(jnp.argmax(holds), ways, carved)
    return Retargeted(
        image=jnp.clip(image, 0, 255),
        mid=jnp.stack(mid),
        threshold=threshold,
        removed=jnp.stack([jnp.stack([s.removed for s in carving.levels]) for carving in carvings]),
        reconstruct_losses=built.losses,
        reconstruct_steps=built.steps,
        refine_losses=refined.losses,
        refine_steps=refined.steps,
        carvings=carvings if keep_seams else None,
    )


def _render(
    network: Network,
    numbers: Numbers,
    carved: Carved,
    *,
    config: RetargetConfig,
    bucket: Bucket,
    canvas: tuple[int, int],
) -> tuple[Course, Course, jax.Array]:
    """Reconstruction and refinement on a canvas, and the warped image, float32 [*bucket.canvas, 3]."""
    padded, mid = carved.padded, carved.mid
    size = (padded.size[0], padded.size[1])

    def carve(array: jax.Array, level: int) -> jax.Array:
        """An array of one level after all seams, in the corner of the canvas."""
        for side, carving in zip(bucket.sides, carved.carvings, strict=True):
            array = replay_seams(array, carving.levels[level], side == "height")
        stride = tap_stride(config.taps[level])
        return fit(array, (canvas[0] // stride, canvas[1] // stride))

    features = tuple(carve(carved.features[tap], config.taps.index(tap)) for tap in config.loss_taps)
    targets = FeatureTargets(network, features, mid, config.positive_loss_weights)
    if config.init == "seam":
        start = carve(padded.photo, 0)
    elif config.init == "noise":
        start = noise_image(config.seed, canvas)
    else:
        start = scaled_image(padded.photo, size, mid, canvas)

    cosine = config.rate_schedule == "cosine"
    loss = FeatureLoss(config.loss_taps, config.loss)
    rates = Schedule(config.reconstruct_steps, numbers.reconstruct_rate, cosine, numbers.tolerance)
    built, *course = minimise_traced(loss, start, targets, rates)
    shift = jnp.zeros((*canvas, 2), jnp.float32)
    rates = Schedule(config.refine_steps, numbers.refine_rate, cosine, numbers.tolerance)
    shift, *refining = minimise_traced(SampledLoss(loss), shift, SampledTargets(built, targets), rates)
    image = _warp(sample(built, shift, mid), carved.maps, mid, padded.target, config, bucket.sides)
    return Course(*course), Course(*refining), fit(image, bucket.canvas)


def _carve(
    maps: tuple[jax.Array, ...],
    padded: Padded,
    threshold: jax.Array,
    numbers: Numbers,
    config: RetargetConfig,
    bucket: Bucket,
) -> tuple[tuple[Carving, ...], tuple[jax.Array, ...], Size]:
    """The seams of each side, the maps that they leave and the size of those; a side at its target loses none."""
    height, width = padded.size[0], padded.size[1]
    carvings = []
    for side in bucket.sides:
        turned = side == "height"
        carving = carve_width(
            tuple(jnp.swapaxes(m, 0, 1) for m in maps) if turned else maps,
            (width, height) if turned else (height, width),
            padded.target[0] if turned else padded.target[1],
            threshold,
            numbers.alpha,
            taps=config.taps,
            region=config.region,
            seam_kernel=config.seam_kernel,
        )
        maps = tuple(replay_seams(m, seams, turned) for m, seams in zip(maps, carving.levels, strict=True))
        height, width = (carving.width, width) if turned else (height, carving.width)
        carvings.append(carving)
    return tuple(carvings), maps, (height, width)


def _warp(
    image: jax.Array,
    maps: tuple[jax.Array, ...],
    mid: Size,
    target: jax.Array,
    config: RetargetConfig,
    sides: tuple[str, ...],
) -> jax.Array:
    """What seams left to the grid warp, side by side; the identity where they left nothing."""
    canvas = (image.shape[0], image.shape[1])
    strides = tuple(tap_stride(tap) for tap in config.taps)
    importance = warp_importance(Layers(maps, None), mid, strides=strides, shape=canvas)
    height, width = mid
    for side in sides:
        turned = side == "height"
        wanted, length = (target[0], canvas[0]) if turned else (target[1], canvas[1])
        size = (width, height) if turned else (height, width)
        warp = plan_warp(importance.T if turned else importance, size, wanted, config.warp_cell)
        image = warp_side(image, warp, side, length)
        importance = warp_side(importance[..., None], warp, side, length)[..., 0]
        height, width = (wanted, width) if turned else (height, wanted)
    return image
