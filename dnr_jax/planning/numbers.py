"""A config in two parts: the options that are traced, and what a compiled program is made for."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float32, UInt32

from dnr_jax.config import RetargetConfig


class Numbers(NamedTuple):
    """The options that are traced, so that other values of them ask for no other program.

    Attributes:
      percentile: what `importance_threshold` takes, float32; 100 where the number of seams is chosen by damage.
      alpha: the factor of Eq. 2, float32.
      centre_prior: what `centre_weight` takes, float32.
      most_crop: what `plan_proportions` takes, float32; 0 for the grid warp, which crops nothing.
      reconstruct_rate: the rate of the reconstruction in grey levels a step, float32.
      refine_rate: the rate of the refinement in pixels a step, float32.
      tolerance: the share of a loss within which it has settled, float32.
      loss_weights: lambda of each tap of the loss, float32.
      seed: the seed of the noise that init=noise starts from, uint32.
    """

    percentile: Float32[Array, ""]
    alpha: Float32[Array, ""]
    centre_prior: Float32[Array, ""]
    most_crop: Float32[Array, ""]
    reconstruct_rate: Float32[Array, ""]
    refine_rate: Float32[Array, ""]
    tolerance: Float32[Array, ""]
    loss_weights: tuple[Float32[Array, ""], ...]
    seed: UInt32[Array, ""]


def traced_numbers(config: RetargetConfig) -> Numbers:
    """The traced options of a config."""
    return Numbers(
        jnp.asarray(100 if config.importance_percentile == "auto" else config.importance_percentile, jnp.float32),
        jnp.asarray(config.alpha, jnp.float32),
        jnp.asarray(config.centre_prior, jnp.float32),
        jnp.asarray(config.crop_share, jnp.float32),
        jnp.asarray(config.reconstruct_rate, jnp.float32),
        jnp.asarray(config.refine_rate, jnp.float32),
        jnp.asarray(config.tolerance, jnp.float32),
        tuple(jnp.asarray(weight, jnp.float32) for weight in config.positive_loss_weights),
        jnp.asarray(config.seed, jnp.uint32),
    )


def program_config(config: RetargetConfig) -> RetargetConfig:
    """The config with all options that no program of the planning is made for at one value: equal for one program.

    Example:
      >>> program_config(RetargetConfig(alpha=0.1, init="noise")) == program_config(RetargetConfig())
      True
    """
    percentile = config.importance_percentile
    return dataclasses.replace(
        config,
        importance_percentile=percentile if percentile == "auto" else 20.0,
        **{name: _DEFAULTS[name] for name in _ELSEWHERE},
    )


# Every config may start from the scaled photo; from seams only one with a full-resolution tap may.
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(RetargetConfig)} | {"init": "linear"}
_ELSEWHERE = (
    *("alpha", "centre_prior", "most_crop", "reconstruct_rate", "refine_rate", "tolerance", "seed"),
    *("objects", "keep", "object_weight", "face_weight", "word_weight"),
    *("init", "loss", "loss_weights", "optimise", "precision", "tones"),
    *("reconstruct_steps", "refine_steps", "rate_schedule", "snapshot_every"),
)
