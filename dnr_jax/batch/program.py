"""The whole method as one pure function of a padded photo, for `jax.vmap` and any number of devices.

Sizes and targets are traced: a photo's seams, canvas and stopping points are its own, whatever its neighbours in the
batch. It composes the functions that `dnr_jax.pipeline.retarget` composes, and gives what that gives.
"""

from functools import partial
from typing import Any, NamedTuple

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
from dnr_jax.planning.choice import Judged, choose_width
from dnr_jax.planning.damage import look_of
from dnr_jax.planning.importance import Overview, analyse
from dnr_jax.planning.objects import object_level, object_map, weigh_importance
from dnr_jax.planning.passes import Layers, replay_seams, transpose
from dnr_jax.planning.plan import importance_threshold, warp_importance, warp_side
from dnr_jax.planning.proportions import make_grid, plan_proportions
from dnr_jax.planning.warp import plan_warp
from dnr_jax.rendering.joints import Tiles, active_tiles, find_joints, worthwhile
from dnr_jax.rendering.optimise import Schedule, minimise_traced, record_capacity
from dnr_jax.rendering.reconstruct import FeatureLoss, FeatureTargets
from dnr_jax.rendering.refine import SampledLoss, SampledTargets
from dnr_jax.rendering.render import noise_image, only_near_joints, places, scaled_image
from dnr_jax.rendering.sampler import sample
from dnr_jax.rendering.tiles import TiledImage, TiledLoss, TiledSampledLoss, tile_targets


class Padded(NamedTuple):
    """One photo in the corner of its bucket's shape.

    Attributes:
      photo: float32 [H, W, 3] in [0, 255].
      size: int32 [2], its (height, width).
      small: int32 [2], its `overview_size`.
      target: int32 [2], the (height, width) wanted, at most the size.
      reach: int32 [2], the (height, width) that seams may lead to, from the target to the size.
      salience: float32 [SIDE, SIDE] in [0, 1]; counts nothing with objects=none.
    """

    photo: jax.Array
    size: jax.Array
    small: jax.Array
    target: jax.Array
    reach: jax.Array
    salience: jax.Array


class Numbers(NamedTuple):
    """The config's options that are traced, so that other values of them ask for no other program; float32 scalars."""

    percentile: jax.Array
    alpha: jax.Array
    centre_prior: jax.Array
    most_crop: jax.Array
    reconstruct_rate: jax.Array
    refine_rate: jax.Array
    tolerance: jax.Array


