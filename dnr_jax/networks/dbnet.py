"""The text detector of PP-OCRv6 (tiny): how likely every pixel lies in the core of a line of text.

Differentiable binarisation (Liao et al., "Real-time Scene Text Detection with Differentiable Binarization", AAAI 2020)
with a small backbone of depthwise convolutions. The core of a line is the line shrunk from all sides, so that lines do
not touch. Batch normalisation is folded into the convolutions. Arrays are NHWC and float32; see `mobile` for what
`size` means.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float32

from dnr_jax.arrays import Image
from dnr_jax.networks.mobile import Convolution, Depthwise, Size, divided, masked, mean_place
from dnr_jax.networks.parameters import bias_of, kernel_of

COARSEST = 32
"""The sides of what the network sees, and of its valid part, are multiples of this."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of blue, green and red (in this order, as the authors trained it), after division by 255."""
NECK_CHANNELS, HEAD_CHANNELS = 64, 16
REDUCTION = 4
"""How many times fewer channels the inside of a gate has."""


class Block(NamedTuple):
    """One block of the backbone.

    Attributes:
      inner: channels inside.
      channels: how many channels the result has.
      stride: how far one place of the result is from the next; above 1, nothing is added to the result.
      gated: whether the channels are weighted by what the whole photo holds.
    """

    inner: int
    channels: int
    stride: int = 1
    gated: bool = False


BACKBONE = (
    (Block(64, 32, gated=True), Block(64, 32)),
    (Block(64, 48, 2), Block(96, 48, gated=True), Block(96, 48)),
    (
        Block(96, 64, 2),
        Block(128, 64, gated=True),
        Block(128, 64),
        Block(128, 64, gated=True),
        Block(128, 64),
    ),
    (Block(128, 160, 2), Block(320, 160, gated=True), Block(320, 160)),
)
"""Levels of stride 4 to 32."""
STEM = {"stem1": (3, 3, 16), "stem2": (2, 16, 8), "stem3": (2, 8, 16), "stem4": (3, 32, 16), "stem5": (1, 16, 32)}
"""Side, channels that enter and channels of the result, of the first convolutions."""


