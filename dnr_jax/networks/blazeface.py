"""BlazeFace for the full range of distances: at every fourth pixel, how likely a face is centred there, and its box.

Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", CVPR workshop on computer vision
for augmented and virtual reality, 2019; the full-range network is MediaPipe's of 2021, with a decoder that goes back up
to stride 4. Batch normalisation is folded into the convolutions. Arrays are NHWC and float32; see `mobile` for what
`size` means.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32

from dnr_jax.networks.mobile import Convolution, Depthwise, Size, divided, inside
from dnr_jax.padding import AnySize

STRIDE = 4
"""Pixels from one place of the result to the next."""
COARSEST = 32
"""The sides of what the network sees, and of its valid part, are multiples of this."""
STEM_CHANNELS, VALUES = 32, 16


class Block(NamedTuple):
    """One residual block: channels of its result, channels inside, and stride."""

    channels: int
    inner: int
    stride: int = 1


ENCODER = (
    (Block(32, 8), Block(32, 8)),
    (Block(48, 12, 2), Block(48, 12), Block(64, 16)),
    (Block(96, 24, 2), Block(128, 32), Block(128, 32)),
    (Block(144, 36, 2), Block(192, 48), Block(256, 64)),
    (Block(384, 96, 2), Block(384, 96), Block(384, 96), Block(384, 96)),
)
"""Levels of stride 2 to 32."""
DECODER = ((Block(96, 48), Block(96, 48)), (Block(64, 32), Block(64, 32)), (Block(48, 24),))
"""Levels of stride 16, 8 and 4."""


class BlazeBlock(nn.Module):
    """Two depthwise convolutions around a bottleneck, added to what entered: [b, h, w, c] -> [b, h / s, w / s, d]."""

    block: Block

    @nn.compact
    def __call__(self, x: Float32[Array, "b _ _ _"], size: Size | None) -> Float32[Array, "b _ _ _"]:
        channels, inner, stride = self.block
        before, smaller = 1 if stride == 1 else 0, divided(size, stride)
        y = Depthwise(stride=stride, before=before, name="first")(x, size)
        y = nn.relu(Convolution(inner, name="narrow")(y))
        y = Convolution(channels, name="widen")(Depthwise(name="second")(y, smaller))
        x = x if stride == 1 else _halves(x)
        x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, channels - x.shape[-1])))
        return nn.relu(x + y)


class BlazeFace(nn.Module):
    """The network; computes as the published one does where `size` is None and both sides are 192."""

    @nn.compact
    def __call__(
        self, x: Float32[Array, "b _ _ 3"], size: Size | None = None
    ) -> tuple[Float32[Array, "b h w"], Float32[Array, "b h w 16"]]:
        """Logits and boxes of a batch.

        Args:
          x: float32 [B, H, W, 3], RGB in [-1, 1]; H and W are multiples of COARSEST.
          size: the valid (height, width), multiples of COARSEST.

        Returns:
          Logits of a face, float32 [B, H / 4, W / 4], and float32 [B, H / 4, W / 4, 16]: the face's centre (x, y) from
          the place's centre, its (width, height), and six points of it (x, y) from the place's centre, in pixels.
        """
        x = nn.relu(Convolution(STEM_CHANNELS, 3, 2, name="stem")(x, size))
        size, passed = divided(size, 2), []
        for n, level in enumerate(ENCODER):
            for m, block in enumerate(level):
                x = BlazeBlock(block, name=f"down{n}_{m}")(x, size)
                size = divided(size, block.stride)
            passed.append(x)
        passed.pop()
        for n, level in enumerate(DECODER):
            beside, channels = passed.pop(), level[0].channels
            x = nn.relu(Convolution(channels, name=f"below{n}")(x))
            beside = nn.relu(Convolution(channels, name=f"beside{n}")(beside))
            x, size = beside + twice(x, size), None if size is None else (2 * size[0], 2 * size[1])
            for m, block in enumerate(level):
                x = BlazeBlock(block, name=f"up{n}_{m}")(x, size)
        return Convolution(1, name="score")(x)[..., 0], Convolution(VALUES, name="box")(x)


def twice(x: Float32[Array, "b _ _ c"], size: Size | None) -> Float32[Array, "b _ _ c"]:
    """Bilinear interpolation to twice both sides with half-pixel centres: [b, h, w, c] -> [b, 2h, 2w, c].

    The last valid row and column are repeated beyond the border, as the first ones are.
    """
    for axis in (1, 2):
        length = x.shape[axis]
        places = jnp.arange(length)
        last = length - 1 if size is None else size[axis - 1] - 1
        earlier, later = (
            jnp.take(x, jnp.clip(places + step, 0, last), axis=axis, mode="clip") for step in (-1, 1)
        )  # Beyond the valid part whatever comes is masked later.
        pair = jnp.stack([0.25 * earlier + 0.75 * x, 0.75 * x + 0.25 * later], axis + 1)
        x = pair.reshape(*x.shape[:axis], 2 * length, *x.shape[axis + 1 :])
    return x


def _halves(x: jax.Array) -> jax.Array:
    """2x2 maxima of an array with even sides, [b, h, w, c] -> [b, h / 2, w / 2, c]."""
    return jnp.maximum(
        jnp.maximum(x[:, ::2, ::2], x[:, ::2, 1::2]),
        jnp.maximum(x[:, 1::2, ::2], x[:, 1::2, 1::2]),
    )


def layer_shapes() -> dict[str, tuple[int, ...]]:
    """The kernel's shape of every layer by name, in order of use; a bias has the kernel's last length.

    [height, width, in, out], or [height, width, channels] where every channel is by itself.
    """
    shapes: dict[str, tuple[int, ...]] = {"stem": (3, 3, 3, STEM_CHANNELS)}

    def add(name: str, entering: int, block: Block) -> int:
        shapes[f"{name}/first"] = (3, 3, entering)
        shapes[f"{name}/narrow"] = (1, 1, entering, block.inner)
        shapes[f"{name}/second"] = (3, 3, block.inner)
        shapes[f"{name}/widen"] = (1, 1, block.inner, block.channels)
        return block.channels

    channels = STEM_CHANNELS
    for n, level in enumerate(ENCODER):
        for m, block in enumerate(level):
            channels = add(f"down{n}_{m}", channels, block)
    for n, level in enumerate(DECODER):
        shapes[f"below{n}"] = (1, 1, channels, level[0].channels)
        channels = level[0].channels
        shapes[f"beside{n}"] = (1, 1, ENCODER[-2 - n][-1].channels, channels)
        for m, block in enumerate(level):
            channels = add(f"up{n}_{m}", channels, block)
    return shapes | {"score": (1, 1, channels, 1), "box": (1, 1, channels, VALUES)}


def centres(shape: tuple[int, int]) -> Float32[np.ndarray, "h w 2"]:
    """The centre (x, y) in pixels of every place of a result of `shape` (height, width), float32 [h, w, 2]."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return (np.stack([x, y], -1) + 0.5) * STRIDE


def valid_places(shape: tuple[int, ...], size: AnySize) -> Bool[Array, "h w"]:
    """Which places of a result of `shape` (height, width) lie in the valid (height, width) in pixels, bool [h, w]."""
    shift = STRIDE.bit_length() - 1
    return inside(shape, ((size[0] + STRIDE - 1) >> shift, (size[1] + STRIDE - 1) >> shift))
