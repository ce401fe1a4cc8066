"""Layers that small networks for phones are made of, for arrays that may be larger than what they hold.

Arrays are NHWC and float32. The valid part of an array is its first rows and columns; a layer that mixes neighbours
takes what lies outside as zeros, so that inside everything is what the valid part alone would give. `size` is its
(height, width), int32 and traced, or None where the whole array is valid.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float32

from dnr_jax.networks.parameters import bias_of, kernel_of
from dnr_jax.padding import AnySize, Size


class Convolution(nn.Module):
    """A convolution with every input channel, zeros around: [b, h, w, c] -> [b, h / stride, w / stride, channels].

    Attributes:
      channels: how many channels the result has.
      side: height and width of the kernel.
      stride: rows and columns from one place to the next; the array's sides are multiples of it.
      before: zeros above and left of the array; as many follow below and right as the kernel still needs.
      bias: whether there is one.
    """

    channels: int
    side: int = 1
    stride: int = 1
    before: int = 0
    bias: bool = True

    @nn.compact
    def __call__(self, x: Float32[Array, "b _ _ _"], size: Size | None = None) -> Float32[Array, "b _ _ _"]:
        kernel = kernel_of(self, self.side, self.side, x.shape[-1], self.channels)
        if self.side == 1:
            result = jnp.einsum("bhwc,cd->bhwd", x, kernel[0, 0], precision=lax.Precision.HIGHEST)
        else:
            around = (self.before, self.side - self.stride - self.before)
            result = lax.conv_general_dilated(
                masked(x, size),
                kernel,
                (self.stride, self.stride),
                (around, around),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                precision=lax.Precision.HIGHEST,
            )
        if self.bias:
            bias = bias_of(self, self.channels)
            result = result + bias.reshape(1, 1, 1, -1)
        return result


class Depthwise(nn.Module):
    """A convolution of every channel by itself, with bias: [b, h, w, c] -> [b, h / stride, w / stride, c].

    Attributes are those of `Convolution`. A sum of shifted slices is several times quicker on a CPU than a grouped
    convolution.
    """

    side: int = 3
    stride: int = 1
    before: int = 1

    @nn.compact
    def __call__(self, x: Float32[Array, "b _ _ _"], size: Size | None = None) -> Float32[Array, "b _ _ _"]:
        channels = x.shape[-1]
        kernel = kernel_of(self, self.side, self.side, channels)
        bias = bias_of(self, channels)
        around = (self.before, self.side - self.stride - self.before)
        height, width = x.shape[1:3]
        # Kept in memory: fused into its nine readers it would be computed nine times, and compile twice as long.
        padded = lax.optimization_barrier(jnp.pad(masked(x, size), ((0, 0), around, around, (0, 0))))
        shape = (x.shape[0], height // self.stride, width // self.stride, channels)
        result = jnp.broadcast_to(bias.reshape(1, 1, 1, -1), shape)
        # In primitives: indexing and arithmetic of jax.numpy are traced more slowly, and there are hundreds of them.
        for i in range(self.side):
            for j in range(self.side):
                end = (x.shape[0], i + height - self.stride + 1, j + width - self.stride + 1, channels)
                shifted = lax.slice(padded, (0, i, j, 0), end, (1, self.stride, self.stride, 1))
                weight = lax.reshape(lax.slice(kernel, (i, j, 0), (i + 1, j + 1, channels)), (channels,))
                result = lax.add(result, lax.mul(shifted, lax.broadcast_in_dim(weight, shape, (3,))))
        return result


def masked(x: Float32[Array, "b h w c"], size: Size | None) -> Float32[Array, "b h w c"]:
    """[b, h, w, c] with zeros outside its valid part."""
    if size is None:
        return x
    return jnp.where(inside(x.shape[1:3], size)[None, :, :, None], x, 0)


def inside(shape: tuple[int, ...], size: AnySize) -> Bool[Array, "_ _"]:
    """Which places of an array of `shape` (height, width) are valid, bool [h, w]."""
    rows, columns = (jnp.arange(n) < m for n, m in zip(shape, size, strict=True))
    return rows[:, None] & columns[None, :]


def mean_place(x: Float32[Array, "b _ _ c"], size: Size | None) -> Float32[Array, "b 1 1 c"]:
    """The mean over the valid places, [b, h, w, c] -> [b, 1, 1, c]."""
    if size is None:
        return jnp.mean(x, (1, 2), keepdims=True)
    count = (size[0] * size[1]).astype(jnp.float32)
    return jnp.sum(masked(x, size), (1, 2), keepdims=True) / count


def divided(size: Size | None, stride: int) -> Size | None:
    """The valid part after a stride, a power of two, that divides it."""
    if size is None or stride == 1:
        return size
    shift = stride.bit_length() - 1
    return size[0] >> shift, size[1] >> shift
