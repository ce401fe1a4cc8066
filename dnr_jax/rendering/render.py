"""One photo rendered by a plan: target features, start, reconstruction, refinement, warp."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Integer, Shaped

from dnr_jax.arrays import Image
from dnr_jax.config import RetargetConfig
from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import Level
from dnr_jax.padding import AnySize, Size, traced_size
from dnr_jax.planning.importance import Overview, analyse
from dnr_jax.planning.numbers import Numbers, traced_numbers
from dnr_jax.planning.passes import Pass, replay
from dnr_jax.planning.plan import Plan, apply_warps, warp_side
from dnr_jax.planning.warp import uniform_warp
from dnr_jax.programs import program
from dnr_jax.progress import Progress, Watch, timed
from dnr_jax.rendering.joints import Tiles, active_tiles, find_joints, worthwhile
from dnr_jax.rendering.optimise import Minimum, Schedule
from dnr_jax.rendering.reconstruct import FeatureLoss, FeatureTargets, reconstruct
from dnr_jax.rendering.refine import refine
from dnr_jax.rendering.sampler import sample
from dnr_jax.rendering.tiles import reconstruct_tiles, refine_tiles, tile_targets


class Rendering(NamedTuple):
    """What became of one photo; float32 [H, W, 3] on the host, cut to their valid size.

    Attributes:
      image: the result, [H', W', 3].
      alpha: its opacity, [H', W'], where the photo had one.
      start: the image that the reconstruction began with, [H_mid, W_mid, 3].
      reconstruction: value, losses and snapshots of the reconstruction, on its canvas.
      refinement: displacements and losses of the refinement, on its canvas.
      refined: the sampled image, before the warp.
    """

    image: Float32[np.ndarray, "_ _ 3"]
    alpha: Float32[np.ndarray, "_ _"] | None
    start: Float32[np.ndarray, "h w 3"]
    reconstruction: Minimum
    refinement: Minimum
    refined: Float32[np.ndarray, "h w 3"]


class Prepared(NamedTuple):
    """What an optimisation needs to begin.

    Attributes:
      targets: the carved features, and what they belong to.
      start: the image to begin with, float32 [*canvas, 3], valid in the intermediate size.
      tiles: the parts near joints, where only these are optimised; None for the whole image.
    """

    targets: FeatureTargets
    start: Image
    tiles: Tiles | None


def prepare(
    network: Network,
    features: dict[str, Float32[Array, "_ _ _"]],
    photo: Float32[Array, "_ _ 3"],
    passes: Sequence[Pass],
    size: AnySize,
    mid: Size,
    numbers: Numbers,
    *,
    canvas: tuple[int, int],
    config: RetargetConfig,
    near_joints: bool,
) -> Prepared:
    """Carves features and pixels by the seams found: F' and the start of Sec. 3.2.

    Pure; traced as a whole in batches, piece by piece for single photos.

    Args:
      network: the network whose features are carved.
      features: F_l of the loss's taps, float32 [h_l, w_l, C], from `loss_features`.
      photo: float32 [H, W, 3] in [0, 255], the photo in the corner of its padded array.
      passes: the rounds of seams, in order.
      size: the valid (height, width) of the photo in pixels.
      mid: the (height, width) in pixels that the seams lead to.
      numbers: the traced options.
      canvas: the (height, width) of the arrays that hold the intermediate image, at least `mid`.
      config: the static options.
      near_joints: whether the tiles near joints are looked for, so that only they are optimised.
    """

    def carve(array: Float32[Array, "_ _ c"], tap: str) -> Float32[Array, "_ _ c"]:
        return replay(passes, array, config.taps.index(tap), config, shape=Level(tap).size(canvas))

    carved = tuple(carve(features[tap], tap) for tap in config.loss_taps)
    targets = FeatureTargets(network, carved, mid, numbers.loss_weights)
    first = config.taps[0]
    if config.init == "seam":
        start = carve(photo, first)
    elif config.init == "noise":
        start = noise_image(numbers.seed, canvas)
    else:
        start = scaled_image(photo, size, mid, canvas)
    if not near_joints:
        return Prepared(targets, start, None)
    seen = dict.fromkeys((first, *config.loss_taps))
    sources = {tap: carve(places(Level(tap).size(photo.shape)), tap) for tap in seen}
    joints = find_joints(sources.pop(first), mid, size, neurons=sources or None)
    return Prepared(targets, start, active_tiles(joints, config.loss_taps))


def loss_features(
    network: Network, photo: Image, size: Size, config: RetargetConfig
) -> dict[str, Float32[Array, "_ _ _"]]:
    """F_l of the loss's taps, float32 [h_l, w_l, C], of a photo, float32 [H, W, 3], valid in `size`."""
    return analyse(network, photo, (), config.loss_taps, overview=Overview(size, size)).features


