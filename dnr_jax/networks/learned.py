"""The learned network: the embedded network's block 1, and deep blocks trained to see what a photo is of.

Trained without human labels by `scripts/train_embedded.py`. Taps and strides are VGG19's; block 1 is the analytic
network's, so that reconstruction is the same with either. Blocks 4 and 5 see features and, beside them, how far these
and the analytic network's colours and energies stand out from the photo's own border.
"""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

from dnr_jax.networks.analytic import (
    COLOUR_BIAS,
    binomial,
    block1_conv1,
    block1_conv2,
    border_contrast,
    border_ring,
    colour_and_energy,
)
from dnr_jax.networks.convolution import convolve
from dnr_jax.networks.network import FeatureModule
from dnr_jax.networks.parameters import bias_of, kernel_of
from dnr_jax.networks.taps import TAPS, levels_of, tap_depth
from dnr_jax.networks.vgg import max_pool
from dnr_jax.padding import Size, valid_mask

BLOCK1_CHANNELS = 16
CONTRAST_CHANNELS = 11
FEATURE_GAIN = 8.0
FLOOR_SHARE = 0.2
LARGEST_SCORE = 6.0
SMOOTHING = {4: (1, 1, 1), 5: (1, 2, 1)}
"""Dilations of the analytic network's binomials in blocks 4 and 5."""
LAST_TAPS = ("block4_conv4", "block4_pool", "block5_conv4", "block5_pool")


class RectifiedConvolution(nn.Module):
    """A 3x3 SAME convolution with bias and ReLU, [b, h, w, c] -> [b, h, w, channels]."""

    channels: int
    dilation: int = 1
    precision: str = "float32"

    @nn.compact
    def __call__(self, x: Float32[Array, "b h w _"]) -> Float32[Array, "b h w _"]:
        kernel = kernel_of(self, 3, 3, x.shape[-1], self.channels)
        bias = bias_of(self, self.channels)
        convolved = convolve(x, kernel, dilation=self.dilation, precision=self.precision)
        return nn.relu(convolved + bias.reshape(1, 1, 1, -1))


class Learned(FeatureModule):
    """Learned features behind VGG19's interface.

    Attributes:
      widths: channels of blocks 2 to 5.
      dilations: the dilation of each of the four convolutions of blocks 4 and 5.
      contrast: whether blocks 4 and 5 also see the analytic network's 11 channels of contrast against the border.
      contrast_gain: times which these channels, smoothed as there, follow the learned ones in the last taps of block 4
        and block 5, so that Eq. 1 is the root of both norms' squares; 0 leaves them out.
      layer: makes a layer for [b, h, w, c] from (channels, dilation, precision, name=).
      precision: how exactly the convolutions' inputs are kept, as in `convolve`.
    """

    whole_from: ClassVar[str | None] = "block4_conv1"

    widths: tuple[int, ...] = (24, 48, 96, 96)
    dilations: tuple[tuple[int, ...], ...] = ((1, 2, 2, 1), (1, 2, 4, 1))
    contrast: bool = True
    contrast_gain: float = 0.0
    layer: Callable[..., nn.Module] = RectifiedConvolution
    precision: str = "float32"

    @nn.compact
    def __call__(
        self, image: Float32[Array, "*b h w 3"], taps: tuple[str, ...], size: Size | None = None
    ) -> dict[str, Float32[Array, "*b _ _ _"]]:
        """Evaluates no further than the deepest of `taps`.

        Arguments and result are those of `VGG.__call__`; a batch of images [B, H, W, 3] of one size gives batches.
        """
        batched = image.ndim == 4
        last = max(tap_depth(tap) for tap in taps)
        x = image if batched else image[None]
        contrast = smooth = None
        activations = {}

        def each(function: Callable[..., jax.Array], values: jax.Array) -> jax.Array:
            return jax.vmap(lambda one: function(one, size=size))(values)

        for level in levels_of(TAPS[: last + 1]):
            tap, block, conv = level.tap, level.block, level.layer
            if tap == "block1_conv1":
                x = each(partial(block1_conv1, precision=self.precision), x)
            elif tap == "block1_conv2":
                x = each(partial(block1_conv2, precision=self.precision), x)
            elif conv == "pool":
                x = jax.vmap(max_pool)(x)
                size = None if size is None else (size[0] >> 1, size[1] >> 1)
                if block == 1 and last >= tap_depth("block4_conv1") and (self.contrast or self.contrast_gain):
                    contrast = smooth = each(_contrast, x)
                elif block >= 4 and contrast is not None and smooth is not None:
                    contrast, smooth = jax.vmap(max_pool)(contrast), jax.vmap(max_pool)(smooth)
            else:
                features = x
                if tap == "block2_conv1":
                    features = jnp.concatenate([nn.relu(x[..., :6] - COLOUR_BIAS), x[..., 6:]], -1)
                elif block >= 4 and conv == "conv1":
                    parts = [FEATURE_GAIN * x, each(border_score, x)]
                    if self.contrast and contrast is not None:
                        parts.append(contrast)
                    features = jnp.concatenate(parts, -1)
                dilation = self.dilations[block - 4][int(conv[4:]) - 1] if block >= 4 else 1
                x = self.layer(self.widths[block - 2], dilation, self.precision, name=tap)(each(_inside, features))
            x = each(_inside, x)
            if conv == "conv4" and block >= 4 and self.contrast_gain and smooth is not None:
                for dilation in SMOOTHING[block]:
                    smooth = each(partial(_smoothed, dilation=dilation), smooth)
            if tap in taps:
                seen = x
                if smooth is not None and self.contrast_gain and tap in LAST_TAPS:
                    seen = jnp.concatenate([x, self.contrast_gain * each(_inside, smooth)], -1)
                activations[tap] = seen if batched else seen[0]
        return activations


def border_score(x: Float32[Array, "h w c"], *, size: Size | None = None) -> Float32[Array, "h w c"]:
    """How many deviations each feature is from its mean along the photo's border, [h, w, c] -> [h, w, c], clipped.

    `z = (x - mu) / root(sigma^2 + (rms / 5)^2 + 1e-6)`; mu and sigma over a ring of 8 % of the size, rms over the map.
    """
    ring = border_ring(x.shape, size)
    inside = jnp.ones_like(ring) if size is None else valid_mask(x.shape, size).astype(jnp.float32)
    total = jnp.sum(ring)
    mean = jnp.sum(x * ring, (0, 1), keepdims=True) / total
    variance = jnp.sum(jnp.square(x - mean) * ring, (0, 1), keepdims=True) / total
    square = jnp.sum(jnp.square(x) * inside, (0, 1), keepdims=True) / jnp.sum(inside)
    z = (x - mean) / jnp.sqrt(variance + FLOOR_SHARE**2 * square + 1e-6)
    return jnp.clip(z, -LARGEST_SCORE, LARGEST_SCORE)


def _contrast(x: jax.Array, size: Size | None) -> jax.Array:
    """The analytic network's channels of `border_contrast`, [h, w, 16] of block1_pool -> [h // 4, w // 4, 11]."""
    x = colour_and_energy(x)
    for binomials in (2, 4):
        for _ in range(binomials):
            x = binomial(x, size=size)
        x = max_pool(x)
        size = None if size is None else (size[0] >> 1, size[1] >> 1)
    return border_contrast(x, size=size)


def _smoothed(x: jax.Array, size: Size | None, dilation: int) -> jax.Array:
    return binomial(x, size=size, dilation=dilation)


def _inside(x: jax.Array, size: Size | None) -> jax.Array:
    return x if size is None else jnp.where(valid_mask(x.shape, size), x, 0)
