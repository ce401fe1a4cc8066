# pyright: reportMissingImports=false
"""The stages of one retargeting as functions to be timed by themselves, for dnr_jax and for the PyTorch reference.

Every function returns only once its result is there.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from torch_reference.parity import reference_options

if TYPE_CHECKING:
    from dnr_jax.config import RetargetConfig
    from dnr_jax.weights import Weights
    from torch_reference.reference import Reference

STAGES = ("features", "seams", "gather", "reconstruct", "refine", "warp", "end_to_end")
OPTIMISATIONS = ("reconstruct", "refine")


class Stages(NamedTuple):
    """The stages of one side.

    Attributes:
      run: the function of each stage, by name, in the order of STAGES.
      steps: how many steps the last run of each optimisation really made.
      all_seams: a function that finds the seams of all levels, with nothing left to the warp.
    """

    run: dict[str, Callable[[], Any]]
    steps: dict[str, int]
    all_seams: Callable[[], Any]


def random_vgg19(seed: int = 0) -> "Weights":
    """VGG19 with variance-preserving random weights: the size and arithmetic of the real one."""
    import jax.numpy as jnp

    from dnr_jax.networks.network import Network
    from dnr_jax.networks.taps import CONV_LAYERS, Level
    from dnr_jax.networks.vgg import VGG
    from dnr_jax.weights import Provenance, Weights

    rng = np.random.default_rng(seed)
    params, channels = {}, 3
    for layer in CONV_LAYERS:
        width = VGG.widths[Level(layer).block - 1]
        kernel = rng.normal(0, (2 / (9 * channels)) ** 0.5, (3, 3, channels, width)).astype(np.float32)
        params[layer] = {"kernel": jnp.asarray(kernel), "bias": jnp.zeros(width, jnp.float32)}
        channels = width
    return Weights(Network(params, VGG()), Provenance("vgg19-random", "random", "", ""))


def synthetic_photo(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Draws a photo of smooth noise with fine texture, uint8 [H, W, 3]."""
    import PIL.Image

    rng = np.random.default_rng(seed)
    coarse = PIL.Image.fromarray(rng.integers(0, 256, (size[0] // 16 + 1, size[1] // 16 + 1, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((size[1], size[0]), PIL.Image.Resampling.BICUBIC), np.float32)
    return np.clip(smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)


def dnr_jax_stages(photo: np.ndarray, target: tuple[int, int], config: "RetargetConfig", weights: "Weights") -> Stages:
    """The stages of dnr_jax, each with the results of the one before it as input.

    Args:
      photo: the photo, uint8 [H, W, 3].
      target: the (height, width) wanted.
      config: the options; with a tolerance above 0 both sides may stop early.
      weights: the network, and where it comes from.
    """
    import jax
    import jax.numpy as jnp

    from dnr_jax.padding import traced_size
    from dnr_jax.pipeline import retarget
    from dnr_jax.planning.carve import carve_width
    from dnr_jax.planning.importance import analyse
    from dnr_jax.planning.numbers import traced_numbers
    from dnr_jax.planning.plan import apply_warps, make_plan
    from dnr_jax.rendering.optimise import Schedule
    from dnr_jax.rendering.reconstruct import FeatureLoss, reconstruct
    from dnr_jax.rendering.refine import refine
    from dnr_jax.rendering.render import prepare

    ready, network = jax.block_until_ready, weights.network
    image = jnp.asarray(photo, jnp.float32)
    analysis = ready(analyse(network, image, config.taps, config.loss_taps))
    size = (photo.shape[0], photo.shape[1])
    plan = make_plan(analysis.importance, size, target, config)

    def gather() -> tuple[Any, jax.Array]:
        options: Any = {"canvas": plan.canvas, "config": config, "near_joints": False}
        sizes = traced_size(size), traced_size(plan.mid)
        prepared = prepare(network, analysis.features, image, plan.passes, *sizes, traced_numbers(config), **options)
        return ready((prepared.targets, prepared.start))

    targets, start = gather()
    loss, steps = FeatureLoss(config.loss_taps, config.loss), {}
    cosine = config.rate_schedule == "cosine"

    def run_reconstruct() -> jax.Array:
        schedule = Schedule(config.reconstruct_steps, config.reconstruct_rate, cosine, config.tolerance)
        minimum = reconstruct(loss, start, targets, schedule)
        steps["reconstruct"] = minimum.steps
        return ready(minimum.value)

    def run_refine() -> jax.Array:
        schedule = Schedule(config.refine_steps, config.refine_rate, cosine, config.tolerance)
        minimum = refine(loss, start, targets, schedule)
        steps["refine"] = minimum.steps
        return ready(minimum.value)

    def all_seams() -> Any:
        wanted = (jnp.int32(size[0]), jnp.int32(size[1])), jnp.int32(target[1])
        inf, alpha = jnp.float32(np.inf), jnp.float32(config.alpha)
        return ready(carve_width(analysis.importance, *wanted, inf, alpha, taps=config.taps, region=config.region))

    run = {
        "features": lambda: ready(analyse(network, image, config.taps, config.loss_taps)),
        "seams": lambda: make_plan(analysis.importance, size, target, config),
        "gather": gather,
        "reconstruct": run_reconstruct,
        "refine": run_refine,
        "warp": lambda: ready(apply_warps(start, plan)),
        "end_to_end": lambda: retarget(photo, target, config, weights),
    }
    return Stages(run, steps, all_seams)


def torch_stages(
    photo: np.ndarray, target: tuple[int, int], config: "RetargetConfig", reference: "Reference"
) -> Stages:
    """The stages of the PyTorch reference; takes the photo, target and config that `dnr_jax_stages` takes."""
    import torch

    def ready(value: Any) -> Any:
        if reference.device.type == "cuda":
            torch.cuda.synchronize(reference.device)
        return value

    image = np.asarray(photo, np.float32)
    size = (photo.shape[0], photo.shape[1])
    seam_options: Mapping[str, Any] = {"alpha": config.alpha, "region": config.region}
    features = reference.features(image)
    importance = reference.importance(features)
    plan = reference.seams(importance, size, target, percentile=float(config.importance_percentile), **seam_options)
    targets, start = reference.gather(features, image, plan, config.loss_taps)
    schedule: dict[str, Any] = {"cosine": config.rate_schedule == "cosine", "tolerance": config.tolerance}
    schedule |= {"loss": config.loss, "loss_weights": config.positive_loss_weights}
    steps: dict[str, int] = {}

    def run_reconstruct() -> Any:
        options = {"steps": config.reconstruct_steps, "rate": config.reconstruct_rate}
        value, losses = reference.reconstruct(start, targets, **options, **schedule)
        steps["reconstruct"] = len(losses) - 1
        return ready(value)

    def run_refine() -> Any:
        value, losses = reference.refine(start, targets, steps=config.refine_steps, rate=config.refine_rate, **schedule)
        steps["refine"] = len(losses) - 1
        return ready(value)

    run = {
        "features": lambda: ready(reference.importance(reference.features(image))),
        "seams": lambda: ready(
            reference.seams(importance, size, target, percentile=float(config.importance_percentile), **seam_options)
        ),
        "gather": lambda: ready(reference.gather(features, image, plan, config.loss_taps)),
        "reconstruct": run_reconstruct,
        "refine": run_refine,
        "warp": lambda: ready(reference.warp(start, plan, cell=config.warp_cell)),
        "end_to_end": lambda: ready(reference.retarget(photo, target, **reference_options(config))),
    }
    return Stages(
        run, steps, lambda: ready(reference.seams(importance, size, target, percentile=100.0, **seam_options))
    )
