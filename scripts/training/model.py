"""The learned network as it is trained: with batch norm in every layer, which export folds into plain convolutions.

A training state is a pytree of arrays alone, so that it can be saved and taken up again.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from dnr_jax.networks.learned import Learned
from training.recipe import Recipe

TAPS = ("block2_conv2", "block3_conv4", "block4_conv4", "block5_conv4", "block5_pool")
TAP_WEIGHTS = (0.1, 0.4, 0.8, 1.0, 0.8)
NORM_EPSILON = 1e-5
LAST_GAIN = 0.5


class NormalisedConvolution(nn.Module):
    """A 3x3 SAME convolution without a bias, batch norm and ReLU, from [b, h, w, c] to [b, h, w, channels].

    The last layer of a block, whose norm is an importance, begins with a gain that makes that norm about 1/2.
    """

    channels: int
    dilation: int = 1
    precision: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        last = self.name in TAPS
        gain = LAST_GAIN / (self.channels / 2) ** 0.5 if last else 1.0
        dilation = (self.dilation, self.dilation)
        x = nn.Conv(self.channels, (3, 3), use_bias=False, kernel_dilation=dilation, kernel_init=_init, name="conv")(x)
        # Without momentum the statistics that come back are those of this batch.
        scale_init = nn.initializers.constant(gain)
        norm = nn.BatchNorm(False, momentum=0.0, epsilon=NORM_EPSILON, scale_init=scale_init, name="norm")
        return nn.relu(norm(x))


_init = nn.initializers.he_normal()


def normalised(recipe: Recipe) -> Learned:
    """The network with batch norm, as it is trained: its taps hold the learned channels alone."""
    return Learned(recipe.widths, recipe.dilations, recipe.contrast, layer=NormalisedConvolution)


def exported(recipe: Recipe) -> Learned:
    """The network without batch norm, for parameters that were folded."""
    return Learned(recipe.widths, recipe.dilations, recipe.contrast, recipe.contrast_gain)


def forward(network: Learned, params: Any, images: jax.Array) -> tuple[list[jax.Array], Any]:
    """Runs the network on images, [b, h, w, 3]; gives Eq. 1 of every trained tap, [b, h, w] each, and the statistics of
    the batch in every layer."""
    activations, changed = network.apply({"params": params}, images, TAPS, mutable=["batch_stats"])
    assert isinstance(activations, dict)
    return norms(activations), changed["batch_stats"]


def norms(activations: dict[str, jax.Array]) -> list[jax.Array]:
    """Eq. 1 of every trained tap, [b, h, w] each; finite gradients at 0."""
    return [jnp.sqrt(jnp.sum(jnp.square(activations[tap]), -1) + 1e-8) for tap in TAPS]


def loss_of(maps: list[jax.Array], target: jax.Array, weight: jax.Array) -> jax.Array:
    """`2 MSE + 0.5 (1 - correlation) + 0.5 (1 - soft IoU)` of each tap's norm, summed with `TAP_WEIGHTS`.

    Args:
      maps: the norm of each tap, [b, h, w].
      target: the target of each photo, [b, H, W] in [0, 1].
      weight: the weight of each photo, [b].
    """
    total = jnp.float32(0)
    for tap_weight, n in zip(TAP_WEIGHTS, maps, strict=True):
        stride = target.shape[1] // n.shape[1]
        height, width = n.shape[1:]
        t = target[:, : height * stride, : width * stride].reshape(-1, height, stride, width, stride).mean((2, 4))
        error = jnp.mean(jnp.square(n - t), (1, 2))
        a, b = (v - v.mean((1, 2), keepdims=True) for v in (n, t))
        energy = jnp.sum(a * a, (1, 2)) * jnp.sum(b * b, (1, 2))
        correlation = jnp.sum(a * b, (1, 2)) / jnp.sqrt(energy + 1e-6)
        overlap = jnp.sum(jnp.minimum(n, t), (1, 2)) / (jnp.sum(jnp.maximum(n, t), (1, 2)) + 1e-6)
        each = 2 * error + 0.5 * (1 - correlation) + 0.5 * (1 - overlap)
        total += tap_weight * jnp.sum(weight * each) / jnp.sum(weight)
    return total


def fold(params: dict[str, Any], statistics: dict[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    """Folds batch norm into kernels and biases, which gives the parameters of `Learned`, float32, by layer."""
    layers = {}
    for name in params:
        norm, stats = params[name]["norm"], statistics[name]["norm"]
        scale = np.asarray(norm["scale"]) / np.sqrt(np.asarray(stats["var"]) + NORM_EPSILON)
        kernel = np.asarray(params[name]["conv"]["kernel"]) * scale
        layers[name] = {"kernel": kernel, "bias": np.asarray(norm["bias"]) - np.asarray(stats["mean"]) * scale}
    return layers
