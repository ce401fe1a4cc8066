"""Where seams joined what was apart in the photo, and the tiles of the carved image that hold such joints.

A photo carved as its features are (`init=seam`, Sec. 3.2) has the features wanted wherever a neuron sees no joint, so
that there is work only near joints. Tiles do not overlap, and every neuron belongs to one of them.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32

from dnr_jax.networks.taps import Level, receptive_footprint, tap_depth
from dnr_jax.padding import AnySize, valid_mask
from dnr_jax.programs import program

TILE = 16
"""Least side of a tile in pixels. Smaller tiles follow joints more closely, but more of a window is halo."""
MARGIN = 4
"""Pixels around a joint that may move in any case, beside those whose tile is active for that."""
SHARE = 0.4
"""The share of all tiles above which the image in one piece costs no more. Halos and small convolutions make a tile
cost 1.7 (VGG19) to 2.1 times (embedded network) its share of the whole image's step on a CPU."""


class Tiles(NamedTuple):
    """Which tiles of an image are active.

    Attributes:
      order: int32 [tiles], the numbers of all tiles (counted row by row), active ones first.
      active: int32, how many are active.
      free: bool [H, W, 1], the pixels that only neurons of active tiles see: those that are optimised.
    """

    order: Int32[Array, " tiles"]
    active: Int32[Array, ""]
    free: Bool[Array, "h w 1"]


@dataclasses.dataclass(frozen=True)
class Grid:
    """How an image is cut: tile and halo in pixels, multiples of `stride`; tiles a column and a row."""

    tile: int
    halo: int
    stride: int
    rows: int
    columns: int

    @property
    def window(self) -> int:
        return self.tile + 2 * self.halo

    @property
    def shape(self) -> tuple[int, int]:
        """The (height, width) of the array that windows are cut from."""
        return max(self.rows * self.tile, self.window), max(self.columns * self.tile, self.window)

    def places(self, numbers: Int32[Array, " n"]) -> tuple[Int32[Array, "n 2"], Int32[Array, "n 2"]]:
        """The first (row, column) of tiles and of their windows, int32 [n, 2].

        As in stripes, a window never leaves the image: at its borders the borders are the image's own.
        """
        tile = self.tile * jnp.stack([numbers // self.columns, numbers % self.columns], -1)
        room = jnp.asarray([[n - self.window for n in self.shape]], jnp.int32)
        return tile, jnp.clip(tile - self.halo, 0, room)


def cut_tiles(shape: tuple[int, ...], taps: tuple[str, ...]) -> Grid:
    """The tiles of an image of `shape` [H, W, ...] for a loss on `taps`."""
    footprint = receptive_footprint(None, max(taps, key=tap_depth))
    stride = footprint.stride
    halo = _up(max(footprint.before, footprint.after), stride)
    tile = _up(max(TILE, 4 * halo), stride)
    return Grid(tile, halo, stride, -(-shape[0] // tile), -(-shape[1] // tile))


@program()
def find_joints(
    pixels: Int32[Array, "h w 2"] | Float32[Array, "h w 2"],
    size: AnySize,
    photo_size: AnySize,
    *,
    neurons: dict[str, Int32[Array, "_ _ 2"] | Float32[Array, "_ _ 2"]] | None = None,
) -> Bool[Array, "h w"]:
    """Where pixels of a carved image lie beside what they did not lie beside in the photo.

    Args:
      pixels: (row, column) in the photo of each pixel of the image, int32 or float32 [H, W, 2]: the photo's coordinates
        after the seams of the first tap. A fraction marks a pixel that was made.
      size: the valid (height, width) of the image.
      photo_size: the valid (height, width) of the photo.
      neurons: for a loss on taps of which not all have the image's seams, the same for each of those taps, in its
        neurons, [h, w, 2]: where they went another way than the pixels below them counts as a joint.

    Returns:
      bool [H, W].
    """
    pixels = pixels.astype(jnp.float32)
    joints = jnp.zeros(pixels.shape[:2], bool)
    for axis in (0, 1):
        length, last = pixels.shape[axis], jnp.asarray(size[axis], jnp.int32) - 1
        step = jnp.asarray([1 - axis, axis], jnp.float32).reshape(1, 1, 2)
        first = lax.slice_in_dim(pixels, 0, length - 1, axis=axis)
        apart = jnp.any(lax.slice_in_dim(pixels, 1, length, axis=axis) - first != step, -1)
        places = lax.broadcasted_iota(jnp.int32, joints.shape, axis)
        # The image's borders have to be the photo's own: a network sees them.
        edge = jnp.asarray(photo_size[axis], jnp.float32) - 1
        joints |= (places == 0) & (pixels[..., axis] != 0) | (places == last) & (pixels[..., axis] != edge)
        for side in ((0, 1), (1, 0)):  # Marks the first of two pixels, then the second.
            beside = [(0, 0), (0, 0)]
            beside[axis] = side
            # What lies past the last valid pixel is padding, not a neighbour.
            joints |= jnp.pad(apart, beside) & (places < last + side[0])
    for tap, sources in (neurons or {}).items():
        stride = Level(tap).stride
        rows, columns = (jnp.arange(n) for n in pixels.shape[:2])
        below = [jnp.minimum(n // stride, m - 1) for n, m in zip((rows, columns), sources.shape[:2], strict=True)]
        inside = jnp.stack(jnp.meshgrid(rows % stride, columns % stride, indexing="ij"), -1)
        expected = stride * sources[below[0]][:, below[1]].astype(jnp.float32) + inside.astype(jnp.float32)
        held = valid_mask(pixels.shape, (size[0] // stride * stride, size[1] // stride * stride))[..., 0]
        joints |= jnp.any(pixels != expected, -1) & held
    return joints & valid_mask(joints.shape, size)[..., 0]


@program(static_argnames=("taps", "margin"))
def active_tiles(joints: Bool[Array, "h w"], taps: tuple[str, ...], *, margin: int = MARGIN) -> Tiles:
    """The tiles from which a joint is as near as a neuron of the deepest tap sees, and `margin` pixels.

    Args:
      joints: bool [H, W], False outside the valid part.
      taps: the taps that the loss looks at.
      margin: how many pixels further a joint may be; the more, the further from joints pixels move.
    """
    grid = cut_tiles(joints.shape, taps)
    reach = grid.halo + margin
    overhang = [
        (reach, n * grid.tile - m + reach) for n, m in zip((grid.rows, grid.columns), joints.shape, strict=True)
    ]
    field = (grid.tile + 2 * reach,) * 2
    active = lax.reduce_window(joints, False, lax.bitwise_or, field, (grid.tile,) * 2, overhang)
    fixed = ~jnp.repeat(jnp.repeat(active, grid.tile, 0), grid.tile, 1)
    for side in ((2 * grid.halo + 1, 1), (1, 2 * grid.halo + 1)):
        fixed = lax.reduce_window(fixed, False, lax.bitwise_or, side, (1, 1), "SAME")
    free = ~fixed[: joints.shape[0], : joints.shape[1], None]
    order = jnp.argsort(~active.reshape(-1), stable=True).astype(jnp.int32)
    return Tiles(order, jnp.sum(active, dtype=jnp.int32), free)


def worthwhile(tiles: Tiles) -> Bool[Array, ""]:
    """Whether optimising the active tiles is cheaper than the image in one piece, a bool scalar."""
    return tiles.active.astype(jnp.float32) <= SHARE * tiles.order.shape[0]


def _up(length: int, step: int) -> int:
    return -(-length // step) * step
