"""The small U²-Net, which marks the objects that stand out in a photo.

Qin et al., "U²-Net: Going Deeper with Nested U-Structure for Salient Object Detection", Pattern Recognition 106, 2020.
A U of eleven stages, each of which is a smaller U by itself (a residual U-block, RSU). Batch normalisation is folded
into the convolutions, so that a layer is a kernel and a bias. Layers keep the authors' stages; inside a stage they are
`in`, then `down1` to `down<height>`, then `up<height - 1>` to `up1`. Arrays are NHWC and float32.
"""

from typing import Any, NamedTuple, cast

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float32

from dnr_jax.arrays import Image
from dnr_jax.networks.parameters import bias_of, kernel_of
from dnr_jax.padding import Size
from dnr_jax.programs import program

SIDE = 320
"""Height and width in pixels at which the network sees a photo."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of red, green and blue, after division by the photo's maximum."""


class Stage(NamedTuple):
    """One residual U-block.

    Attributes:
      name: as the authors have it; "d" marks the decoder.
      height: convolutions on the way down.
      dilated: whether the convolutions get wider instead of the maps smaller (the authors' RSU-4F).
    """

    name: str
    height: int
    dilated: bool = False


ENCODER = (
    Stage("stage1", 7),
    Stage("stage2", 6),
    Stage("stage3", 5),
    Stage("stage4", 4),
    Stage("stage5", 4, dilated=True),
    Stage("stage6", 4, dilated=True),
)
DECODER = tuple(stage._replace(name=f"{stage.name}d") for stage in ENCODER[-2::-1])
INNER_CHANNELS, STAGE_CHANNELS = 16, 64


class SalienceNetwork(flax.struct.PyTreeNode):
    """The small U²-Net ready to run.

    Attributes:
      params: {stage: {layer: {"kernel": float32 [h, w, in, out], "bias": float32 [out]}}}, without the layer's level
        for `side1` to `side6` and `fuse`; see `layer_shapes`.
    """

    params: dict[str, Any]


def salience(network: SalienceNetwork, image: Image, *, size: Size | None = None) -> Float32[Array, "320 320"]:
    """How much each place of a photo belongs to an object that stands out: the mean of the network's seven outputs.

    Two compiled programs, so that a photo of another size compiles the scaling again and not the network.

    Args:
      network: the small U²-Net.
      image: float32 [H, W, 3], RGB in [0, 255].
      size: int32 (height, width), at least 1: only the top-left part of that size is a photo, and what lies outside
        (not finite values included) changes nothing; None for all of `image`.

    Returns:
      float32 [SIDE, SIDE] in [0, 1], which spans the photo whatever its shape; photos of several sizes can be stacked
      under `jax.vmap`.
    """
    return _mean_output(network, network_input(image, size=size))


@program()
def _mean_output(network: SalienceNetwork, scaled: jax.Array) -> jax.Array:
    outputs = cast("tuple[jax.Array, ...]", U2Net().apply({"params": network.params}, scaled[None]))
    return jnp.mean(jnp.concatenate(outputs), 0)


@program()
def network_input(image: Image, *, size: Size | None = None) -> Float32[Array, "320 320 3"]:
    """The photo scaled to [SIDE, SIDE, 3], divided by its maximum (if it has any light), normalised by MEAN and STD.

    Arguments are those of `salience`.
    """
    lengths = image.shape[:2] if size is None else size
    if size is not None:
        inside = [jnp.arange(n) < m for n, m in zip(image.shape[:2], size, strict=True)]
        image = jnp.where((inside[0][:, None] & inside[1][None, :])[:, :, None], image, 0)
    rows, columns = (_shrinking_weights(n, m) for n, m in zip(image.shape[:2], lengths, strict=True))
    scaled = jnp.einsum("yh,hwc->ywc", rows, image, precision=lax.Precision.HIGHEST)
    scaled = jnp.einsum("xw,ywc->yxc", columns, scaled, precision=lax.Precision.HIGHEST)
    maximum = jnp.max(scaled)
    scaled = scaled / jnp.where(maximum > 0, maximum, 1)
    mean, std = (jnp.asarray(values, jnp.float32).reshape(1, 1, 3) for values in (MEAN, STD))
    return (scaled - mean) / std