class Gate(nn.Module):
    """Weights from 0 to 1 for the channels, from their means over the photo: [b, h, w, c] -> [b, 1, 1, c].

    Attributes:
      slope: the slope of the piecewise linear sigmoid.
    """

    slope: float

    @nn.compact
    def __call__(self, x: Float32[Array, "b _ _ _"], size: Size | None) -> Float32[Array, "b _ _ _"]:
        means = mean_place(x, size)
        means = nn.relu(Convolution(x.shape[-1] // REDUCTION, name="squeeze")(means))
        return jnp.clip(self.slope * Convolution(x.shape[-1], name="excite")(means) + 0.5, 0, 1)


class BackboneBlock(nn.Module):
    """A depthwise convolution, perhaps a gate, and two pointwise ones: [b, h, w, c] -> [b, h / s, w / s, d]."""

    block: Block

    @nn.compact
    def __call__(self, x: Float32[Array, "b _ _ _"], size: Size | None) -> Float32[Array, "b _ _ _"]:
        inner, channels, stride, gated = self.block
        x = Depthwise(stride=stride, name="spread")(x, size)
        if gated:
            x = x * Gate(1 / 6, name="gate")(x, divided(size, stride))
        y = nn.gelu(Convolution(inner, name="widen")(x), approximate=False)
        y = Convolution(channels, name="narrow")(y)
        return y if stride > 1 else x + y


class TextDetector(nn.Module):
    """The network; computes as the published one does where `size` is None."""

    @nn.compact
    def __call__(self, x: Float32[Array, "b h w 3"], size: Size | None = None) -> Float32[Array, "b h w"]:
        """The probability of text.

        Args:
          x: float32 [B, H, W, 3] as `network_input` makes it; H and W are multiples of COARSEST.
          size: the valid (height, width), multiples of COARSEST.

        Returns:
          float32 [B, H, W] in [0, 1].
        """
        x = nn.relu(Convolution(16, 3, 2, 1, name="stem1")(x, size))
        size = divided(size, 2)
        y = nn.relu(Convolution(8, 2, name="stem2")(x, size))
        y = nn.relu(Convolution(16, 2, name="stem3")(y, size))
        x = jnp.concatenate([_slid_maximum(x, size), y], -1)
        x = nn.relu(Convolution(16, 3, 2, 1, name="stem4")(x, size))
        size = divided(size, 2)
        x = nn.relu(Convolution(32, name="stem5")(x))
        levels: list[tuple[jax.Array, Size | None]] = []
        for n, level in enumerate(BACKBONE):
            for m, block in enumerate(level):
                x = BackboneBlock(block, name=f"block{n}_{m}")(x, size)
                size = divided(size, block.stride)
            levels.append((x, size))
        x = self.neck(levels)
        size = levels[0][1]
        x = nn.relu(Convolution(HEAD_CHANNELS, 3, 1, 1, name="head1")(x, size))
        x = nn.relu(Enlargement(HEAD_CHANNELS, name="head2")(x))
        return nn.sigmoid(Enlargement(1, name="head3")(x)[..., 0])

    def neck(self, levels: list[tuple[jax.Array, Size | None]]) -> Float32[Array, "b _ _ 64"]:
        """All levels' features at the finest level's resolution, [b, h, w, NECK_CHANNELS]."""

        def gated(name: str, channels: int, x: jax.Array, size: Size | None) -> jax.Array:
            x = Convolution(channels, bias=False, name=name)(x)
            return x * (1 + Gate(0.2, name=f"{name}_gate")(x, size))

        passed = [gated(f"lateral{n}", NECK_CHANNELS, x, size) for n, (x, size) in enumerate(levels)]
        joined, above = [], None
        for n in reversed(range(len(levels))):
            above = passed[n] if above is None else passed[n] + _repeated(above, 2)
            spread = Depthwise(5, 1, 2, name=f"spread{n}")(above, levels[n][1])
            smoothed = gated(f"smooth{n}", NECK_CHANNELS // len(levels), spread, levels[n][1])
            joined.append(_repeated(smoothed, 2**n))
        return jnp.concatenate(joined, -1)


class Enlargement(nn.Module):
    """A transposed convolution that makes 2x2 pixels of every place: [b, h, w, c] -> [b, 2h, 2w, channels]."""

    channels: int

    @nn.compact
    def __call__(self, x: Float32[Array, "b _ _ _"]) -> Float32[Array, "b _ _ _"]:
        batch, height, width, entering = x.shape
        kernel = kernel_of(self, 2, 2, entering, self.channels)
        bias = bias_of(self, self.channels)
        blocks = jnp.einsum("bhwc,ijcd->bhiwjd", x, kernel, precision=lax.Precision.HIGHEST)
        return blocks.reshape(batch, 2 * height, 2 * width, self.channels) + bias.reshape(1, 1, 1, -1)


def network_input(image: Image) -> Image:
    """A photo, float32 [H, W, 3], RGB in [0, 255], as the network sees it: normalised, blue first."""
    mean, std = (jnp.asarray(values, jnp.float32).reshape(1, 1, 3) for values in (MEAN, STD))
    return (image[..., ::-1] / 255 - mean) / std


def layer_shapes() -> dict[str, tuple[int, ...]]:
    """The kernel's shape of every layer by name, in the published file's order of use.

    [height, width, in, out], or [height, width, channels] where every channel is by itself. A bias has the kernel's
    last length; the layers that `has_bias` excludes have none.
    """
    shapes: dict[str, tuple[int, ...]] = {name: (side, side, *ends) for name, (side, *ends) in STEM.items()}

    def add_gate(name: str, channels: int) -> None:
        shapes[f"{name}/squeeze"] = (1, 1, channels, channels // REDUCTION)
        shapes[f"{name}/excite"] = (1, 1, channels // REDUCTION, channels)

    channels, entering = 32, []
    for n, level in enumerate(BACKBONE):
        for m, block in enumerate(level):
            shapes[f"block{n}_{m}/spread"] = (3, 3, channels)
            if block.gated:
                add_gate(f"block{n}_{m}/gate", channels)
            shapes[f"block{n}_{m}/widen"] = (1, 1, channels, block.inner)
            shapes[f"block{n}_{m}/narrow"] = (1, 1, block.inner, block.channels)
            channels = block.channels
        entering.append(channels)
    for n in reversed(range(len(entering))):
        shapes[f"lateral{n}"] = (1, 1, entering[n], NECK_CHANNELS)
        add_gate(f"lateral{n}_gate", NECK_CHANNELS)
    smooth = NECK_CHANNELS // len(entering)
    for n in reversed(range(len(entering))):
        shapes[f"spread{n}"] = (5, 5, NECK_CHANNELS)
        shapes[f"smooth{n}"] = (1, 1, NECK_CHANNELS, smooth)
        add_gate(f"smooth{n}_gate", smooth)
    shapes["head1"] = (3, 3, NECK_CHANNELS, HEAD_CHANNELS)
    return shapes | {"head2": (2, 2, HEAD_CHANNELS, HEAD_CHANNELS), "head3": (2, 2, HEAD_CHANNELS, 1)}


def has_bias(layer: str) -> bool:
    """Whether a layer of `layer_shapes` has a bias."""
    return not layer.startswith(("lateral", "smooth")) or "_gate/" in layer


def _slid_maximum(x: jax.Array, size: Size | None) -> jax.Array:
    """The maximum of every place and of those below and right, [b, h, w, c] -> [b, h, w, c]; `x` is not negative."""
    # What is outside counts as 0, which changes no maximum of values that are not negative.
    x = masked(x, size)
    padded = jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    wide = jnp.maximum(padded[:, :, :-1], padded[:, :, 1:])
    return jnp.maximum(wide[:, :-1], wide[:, 1:])


def _repeated(x: jax.Array, times: int) -> jax.Array:
    """Every place `times` by `times` times, [b, h, w, c] -> [b, times h, times w, c]."""
    if times == 1:
        return x
    batch, height, width, channels = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (batch, height, times, width, times, channels))
    return x.reshape(batch, times * height, times * width, channels)