def render(
    photo: Image,
    plan: Plan,
    config: RetargetConfig,
    network: Network,
    *,
    alpha: Float32[Array, "h w"] | None = None,
    features: dict[str, Float32[Array, "_ _ _"]] | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
    seconds: dict[str, float] | None = None,
) -> Rendering:
    """Renders a photo by a plan: reconstruction (Sec. 3.2, Eq. 4), refinement (Sec. 3.3), warp (Eq. 3).

    Runs on the host, with progress, snapshots and no more work than there is.

    Args:
      photo: float32 [H, W, 3] in [0, 255], the photo in the corner of its padded array.
      plan: from `plan_target`, of this photo or of the animation that it is a frame of.
      config: the options, resolved for the photo's size.
      network: the network whose features the image is to have.
      alpha: opacity, float32 [H, W] in [0, 1], padded likewise; carved, sampled and warped as the pixels are.
      features: the photo's, from `loss_features`, where they are at hand; None to compute them if they are needed.
      progress: called as the long stages advance.
      watch: called during the reconstruction with a function that draws the image as it stands.
      seconds: filled with the seconds of each stage.

    Raises:
      FloatingPointError: the loss of an optimisation is not finite; says at which stage and step.
    """
    seconds = {} if seconds is None else seconds
    mid, canvas = plan.mid, plan.canvas
    size, valid, numbers = traced_size(plan.size), traced_size(mid), traced_numbers(config)
    if not needs_features(plan, config):
        return _warp_only(photo, plan, alpha, seconds)
    if features is None:
        with timed(seconds, "features"):
            features = jax.block_until_ready(loss_features(network, photo, size, config))
    assert features is not None
    with timed(seconds, "seams"):
        targets, start, tiles = jax.block_until_ready(
            prepare(
                network,
                features,
                photo,
                plan.passes,
                size,
                valid,
                numbers,
                canvas=canvas,
                config=config,
                near_joints=only_near_joints(config, network),
            )
        )
        del features

    loss, (rates, shift_rates) = FeatureLoss(config.loss_taps, config.loss), schedules(config, numbers)
    reports = {
        stage: None if progress is None else partial(progress, stage) for stage in ("reconstruction", "refinement")
    }
    with timed(seconds, "reconstruction"):
        shown = None if watch is None else lambda value: watch(lambda: crop(apply_warps(value, plan), plan.target))
        options: Any = {"snapshot_every": config.snapshot_every, "progress": reports["reconstruction"], "watch": shown}
        # Where joints are nearly everywhere, the image in one piece costs no more than its tiles.
        if tiles is None or not worthwhile(tiles):
            tiled, built = None, reconstruct(loss, start, targets, rates, **options)
        else:
            tiled = tile_targets(loss, start, targets, tiles)
            built = reconstruct_tiles(loss, start, tiled, rates, **options)
    with timed(seconds, "refinement"):
        if tiled is None:
            shifted = refine(loss, built.value, targets, shift_rates, progress=reports["refinement"])
        else:
            shifted = refine_tiles(loss, built.value, tiled, shift_rates, progress=reports["refinement"])
        refined = jax.block_until_ready(_sample(built.value, shifted.value, size=valid))
    with timed(seconds, "warp"):
        image = crop(apply_warps(refined, plan), plan.target)
        opacity = None
        if alpha is not None:
            opacity = shift_opacity(alpha, plan.passes, shifted.value, valid, canvas=canvas, config=config)
            opacity = crop(apply_warps(opacity, plan), plan.target)[..., 0]
    return Rendering(image, opacity, crop(start, mid), built, shifted, crop(refined, mid))