def _shrinking_weights(length: int, valid: int | jax.Array) -> jax.Array:
    """A triangle filter, float32 [SIDE, length], that scales `valid` elements to SIDE; wide enough not to alias."""
    valid = jnp.asarray(valid, jnp.int32)
    # In whole numbers, of which 2 SIDE make an element: float32 would lose a distance's digits to the large centre.
    unit, last = 2 * SIDE, valid - 1
    centres = jnp.clip((2 * jnp.arange(SIDE) + 1) * valid - SIDE, 0, unit * last)[:, None]
    places = jnp.arange(length)[None, :]
    distance = jnp.abs(centres - unit * places).astype(jnp.float32) / unit
    weights = jnp.maximum(0, 1 - distance / jnp.maximum(valid.astype(jnp.float32) / SIDE, 1))
    weights = jnp.where(places <= last, weights, 0)
    return weights / jnp.sum(weights, 1, keepdims=True)


class Convolution(nn.Module):
    """A stride-1 convolution with bias and SAME zero padding, [b, h, w, c] -> [b, h, w, channels]."""

    channels: int
    side: int = 3
    dilation: int = 1

    @nn.compact
    def __call__(self, x: Float32[Array, "b h w _"]) -> Float32[Array, "b h w _"]:
        kernel = kernel_of(self, self.side, self.side, x.shape[-1], self.channels)
        bias = bias_of(self, self.channels)
        convolved = lax.conv_general_dilated(
            x,
            kernel,
            (1, 1),
            "SAME",
            rhs_dilation=(self.dilation, self.dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=lax.Precision.HIGHEST,
        )
        return convolved + bias.reshape(1, 1, 1, -1)


class ResidualUBlock(nn.Module):
    """A U of convolutions with ReLU, plus its own input convolution's result: [b, h, w, c] -> [b, h, w, channels].

    Attributes:
      stage: how high the block is, and how it widens what a place sees.
      inner: channels inside the U.
      channels: how many channels the result has.
    """

    stage: Stage
    inner: int = INNER_CHANNELS
    channels: int = STAGE_CHANNELS

    @nn.compact
    def __call__(self, x: Float32[Array, "b h w _"]) -> Float32[Array, "b h w _"]:
        height, dilated = self.stage.height, self.stage.dilated

        def layer(name: str, level: int, channels: int, x: jax.Array) -> jax.Array:
            dilation = 2 ** (level - 1) if dilated else 2 if level == height else 1
            return nn.relu(Convolution(channels, dilation=dilation, name=name)(x))

        entered = x = layer("in", 1, self.channels, x)
        passed: list[jax.Array] = []
        for level in range(1, height + 1):
            # The last level stays at the size of the one before and looks twice as far.
            if 1 < level < height and not dilated:
                x = max_pool(x)
            x = layer(f"down{level}", level, self.inner, x)
            passed.append(x)
        x = passed.pop()
        for level in range(height - 1, 0, -1):
            beside = passed.pop()
            x = jnp.concatenate([enlarge(x, beside.shape[1:3]), beside], -1)
            x = layer(f"up{level}", level, self.channels if level == 1 else self.inner, x)
        return x + entered


class U2Net(nn.Module):
    """The small U²-Net; the defaults are the authors' u2netp.

    Attributes:
      inner: channels inside each residual U-block.
      channels: how many channels each block's result has.
    """

    inner: int = INNER_CHANNELS
    channels: int = STAGE_CHANNELS

    @nn.compact
    def __call__(self, x: Float32[Array, "b h w 3"]) -> tuple[Float32[Array, "b h w"], ...]:
        """The seven maps of a normalised batch.

        Args:
          x: float32 [B, H, W, 3] as `network_input` makes it; trained at H = W = SIDE, at least 2 each.

        Returns:
          The fused map and those of stages 1 to 6 (the decoder's where there is one), each float32 [B, H, W] in [0, 1].
        """
        encoded: list[jax.Array] = []
        for stage in ENCODER:
            x = ResidualUBlock(stage, self.inner, self.channels, name=stage.name)(max_pool(x) if encoded else x)
            encoded.append(x)
        decoded = [encoded.pop()]
        for stage in DECODER:
            beside = encoded.pop()
            x = jnp.concatenate([enlarge(decoded[-1], beside.shape[1:3]), beside], -1)
            decoded.append(ResidualUBlock(stage, self.inner, self.channels, name=stage.name)(x))
        sides = [Convolution(1, name=f"side{n}")(x) for n, x in enumerate(reversed(decoded), 1)]
        sides = [enlarge(side, sides[0].shape[1:3]) for side in sides]
        fused = Convolution(1, side=1, name="fuse")(jnp.concatenate(sides, -1))
        return tuple(nn.sigmoid(logits[..., 0]) for logits in (fused, *sides))


def max_pool(x: Float32[Array, "b _ _ c"]) -> Float32[Array, "b _ _ c"]:
    """2x2 maxima, [b, h, w, c] -> [b, ceil(h / 2), ceil(w / 2), c]; an odd last row or column is pooled by itself."""
    _, height, width, _ = x.shape
    x = jnp.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), constant_values=-jnp.inf)
    # Four slices are quicker on a CPU than a window's reduction.
    return jnp.maximum(
        jnp.maximum(x[:, ::2, ::2], x[:, ::2, 1::2]),
        jnp.maximum(x[:, 1::2, ::2], x[:, 1::2, 1::2]),
    )


