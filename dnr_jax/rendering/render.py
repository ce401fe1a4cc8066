"""One photo rendered by a plan: target features, start, reconstruction, refinement, warp."""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnr_jax.config import RetargetConfig
from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import tap_stride
from dnr_jax.padding import traced_size
from dnr_jax.planning.importance import Overview, analyse
from dnr_jax.planning.passes import replay
from dnr_jax.planning.plan import Plan, apply_warps, warp_side
from dnr_jax.planning.warp import uniform_warp
from dnr_jax.rendering.joints import Tiles, active_tiles, find_joints, is_local, worthwhile
from dnr_jax.rendering.optimise import Minimum, Schedule
from dnr_jax.rendering.reconstruct import FeatureLoss, FeatureTargets, reconstruct
from dnr_jax.rendering.refine import refine
from dnr_jax.rendering.sampler import sample
from dnr_jax.rendering.tiles import reconstruct_tiles, refine_tiles, tile_targets

Progress = Callable[[str, int, int], None]
"""Called with (stage, steps done, most steps)."""


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

    image: np.ndarray
    alpha: np.ndarray | None
    start: np.ndarray
    reconstruction: Minimum
    refinement: Minimum
    refined: np.ndarray


def render(
    photo: jax.Array,
    plan: Plan,
    config: RetargetConfig,
    network: Network,
    *,
    alpha: jax.Array | None = None,
    progress: Progress | None = None,
    seconds: dict[str, float] | None = None,
) -> Rendering:
    """Renders a photo by a plan.

    Args:
      photo: float32 [*, *, 3], the photo in the corner of its padded array.
      plan: from `make_plan`, of this photo or of the animation that it is a frame of.
      config: options.
      network: whose features the image is to have.
      alpha: opacity, float32 [*, *], padded likewise; carved, sampled and warped as the pixels are.
      progress: called as the long stages advance.
      seconds: filled with seconds per stage.
    """
    seconds = {} if seconds is None else seconds
    mid, canvas = plan.mid, plan.canvas
    valid = (jnp.int32(mid[0]), jnp.int32(mid[1]))
    if config.init == "seam" and not plan.has_seams:
        return _warp_only(photo, plan, alpha, seconds)
    with timed(seconds, "features"):
        size = traced_size(plan.size)
        seen = analyse(network, photo, (), config.loss_taps, Overview(size, size))
        features = dict(jax.block_until_ready(seen.features))
    with timed(seconds, "seams"):
        carved = tuple(carve_features(features.pop(tap), tap, plan, config) for tap in config.loss_taps)
        targets = FeatureTargets(network, carved, valid, config.positive_loss_weights)
        start = jax.block_until_ready(_start(photo, plan, config))

    loss = FeatureLoss(config.loss_taps, config.loss)
    told = {stage: None if progress is None else partial(progress, stage) for stage in ("reconstruction", "refinement")}
    with timed(seconds, "reconstruction"):
        rates = _schedule(config, config.reconstruct_steps, config.reconstruct_rate)
        options: Any = {"snapshot_every": config.snapshot_every, "progress": told["reconstruction"]}
        tiles = _tiles(photo.shape, plan, config) if only_near_joints(config, network) else None
        # Where joints are nearly everywhere, the image in one piece costs no more than its tiles.
        if tiles is None or not worthwhile(tiles):
            tiled, built = None, reconstruct(loss, start, targets, rates, **options)
        else:
            tiled = tile_targets(loss, start, targets, tiles)
            built = reconstruct_tiles(loss, start, tiled, rates, **options)
    with timed(seconds, "refinement"):
        rates = _schedule(config, config.refine_steps, config.refine_rate)
        if tiled is None:
            shifted = refine(loss, built.value, targets, rates, progress=told["refinement"])
        else:
            shifted = refine_tiles(loss, built.value, tiled, rates, progress=told["refinement"])
        refined = jax.block_until_ready(_sample(built.value, shifted.value, valid))
    with timed(seconds, "warp"):
        image = crop(apply_warps(refined, plan), plan.target)
        if alpha is not None:
            opacity = replay(plan.passes, alpha[..., None], 0, config, canvas)
            opacity = crop(apply_warps(_sample(opacity, shifted.value, valid), plan), plan.target)[..., 0]
        else:
            opacity = None
    return Rendering(image, opacity, crop(start, mid), built, shifted, crop(refined, mid))


