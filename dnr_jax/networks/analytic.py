"""The embedded network: small analytic features with VGG19's taps and strides, so that the package always runs.

No weights file and no training: block 1 holds colour and derivatives in paired half-wave channels (enough to
reconstruct an image from), the deep taps hold contrast against the image's own border (centre-surround saliency). It
knows no semantics; VGG19 remains the paper's network.
"""

from collections.abc import Callable
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float32

from dnr_jax.arrays import Image
from dnr_jax.networks.convolution import convolve
from dnr_jax.networks.network import FeatureModule
from dnr_jax.networks.taps import tap_depth
from dnr_jax.networks.vgg import max_pool
from dnr_jax.padding import AnySize, Size, valid_mask

COLOUR_BIAS = 0.1  # The two halves of a colour pair overlap, so that no gradient vanishes where the sign flips.
BORDER_SHARE = 0.08
COLOUR_FLOORS = (0.04, 0.02, 0.02)
ENERGY_FLOOR = 0.05


class Embedded(FeatureModule):
    """Analytic contrast features behind VGG19's interface; holds no parameters.

    Attributes:
      precision: how exactly the inputs of block 1's convolutions are kept, as in `convolve`; the deeper taps do
        not depend on it.
    """

    whole_from: ClassVar[str | None] = "block4_conv1"

    precision: str = "float32"

    @nn.compact
    def __call__(
        self, image: Image, taps: tuple[str, ...], size: Size | None = None
    ) -> dict[str, Float32[Array, "_ _ _"]]:
        """Evaluates no further than the deepest of `taps`; arguments and result are those of `VGG.__call__`."""
        wanted, last = set(taps), max(tap_depth(tap) for tap in taps)
        activations = {}

        def keep(tap: str, x: jax.Array, size: Size | None) -> bool:
            """Keeps a tap that is wanted; True once the deepest one is there."""
            if tap in wanted:
                activations[tap] = x if size is None else jnp.where(valid_mask(x.shape, size), x, 0)
            return tap_depth(tap) >= last

        x = block1_conv1(image, size=size, precision=self.precision)
        if keep("block1_conv1", x, size):
            return activations
        x = block1_conv2(x, size=size, precision=self.precision)
        if keep("block1_conv2", x, size):
            return activations
        x, size = max_pool(x), _halve(size)
        if keep("block1_pool", x, size):
            return activations

        x = colour_and_energy(x)
        for block, convs in ((2, 2), (3, 4)):
            for conv in range(1, convs + 1):
                x = binomial(x, size=size)
                if keep(f"block{block}_conv{conv}", x, size):
                    return activations
            x, size = max_pool(x), _halve(size)
            if keep(f"block{block}_pool", x, size):
                return activations

        x = border_contrast(x, size=size)
        for conv in range(1, 5):
            x = x if conv == 1 else binomial(x, size=size)
            if keep(f"block4_conv{conv}", 0.3 * x, size):
                return activations
        x, size = max_pool(x), _halve(size)
        if keep("block4_pool", 0.3 * x, size):
            return activations
        for conv, dilation in enumerate((0, 1, 2, 1), 1):
            x = binomial(x, size=size, dilation=dilation) if dilation else x
            if keep(f"block5_conv{conv}", 0.3 * x, size):
                return activations
        keep("block5_pool", 0.3 * max_pool(x), _halve(size))
        return activations


def block1_conv1(image: Image, *, size: Size | None = None, precision: str = "float32") -> Float32[Array, "h w 16"]:
    """Half-wave pairs of opponent colours and of first and second derivatives, [H, W, 3] -> [H, W, 16].

    Channels: 0-5 intensity, red-green and blue-yellow, each with both signs, gain 1 and bias 0.1; 6-13 twice the
    forward differences of the intensity along x, y and both diagonals (those over root 2); 14-15 twice its difference
    from its 3x3 binomial mean.
    """
    bias = jnp.asarray([COLOUR_BIAS] * 6 + [0.0] * 10, jnp.float32).reshape(1, 1, -1)
    return nn.relu(_convolve_edges(image / 255 - 0.5, _conv1_kernel(), size, precision) + bias)


def block1_conv2(
    x: Float32[Array, "h w 16"], *, size: Size | None = None, precision: str = "float32"
) -> Float32[Array, "h w 16"]:
    """Each derivative smoothed by [1 2 1] / 4 along its edge, all else as it is, [H, W, 16] -> [H, W, 16]."""
    return nn.relu(_convolve_edges(x, _conv2_kernel(), size, precision))


def _conv1_kernel() -> np.ndarray:
    """float32 [3, 3, 3, 16]; places are (row, column) with the pixel itself at (1, 1)."""
    intensity = np.full(3, 1 / 3)
    centre = _stencil({(1, 1): 1})
    blur = np.outer([1, 2, 1], [1, 2, 1]) / 16
    differences = ((1, 2), (2, 1), (2, 2), (2, 0))
    filters = [
        (centre, intensity),
        (centre, np.array([0.5, -0.5, 0])),
        (centre, np.array([-0.25, -0.25, 0.5])),
        *((_stencil({place: 1, (1, 1): -1}) * (2 if 1 in place else 2**0.5), intensity) for place in differences),
        (2 * (centre - blur), intensity),
    ]
    halves = [sign * stencil[..., None] * mix for stencil, mix in filters for sign in (1, -1)]
    return np.stack(halves, -1).astype(np.float32)


