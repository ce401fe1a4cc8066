"""The hierarchy: how many seams at which level, from the deepest tap to the shallowest (Sec. 3.1, Eq. 2).

Written for width; the height is the transpose. Sizes and counts are traced, so that another target width, percentile
or alpha compiles nothing.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, Int32, Shaped

from dnr_jax.arrays import Maps, Number, Whole
from dnr_jax.networks.taps import Footprint, levels_of, projected_footprint, receptive_footprint
from dnr_jax.padding import AnySize
from dnr_jax.planning.seam_kernels import choose_seam_kernel
from dnr_jax.planning.seams import Seams, find_seams
from dnr_jax.programs import program


class Carving(NamedTuple):
    """The seams of every level, shallow to deep.

    Attributes:
      levels: each tap's seams in positions of its map before any removal or insertion.
      guided: MS_l of Eq. 2, float32 [h_l, w_l], without the bias that masks add.
      width: int32, W_mid: the image width that the seams lead to.
    """

    levels: tuple[Seams, ...]
    guided: Maps
    width: Int32[Array, ""]


@program(static_argnames=("taps", "region", "seam_kernel"))
def carve_width(
    importance: Maps,
    size: AnySize,
    target_width: Whole,
    threshold: Number,
    alpha: Number,
    *,
    taps: tuple[str, ...],
    region: str = "projected",
    bias: Maps | None = None,
    most_deep: Whole | None = None,
    seam_kernel: str = "auto",
) -> Carving:
    """Finds the seams of every level, each guided by the next deeper one.

    At the deepest tap up to `N = |w_L(W) - w_L(W')|` seams go, the first always, others while their mean cost is at
    most `threshold`. Every finer level changes by the same share of its width. To enlarge, the same seams are found as
    if to remove them, and are then inserted beside (`insert_width`).

    Args:
      importance: S_l, float32 [h_l, w_l], shallow to deep.
      size: the valid (height, width) in pixels of the photo that the maps belong to.
      target_width: W', 1 to one and a half times the width.
      threshold: the most mean cost a seam of the deepest tap may have to go.
      alpha: the factor of Eq. 2.
      taps: the taps that the maps belong to.
      region: "projected" or "receptive".
      bias: what masks add to each level's cost, float32 [h_l, w_l]; not scaled by alpha.
      most_deep: the most seams of the deepest tap that may go; None for no limit. With 0 nothing changes, unless the
        target is so near that the deepest tap loses none in any case.
      seam_kernel: which implementation finds the seams, "auto", "scan" or "pallas"; all find the same ones. With a bias
        it is always the scan, whose sums bear what masks add.
    """
    find = _seam_finder(seam_kernel) if bias is None else partial(find_seams, levelled=True)
    height, width = (jnp.asarray(n, jnp.int32) for n in size)
    target_width = jnp.asarray(target_width, jnp.int32)
    alpha = jnp.asarray(alpha, jnp.float32)
    hierarchy = levels_of(taps)
    sizes = [level.size((height, width)) for level in hierarchy]

    def cost(level: int, guided: jax.Array) -> jax.Array:
        return guided if bias is None else guided + bias[level]

    most = jnp.abs(sizes[-1][1] - hierarchy[-1].size((height, target_width))[1])
    allowed = most if most_deep is None else jnp.minimum(most, most_deep)
    deepest = find(cost(len(taps) - 1, importance[-1]), allowed, threshold=threshold, size=sizes[-1])
    mid_width = intermediate_width(width, target_width, deepest.removed, most, sizes[-1][1])

    levels, guided = [deepest], [importance[-1]]
    for level in range(len(taps) - 2, -1, -1):
        footprint = _FOOTPRINTS[region](taps[level], taps[level + 1])
        removed = levels[0].order < levels[0].removed
        covered = covered_region(removed, sizes[level + 1], importance[level].shape, footprint)
        guided.insert(0, jnp.where(covered, alpha * importance[level], importance[level]))
        count = jnp.abs(sizes[level][1] - hierarchy[level].size((height, mid_width))[1])
        levels.insert(0, find(cost(level, guided[0]), count, size=sizes[level]))
    return Carving(tuple(levels), tuple(guided), mid_width)


def _seam_finder(choice: str) -> Callable[..., Seams]:
    if choose_seam_kernel(choice) == "scan":
        return find_seams
    from dnr_jax.planning import seams_pallas as kernel  # Only who asks for it waits for Pallas to be imported.

    return kernel.find_seams


_FOOTPRINTS = {"projected": projected_footprint, "receptive": receptive_footprint}


def intermediate_width(
    width: Whole, target_width: Whole, removed: Whole, most: Whole, deep_width: Whole
) -> Int32[Array, ""]:
    """W_mid, int32: the target where all deep seams went, else `W -+ round(W * n / w_L)` as far as the target.

    Halves are rounded up.
    """
    change = (2 * width * removed + deep_width) // (2 * deep_width)
    narrowed, widened = jnp.maximum(target_width, width - change), jnp.minimum(target_width, width + change)
    return jnp.where(removed == most, target_width, jnp.where(target_width < width, narrowed, widened))


def covered_region(
    removed: Bool[Array, "_ _"], size: AnySize, shape: tuple[int, ...], footprint: Footprint
) -> Bool[Array, "_ _"]:
    """The neurons of the finer level that removed neurons of the deeper level cover (Eq. 2), bool of `shape`.

    Rows and columns left over by VALID pooling belong to the last block.

    Args:
      removed: bool [h_l, w_l].
      size: the valid (height, width) of `removed`.
      shape: the shape of the finer level's map.
      footprint: what one deep neuron covers.
    """
    rows, columns = (np.arange(n, dtype=np.int32) // footprint.stride for n in shape[:2])
    last_row, last_column = (jnp.maximum(n - 1, 0) for n in size)
    projected = removed[jnp.minimum(rows, last_row)[:, None], jnp.minimum(columns, last_column)[None, :]]
    before, after = footprint.before, footprint.after
    if before == after == 0:
        return projected
    field = before + after + 1
    # A neuron's field reaches `before` further up and `after` further down: look as far the other way.
    reached = jax.lax.reduce_window(
        projected, False, jax.lax.bitwise_or, (field, field), (1, 1), ((after, before), (after, before))
    )
    return projected | reached


def apply_width(array: Shaped[Array, "h w *c"], kept: Int32[Array, "h _"]) -> Shaped[Array, "h _ *c"]:
    """Gathers the kept columns of each row (`F' = F` at K, all channels alike), [h, w] or [h, w, c] as `array`."""
    indices = kept if array.ndim == 2 else kept[..., None]
    return jnp.take_along_axis(array, indices, axis=1, mode="clip")


def insert_width(array: Float32[Array, "h w *c"], seams: Seams, width: int) -> Float32[Array, "h _ *c"]:
    """Inserts beside each seam neuron the mean of it and its right neighbour (itself at the right edge).

    Args:
      array: [h, w] or [h, w, c], the map that the seams were found on, or one of its shape.
      seams: found as if to remove them.
      width: columns of the result, at least the valid width and the seams; those past both are undefined.
    """
    columns = jnp.arange(array.shape[1], dtype=jnp.int32)[None, :]
    seam = (seams.order < seams.removed).astype(jnp.int32)
    valid = seams.width + seams.removed
    # Where each original neuron goes; those past the valid part go past everything.
    places = jnp.where(columns < valid, columns + jnp.cumsum(seam, 1) - seam, 2 * array.shape[1])
    wanted = jnp.arange(width, dtype=jnp.int32)
    left = jax.vmap(lambda row: jnp.searchsorted(row, wanted, side="right"))(places).astype(jnp.int32) - 1
    inserted = wanted[None, :] > jnp.take_along_axis(places, left, axis=1)
    right = jnp.where(inserted, jnp.minimum(left + 1, valid - 1), left)
    return 0.5 * (apply_width(array, left) + apply_width(array, right))
