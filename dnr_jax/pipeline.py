"""The whole method, for one target or several, of a photo or an animation. Arrays in, arrays and a record out."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image

from dnr_jax.config import RetargetConfig
from dnr_jax.inputs import check_image, check_target, given_pixels, like_given, seen_pixels, whole_numbers
from dnr_jax.padding import traced_size
from dnr_jax.planning.masks import NO_MASKS, Masks, check_masks
from dnr_jax.planning.plan import lay_groundwork, plan_target
from dnr_jax.program_limit import make_room
from dnr_jax.progress import Progress, Watch, timed
from dnr_jax.rendering.render import loss_features, needs_features, render
from dnr_jax.rendering.tones import match_tones
from dnr_jax.result import Result, make_result
from dnr_jax.sight import ANALYSES, look_at
from dnr_jax.weights import Weights


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
        same seams, displacements and warp, and whose colours, where it hides them, count nothing; or a PIL image of 8
        bits, which is set upright first, as its EXIF says. What `dnr_jax.photos.files.read_photo` reads of a file keeps
        its 16 bits.
      target: the (height, width) in pixels that is wanted, each from 1 to four times the photo's. What a mask removes
        comes off first.
      config: the options.
      weights: the network, from `load_weights`.
      masks: what to protect and what to remove, each bool [H, W].
      progress: called as the long stages advance.

    Returns:
      The image, of the photo's channels; uint8 for a uint8 photo, else float32 in [0, 255]; and how it came about.

    Raises:
      ValueError: an image, target or mask that cannot be served, or taps that the weights do not hold.
      FloatingPointError: the loss of an optimisation is not finite.

    Example:
      >>> photo = np.full((64, 96, 3), 128, np.uint8)
      >>> config = RetargetConfig(taps=("block1_conv2", "block3_conv4"), keep=("objects",))
      >>> retarget(photo, (64, 72), config, load_weights("embedded")).image.shape
      (64, 72, 3)
    """
    (result,) = retarget_to_all(image, [target], config, weights, masks=masks, progress=progress)
    return result