def only_near_joints(config: RetargetConfig, network: Network) -> bool:
    """Whether pixels away from joints are left as they are: the option, where start and network allow it."""
    return config.optimise == "joints" and config.init == "seam" and is_local(network, config.loss_taps)


def _tiles(shape: tuple[int, ...], plan: Plan, config: RetargetConfig) -> Tiles:
    """The tiles near joints of the carved image; `shape` is that of the photo's array."""
    sources = {}
    for tap in dict.fromkeys((config.taps[0], *config.loss_taps)):
        stride, level = tap_stride(tap), config.taps.index(tap)
        positions = places((shape[0] // stride, shape[1] // stride))
        canvas = (plan.canvas[0] // stride, plan.canvas[1] // stride)
        sources[tap] = replay(plan.passes, positions, level, config, canvas)
    first = sources.pop(config.taps[0])
    joints = find_joints(first, traced_size(plan.mid), traced_size(plan.size), neurons=sources or None)
    return active_tiles(joints, config.loss_taps)


@partial(jax.jit, static_argnames=("shape",))
def places(shape: tuple[int, int]) -> jax.Array:
    """The (row, column) of every element, float32 [*shape, 2]."""
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


def carve_features(features: jax.Array, tap: str, plan: Plan, config: RetargetConfig) -> jax.Array:
    """The features of one tap, float32 [h, w, c], after all seams, in the corner of the canvas."""
    stride = tap_stride(tap)
    shape = (plan.canvas[0] // stride, plan.canvas[1] // stride)
    return replay(plan.passes, features, config.taps.index(tap), config, shape)


def _start(photo: jax.Array, plan: Plan, config: RetargetConfig) -> jax.Array:
    """The image to begin with, float32 [*canvas, 3], valid in `plan.mid`."""
    mid, canvas = plan.mid, plan.canvas
    if config.init == "seam":
        return replay(plan.passes, photo, 0, config, canvas)
    if config.init == "noise":
        return noise_image(config.seed, canvas)
    return scaled_image(photo, plan.size, mid, canvas)


@partial(jax.jit, static_argnames=("shape",))
def noise_image(seed: int | jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Uniform noise in [0, 255], float32 [*shape, 3]; a pixel's value depends on its place, not on the shape."""

    def pixel(row: jax.Array, column: jax.Array) -> jax.Array:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), row), column)
        return jax.random.uniform(key, (3,), jnp.float32, 0, 255)

    return jax.vmap(lambda row: jax.vmap(lambda column: pixel(row, column))(jnp.arange(shape[1])))(jnp.arange(shape[0]))


def scaled_image(
    photo: jax.Array,
    size: tuple[jax.Array | int, jax.Array | int],
    mid: tuple[jax.Array | int, jax.Array | int],
    canvas: tuple[int, int],
) -> jax.Array:
    """A photo, float32 [H, W, 3] valid in `size`, scaled uniformly to `mid` in the corner of [*canvas, 3].

    Rounded to 1/1024 grey level: what is flat stays exactly flat, and Adam, which looks at a gradient's sign more than
    at its size, has no rounding noise to follow there.
    """
    wide = warp_side(photo, uniform_warp(size[1], mid[1]), "width", canvas[1])
    return jnp.round(warp_side(wide, uniform_warp(size[0], mid[0]), "height", canvas[0]) * 1024) / 1024


def _schedule(config: RetargetConfig, steps: int, rate: float) -> Schedule:
    return Schedule(steps, rate, config.rate_schedule == "cosine", config.tolerance)


def crop(array: jax.Array | np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The valid top-left part of an array, on the host."""
    return np.asarray(array)[: size[0], : size[1]]  # Cut on the host: a slice on the device compiles for every size.


@contextlib.contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Adds the seconds that its body takes to a stage."""
    start = time.perf_counter()
    yield
    seconds[stage] = round(seconds.get(stage, 0) + time.perf_counter() - start, 4)


_sample = jax.jit(sample)
