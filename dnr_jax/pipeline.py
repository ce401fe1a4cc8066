"""retarget(): the stages of the method, composed. Arrays in, arrays and a record of what happened out; no file I/O."""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnr_jax.carve import Carving, fit
from dnr_jax.config import RetargetConfig
from dnr_jax.importance import analyse
from dnr_jax.optimise import Minimum, Schedule
from dnr_jax.reconstruct import FeatureLoss, FeatureTargets, reconstruct
from dnr_jax.refine import refine
from dnr_jax.sampler import sample
from dnr_jax.sides import AXES, SIDES, Carved, carve_side, warp_importance, warp_side
from dnr_jax.taps import tap_stride
from dnr_jax.warp import Warp, uniform_warp, warp_width
from dnr_jax.weights import Weights

CANVAS_STEP = 64
"""Reconstructions run on canvases whose sides are multiples of this, so that near sizes share one compilation."""

Progress = Callable[[str, int, int], None]
"""Called with (stage, steps done, most steps)."""


class Result(NamedTuple):
    """A retargeted photo and how it came about.

    Attributes:
      image: [H', W', 3]; uint8 for a uint8 photo, else float32 in [0, 255].
      importance: S_l of each tap (Eq. 1) of the photo, float32 [h_l, w_l].
      carvings: the seams of each side that changed ("width", "height"; transposed for the height).
      warps: the grid warp of each side whose seams did not suffice.
      start: the image that the reconstruction began with, float32 [H_mid, W_mid, 3].
      reconstructed: what it ended with.
      displacement: the sampler's (dy, dx) in pixels, float32 [H_mid, W_mid, 2].
      refined: the sampled image, before the warp.
      snapshots: (step, image) of the reconstruction, on request.
      record: sizes, seams per level, losses and seconds per stage, ready for JSON.
    """

    image: np.ndarray
    importance: tuple[np.ndarray, ...]
    carvings: dict[str, Carving]
    warps: dict[str, Warp]
    start: np.ndarray
    reconstructed: np.ndarray
    displacement: np.ndarray
    refined: np.ndarray
    snapshots: list[tuple[int, np.ndarray]]
    record: dict[str, Any]


