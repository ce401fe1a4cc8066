"""Reconstruction: find the image whose features match the carved ones (Sec. 3.2, Eq. 4)."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dnr_jax.network import Network
from dnr_jax.optimise import Minimum, Progress, Schedule, minimise
from dnr_jax.taps import tap_stride
from dnr_jax.vgg import Size, valid_mask


class FeatureTargets(NamedTuple):
    """What an image is compared with.

    Attributes:
      network: whose features are compared.
      features: F'_l for each tap of the loss, float32 [h_l, w_l, C], padded.
      size: the valid (height, width) of the image in pixels; padding outside it counts nothing.
      loss_weights: lambda of each tap.
    """

    network: Network
    features: tuple[jax.Array, ...]
    size: Size
    loss_weights: tuple[float | jax.Array, ...]


@dataclasses.dataclass(frozen=True)
class FeatureLoss:
    """`sum_l lambda_l ||F_l(O) - F'_l||_2` (Eq. 4), or with `kind="squared"` the sum of squared norms.

    Only the taps named are evaluated, and the network no further than the deepest of them.
    """

    taps: tuple[str, ...]
    kind: str = "norm"

    def __call__(self, value: jax.Array, data: FeatureTargets) -> jax.Array:
        """The loss of an image `value`, float32 [H, W, 3], whose valid part is `data.size`; a float32 scalar."""
        activations = data.network.features(value, self.taps, data.size)
        total = jnp.float32(0)
        for tap, target, weight in zip(self.taps, data.features, data.loss_weights, strict=True):
            stride = tap_stride(tap)
            inside = valid_mask(target.shape, (data.size[0] // stride, data.size[1] // stride))
            squares = jnp.sum(jnp.square(jnp.where(inside, activations[tap] - target, 0)))
            total += weight * (squares if self.kind == "squared" else _root(squares))
        return total

    def project(self, value: jax.Array) -> jax.Array:
        """Clips an image to [0, 255]."""
        return jnp.clip(value, 0, 255)


def reconstruct(
    loss: FeatureLoss,
    start: jax.Array,
    targets: FeatureTargets,
    schedule: Schedule,
    *,
    snapshot_every: int = 0,
    progress: Progress | None = None,
) -> Minimum:
    """The image of least feature loss, by Adam from `start`, float32 [H, W, 3] in [0, 255] throughout."""
    return minimise(
        loss,
        start,
        targets,
        schedule,
        stage="reconstruction",
        snapshot_every=snapshot_every,
        progress=progress,
    )


def _root(squares: jax.Array) -> jax.Array:
    """The square root, with gradient 0 at 0 (a perfect match) instead of infinity."""
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1)), 0)
