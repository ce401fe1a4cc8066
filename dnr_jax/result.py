"""What `retarget` returns: the retargeted photo, the results of all stages, and the record."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from dnr_jax.config import RetargetConfig
from dnr_jax.planning.objects import object_level
from dnr_jax.planning.passes import Pass
from dnr_jax.planning.plan import Plan
from dnr_jax.planning.sides import AXES
from dnr_jax.planning.warp import Warp
from dnr_jax.rendering.optimise import Minimum
from dnr_jax.rendering.render import Rendering, crop
from dnr_jax.sight import Sight


class Result(NamedTuple):
    """A retargeted photo and how it came about.

    Attributes:
      image: the retargeted photo, [H', W', 3], or with opacity [H', W', 4], in [0, 255]; uint8 for a uint8 photo, else
        float32.
      importance: the importance map S_l of the photo at each tap (Eq. 1), with its priors, float32 [h_l, w_l].
      sight: the objects, faces and words that were found in the photo, or the objects that were given; None with
        objects=none.
      objects: the map that the proportional warp goes by, float32 [h_l, w_l] in [0, 2], above 1 on faces.
      passes: the rounds of seams, in order.
      warps: the warp of each side ("height", "width") that the seams did not bring to its target, or that follows the
        other side.
      start: the image that the reconstruction began with, float32 [H_mid, W_mid, 3] in [0, 255].
      reconstructed: the image that the reconstruction ended with, of the same shape.
      displacement: the sampler's displacements (dy, dx) in pixels, float32 [H_mid, W_mid, 2].
      refined: the sampled image before the warp, float32 [H_mid, W_mid, 3].
      snapshots: (step, image) pairs of the reconstruction, where `snapshot_every` asks for them.
      record: sizes, seams of each level, losses and the seconds of each stage, ready for JSON.

    Example:
      >>> photo = np.full((64, 96, 3), 128, np.uint8)
      >>> config = RetargetConfig(taps=("block1_conv2", "block3_conv4"), keep=("objects",))
      >>> result = retarget(photo, (64, 72), config, load_weights("embedded"))
      >>> result.record["target_size"], [step.side for step in result.passes]
      ((64, 72), ['width'])
    """

    image: Float32[np.ndarray, "_ _ *c"] | UInt8[np.ndarray, "_ _ *c"]
    importance: tuple[Float32[np.ndarray, "_ _"], ...]
    sight: Sight | None
    objects: Float32[np.ndarray, "_ _"]
    passes: tuple[Pass, ...]
    warps: dict[str, Warp]
    start: Float32[np.ndarray, "h w 3"]
    reconstructed: Float32[np.ndarray, "h w 3"]
    displacement: Float32[np.ndarray, "h w 2"]
    refined: Float32[np.ndarray, "h w 3"]
    snapshots: list[tuple[int, Float32[np.ndarray, "h w 3"]]]
    record: dict[str, Any]


def make_result(
    rendering: Rendering,
    plan: Plan,
    sight: Sight | None,
    config: RetargetConfig,
    seconds: dict[str, float],
    eight_bits: bool,
) -> Result:
    """Puts together the result of one photo or frame.

    Args:
      rendering: the rendered image and how the optimisations went.
      plan: the plan that the image was rendered by.
      sight: the objects, faces and words that were found; None with objects=none.
      config: the options, resolved for the photo's size.
      seconds: how long each stage took, by its name.
      eight_bits: whether the image is to be uint8 rather than float32.
    """
    image = rendering.image
    if rendering.alpha is not None:
        image = np.concatenate([image, 255 * rendering.alpha[..., None]], -1)
    image = np.clip(image, 0, 255)
    built, shifted = rendering.reconstruction, rendering.refinement
    return Result(
        image=np.rint(image).astype(np.uint8) if eight_bits else image,
        importance=tuple(
            crop(values, level.size(plan.size)) for level, values in zip(config.levels, plan.importance, strict=True)
        ),
        sight=sight,
        objects=crop(plan.objects, object_level(config.taps).size(plan.size)),
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
            "warps": {side: describe_warp(warp, plan.mid[AXES[side]]) for side, warp in plan.warps.items()},
            "taps": config.taps,
            "notes": [*config.tap_notes, *plan.notes],
            "reconstruction": _describe(built, config.reconstruct_steps),
            "refinement": _describe(shifted, config.refine_steps),
            "seconds": seconds,
        },
    )


def _describe_pass(step: Pass, config: RetargetConfig) -> dict[str, Any]:
    """What one round of seams did, for the record."""
    removed = [int(level.removed) for level in step.carving.levels]
    return {
        **describe_round(step.side, removed, config.taps, grow=step.grow),
        "size": step.size,
        "new_size": step.new_size,
        "wanted": step.wanted,
        "damage": step.damage,
    }


def describe_round(side: str, removed: Sequence[int], taps: tuple[str, ...], *, grow: bool) -> dict[str, Any]:
    """What every record says of a round of seams: its side, and how many seams each tap's level lost (or got)."""
    counts = {tap: int(count) for tap, count in zip(taps, removed, strict=True)}
    return {"side": side, "action": "insert" if grow else "remove", "seams": counts}


def describe_warp(warp: Warp, length: int) -> dict[str, Any]:
    """What a warp does to a side of `length` pixels, for the record.

    Returns:
      "cropped", how many pixels go at either end, and "least_scale" and "most_scale", what cells are scaled by.
    """
    old, new = (np.asarray(edges, np.float64) for edges in warp)
    widths = np.diff(old)
    scales = np.diff(new)[widths > 0] / widths[widths > 0]
    return {
        "cropped": [round(float(old[0]), 2), round(float(length - old[-1]), 2)],
        "least_scale": round(float(scales.min()), 4),
        "most_scale": round(float(scales.max()), 4),
    }


def _describe(minimum: Minimum, most: int) -> dict[str, Any]:
    """How an optimisation of at most `most` steps went, for the record."""
    return {
        "steps": minimum.steps,
        "stopped_early": minimum.steps < most,
        "losses": [float(loss) for loss in minimum.losses],
    }
