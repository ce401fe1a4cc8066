"""VGG19's convolutional part as a Flax module that returns named activations.

Widths and preprocessing are data that come with the weights: Keras's VGG19 wants BGR minus the ImageNet means in
0..255, torchvision's wants RGB in 0..1 with mean and standard deviation, and a smaller network of the same shape runs
through the same code.
"""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from dnr_jax.networks.convolution import convolve
from dnr_jax.networks.network import FeatureModule
from dnr_jax.networks.parameters import bias_of, kernel_of
from dnr_jax.networks.taps import CONVS_PER_BLOCK, tap_depth
from dnr_jax.padding import Size, valid_mask

VGG19_WIDTHS = (64, 128, 256, 512, 512)


class Preprocessing(NamedTuple):
    """What turns an RGB image in [0, 255] into a network's input: `(image[order] * scale - mean) / std`.

    `order` is "rgb" or "bgr"; `mean` and `std` have one value per channel in that order.
    """

    order: str
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, image: Float[Array, "*shape 3"]) -> Float[Array, "*shape 3"]:
        ordered = image[..., ::-1] if self.order == "bgr" else image
        mean = jnp.asarray(self.mean, image.dtype).reshape((1,) * (image.ndim - 1) + (3,))
        std = jnp.asarray(self.std, image.dtype).reshape(mean.shape)
        return (ordered * self.scale - mean) / std


KERAS_PREPROCESSING = Preprocessing("bgr", 1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))
TORCHVISION_PREPROCESSING = Preprocessing("rgb", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def max_pool(x: Float[Array, "h w c"]) -> Float[Array, "_ _ c"]:
    """2x2 max pooling with stride 2 and VALID padding, [h, w, c] -> [h // 2, w // 2, c]."""
    height, width, channels = x.shape[0] // 2, x.shape[1] // 2, x.shape[2]
    return x[: 2 * height, : 2 * width].reshape(height, 2, width, 2, channels).max((1, 3))


class Convolution(nn.Module):
    """A 3x3 SAME convolution with bias, [h, w, c] -> [h, w, channels]; `precision` as in `convolve`."""

    channels: int
    precision: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "h w _"]) -> Float[Array, "h w _"]:
        kernel = kernel_of(self, 3, 3, x.shape[-1], self.channels)
        bias = bias_of(self, self.channels)
        return convolve(x[None], kernel, precision=self.precision)[0] + bias.reshape(1, 1, -1)


class VGG(FeatureModule):
    """VGG19's five convolutional blocks (Simonyan and Zisserman, 2015); 3x3 SAME convolutions with zero padding.

    Attributes:
      widths: channels of each block's convolutions.
      preprocessing: what the weights were trained to see.
      precision: how exactly the convolutions' inputs are kept, as in `convolve`.
    """

    widths: tuple[int, ...] = VGG19_WIDTHS
    preprocessing: Preprocessing = KERAS_PREPROCESSING
    precision: str = "float32"

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "h w c"],
        taps: tuple[str, ...],
        size: Size | None = None,
        start: str | None = None,
    ) -> dict[str, Float[Array, "_ _ _"]]:
        """Evaluates no further than the deepest of `taps`.

        Args:
          image: float32 [H, W, 3], RGB in [0, 255]; or with `start`, the activation of that tap.
          taps: Keras layer names, deeper than `start`.
          size: where given, only the top-left `size` of `image` is a photo: every layer is masked, so that inside it
            the activations are those of the photo alone, and 0 outside.
          start: a pool to go on from, so that a deep part can be evaluated apart from the shallow one.

        Returns:
          For each tap its activation, float32 [H // stride, W // stride, C].
        """
        last = max(tap_depth(tap) for tap in taps)
        x, depth, activations = self.preprocessing(image) if start is None else image, 0, {}
        first = 0 if start is None else tap_depth(start) + 1
        x = x if size is None else jnp.where(valid_mask(x.shape, size), x, 0)
        for block, convs in enumerate(CONVS_PER_BLOCK, 1):
            names = (*(f"block{block}_conv{c}" for c in range(1, convs + 1)), f"block{block}_pool")
            for name in names:
                if depth < first:
                    depth += 1
                    continue
                if name.endswith("pool"):
                    x = max_pool(x)
                    size = None if size is None else (size[0] >> 1, size[1] >> 1)
                else:
                    x = nn.relu(Convolution(self.widths[block - 1], self.precision, name=name)(x))
                x = x if size is None else jnp.where(valid_mask(x.shape, size), x, 0)
                if name in taps:
                    activations[name] = x
                if depth == last:
                    return activations
                depth += 1
        raise AssertionError("the deepest tap is always reached")