def retarget(
    image: np.ndarray,
    target: tuple[int, int],
    config: RetargetConfig,
    weights: Weights,
    *,
    progress: Progress | None = None,
) -> Result:
    """Retargets one photo by Deep Network Resizing (the paper's Sec. 3).

    Args:
      image: uint8 or float [H, W, 3], RGB in [0, 255], both sides at least the deepest tap's stride.
      target: (height, width), each from 1 to the photo's.
      config: options.
      weights: from `load_weights`.
      progress: called as the long stages advance.

    Raises:
      ValueError: an image or target that cannot be retargeted, or taps that the weights do not serve.
      FloatingPointError: an optimisation diverged.
    """
    photo = _check_image(image, config)
    size = (photo.shape[0], photo.shape[1])
    _check_target(target, size)
    weights.network.check_taps(config.taps)
    seconds: dict[str, float] = {}

    with _timed(seconds, "features"):
        analysis = analyse(weights.network, photo, config.taps, config.loss_taps)
        threshold = _threshold(analysis.importance[-1], config.importance_percentile)
        jax.block_until_ready(analysis)

    with _timed(seconds, "seams"):
        carved = Carved(analysis.importance, analysis.features, photo if config.init == "seam" else None)
        carvings, mid = {}, size
        for side in SIDES:
            wanted = target[AXES[side]]
            if wanted != size[AXES[side]]:
                carvings[side], carved = carve_side(side, carved, mid, wanted, threshold, config)
                left = int(carvings[side].width)
                mid = (mid[0], left) if side == "width" else (left, mid[1])
        canvas = (_round_up(mid[0]), _round_up(mid[1]))
        start = _start(photo, carved.image, mid, canvas, config)
        features = tuple(
            fit(carved.features[tap], (canvas[0] // tap_stride(tap), canvas[1] // tap_stride(tap)))
            for tap in config.loss_taps
        )
        valid = (jnp.int32(mid[0]), jnp.int32(mid[1]))
        targets = FeatureTargets(weights.network, features, valid, config.positive_loss_weights)
        maps, importance = carved.maps, tuple(np.asarray(values) for values in analysis.importance)
        jax.block_until_ready((start, targets))
        del carved, analysis  # Full-size features need not outlive their carved copies.

    with _timed(seconds, "reconstruction"):
        built = reconstruct(
            FeatureLoss(config.loss_taps, config.loss),
            start,
            targets,
            _schedule(config, config.reconstruct_steps, config.reconstruct_rate),
            snapshot_every=config.snapshot_every,
            progress=None if progress is None else partial(progress, "reconstruction"),
        )

    with _timed(seconds, "refinement"):
        shifted = refine(
            FeatureLoss(config.loss_taps, config.loss),
            built.value,
            targets,
            _schedule(config, config.refine_steps, config.refine_rate),
            progress=None if progress is None else partial(progress, "refinement"),
        )
        refined = jax.block_until_ready(_sample(built.value, shifted.value, valid))

    with _timed(seconds, "warp"):
        warps, final, now = {}, refined, mid
        mu = warp_importance(maps, valid, taps=config.taps, shape=canvas) if mid != target else jnp.zeros(canvas)
        for side in SIDES:
            wanted = target[AXES[side]]
            if now[AXES[side]] != wanted:
                warps[side], final, mu = warp_side(side, final, mu, now, wanted, config.warp_cell)
                now = (now[0], wanted) if side == "width" else (wanted, now[1])
        final = _crop(final, target)

    return Result(
        image=np.rint(np.clip(final, 0, 255)).astype(np.uint8) if image.dtype == np.uint8 else final,
        importance=importance,
        carvings=carvings,
        warps=warps,
        start=_crop(start, mid),
        reconstructed=_crop(built.value, mid),
        displacement=_crop(shifted.value, mid),
        refined=_crop(refined, mid),
        snapshots=[(step, value[: mid[0], : mid[1]]) for step, value in built.snapshots],
        record={
            "size": size,
            "intermediate_size": mid,
            "target_size": target,
            "importance_threshold": float(threshold),
            "seams": _count_seams(carvings, config),
            "reconstruction": _describe(built, config.reconstruct_steps),
            "refinement": _describe(shifted, config.refine_steps),
            "seconds": seconds,
        },
    )


def _check_image(image: np.ndarray, config: RetargetConfig) -> jax.Array:
    if image.ndim != 3 or image.shape[-1] != 3 or not (image.dtype == np.uint8 or image.dtype.kind == "f"):
        raise ValueError(f"image is {image.dtype} {image.shape}: give uint8 or float [height, width, 3]")
    smallest = tap_stride(config.taps[-1])
    if min(image.shape[:2]) < smallest:
        raise ValueError(
            f"the photo is {image.shape[1]}x{image.shape[0]}: both sides must have at least {smallest} pixels for"
            f" tap {config.taps[-1]}; name shallower taps for a smaller one"
        )
    photo = np.asarray(image, np.float32)
    if not (np.isfinite(photo).all() and photo.min() >= 0 and photo.max() <= 255):
        raise ValueError("image holds values outside [0, 255]: scale it to that range")
    return jnp.asarray(photo)


def _check_target(target: tuple[int, int], size: tuple[int, int]) -> None:
    for name, wanted, has in zip(("height", "width"), target, size, strict=True):
        if not 1 <= wanted <= has:
            raise ValueError(f"the target {name} is {wanted}: it must be from 1 to the photo's {has} pixels")


def _threshold(deepest: jax.Array, q: float) -> jax.Array:
    """The most mean importance of a deepest seam: the q-th percentile of S_L, and no limit at all for 100."""
    return jnp.percentile(deepest, q) if q < 100 else jnp.float32(jnp.inf)


def _start(
    photo: jax.Array,
    carved: jax.Array | None,
    mid: tuple[int, int],
    canvas: tuple[int, int],
    config: RetargetConfig,
) -> jax.Array:
    """The image to begin with, float32 [*canvas, 3], valid in `mid`."""
    if carved is not None:
        return fit(carved, canvas)
    if config.init == "noise":
        return jax.random.uniform(jax.random.key(config.seed), (*canvas, 3), jnp.float32, 0, 255)
    height, width = photo.shape[:2]
    narrowed = warp_width(photo, uniform_warp(width, mid[1]), canvas[1])
    lowered = warp_width(jnp.swapaxes(narrowed, 0, 1), uniform_warp(height, mid[0]), canvas[0])
    return jnp.swapaxes(lowered, 0, 1)


def _schedule(config: RetargetConfig, steps: int, rate: float) -> Schedule:
    return Schedule(steps, rate, config.rate_schedule == "cosine", config.tolerance)


def _round_up(length: int) -> int:
    return max(1, -(-length // CANVAS_STEP)) * CANVAS_STEP


def _crop(array: jax.Array, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(array[: size[0], : size[1]])


def _count_seams(carvings: dict[str, Carving], config: RetargetConfig) -> dict[str, dict[str, int]]:
    return {
        side: {tap: int(seams.removed) for tap, seams in zip(config.taps, carving.levels, strict=True)}
        for side, carving in carvings.items()
    }


def _describe(minimum: Minimum, most: int) -> dict[str, Any]:
    return {
        "steps": minimum.steps,
        "stopped_early": minimum.steps < most,
        "losses": [float(loss) for loss in minimum.losses],
    }


@contextlib.contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 4)


_sample = jax.jit(sample)
