"""Reconstruction and refinement of the tiles in which seams joined what was apart (Sec. 3.2, 3.3); the rest is done.

A photo carved as its features are (`init=seam`) has the features wanted wherever a neuron sees no joint. Only pixels
near joints are optimised, the others are constants, and their share of the loss is a number. The image is cut into
tiles that do not overlap. Every neuron belongs to one tile and is evaluated in a window that holds the pixels which it
sees as well; windows are cut from the current image at every step, so that neighbours see each other.

The loss is a sum over any number of windows, a few at a time: one program serves every number of active tiles, and
memory does not grow with it. The state of the optimisation stays the whole image: its Adam step costs next to nothing.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float32

from dnr_jax.arrays import Image
from dnr_jax.networks.taps import levels_of
from dnr_jax.padding import fit, valid_mask
from dnr_jax.programs import program
from dnr_jax.progress import StepProgress
from dnr_jax.rendering.joints import Grid, Tiles, cut_tiles
from dnr_jax.rendering.optimise import Minimum, Schedule, minimise
from dnr_jax.rendering.reconstruct import FeatureLoss, FeatureTargets, reconstruct, sum_squares
from dnr_jax.rendering.sampler import sample

BATCH = 8
"""Windows evaluated at once: enough to fill vector units, few enough for the processor's cache."""


class TiledTargets(NamedTuple):
    """What an image is compared with, tile by tile.

    Attributes:
      targets: the targets of the whole image, with features padded to whole tiles.
      tiles: the tiles that are evaluated.
      rest: each tap's sum of squared differences in all other tiles, float32 [taps], which no free pixel changes.
    """

    targets: FeatureTargets
    tiles: Tiles
    rest: Float32[Array, " taps"]


class TiledImage(NamedTuple):
    """The reconstructed image O, float32 [H, W, 3], and what `G(O)` is compared with."""

    image: Image
    targets: TiledTargets


@dataclasses.dataclass(frozen=True)
class TiledLoss:
    """`FeatureLoss` as a function of the free pixels: equal to it, with gradient 0 at all other pixels."""

    loss: FeatureLoss

    def __call__(self, value: Image, data: TiledTargets) -> Float32[Array, ""]:
        """The loss of an image `value`, float32 [H, W, 3], that has its start's pixels where none are free."""
        return _evaluate(self.loss, value, data, lambda window, first: window)

    def project(self, value: Image) -> Image:
        """Clips an image to [0, 255]."""
        return self.loss.project(value)


@dataclasses.dataclass(frozen=True)
class TiledSampledLoss:
    """The loss of `G(O)` as a function of the sampler's displacements of free pixels; 0 elsewhere."""

    loss: FeatureLoss

    def __call__(self, value: Float32[Array, "h w 2"], data: TiledImage) -> Float32[Array, ""]:
        """The loss for displacements `value`, float32 [H, W, 2] in pixels, that are 0 where no pixel is free."""

        def shift(window: jax.Array, first: jax.Array) -> jax.Array:
            here = jnp.stack(jnp.meshgrid(*(jnp.arange(n) for n in window.shape[:2]), indexing="ij"), -1)
            # Rounded where the whole image's coordinates are, so that they are the same to the bit.
            there = (here + first.reshape(1, 1, 2)).astype(jnp.float32) + window
            return sample(data.image, there - here.astype(jnp.float32), size=data.targets.targets.size)

        return _evaluate(self.loss, value, data.targets, shift)

    def project(self, value: Float32[Array, "h w 2"]) -> Float32[Array, "h w 2"]:
        """Every displacement is allowed: the sampler clamps at the borders."""
        return value


@program(static_argnames=("loss",))
def tile_targets(loss: FeatureLoss, start: Image, targets: FeatureTargets, tiles: Tiles) -> TiledTargets:
    """The targets of an image, float32 [H, W, 3], of which only free pixels will change."""
    grid = cut_tiles(start.shape, loss.taps)
    features = tuple(
        fit(target, level.size(grid.shape))
        for target, level in zip(targets.features, levels_of(loss.taps), strict=True)
    )
    targets = targets._replace(features=features)
    inactive = (tiles.active, jnp.int32(tiles.order.shape[0]))
    rest, _ = _sum_tiles(loss, grid, fit(start, grid.shape), targets, tiles.order, inactive, _as_it_is, None)
    return TiledTargets(targets, tiles, rest)


def reconstruct_tiles(
    loss: FeatureLoss,
    start: Image,
    targets: TiledTargets,
    schedule: Schedule,
    *,
    snapshot_every: int = 0,
    progress: StepProgress | None = None,
    watch: Callable[[jax.Array], None] | None = None,
) -> Minimum:
    """As `reconstruct`, of the free pixels; all others are the start's, to the bit, where they lie in [0, 255]."""
    options: Any = {"snapshot_every": snapshot_every, "progress": progress, "watch": watch}
    return reconstruct(TiledLoss(loss), start, targets, schedule, **options)


