"""Measures whether dnr_jax and the PyTorch reference compute the same, without which no ratio of times means anything.

`dnr_jax_outputs` and `reference_outputs` run each side stage by stage as plain NumPy; `parity` compares the two. Seams
are found by both from the same importance maps (dnr_jax's): the two frameworks' features differ in their last digits,
and a tie that those decide is nobody's error. The share of kept columns that agree when each side follows its own
features is reported beside. Loss and gradients are taken at the start of the reconstruction, the refinement's at seeded
displacements of up to 1.5 pixels, a quarter of them 0; the warp is compared on the same image.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from dnr_jax.config import RetargetConfig
    from dnr_jax.weights import Weights
    from torch_reference.reference import Reference

TOLERANCES = {
    "features": 1e-4,
    "seams": 0.0,
    "start": 1e-3,
    "loss": 1e-3,
    "gradient": 1e-3,
    "refinement_loss": 1e-3,
    "refinement_gradient": 1e-3,
    "warp": 1e-3,
    "image": 1.0,
}
"""The largest difference of each stage that passes: relative for features, loss and gradients; for seams the share of
kept indices that differ; mean grey levels for start, warp and image."""


class Outputs(NamedTuple):
    """What one side computes, stage by stage.

    Attributes:
      features: the features F_l by tap, float32 [h_l, w_l, C].
      seams: the kept indices K_l of each pass and level in order, from importance maps that both sides share; int
        [h_l, w_l - n_l].
      own_seams: the kept indices that follow from the side's own features, of the same shapes.
      start: the image that the reconstruction begins with, float32 [H_mid, W_mid, 3].
      loss: the loss (Eq. 4) of `start`.
      gradient: the gradient of that loss, [H_mid, W_mid, 3].
      refinement_loss: the loss of `start` sampled at displacements that both sides share.
      refinement_gradient: its gradient with respect to the displacements, [H_mid, W_mid, 2].
      warp: `start` warped to the target, [H', W', 3].
      image: the result of the whole method without early stopping, [H', W', 3].
    """

    features: dict[str, np.ndarray]
    seams: list[np.ndarray]
    own_seams: list[np.ndarray]
    start: np.ndarray
    loss: float
    gradient: np.ndarray
    refinement_loss: float
    refinement_gradient: np.ndarray
    warp: np.ndarray
    image: np.ndarray


def parity(ours: Outputs, reference: Outputs) -> dict[str, Any]:
    """Compares two sides' outputs.

    Returns:
      For each of TOLERANCES {"difference", "tolerance", "ok"}; "own_seams_equal", the share of kept indices that agree
      when each side follows its own features; "ok", whether everything is within its tolerance.
    """
    differences = {
        "features": max(
            (_relative_peak(ours.features.get(tap), values) for tap, values in reference.features.items()),
            default=float("inf"),
        ),
        "seams": 1 - equal_share(ours.seams, reference.seams),
        "start": _mean_difference(ours.start, reference.start),
        "loss": _relative_norm(np.asarray(ours.loss), np.asarray(reference.loss)),
        "gradient": _relative_norm(ours.gradient, reference.gradient),
        "refinement_loss": _relative_norm(np.asarray(ours.refinement_loss), np.asarray(reference.refinement_loss)),
        "refinement_gradient": _relative_norm(ours.refinement_gradient, reference.refinement_gradient),
        "warp": _mean_difference(ours.warp, reference.warp),
        "image": _mean_difference(ours.image, reference.image),
    }
    # A difference that is not a number is within no tolerance.
    report: dict[str, Any] = {
        stage: {"difference": float(differences[stage]), "tolerance": limit, "ok": bool(differences[stage] <= limit)}
        for stage, limit in TOLERANCES.items()
    }
    report["ok"] = all(report[stage]["ok"] for stage in TOLERANCES)
    report["own_seams_equal"] = equal_share(ours.own_seams, reference.own_seams)
    return report


def equal_share(ours: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> float:
    """The share of kept indices that agree over all maps; 0 for a map whose shape does not."""
    if len(ours) != len(reference):
        return 0.0
    pairs = list(zip(ours, reference, strict=True))
    equal = sum(int((a == b).sum()) for a, b in pairs if a.shape == b.shape)
    total = sum(b.size for _, b in pairs)
    return equal / total if total else 1.0


def _relative_peak(ours: np.ndarray | None, reference: np.ndarray) -> float:
    """The largest difference over the largest magnitude."""
    if ours is None or ours.shape != reference.shape:
        return float("inf")
    return float(np.abs(_double(ours) - reference).max() / max(np.abs(reference).max(), 1e-30))


def _relative_norm(ours: np.ndarray, reference: np.ndarray) -> float:
    """The norm of the difference over the norm of the reference."""
    if ours.shape != reference.shape:
        return float("inf")
    return float(np.linalg.norm(_double(ours) - reference) / max(np.linalg.norm(_double(reference)), 1e-30))


def _mean_difference(ours: np.ndarray, reference: np.ndarray) -> float:
    return float(np.abs(_double(ours) - reference).mean()) if ours.shape == reference.shape else float("inf")


def _double(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, np.float64)


def displacements(size: tuple[int, int]) -> np.ndarray:
    """The displacements at which the refinement is compared, float32 [H, W, 2] in pixels."""
    rng = np.random.default_rng(0)
    shift = rng.uniform(-1.5, 1.5, (*size, 2))
    return np.where(rng.uniform(size=(*size, 1)) < 0.25, 0, shift).astype(np.float32)


def dnr_jax_outputs(
    image: np.ndarray, target: tuple[int, int], config: "RetargetConfig", weights: "Weights"
) -> tuple[Outputs, list[np.ndarray]]:
    """dnr_jax's outputs, and its importance maps, which `reference_outputs` takes.

    Args:
      image: the photo, [H, W, 3], RGB in [0, 255].
      target: the (height, width) wanted, no side above the photo's.
      config: the options, with init "seam"; nothing stops early here, whatever their tolerance.
      weights: a network of VGG19's shape, and where it comes from.
    """
    import dataclasses

    import jax
    import jax.numpy as jnp

    from dnr_jax.padding import fit, traced_size
    from dnr_jax.pipeline import retarget
    from dnr_jax.planning.importance import analyse
    from dnr_jax.planning.numbers import traced_numbers
    from dnr_jax.planning.passes import Pass
    from dnr_jax.planning.plan import apply_warps, make_plan
    from dnr_jax.rendering.reconstruct import FeatureLoss
    from dnr_jax.rendering.refine import SampledLoss, SampledTargets
    from dnr_jax.rendering.render import prepare

    def kept(passes: Sequence[Pass]) -> list[np.ndarray]:
        maps = []
        for step in passes:
            height = step.size[0] if step.side == "width" else step.size[1]
            for level, seams in zip(config.levels, step.carving.levels, strict=True):
                maps.append(np.asarray(seams.kept)[: height // level.stride, : int(seams.width)])
        return maps

    photo = jnp.asarray(image, jnp.float32)
    size = (image.shape[0], image.shape[1])
    analysis = analyse(weights.network, photo, config.taps, config.taps)
    plan = make_plan(analysis.importance, size, target, config)
    (rows, columns), canvas = plan.mid, plan.canvas
    targets, start, _ = prepare(
        weights.network,
        analysis.features,
        photo,
        plan.passes,
        traced_size(size),
        traced_size(plan.mid),
        traced_numbers(config),
        canvas=canvas,
        config=config,
        near_joints=False,
    )
    feature_loss = FeatureLoss(config.loss_taps, config.loss)
    loss, gradient = jax.jit(jax.value_and_grad(feature_loss))(start, targets)
    shift = fit(jnp.asarray(displacements(plan.mid)), canvas)
    sampled = SampledTargets(start, targets)
    sampled_loss, sampled_gradient = jax.jit(jax.value_and_grad(SampledLoss(feature_loss)))(shift, sampled)
    whole = retarget(np.asarray(photo), target, dataclasses.replace(config, tolerance=0.0), weights)
    outputs = Outputs(
        features={tap: np.asarray(values) for tap, values in analysis.features.items()},
        seams=kept(plan.passes),
        own_seams=kept(whole.passes),
        start=np.asarray(start)[:rows, :columns],
        loss=float(loss),
        gradient=np.asarray(gradient)[:rows, :columns],
        refinement_loss=float(sampled_loss),
        refinement_gradient=np.asarray(sampled_gradient)[:rows, :columns],
        warp=np.asarray(apply_warps(start, plan))[: target[0], : target[1]],
        image=whole.image,
    )
    return outputs, [np.asarray(values) for values in analysis.importance]


def reference_outputs(
    reference: "Reference",
    image: np.ndarray,
    target: tuple[int, int],
    config: "RetargetConfig",
    importance: Sequence[np.ndarray],
) -> Outputs:
    """The PyTorch reference's outputs; both sides find their seams on `importance`, from `dnr_jax_outputs`."""

    def kept(passes: Sequence[Any]) -> list[np.ndarray]:
        return [kept.cpu().numpy() for step in passes for kept in step.kept]

    if config.importance_percentile == "auto" or config.objects != "none" or config.warp != "grid":
        raise ValueError("the reference is the paper's: give importance_percentile a number, objects=none, warp=grid")
    if config.optimise != "everywhere":
        raise ValueError("the reference optimises all pixels: give optimise=everywhere")
    photo = np.asarray(image, np.float32)
    features = reference.features(photo)
    plan = reference.seams(
        importance,
        (image.shape[0], image.shape[1]),
        target,
        percentile=config.importance_percentile,
        alpha=config.alpha,
        region=config.region,
    )
    terms: Mapping[str, Any] = {"loss": config.loss, "loss_weights": config.positive_loss_weights}
    targets, start = reference.gather(features, photo, plan, config.loss_taps)
    loss, gradient = reference.loss_gradient(start, targets, **terms)
    sampled = reference.refinement_gradient(start, displacements(plan.mid), targets, **terms)
    options: dict[str, Any] = reference_options(config) | {"tolerance": 0.0}
    whole = reference.retarget(photo, target, **options)
    return Outputs(
        features={tap: values[0].permute(1, 2, 0).cpu().numpy() for tap, values in features.items()},
        seams=kept(plan.passes),
        own_seams=kept(whole.plan.passes),
        start=start.cpu().numpy(),
        loss=float(loss),
        gradient=gradient.cpu().numpy(),
        refinement_loss=float(sampled[0]),
        refinement_gradient=sampled[1].cpu().numpy(),
        warp=reference.warp(start, plan, cell=config.warp_cell).cpu().numpy(),
        image=whole.image if isinstance(whole.image, np.ndarray) else whole.image.cpu().numpy(),
    )


_ONLY = {"objects": "none", "warp": "grid", "optimise": "everywhere"}
"""The only values of some options that the reference knows: the paper's method, on all pixels."""


def reference_options(config: "RetargetConfig") -> dict[str, Any]:
    """The keyword options of `Reference.retarget` for a config.

    Raises:
      ValueError: the config asks for what the reference cannot do.
    """
    import dataclasses
    import inspect

    from torch_reference.reference import Reference

    options = dataclasses.asdict(config)
    taken = inspect.signature(Reference.retarget).parameters
    # Its taps are its own, and the others change nothing in what both compute.
    apart = {"taps", "snapshot_every", "seed", "seam_kernel", "most_crop"}
    for field in dataclasses.fields(config):
        only = _ONLY.get(field.name, field.default)
        if field.name not in taken and field.name not in apart and options[field.name] != only:
            raise ValueError(f"the PyTorch reference has no {field.name}: leave it at {only}")
    return {name: value for name, value in options.items() if name in taken}
