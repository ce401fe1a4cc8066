"""The grid warp: what the seams must not remove, unimportant column cells give by narrowing (Sec. 3.1, Eq. 3).

Written for width; the height is the transpose.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float32

from dnr_jax.arrays import Whole
from dnr_jax.padding import AnySize
from dnr_jax.programs import program


class Warp(NamedTuple):
    """A piecewise linear map of columns.

    Attributes:
      old_edges: float32 [cells + 1], cell borders in the image that is warped, in pixels from 0 to its valid width;
        cells past it are empty. What lies before the first or past the last one is cropped.
      new_edges: float32 [cells + 1], where they go, from 0 to the target width.
    """

    old_edges: Float32[Array, " edges"]
    new_edges: Float32[Array, " edges"]


@program(static_argnames=("cell",))
def plan_warp(
    importance: Float32[Array, "h w"],
    size: AnySize,
    target_width: Whole,
    cell: int,
) -> Warp:
    """Shares the target width out over the cells by their importance (Eq. 3).

    Narrowing: widths in proportion to importance times width. No cell grows: those that would are kept at their
    width, and what is left is shared out among the others, until none grows. Cells without any importance left to
    share by are shared out by their widths.

    Enlarging: no cell shrinks, and what is added is shared out in proportion to width over importance. Differs from
    the paper, which only narrows: Eq. 3 as it stands would stretch most what matters most.

    Args:
      importance: float32 [H, W], not negative.
      size: the valid (height, width) of the map.
      target_width: the width to reach, at least 1.
      cell: w_G in pixels; the last cell may be narrower.
    """
    height, width = (jnp.asarray(n, jnp.int32) for n in size)
    cells = -(-importance.shape[1] // cell)
    edges = jnp.minimum(jnp.arange(cells + 1, dtype=jnp.int32) * cell, width).astype(jnp.float32)
    old = edges[1:] - edges[:-1]
    rows, columns = jnp.arange(importance.shape[0])[:, None], jnp.arange(importance.shape[1])[None, :]
    inside = jnp.where((rows < height) & (columns < width), jnp.maximum(importance, 0), 0)
    sums = jax.ops.segment_sum(jnp.sum(inside, 0), columns[0] // cell, cells)
    # mu_i times the cell's width is the sum over the cell but for its height, which all cells share.
    shares, end = sums / height.astype(jnp.float32), jnp.asarray(target_width, jnp.float32)
    new = jnp.where(end > edges[-1], _grow(shares, old, end), _share_out(shares, old, end))
    new_edges = jnp.concatenate([jnp.zeros(1), jnp.cumsum(new)])
    # Whatever the sum's rounding, edges stay monotone, the end is exact, and so is the identity.
    new_edges = jnp.where(edges >= edges[-1], end, jnp.minimum(new_edges, end))
    return Warp(edges, jnp.where(end == edges[-1], edges, new_edges))


def _share_out(shares: jax.Array, old: jax.Array, target: jax.Array) -> jax.Array:
    """New widths in proportion to `shares`, none above `old`, that sum to `target` <= sum(old); float32 [cells]."""

    def free_widths(full: jax.Array) -> jax.Array:
        left = jnp.maximum(0, target - jnp.sum(jnp.where(full, old, 0)))
        total = jnp.sum(jnp.where(full, 0, shares))
        by_share = shares / jnp.where(total > 0, total, 1)
        by_width = old / jnp.maximum(jnp.sum(jnp.where(full, 0, old)), 1e-6)
        return left * jnp.where(total > 0, by_share, by_width)

    def grows(full: jax.Array) -> jax.Array:
        return ~full & (free_widths(full) > old)

    full = lax.while_loop(
        lambda full: jnp.any(grows(full)), lambda full: full | grows(full), jnp.zeros(old.shape, bool)
    )
    return jnp.where(full, old, jnp.minimum(free_widths(full), old))


def _grow(shares: jax.Array, old: jax.Array, target: jax.Array) -> jax.Array:
    """New widths, none below `old`, that sum to `target` >= sum(old); float32 [cells]."""
    importance = shares / jnp.maximum(old, 1e-6)
    floor = jnp.maximum(1e-3 * jnp.sum(shares) / jnp.maximum(jnp.sum(old), 1e-6), 1e-6)
    added = old / (importance + floor)
    return old + (target - jnp.sum(old)) * added / jnp.sum(added)


def uniform_warp(width: Whole, target_width: Whole) -> Warp:
    """The warp of one cell: uniform scaling of `width` columns to `target_width`."""
    ends = [jnp.asarray([0, n], jnp.float32) for n in (width, target_width)]
    return Warp(ends[0], ends[1])


@program(static_argnames=("width",))
def warp_width(image: Float32[Array, "h _ c"], warp: Warp, width: int) -> Float32[Array, "h _ c"]:
    """Scales each cell linearly, with a box filter over what an output pixel covers, or over one pixel where that is
    less (linear interpolation); exact at the identity.

    Args:
      image: float32 [H, W, C].
      warp: what `plan_warp` or `uniform_warp` returned.
      width: columns of the result, at least the warp's target width; what lies past that is 0.

    Returns:
      float32 [H, width, C].
    """
    places = jnp.arange(width + 1, dtype=jnp.float32)
    # Interpolation between equal edges may be off by a rounding.
    still = jnp.all(warp.new_edges == warp.old_edges)
    ends = jnp.where(still, places, jnp.interp(places, warp.new_edges, warp.old_edges))
    centres, half = (ends[1:] + ends[:-1]) / 2, jnp.maximum(ends[1:] - ends[:-1], 1) / 2
    low, high = (jnp.clip(x, warp.old_edges[0], warp.old_edges[-1])[:, None] for x in (centres - half, centres + half))
    pixels = jnp.arange(image.shape[1], dtype=jnp.float32)[None, :]
    overlap = jnp.maximum(0, jnp.minimum(high, pixels + 1) - jnp.maximum(low, pixels))
    overlap = jnp.where(places[:-1, None] < warp.new_edges[-1], overlap, 0)
    covered = jnp.sum(overlap, 1, keepdims=True)
    weights = overlap / jnp.where(covered > 0, covered, 1)
    return jnp.einsum("hwc,vw->hvc", image, weights, precision=lax.Precision.HIGHEST)