class Carved(NamedTuple):
    """A photo with its seams: `Padded`, features by tap, each side's carving, and what they leave."""

    padded: Padded
    features: dict[str, jax.Array]
    carvings: tuple[Carving, ...]
    layers: Layers
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
            100 if config.importance_percentile == "auto" else config.importance_percentile,
            config.alpha,
            config.centre_prior,
            config.crop_share,
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
    apart: bool = False,
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
      apart: whether photos run one after the other. Then a photo without seams is only warped, and only tiles near
        joints are optimised, where the config says so; under `jax.vmap` every photo would pay for both ways.
      keep_seams: whether the result holds the carvings.
    """
    canvases = (bucket.canvas,) if canvases is None else canvases
    size = (padded.size[0], padded.size[1])
    overview = Overview(size, (padded.small[0], padded.small[1]))
    seen = analyse(network, padded.photo, config.taps, config.loss_taps, overview, bucket.small)
    salience = padded.salience if config.objects == "auto" else None
    automatic = config.importance_percentile == "auto"
    objects = object_map(seen.importance, salience, size, taps=config.taps)
    prior = None if salience is None else objects
    layers = Layers(
        weigh_importance(seen.importance, prior, numbers.centre_prior, size, taps=config.taps),
        None,
        objects,
        look_of(padded.photo, size) if automatic and tap_stride(config.taps[0]) == 1 else None,
    )
    deepest = tap_stride(config.taps[-1])
    threshold = importance_threshold(layers.maps[-1], numbers.percentile, (size[0] // deepest, size[1] // deepest))
    carvings, layers, mid = _carve(layers, padded, None if automatic else threshold, numbers, config, bucket)
    removed = jnp.stack([jnp.stack([s.removed for s in carving.levels]) for carving in carvings])
    carved = Carved(padded, seen.features, carvings, layers._replace(look=None), mid)
    shared: Any = {"config": config, "bucket": bucket, "apart": apart}
    ways = [partial(_render, network, numbers, canvas=canvas, **shared) for canvas in canvases]
    holds = jnp.stack([(mid[0] <= height) & (mid[1] <= width) for height, width in canvases])
    way = jnp.argmax(holds)
    if apart and config.init == "seam" and bucket.canvas == bucket.shape:
        # Where no seam goes, the photo has its own features already.
        ways.append(partial(_warp_only, numbers, config=config, bucket=bucket))
        way = jnp.where(jnp.any(removed > 0), way, len(canvases))
    built, refined, image = lax.switch(way, ways, carved)
    return Retargeted(
        image=jnp.clip(image, 0, 255),
        mid=jnp.stack(mid),
        threshold=threshold,
        removed=removed,
        reconstruct_losses=built.losses,
        reconstruct_steps=built.steps,
        refine_losses=refined.losses,
        refine_steps=refined.steps,
        carvings=carvings if keep_seams else None,
    )


def _warp_only(
    numbers: Numbers, carved: Carved, *, config: RetargetConfig, bucket: Bucket
) -> tuple[Course, Course, jax.Array]:
    """The photo as it is, warped: no step of either optimisation, both of which are at 0."""
    courses = []
    for steps in (config.reconstruct_steps, config.refine_steps):
        losses = jnp.full(record_capacity(steps), jnp.inf, jnp.float32).at[0].set(0)
        courses.append(Course(losses, jnp.int32(0)))
    image = _warp(carved.padded.photo, carved, numbers, config, bucket.sides)
    return courses[0], courses[1], fit(image, bucket.canvas)


def _render(
    network: Network,
    numbers: Numbers,
    carved: Carved,
    *,
    config: RetargetConfig,
    bucket: Bucket,
    canvas: tuple[int, int],
    apart: bool,
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
    shifts = Schedule(config.refine_steps, numbers.refine_rate, cosine, numbers.tolerance)
    still = jnp.zeros((*canvas, 2), jnp.float32)

    def everywhere(_: Tiles | None) -> tuple[Any, ...]:
        found = minimise_traced(loss, start, targets, rates)
        return *found, *minimise_traced(SampledLoss(loss), still, SampledTargets(found[0], targets), shifts)

    def near_joints(tiles: Tiles) -> tuple[Any, ...]:
        tiled = tile_targets(loss, start, targets, tiles)
        found = minimise_traced(TiledLoss(loss), start, tiled, rates)
        return *found, *minimise_traced(TiledSampledLoss(loss), still, TiledImage(found[0], tiled), shifts)

    if apart and only_near_joints(config, network):
        taps = dict.fromkeys((config.taps[0], *config.loss_taps))
        sources = {}
        for tap in taps:
            stride = tap_stride(tap)
            shape = (bucket.shape[0] // stride, bucket.shape[1] // stride)
            sources[tap] = carve(places(shape), config.taps.index(tap))
        joints = find_joints(sources.pop(config.taps[0]), mid, size, neurons=sources or None)
        tiles = active_tiles(joints, config.loss_taps)
        built, *course, shift, shift_losses, shift_steps = lax.cond(worthwhile(tiles), near_joints, everywhere, tiles)
    else:
        built, *course, shift, shift_losses, shift_steps = everywhere(None)
    image = _warp(sample(built, shift, mid), carved, numbers, config, bucket.sides)
    return Course(*course), Course(shift_losses, shift_steps), fit(image, bucket.canvas)


def _carve(
    layers: Layers,
    padded: Padded,
    threshold: jax.Array | None,
    numbers: Numbers,
    config: RetargetConfig,
    bucket: Bucket,
) -> tuple[tuple[Carving, ...], Layers, Size]:
    """The seams of each side, what they leave and its size; without a threshold, as many as do least damage."""
    height, width = padded.size[0], padded.size[1]
    carvings = []
    for side in bucket.sides:
        turned = layers if side == "width" else transpose(layers)
        turn = slice(None) if side == "width" else slice(None, None, -1)
        size, end = (height, width)[turn], (padded.target[0], padded.target[1])[turn]
        wanted = (padded.reach[0], padded.reach[1])[turn][1]
        options: Any = {"taps": config.taps, "region": config.region, "seam_kernel": config.seam_kernel}
        if threshold is None:
            assert turned.objects is not None
            judged = Judged(turned.objects, None, turned.look)
            choice = choose_width(
                turned.maps, None, judged, size, wanted, end, numbers.alpha, numbers.most_crop, room=None, **options
            )
            carving = choice.carving
        else:
            carving = carve_width(turned.maps, size, wanted, threshold, numbers.alpha, **options)

        def left(array: jax.Array | None, level: int, carving: Carving = carving, side: str = side) -> Any:
            return None if array is None else replay_seams(array, carving.levels[level], side == "height")

        layers = Layers(
            tuple(left(m, level) for level, m in enumerate(layers.maps)),
            None,
            left(layers.objects, object_level(config.taps)),
            left(layers.look, 0),
        )
        height, width = (size[0], carving.width)[turn]
        carvings.append(carving)
    return tuple(carvings), layers, (height, width)


def _warp(
    image: jax.Array, carved: Carved, numbers: Numbers, config: RetargetConfig, sides: tuple[str, ...]
) -> jax.Array:
    """What seams left to the warp, side by side; the identity where they left nothing."""
    canvas, mid, target = (image.shape[0], image.shape[1]), carved.mid, carved.padded.target
    if config.warp == "proportional":
        assert carved.layers.objects is not None
        stride = tap_stride(config.taps[object_level(config.taps)])
        grid = make_grid(carved.layers.objects, None, (mid[0] // stride, mid[1] // stride))
        across, down = plan_proportions(grid, mid, (target[0], target[1]), numbers.most_crop)
        return warp_side(warp_side(image, across, "width", canvas[1]), down, "height", canvas[0])
    strides = tuple(tap_stride(tap) for tap in config.taps)
    importance = warp_importance(carved.layers, mid, strides=strides, shape=canvas)
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
