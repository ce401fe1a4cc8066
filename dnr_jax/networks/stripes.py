"""Row stripes: a network's blocks evaluated a band of rows at a time, exactly, in bounded memory.

A band is read through a window that holds the rows its outputs depend on as well. A window never leaves the image: at
the top and the bottom it ends where the image ends, so that the borders are the image's own. Elsewhere its outermost
rows lack their neighbours; their activations are not used.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float32, Int32

from dnr_jax.arrays import Image, Whole
from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import CONVS_PER_BLOCK, receptive_footprint, tap_depth
from dnr_jax.padding import Size

FORWARD_BYTES = 2**25
"""Largest activation that a forward pass makes in one piece: what follows it finds it in the processor's cache."""
LOSS_BYTES = 2**27
"""Largest activation that a loss and its gradient make in one piece; they hold about six at a time."""


@dataclasses.dataclass(frozen=True)
class Stripes:
    """How an array [H, W, ...] is cut into bands of rows; all values in rows of that array.

    Attributes:
      count: number of bands; 1 for an array that is left whole.
      rows: how many rows a band has, a multiple of `stride`; the last may overlap its neighbour.
      window: how many rows the window has that a band is read through, a multiple of `stride` too.
      halo: how many rows above and below a band its outputs depend on, a multiple of `stride` too.
      stride: the stride of the deepest output.
      height: the height of the array, rounded up to a multiple of `stride`.
    """

    count: int
    rows: int
    window: int
    halo: int
    stride: int
    height: int

    def window_start(self, index: Whole) -> Int32[Array, ""]:
        """The first row of window number `index`, int32, a multiple of `stride`."""
        first = jnp.minimum(index * self.rows, self.height - self.rows) - self.halo - self.stride
        return jnp.clip(first, 0, self.height - self.window)

    def band_start(self, index: Whole, stride: int, height: int) -> Int32[Array, ""]:
        """The first row of band number `index` in an output of `height` rows that has `stride`, int32."""
        return jnp.minimum(index * self.rows // stride, height - self.rows // stride)


def cut(
    network: Network,
    shape: tuple[int, ...],
    channels: int,
    taps: tuple[str, ...],
    limit: int,
    *,
    start: str | None = None,
) -> Stripes | None:
    """Bands for reading `taps` with activations of at most about `limit` bytes.

    None where one piece will do, and where it must: deep taps of some networks see the whole image.

    Args:
      network: the network whose taps are wanted.
      shape: [H, W, ...] of the image or, with `start`, of that tap's activation.
      channels: how many channels the largest activation at full resolution has.
    """
    footprint = receptive_footprint(start, max(taps, key=tap_depth))
    stride = footprint.stride
    count = -(-shape[0] * shape[1] * channels * 4 // limit)
    halo = _up(max(footprint.before, footprint.after), stride)
    rows = _up(max(-(-shape[0] // count), 4 * halo), stride)
    window = rows + 2 * (halo + stride)
    if count == 1 or window >= shape[0] or not network.is_local(taps):
        return None
    return Stripes(-(-shape[0] // rows), rows, window, halo, stride, _up(shape[0], stride))


def features(
    network: Network,
    image: Image,
    keep: tuple[str, ...],
    reduced: tuple[str, ...],
    reduce: Callable[[jax.Array], jax.Array],
    *,
    size: Size | None = None,
) -> dict[str, Float32[Array, "_ _ ..."]]:
    """The activations of the taps in `keep`, and `reduce` of those in `reduced`, which are never held whole.

    Large blocks are evaluated in stripes, small ones and networks that see the whole image in one piece.

    Args:
      image: float32 [H, W, 3], RGB in [0, 255].
      reduce: [h, w, C] to [h, w, ...], row by row.
      size: the valid (height, width) of `image`, see `Network.features`; None for all of it.
    """
    wanted = sorted({*keep, *reduced}, key=tap_depth)

    def output(tap: str, x: jax.Array) -> jax.Array:
        return x if tap in keep else reduce(x)

    if network.module.whole_from is not None:
        found = network.features(image, tuple(wanted), size=size)
        return {tap: output(tap, found[tap]) for tap in wanted}
    results: dict[str, jax.Array] = {}
    x, start = image, None
    for block in range(1, len(CONVS_PER_BLOCK) + 1):
        channels = network.params[f"block{block}_conv1"]["kernel"].shape[-1]
        pool = f"block{block}_pool"
        convs = tuple(tap for tap in wanted if tap.startswith(f"block{block}_conv"))
        deeper = tap_depth(wanted[-1]) >= tap_depth(pool)
        found = _read_block(network, x, start, (*convs, pool) if deeper else convs, channels, output, size)
        results |= {tap: found[tap] for tap in convs}
        if not deeper:
            break
        x, start, size = found[pool], pool, None if size is None else (size[0] >> 1, size[1] >> 1)
        if pool in wanted:
            results[pool] = output(pool, x)
        if pool == wanted[-1]:
            break
    return results


def _read_block(
    network: Network,
    x: jax.Array,
    start: str | None,
    taps: tuple[str, ...],
    channels: int,
    output: Callable[[str, jax.Array], jax.Array],
    size: Size | None,
) -> dict[str, jax.Array]:
    """One block's pool and the `output` of its convolutions, in stripes where it is large."""

    def read(x: jax.Array, size: Size | None = None) -> dict[str, jax.Array]:
        found = network.features(x, taps, size=size, start=start)
        return {tap: found[tap] if tap.endswith("pool") else output(tap, found[tap]) for tap in taps}

    bands = cut(network, x.shape, channels, taps, FORWARD_BYTES, start=start)
    if bands is None:
        return read(x, size)
    height, width = (jnp.int32(n) for n in x.shape[:2]) if size is None else size
    strides = {tap: receptive_footprint(start, tap).stride for tap in taps}
    whole = {
        tap: jnp.zeros((x.shape[0] // strides[tap], *band.shape[1:]), band.dtype)
        for tap, band in jax.eval_shape(read, x[: bands.window]).items()
    }
    padded = pad_rows(x, bands.height)

    def read_band(outputs: dict[str, jax.Array], index: jax.Array) -> tuple[dict[str, jax.Array], None]:
        first = bands.window_start(index)
        window = lax.dynamic_slice_in_dim(padded, first, bands.window)
        found = read(window, (height - first, width))
        for tap, stride in strides.items():
            place = bands.band_start(index, stride, outputs[tap].shape[0])
            band = lax.dynamic_slice_in_dim(found[tap], place - first // stride, bands.rows // stride)
            outputs = outputs | {tap: lax.dynamic_update_slice_in_dim(outputs[tap], band, place, 0)}
        return outputs, None

    return lax.scan(read_band, whole, jnp.arange(bands.count))[0]


def pad_rows(x: Float32[Array, "_ w *c"], height: int) -> Float32[Array, "_ w *c"]:
    """Adds rows of zeros up to `height`."""
    return jnp.pad(x, ((0, height - x.shape[0]), *((0, 0),) * (x.ndim - 1)))


def _up(length: int, step: int) -> int:
    return -(-length // step) * step
