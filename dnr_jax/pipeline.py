"""retarget() and retarget_frames(): the whole method. Arrays in, arrays and a record out; no file I/O."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image

from dnr_jax.config import RetargetConfig
from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import tap_size, tap_stride
from dnr_jax.padding import pad, traced_size
from dnr_jax.planning.importance import Overview, analyse, overview_size
from dnr_jax.planning.masks import NO_MASKS, Masks, check_masks
from dnr_jax.planning.objects import object_level
from dnr_jax.planning.passes import AXES, Pass
from dnr_jax.planning.plan import Plan, make_plan
from dnr_jax.planning.warp import Warp
from dnr_jax.program_limit import make_room
from dnr_jax.progress import Progress
from dnr_jax.rendering.optimise import Minimum
from dnr_jax.rendering.render import Rendering, crop, render, timed
from dnr_jax.shapes import bucket_shape, largest_overview
from dnr_jax.sight import Sight, see_frames, told
from dnr_jax.weights import Weights

LARGEST_GROWTH = 4
"""A side can be enlarged to at most this many times its length."""


class Result(NamedTuple):
    """A retargeted photo and how it came about.

    Attributes:
      image: [H', W', 3], with a fourth channel or none as the photo; uint8 for a uint8 photo, else float32 in [0, 255].
      importance: S_l of each tap (Eq. 1) of the photo with its priors, float32 [h_l, w_l].
      sight: what was seen in the photo, or told of it: objects, faces and words; None with objects=none.
      objects: what the proportional warp goes by, float32 [h_l, w_l] in [0, 2], above 1 on faces.
      passes: the rounds of seams, in order.
      warps: the warp of each side that the seams did not bring to its target, or that follows the other.
      start: the image that the reconstruction began with, float32 [H_mid, W_mid, 3].
      reconstructed: what it ended with.
      displacement: the sampler's (dy, dx) in pixels, float32 [H_mid, W_mid, 2].
      refined: the sampled image, before the warp.
      snapshots: (step, image) of the reconstruction, on request.
      record: sizes, seams per level, losses and seconds per stage, ready for JSON.

    Example:
      >>> photo = np.full((32, 48, 3), 128, np.uint8)
      >>> result = retarget(photo, (32, 40), RetargetConfig(taps=("block1_conv2",)), load_weights("embedded"))
      >>> result.record["target_size"], [step.side for step in result.passes]
      ((32, 40), ['width'])
    """

    image: np.ndarray
    importance: tuple[np.ndarray, ...]
    sight: Sight | None
    objects: np.ndarray
    passes: tuple[Pass, ...]
    warps: dict[str, Warp]
    start: np.ndarray
    reconstructed: np.ndarray
    displacement: np.ndarray
    refined: np.ndarray
    snapshots: list[tuple[int, np.ndarray]]
    record: dict[str, Any]


def retarget(
    image: np.ndarray | PIL.Image.Image,
    target: tuple[int, int],
    config: RetargetConfig,
    weights: Weights,
    *,
    masks: Masks = NO_MASKS,
    progress: Progress | None = None,
) -> Result:
    """Retargets one photo by Deep Network Resizing (the paper's Sec. 3).

    Args:
      image: uint8 or float [H, W, 3], RGB in [0, 255], both sides at least the stride of the deepest tap that is named;
        or [H, W], grey, which stays grey; or [H, W, 4], whose fourth channel is opacity in [0, 255], which follows the
        same seams, displacements and warp; or a PIL image.
      target: (height, width), each from 1 to four times the photo's. What a mask removes comes off first.
      config: options.
      weights: from `load_weights`.
      masks: what to protect and what to remove.
      progress: called as the long stages advance.

    Raises:
      ValueError: an image, target or mask that cannot be served, or taps that the weights do not hold.
      FloatingPointError: an optimisation diverged.

    Example:
      >>> photo = np.full((32, 48, 3), 128, np.uint8)
      >>> config = RetargetConfig(taps=("block1_conv2",))
      >>> retarget(photo, (32, 40), config, load_weights("embedded")).image.shape
      (32, 40, 3)
    """
    if isinstance(image, PIL.Image.Image):
        image = np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    grey = image.ndim == 2
    frames = [np.repeat(image[..., None], 3, -1) if grey else image]
    (result,) = retarget_frames(frames, target, config, weights, masks=masks, progress=progress)
    if not grey:
        return result
    mean = result.image.mean(-1, dtype=np.float32)
    return result._replace(image=np.rint(mean).astype(np.uint8) if image.dtype == np.uint8 else mean)


def retarget_frames(
    frames: Sequence[np.ndarray],
    target: tuple[int, int],
    config: RetargetConfig,
    weights: Weights,
    *,
    masks: Masks = NO_MASKS,
    progress: Progress | None = None,
) -> list[Result]:
    """Retargets all frames of an animation with one set of seams and one warp, so that nothing jitters.

    They are found on the maximum of the frames' importance. Arguments as for `retarget`; frames share one shape.

    Example:
      >>> frames = [np.full((32, 48, 3), grey, np.uint8) for grey in (100, 140)]
      >>> config = RetargetConfig(taps=("block1_conv2",))
      >>> [result.image.shape for result in retarget_frames(frames, (32, 40), config, load_weights("embedded"))]
      [(32, 40, 3), (32, 40, 3)]
    """
    config = config.resolve(frames[0].shape[:2])
    photos = [_check_image(frame, config) for frame in frames]
    if any(frame.shape != frames[0].shape for frame in frames):
        raise ValueError("the frames differ in size: give frames of one size")
    size = (frames[0].shape[0], frames[0].shape[1])
    check_target(target, size)
    check_masks(masks, size)
    if masks.objects is not None and config.objects == "none":
        raise ValueError("a map of objects is given and objects is none: leave one of them out")
    marked = masks.protect is not None or masks.remove is not None
    _check_taps(config, weights, needs_pixels=marked or frames[0].shape[2] == 4)

    make_room((bucket_shape(size), bucket_shape(target), config))
    network = weights.network.at_precision(config.precision)
    shared: dict[str, float] = {}
    valid = traced_size(size)
    with timed(shared, "objects"):
        sight = None
        if masks.objects is not None:
            sight = told(masks.objects)
        elif config.objects == "auto":
            sight = see_frames([photo for photo, _ in photos], valid, config)
    with timed(shared, "features"):
        overview, small_shape = _overview(size, network)
        importance = None
        for photo, _ in photos:
            maps = analyse(network, photo, config.taps, (), overview, small_shape).importance
            importance = maps if importance is None else jax.tree.map(jnp.maximum, importance, maps)
        jax.block_until_ready(importance)
    assert importance is not None
    with timed(shared, "seams"):
        salience = None if sight is None else jnp.asarray(sight.salience)
        plan = make_plan(importance, size, target, config, masks, photo=photos[0][0], salience=salience)

    results = []
    for number, (frame, (photo, alpha)) in enumerate(zip(frames, photos, strict=True)):
        seconds = dict(shared)
        report = progress
        if progress is not None and len(frames) > 1:
            report = partial(_report_frame, progress, number + 1, len(frames))
        rendering = render(photo, plan, config, network, alpha=alpha, progress=report, seconds=seconds)
        results.append(_result(rendering, plan, sight, config, seconds, frame.dtype == np.uint8))
    return results


def _overview(size: tuple[int, int], network: Network) -> tuple[Overview, tuple[int, int] | None]:
    """The sizes under which a padded photo is analysed, and the array that holds it where it is seen scaled."""
    side = network.importance_side
    if side is None:
        return Overview(traced_size(size), traced_size(size)), None
    return Overview(traced_size(size), traced_size(overview_size(size, side))), largest_overview(
        bucket_shape(size), side
    )


def _report_frame(progress: Progress, number: int, count: int, stage: str, done: int, most: int) -> None:
    progress(f"frame {number}/{count} {stage}", done, most)


def _result(
    rendering: Rendering,
    plan: Plan,
    sight: Sight | None,
    config: RetargetConfig,
    seconds: dict[str, float],
    eight_bits: bool,
) -> Result:
    image = rendering.image
    if rendering.alpha is not None:
        image = np.concatenate([image, 255 * rendering.alpha[..., None]], -1)
    image = np.clip(image, 0, 255)
    built, shifted = rendering.reconstruction, rendering.refinement
    return Result(
        image=np.rint(image).astype(np.uint8) if eight_bits else image,
        importance=tuple(
            crop(values, tap_size(tap, plan.size)) for tap, values in zip(config.taps, plan.importance, strict=True)
        ),
        sight=sight,
        objects=crop(plan.objects, tap_size(config.taps[object_level(config.taps)], plan.size)),
        passes=tuple(plan.passes),
        warps=plan.warps,
        start=rendering.start,
        reconstructed=crop(built.value, plan.mid),
        displacement=crop(shifted.value, plan.mid),
        refined=rendering.refined,
        snapshots=[(step, crop(value, plan.mid)) for step, value in built.snapshots],
        record={
            "size": plan.size,
            "intermediate_size": plan.mid,
            "target_size": plan.target,
            "importance_percentile": config.importance_percentile,
            "importance_threshold": plan.threshold,
            "seen": None if sight is None else sight.describe(),
            "passes": [_describe_pass(step, config) for step in plan.passes],
            "warps": {side: _describe_warp(warp, plan.mid[AXES[side]]) for side, warp in plan.warps.items()},
            "taps": config.taps,
            "notes": [*config.tap_notes, *plan.notes],
            "reconstruction": _describe(built, config.reconstruct_steps),
            "refinement": _describe(shifted, config.refine_steps),
            "seconds": seconds,
        },
    )


def _describe_pass(step: Pass, config: RetargetConfig) -> dict[str, Any]:
    return {
        "side": step.side,
        "action": "insert" if step.grow else "remove",
        "size": step.size,
        "new_size": step.new_size,
        "wanted": step.wanted,
        "seams": {tap: int(s.removed) for tap, s in zip(config.taps, step.carving.levels, strict=True)},
        "damage": step.damage,
    }


def _describe_warp(warp: Warp, length: int) -> dict[str, Any]:
    """What a warp does to a side of `length` pixels: how much is cropped, and the cells' least and most scale."""
    old, new = (np.asarray(edges, np.float64) for edges in warp)
    widths = np.diff(old)
    scales = np.diff(new)[widths > 0] / widths[widths > 0]
    return {
        "cropped": [round(float(old[0]), 2), round(float(length - old[-1]), 2)],
        "least_scale": round(float(scales.min()), 4),
        "most_scale": round(float(scales.max()), 4),
    }


def _describe(minimum: Minimum, most: int) -> dict[str, Any]:
    return {
        "steps": minimum.steps,
        "stopped_early": minimum.steps < most,
        "losses": [float(loss) for loss in minimum.losses],
    }


def _check_image(image: np.ndarray, config: RetargetConfig) -> tuple[jax.Array, jax.Array | None]:
    """The photo's pixels, float32 [*, *, 3] in [0, 255], and its opacity, float32 [*, *] in [0, 1], padded."""
    if image.ndim != 3 or image.shape[-1] not in (3, 4) or not (image.dtype == np.uint8 or image.dtype.kind == "f"):
        raise ValueError(f"image is {image.dtype} {image.shape}: give uint8 or float [height, width, 3 or 4]")
    smallest = tap_stride(config.taps[-1])
    for side, pixels in zip(("height", "width"), image.shape, strict=False):
        if pixels < smallest:
            raise ValueError(
                f"the photo's {side} is {pixels} pixels: tap {config.taps[-1]} needs at least {smallest} on both sides;"
                " name shallower taps for a smaller photo, or leave the choice to taps=auto"
            )
    photo = np.asarray(image, np.float32)
    if not (np.isfinite(photo).all() and photo.min() >= 0 and photo.max() <= 255):
        raise ValueError("image holds values outside [0, 255]: scale it to that range")
    shape = bucket_shape((photo.shape[0], photo.shape[1]))
    alpha = jnp.asarray(pad(photo[..., 3] / 255, shape)) if photo.shape[-1] == 4 else None
    return jnp.asarray(pad(photo[..., :3], shape)), alpha


def check_target(target: tuple[int, int], size: tuple[int, int]) -> None:
    """Raises ValueError for a (height, width) that a photo of `size` cannot be brought to."""
    for name, wanted, has in zip(("height", "width"), target, size, strict=True):
        if not 1 <= wanted <= LARGEST_GROWTH * has:
            raise ValueError(
                f"the target {name} is {wanted}: it must be from 1 to {LARGEST_GROWTH} times the photo's {has} pixels"
            )


def _check_taps(config: RetargetConfig, weights: Weights, *, needs_pixels: bool) -> None:
    weights.network.check_taps(config.taps)
    if needs_pixels and tap_stride(config.taps[0]) != 1:
        raise ValueError(f"masks and transparency need a full-resolution tap first, not {config.taps[0]}")
