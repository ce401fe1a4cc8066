"""Reconstruction: find the image whose features match the carved ones (Sec. 3.2, Eq. 4)."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from dnr_jax.arrays import Image, Number
from dnr_jax.networks import stripes
from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import levels_of
from dnr_jax.padding import Size, valid_mask
from dnr_jax.progress import StepProgress
from dnr_jax.rendering.optimise import Minimum, Objective, Schedule, minimise


class FeatureTargets(NamedTuple):
    """What an image is compared with.

    Attributes:
      network: the network whose features are compared.
      features: F'_l for each tap of the loss, float32 [h_l, w_l, C], padded.
      size: the valid (height, width) of the image in pixels; padding outside it counts nothing.
      loss_weights: lambda of each tap.
    """

    network: Network
    features: tuple[Float[Array, "_ _ _"], ...]
    size: Size
    loss_weights: tuple[Number, ...]


@dataclasses.dataclass(frozen=True)
class FeatureLoss:
    """`sum_l lambda_l ||F_l(O) - F'_l||_2` (Eq. 4), or with `kind="squared"` the sum of squared norms.

    Only the taps named are evaluated, and the network no further than the deepest of them. Images whose activations
    are larger than `limit` bytes are evaluated in row stripes, the gradient along with the loss.
    """

    taps: tuple[str, ...]
    kind: str = "norm"
    limit: int = stripes.LOSS_BYTES

    def __call__(self, value: Float[Array, "h w 3"], data: FeatureTargets) -> Float[Array, ""]:
        """The loss of an image `value`, float32 [H, W, 3], whose valid part is `data.size`; a float32 scalar."""
        channels = max(target.shape[-1] for target in data.features)
        bands = stripes.cut(data.network, value.shape, channels, self.taps, self.limit)
        if bands is None:
            return self._combine(self._squares(value, data), data.loss_weights)
        image = lax.stop_gradient(value)
        return self.from_parts(value, data.loss_weights, lambda slopes: _sum_bands(self, image, data, bands, slopes))

    def from_parts(
        self,
        value: Float[Array, "h w c"],
        weights: tuple[Float[Array, ""] | float, ...],
        sum_parts: Callable[[jax.Array | None], tuple[jax.Array, jax.Array]],
    ) -> Float[Array, ""]:
        """The loss at `value`, with its gradient, where both are sums over parts that are evaluated one by one.

        Args:
          value: what the loss is a function of, float32.
          weights: lambda of each tap.
          sum_parts: called with slopes, float32 [taps], it gives each tap's sum of squares, float32 [taps], and the
            gradient, of `value`'s shape, of their sum weighted by the slopes; called with None, any gradient. It may
            hold nothing that is to be differentiated with respect to `value`.
        """
        slopes = jax.grad(lambda squares: self._combine(squares, weights))
        if self.kind == "squared":
            squares, gradient = sum_parts(slopes(jnp.zeros(len(self.taps))))
        elif len(self.taps) == 1:
            squares, gradient = sum_parts(jnp.ones(1))
            gradient *= slopes(squares)[0]
        else:
            # How the taps' gradients add up depends on their norms, which have to be known first.
            squares, _ = sum_parts(None)
            _, gradient = sum_parts(slopes(squares))
        # A term that is zero and whose gradient is the one just found: nothing is kept for a backward pass.
        return self._combine(squares, weights) + jnp.sum(gradient * (value - lax.stop_gradient(value)))

    def _combine(self, squares: jax.Array, weights: tuple[Float[Array, ""] | float, ...]) -> Float[Array, ""]:
        """The loss from each tap's sum of squares, float32 [taps]."""
        terms = squares if self.kind == "squared" else _root(squares)
        return jnp.sum(terms * jnp.stack([jnp.asarray(weight, terms.dtype) for weight in weights]))

    def _squares(self, value: jax.Array, data: FeatureTargets) -> jax.Array:
        """Each tap's sum of squared differences, float32 [taps]."""
        activations = data.network.features(value, self.taps, size=data.size)
        insides = [
            valid_mask(target.shape, level.size(data.size))
            for target, level in zip(data.features, levels_of(self.taps), strict=True)
        ]
        return sum_squares([activations[tap] for tap in self.taps], data.features, insides)

    def project(self, value: Float[Array, "h w 3"]) -> Float[Array, "h w 3"]:
        """Clips an image to [0, 255]."""
        return jnp.clip(value, 0, 255)