def refine_tiles(
    loss: FeatureLoss,
    image: Image,
    targets: TiledTargets,
    schedule: Schedule,
    *,
    progress: StepProgress | None = None,
) -> Minimum:
    """As `refine`, of the free pixels' displacements; all others are 0, which leaves pixels as they are, to the bit."""
    start = jnp.zeros((*image.shape[:2], 2), jnp.float32)
    data = TiledImage(image, targets)
    return minimise(TiledSampledLoss(loss), start, data, schedule, stage="refinement", progress=progress)


def _as_it_is(window: jax.Array, first: jax.Array) -> jax.Array:
    return window


_Paint = Callable[[jax.Array, jax.Array], jax.Array]
"""Makes a window of the image of the same window of the value and its first (row, column), int32 [2]."""


def _evaluate(loss: FeatureLoss, value: jax.Array, data: TiledTargets, paint: _Paint) -> jax.Array:
    """The loss at `value`, float32 [H, W, c], whose gradient is that for free places and 0 elsewhere."""
    grid, tiles = cut_tiles(value.shape, loss.taps), data.tiles
    array = fit(lax.stop_gradient(value), grid.shape)

    def sum_parts(slopes: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        active = (jnp.int32(0), tiles.active)
        squares, gradient = _sum_tiles(loss, grid, array, data.targets, tiles.order, active, paint, slopes)
        return squares + data.rest, jnp.where(tiles.free, gradient[: value.shape[0], : value.shape[1]], 0)

    return loss.from_parts(value, data.targets.loss_weights, sum_parts)


def _sum_tiles(
    loss: FeatureLoss,
    grid: Grid,
    array: jax.Array,
    data: FeatureTargets,
    order: jax.Array,
    places: tuple[jax.Array, jax.Array],
    paint: _Paint,
    slopes: jax.Array | None,
) -> tuple[jax.Array, jax.Array]:
    """Each tap's sum of squares in some tiles, and its gradient, weighted by `slopes`; 0 for None.

    Args:
      array: float32 [*grid.shape, c], which windows are cut from.
      data: what the image is compared with; its features are padded to the grid.
      order: the numbers of tiles, int32.
      places: the tiles counted are those from the first place in `order` to before the second.
      paint: makes windows of the image.

    Returns:
      float32 [taps] and float32 [*grid.shape, c].
    """
    levels = levels_of(loss.taps)

    def tile_squares(
        window: jax.Array, tile: jax.Array, first: jax.Array, counted: jax.Array, *targets: jax.Array
    ) -> jax.Array:
        size = (data.size[0] - first[0], data.size[1] - first[1])
        found = data.network.features(paint(window, first), loss.taps, size=size)
        insides = []
        for target, level in zip(targets, levels, strict=True):
            own = [
                (places >= tile[axis] // level.stride) & (places < (tile[axis] + grid.tile) // level.stride)
                for axis in (0, 1)
                for places in [first[axis] // level.stride + jnp.arange(target.shape[axis])]
            ]
            inside = own[0][:, None, None] & own[1][None, :, None] & counted
            insides.append(inside & valid_mask(target.shape, level.size(size)))
        return sum_squares([found[tap] for tap in loss.taps], targets, insides)

    def add_batch(index: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        squares, gradient = sums
        place = places[0] + index * BATCH + jnp.arange(BATCH)
        tiles, firsts = grid.places(order[jnp.minimum(place, order.shape[0] - 1)])
        targets = [
            _cut(target, firsts // level.stride, grid.window // level.stride)
            for target, level in zip(data.features, levels, strict=True)
        ]

        def batch_squares(windows: jax.Array) -> jax.Array:
            return jnp.sum(jax.vmap(tile_squares)(windows, tiles, firsts, place < places[1], *targets), 0)

        windows = _cut(array, firsts, grid.window)
        if slopes is None:
            return squares + batch_squares(windows), gradient
        here, pull = jax.vjp(batch_squares, windows)
        for part, first in zip(pull(slopes)[0], firsts, strict=True):
            before = lax.dynamic_slice(gradient, (*first, 0), part.shape)
            gradient = lax.dynamic_update_slice(gradient, before + part, (*first, 0))
        return squares + here, gradient

    batches = (places[1] - places[0] + BATCH - 1) // BATCH
    sums = (jnp.zeros(len(loss.taps), jnp.float32), jnp.zeros_like(array))
    return lax.fori_loop(0, batches, add_batch, sums)


def _cut(array: jax.Array, firsts: jax.Array, side: int) -> jax.Array:
    """Square windows of an array [H, W, c], stacked; one copy each is faster on a CPU than a gather of them all."""
    shape = (side, side, array.shape[2])
    return jnp.stack([lax.dynamic_slice(array, (first[0], first[1], 0), shape) for first in firsts])