def enlarge(x: Float32[Array, "b _ _ c"], shape: tuple[int, ...]) -> Float32[Array, "b _ _ c"]:
    """Bilinear interpolation to `shape` with half-pixel centres, edges repeated: [b, h, w, c] -> [b, *shape, c].

    As PyTorch's `interpolate(mode="bilinear", align_corners=False)`; neither side may shrink.
    """
    for axis, length in zip((1, 2), shape, strict=True):
        old = x.shape[axis]
        if old == length:
            continue
        places = np.clip((np.arange(length) + 0.5) * old / length - 0.5, 0, old - 1)
        low = np.floor(places).astype(np.int32)
        share = (places - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(4)])
        first, second = (jnp.take(x, i, axis=axis) for i in (low, np.minimum(low + 1, old - 1)))
        x = first + (second - first) * share
    return x


def layer_shapes(*, inner: int = INNER_CHANNELS, channels: int = STAGE_CHANNELS) -> dict[str, tuple[int, ...]]:
    """The kernel's shape (height, width, in, out) of every layer of a `U2Net`, by "stage/layer", in order of use.

    Plain arithmetic, because tracing the module takes seconds. A bias has the kernel's last length.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for stage in (*ENCODER, *DECODER):
        entering = 3 if stage is ENCODER[0] else channels if stage in ENCODER else 2 * channels
        shapes[f"{stage.name}/in"] = (3, 3, entering, channels)
        for level in range(1, stage.height + 1):
            shapes[f"{stage.name}/down{level}"] = (3, 3, channels if level == 1 else inner, inner)
        for level in range(stage.height - 1, 0, -1):
            shapes[f"{stage.name}/up{level}"] = (3, 3, 2 * inner, channels if level == 1 else inner)
    shapes |= {f"side{n}": (3, 3, channels, 1) for n in range(1, len(ENCODER) + 1)}
    return shapes | {"fuse": (1, 1, len(ENCODER), 1)}