def _conv2_kernel() -> np.ndarray:
    """float32 [3, 3, 16, 16], diagonal in the channels."""
    kernel = np.zeros((3, 3, 16, 16), np.float32)
    kernel[1, 1] = np.eye(16)
    along_edge = ((0, 1), (1, 0), (0, 2), (0, 0))  # Where the smoothing starts; it ends at the opposite place.
    for pair, (row, column) in enumerate(along_edge):
        stencil = _stencil({(row, column): 0.25, (1, 1): 0.5, (2 - row, 2 - column): 0.25})
        for channel in (6 + 2 * pair, 7 + 2 * pair):
            kernel[:, :, channel, channel] = stencil
    return kernel


def _stencil(values: dict[tuple[int, int], float]) -> np.ndarray:
    stencil = np.zeros((3, 3))
    for place, value in values.items():
        stencil[place] = value
    return stencil


def _convolve_edges(x: jax.Array, kernel: np.ndarray, size: Size | None, precision: str) -> jax.Array:
    """A 3x3 convolution of [h, w, c] with edges repeated."""
    padded = jnp.pad(_repeat_valid_edge(x, size), ((1, 1), (1, 1), (0, 0)), mode="edge")
    return convolve(padded[None], jnp.asarray(kernel), precision=precision)[0, 1:-1, 1:-1]


def binomial(x: Float32[Array, "h w c"], *, size: Size | None = None, dilation: int = 1) -> Float32[Array, "h w c"]:
    """The 3x3 binomial filter [1 2 1] x [1 2 1] / 16 of each channel, edges repeated; shape and dtype of `x`."""
    for axis in (0, 1):
        at = _shifted(x, size, dilation, axis)
        x = (at(-dilation) + 2 * at(0) + at(dilation)) / 4
    return x


def border_contrast(x: Float32[Array, "h w 11"], *, size: Size | None = None) -> Float32[Array, "h w 11"]:
    """How far each place stands out from the image's border, [h, w, 11] from the colours and energies [h, w, 11].

    z-scores against a ring of 8 % of the size, of signed colours (each with both signs) and of root energies;
    rectified at 1.5 and compressed.
    """
    colour = 4 * (x[..., 0:6:2] - x[..., 1:6:2])
    x = binomial(jnp.concatenate([colour, jnp.sqrt(x[..., 6:] + 1e-4)], -1), size=size)
    ring = border_ring(x.shape, size)
    total = jnp.sum(ring)
    mean = jnp.sum(x * ring, (0, 1), keepdims=True) / total
    variance = jnp.sum(jnp.square(x - mean) * ring, (0, 1), keepdims=True) / total
    floors = jnp.asarray((*COLOUR_FLOORS, *(ENERGY_FLOOR,) * 5), jnp.float32).reshape(1, 1, -1)
    z = (x - mean) / jnp.sqrt(variance + floors**2)
    y = nn.relu(jnp.concatenate([z, -z[..., :3]], -1) - 1.5)
    return y / (1 + y / 3)


def colour_and_energy(x: Float32[Array, "h w 16"]) -> Float32[Array, "h w 11"]:
    """Six unbiased colour halves times 1/4 and five energies (both halves of a derivative) times 1/2."""
    colour = nn.relu(x[..., :6] - COLOUR_BIAS)
    return jnp.concatenate([0.25 * colour, 0.5 * (x[..., 6::2] + x[..., 7::2])], -1)


def border_ring(shape: tuple[int, ...], size: AnySize | None) -> Float32[Array, "_ _ 1"]:
    """A float32 [h, w, 1] that is 1 on the outer 8 % (at least one neuron) of the valid part."""
    height, width = (jnp.asarray(n, jnp.int32) for n in (size or shape[:2]))
    ring = [jnp.maximum(1, (n.astype(jnp.float32) * BORDER_SHARE).astype(jnp.int32)) for n in (height, width)]
    rows, columns = jnp.arange(shape[0])[:, None], jnp.arange(shape[1])[None, :]
    inner = (rows >= ring[0]) & (rows < height - ring[0]) & (columns >= ring[1]) & (columns < width - ring[1])
    return (valid_mask(shape, (height, width)) & ~inner[..., None]).astype(jnp.float32)


def _shifted(x: jax.Array, size: Size | None, reach: int, axis: int) -> Callable[[int], jax.Array]:
    """A function d -> `x` [h, w, c] looked up so far along an axis, |d| <= reach, edges repeated."""
    length = x.shape[axis]
    if size is not None:
        edge = lax.dynamic_slice_in_dim(x, size[axis] - 1, 1, axis)
        x = jnp.where(lax.broadcasted_iota(jnp.int32, x.shape, axis) < size[axis], x, edge)
    padded = jnp.pad(x, [(reach, reach) if n == axis else (0, 0) for n in range(x.ndim)], mode="edge")
    return lambda by: lax.slice_in_dim(padded, reach + by, reach + by + length, axis=axis)


def _repeat_valid_edge(x: jax.Array, size: Size | None) -> jax.Array:
    """Copies the edge of the valid part a place outwards (where the array goes on there); its gradient is cheap."""
    if size is None:
        return x
    for axis in (0, 1):
        edge = lax.dynamic_slice_in_dim(x, size[axis] - 1, 1, axis)
        # Past the array's end the update lands on its last place, which is the edge itself.
        x = lax.dynamic_update_slice_in_dim(x, edge, size[axis], axis)
    return x


def _halve(size: Size | None) -> Size | None:
    return None if size is None else (size[0] >> 1, size[1] >> 1)
