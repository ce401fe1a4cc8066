"""Refinement: shift and interpolate the reconstructed pixels, never change them, for the same loss (Sec. 3.3)."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float32

from dnr_jax.arrays import Image
from dnr_jax.progress import StepProgress
from dnr_jax.rendering.optimise import Minimum, Schedule, minimise
from dnr_jax.rendering.reconstruct import FeatureLoss, FeatureTargets
from dnr_jax.rendering.sampler import sample


class SampledTargets(NamedTuple):
    """The reconstructed image O, float32 [H, W, 3], and what `G(O)` is compared with."""

    image: Image
    targets: FeatureTargets


@dataclasses.dataclass(frozen=True)
class SampledLoss:
    """The feature loss of `G(O)` as a function of the sampler's displacements."""

    loss: FeatureLoss

    def __call__(self, value: Float32[Array, "h w 2"], data: SampledTargets) -> Float32[Array, ""]:
        """The loss for displacements `value`, float32 [H, W, 2] in pixels; a float32 scalar."""
        return self.loss(sample(data.image, value, size=data.targets.size), data.targets)

    def project(self, value: Float32[Array, "h w 2"]) -> Float32[Array, "h w 2"]:
        """Every displacement is allowed: the sampler clamps at the borders."""
        return value


def refine(
    loss: FeatureLoss,
    image: Image,
    targets: FeatureTargets,
    schedule: Schedule,
    *,
    progress: StepProgress | None = None,
) -> Minimum:
    """The displacements, float32 [H, W, 2] in pixels, of least feature loss of `sample(image, displacement)`."""
    start = jnp.zeros((*image.shape[:2], 2), jnp.float32)
    data = SampledTargets(image, targets)
    return minimise(SampledLoss(loss), start, data, schedule, stage="refinement", progress=progress)