def needs_features(plan: Plan, config: RetargetConfig) -> bool:
    """Whether rendering by a plan takes more than a warp: where no seam goes, the photo has its features already."""
    return config.init != "seam" or plan.has_seams


def only_near_joints(config: RetargetConfig, network: Network) -> bool:
    """Whether pixels away from joints are left as they are: the option, where start and network allow it."""
    return config.optimise == "joints" and config.init == "seam" and network.is_local(config.loss_taps)


@program(static_argnames=("shape",))
def places(shape: tuple[int, int]) -> Float32[Array, "_ _ 2"]:
    """The (row, column) of every element of an array of `shape` (height, width), float32 [height, width, 2]."""
    return jnp.stack(jnp.meshgrid(*(jnp.arange(n, dtype=jnp.float32) for n in shape), indexing="ij"), -1)


def _warp_only(photo: jax.Array, plan: Plan, alpha: jax.Array | None, seconds: dict[str, float]) -> Rendering:
    """The rendering where no seam goes: the photo has its own features, so both losses are 0 and nothing is to do."""
    still = Minimum(photo, np.zeros(1, np.float32), [])
    with timed(seconds, "warp"):
        image = crop(apply_warps(photo, plan), plan.target)
        opacity = None if alpha is None else crop(apply_warps(alpha[..., None], plan), plan.target)[..., 0]
    unmoved = still._replace(value=jnp.zeros((*photo.shape[:2], 2), jnp.float32))
    whole = crop(photo, plan.mid)
    return Rendering(image, opacity, whole, still, unmoved, whole)


@program(static_argnames=("shape",))
def noise_image(seed: Integer[Array, ""] | int, shape: tuple[int, int]) -> Image:
    """Draws uniform noise in [0, 255], float32 [height, width, 3], for an array of `shape` (height, width).

    A pixel's value depends on the seed and on its place, not on the shape.
    """

    def pixel(row: jax.Array, column: jax.Array) -> jax.Array:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), row), column)
        return jax.random.uniform(key, (3,), jnp.float32, 0, 255)

    return jax.vmap(lambda row: jax.vmap(lambda column: pixel(row, column))(jnp.arange(shape[1])))(jnp.arange(shape[0]))


def scaled_image(
    photo: Float32[Array, "_ _ 3"],
    size: AnySize,
    mid: AnySize,
    canvas: tuple[int, int],
) -> Image:
    """A photo, float32 [H, W, 3] valid in `size`, scaled uniformly to `mid` in the corner of [*canvas, 3].

    Rounded to 1/1024 grey level: what is flat stays exactly flat, and Adam, which looks at a gradient's sign more than
    at its size, has no rounding noise to follow there.
    """
    wide = warp_side(photo, uniform_warp(size[1], mid[1]), "width", canvas[1])
    return jnp.round(warp_side(wide, uniform_warp(size[0], mid[0]), "height", canvas[0]) * 1024) / 1024


def schedules(config: RetargetConfig, numbers: Numbers) -> tuple[Schedule, Schedule]:
    """How the reconstruction runs, and how the refinement does."""
    cosine = config.rate_schedule == "cosine"
    return (
        Schedule(config.reconstruct_steps, numbers.reconstruct_rate, cosine, numbers.tolerance),
        Schedule(config.refine_steps, numbers.refine_rate, cosine, numbers.tolerance),
    )


def shift_opacity(
    alpha: Float32[Array, "_ _"],
    passes: Sequence[Pass],
    shift: Float32[Array, "h w 2"],
    mid: Size,
    *,
    canvas: tuple[int, int],
    config: RetargetConfig,
) -> Float32[Array, "h w 1"]:
    """Opacity, float32 [H, W], carved and sampled as the pixels are: float32 [*canvas, 1], valid in `mid`."""
    return _sample(replay(passes, alpha[..., None], 0, config, shape=canvas), shift, size=mid)


def crop(
    array: Shaped[Array, "_ _ *c"] | Shaped[np.ndarray, "_ _ *c"], size: tuple[int, int]
) -> Shaped[np.ndarray, "_ _ *c"]:
    """Cuts the valid top-left (height, width) `size` out of an array [H, W, ...], on the host."""
    return np.asarray(array)[: size[0], : size[1]]  # Cut on the host: a slice on the device compiles for every size.


_sample = program()(sample)