def reconstruct(
    loss: Objective,
    start: Image,
    targets: Any,
    schedule: Schedule,
    *,
    snapshot_every: int = 0,
    progress: StepProgress | None = None,
    watch: Callable[[jax.Array], None] | None = None,
) -> Minimum:
    """The image of least feature loss, by Adam from `start`, float32 [H, W, 3] in [0, 255] throughout.

    `targets` are what the loss compares with: `FeatureTargets` for a `FeatureLoss`.
    """
    return minimise(
        loss,
        start,
        targets,
        schedule,
        stage="reconstruction",
        snapshot_every=snapshot_every,
        progress=progress,
        watch=watch,
    )


def sum_squares(
    activations: Sequence[Float[Array, "_ _ _"]],
    targets: Sequence[Float[Array, "_ _ _"]],
    insides: Sequence[Bool[Array, "_ _ 1"]],
) -> Float[Array, " taps"]:
    """Each tap's sum of squared differences, float32 [taps], over the neurons that are inside."""
    return jnp.stack(
        [
            jnp.sum(jnp.square(jnp.where(inside, activation - target, 0)))
            for activation, target, inside in zip(activations, targets, insides, strict=True)
        ]
    )


def _sum_bands(
    loss: FeatureLoss, image: jax.Array, data: FeatureTargets, bands: stripes.Stripes, slopes: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """Each tap's sum of squares, float32 [taps], and the gradient of their sum weighted by `slopes`; 0 for None."""
    padded = stripes.pad_rows(image, bands.height)

    def add_band(sums: tuple[jax.Array, jax.Array], index: jax.Array) -> tuple[tuple[jax.Array, jax.Array], None]:
        squares, gradient = sums
        first = bands.window_start(index)

        def band_squares(window: jax.Array) -> jax.Array:
            found = data.network.features(window, loss.taps, size=(data.size[0] - first, data.size[1]))
            activations, targets, insides = [], [], []
            for level, target in zip(levels_of(loss.taps), data.features, strict=True):
                place, rows = bands.band_start(index, level.stride, target.shape[0]), bands.rows // level.stride
                activations.append(lax.dynamic_slice_in_dim(found[level.tap], place - first // level.stride, rows))
                targets.append(lax.dynamic_slice_in_dim(target, place, rows))
                # The last band overlaps the one before it: a row counts once.
                fresh = (place + jnp.arange(rows) >= index * rows)[:, None, None]
                height, width = level.size(data.size)
                insides.append(fresh & valid_mask(targets[-1].shape, (height - place, width)))
            return sum_squares(activations, targets, insides)

        window = lax.dynamic_slice_in_dim(padded, first, bands.window)
        if slopes is None:
            return (squares + band_squares(window), gradient), None
        here, pull = jax.vjp(band_squares, window)
        before = lax.dynamic_slice_in_dim(gradient, first, bands.window)
        gradient = lax.dynamic_update_slice_in_dim(gradient, before + pull(slopes)[0], first, 0)
        return (squares + here, gradient), None

    start = (jnp.zeros(len(loss.taps), jnp.float32), jnp.zeros_like(padded))
    (squares, gradient), _ = lax.scan(add_band, start, jnp.arange(bands.count))
    return squares, gradient[: image.shape[0]]


def _root(squares: jax.Array) -> jax.Array:
    """The square root, with gradient 0 at 0 (a perfect match) instead of infinity; NaN stays NaN."""
    zero = squares == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, squares)))