def retarget_to_all(
    image: np.ndarray | PIL.Image.Image,
    targets: Sequence[tuple[int, int]],
    config: RetargetConfig,
    weights: Weights,
    *,
    masks: Masks = NO_MASKS,
    progress: Progress | None = None,
) -> list[Result]:
    """Retargets one photo to several sizes; each result is, bit for bit, what `retarget` gives for that target alone.

    What does not depend on the target is computed once: what is seen in the photo, its features, importance and
    priors, the seams of what is marked for removal; and all of it for targets that are equal. All other seams are found
    for each target, because they do depend on it: those of the deepest level nest, but those of a finer level are
    guided by which deeper ones go, the second side's by what is left of the first, and importance_percentile=auto
    chooses their number by the warp that remains.

    Args:
      image: as for `retarget`.
      targets: the (height, width) in pixels of each result, in any order; at least one.
      config: the options.
      weights: the network, from `load_weights`.
      masks: what to protect and what to remove.
      progress: called as the long stages advance; with several targets their names begin with the size, "40x32 ".

    Returns:
      The results in the order of the targets; `record["seconds"]` has what is computed once where it is first needed.

    Raises:
      ValueError, FloatingPointError: as `retarget` does; targets are checked before any work.

    Example:
      >>> photo = np.full((64, 96, 3), 128, np.uint8)
      >>> config = RetargetConfig(taps=("block1_conv2", "block3_conv4"), keep=("objects",))
      >>> results = retarget_to_all(photo, [(64, 72), (64, 80)], config, load_weights("embedded"))
      >>> [result.image.shape for result in results]
      [(64, 72, 3), (64, 80, 3)]
    """
    given = given_pixels(image)
    found = retarget_frames_to_all([seen_pixels(given)], targets, config, weights, masks=masks, progress=progress)
    return [result._replace(image=like_given(result.image, given)) for (result,) in found]


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

    They are found on the maximum of the frames' importance, and judged on the frame of most contrast. Arguments as for
    `retarget`; frames share one shape.

    Example:
      >>> frames = [np.full((64, 96, 3), grey, np.uint8) for grey in (100, 140)]
      >>> config = RetargetConfig(taps=("block1_conv2", "block3_conv4"), keep=("objects",))
      >>> [result.image.shape for result in retarget_frames(frames, (64, 72), config, load_weights("embedded"))]
      [(64, 72, 3), (64, 72, 3)]
    """
    (results,) = retarget_frames_to_all(frames, [target], config, weights, masks=masks, progress=progress)
    return results


def retarget_frames_to_all(
    frames: Sequence[np.ndarray],
    targets: Sequence[tuple[int, int]],
    config: RetargetConfig,
    weights: Weights,
    *,
    masks: Masks = NO_MASKS,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Iterator[list[Result]]:
    """Retargets all frames of an animation, or the one of a photo, to several sizes, one after the other.

    Gives each target's results as they are ready, so that they can be written and let go before the next. Arguments and
    what is shared as for `retarget_to_all`; the frames of an animation have their features computed again for each
    target, because memory seldom holds those of all. `watch` sees the first frame of each target as it forms.

    Example:
      >>> frames = [np.full((64, 96, 3), grey, np.uint8) for grey in (100, 140)]
      >>> config = RetargetConfig(taps=("block1_conv2", "block3_conv4"), keep=("objects",))
      >>> for results in retarget_frames_to_all(frames, [(64, 72), (64, 80)], config, load_weights("embedded")):
      ...     print(len(results), results[0].image.shape)
      2 (64, 72, 3)
      2 (64, 80, 3)
    """
    if not targets:
        raise ValueError("there is no target: give at least one (height, width)")
    if not frames:
        raise ValueError("there are no frames: give at least one")
    targets = [whole_numbers(target) for target in targets]
    config = config.resolve(frames[0].shape[:2])
    photos = [check_image(frame, config) for frame in frames]
    if any(frame.shape != frames[0].shape for frame in frames):
        raise ValueError("the frames differ in size: give frames of one size")
    size = (frames[0].shape[0], frames[0].shape[1])
    for target in targets:
        check_target(target, size)
    check_masks(masks, size)
    if masks.objects is not None and config.objects == "none":
        raise ValueError("a map of objects is given and objects is none: leave one of them out")
    marked = masks.protect is not None or masks.remove is not None
    _check_taps(config, weights, needs_pixels=marked or frames[0].shape[2] == 4)
    return _retarget([*frames], photos, [*targets], config, weights, masks, progress, watch)


def _retarget(
    frames: list[np.ndarray],
    photos: list[tuple[jax.Array, jax.Array | None]],
    targets: list[tuple[int, int]],
    config: RetargetConfig,
    weights: Weights,
    masks: Masks,
    progress: Progress | None,
    watch: Watch | None,
) -> Iterator[list[Result]]:
    """The method itself; arguments are checked, `photos` are the frames' padded pixels and opacity."""
    size = (frames[0].shape[0], frames[0].shape[1])
    make_room()
    network = weights.network.at_precision(config.precision)
    seconds: dict[str, float] = {}
    pixels = [photo for photo, _ in photos]
    sight, importance = look_at(pixels, size, config, network, masks, progress=progress, seconds=seconds)
    with timed(seconds, "seams"):
        salience = None if sight is None else jnp.asarray(sight.salience)
        # What seams break shows best in the frame of most contrast; the first of many is black.
        clearest = pixels[int(np.argmax([np.std(frame[..., :3]) for frame in frames]))]
        ground = lay_groundwork(importance, size, config, masks=masks, photo=clearest, salience=salience)
        pixels = match_tones(pixels, ground.removals, config)
        photos = [(photo, alpha) for photo, (_, alpha) in zip(pixels, photos, strict=True)]
    if progress is not None:
        progress("analysis", ANALYSES, ANALYSES)
    features = None
    ready: dict[tuple[int, int], list[Result]] = {}
    for number, target in enumerate(targets):
        later = targets[number + 1 :]
        if target in ready:
            yield ready[target] if target in later else ready.pop(target)
            continue
        make_room()
        with timed(seconds, "seams"):
            plan = plan_target(ground, target, config)
        if len(photos) == 1 and later and features is None and needs_features(plan, config):
            with timed(seconds, "features"):
                features = jax.block_until_ready(loss_features(network, photos[0][0], traced_size(size), config))
        results = []
        for frame_number, (frame, (photo, alpha)) in enumerate(zip(frames, photos, strict=True), 1):
            taken = dict(seconds)
            report = progress
            if progress is not None:
                names = [f"{target[1]}x{target[0]}"] * (len(targets) > 1)
                names += [f"frame {frame_number}/{len(frames)}"] * (len(frames) > 1)
                report = partial(_report, progress, names)
            seen = watch if frame_number == 1 else None
            options: Any = {"features": features, "progress": report, "watch": seen, "seconds": taken}
            rendering = render(photo, plan, config, network, alpha=alpha, **options)
            results.append(make_result(rendering, plan, sight, config, taken, frame.dtype == np.uint8))
        if target in later:
            ready[target] = results
        yield results
        seconds = {}


def _report(progress: Progress, names: list[str], stage: str, done: int, most: int) -> None:
    progress(" ".join([*names, stage]), done, most)


def _check_taps(config: RetargetConfig, weights: Weights, *, needs_pixels: bool) -> None:
    weights.network.check_taps(config.taps)
    if needs_pixels and not config.full_resolution:
        raise ValueError(f"masks and transparency need a full-resolution tap first, not {config.taps[0]}")
