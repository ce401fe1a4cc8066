"""The passes of seams that take what a mask marks for removal; on the host, for how many it takes shows on the way."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int32

from dnr_jax.config import RetargetConfig
from dnr_jax.padding import AnySize, traced_size
from dnr_jax.planning.masks import widest
from dnr_jax.planning.numbers import Numbers
from dnr_jax.planning.passes import Pass, leave, run_pass
from dnr_jax.planning.seam_maps import SeamMaps
from dnr_jax.planning.sides import AXES, SIDES, turned
from dnr_jax.programs import program
from dnr_jax.shapes import Round


class Removal(NamedTuple):
    """What it took to remove what is marked.

    Attributes:
      passes: the rounds of seams, in order, on the host; none where nothing is marked.
      maps: what they leave.
      size: the valid (height, width) in pixels of that.
      taken: how many protected pixels went as well.
    """

    passes: list[Pass]
    maps: SeamMaps
    size: tuple[int, int]
    taken: int


def remove_marked(maps: SeamMaps, size: tuple[int, int], numbers: Numbers, config: RetargetConfig) -> Removal:
    """Removes what is marked, by rounds on the side that takes the fewest protected pixels, then the fewest seams.

    Args:
      maps: what seams are found on.
      size: the valid (height, width) of the photo in pixels.
      numbers: traced options.
      config: static options.

    Raises:
      ValueError: the remove mask leaves nothing of a side.
    """
    removal = Removal([], maps, size, 0)
    config = dataclasses.replace(config, importance_percentile=100.0)
    while (marked := _marked(removal.maps, removal.size)) is not None:
        extents = {side: widest(turned(marked, side)) for side in SIDES}
        best = None
        for side in sorted(SIDES, key=extents.__getitem__):
            wanted = removal.size[AXES[side]] - extents[side]
            if wanted < config.levels[-1].stride:
                continue
            step, left, taken = _remove(
                removal.maps, traced_size(removal.size), jnp.int32(wanted), numbers, side=side, config=config
            )
            if best is None or int(taken) < best[2]:
                best = step, left, int(taken)
            if not best[2]:
                break  # The other side could only take more seams.
        if best is None:
            side = min(SIDES, key=extents.__getitem__)
            wanted = removal.size[AXES[side]] - extents[side]
            raise ValueError(f"the remove mask leaves {wanted} pixels of the {side}: mark less, or name shallower taps")
        last = best[0].on_host()
        removal = Removal([*removal.passes, last], best[1], last.new_size, removal.taken + best[2])
    return removal


@program(static_argnames=("side", "config"))
def _remove(
    maps: SeamMaps,
    size: AnySize,
    wanted: jax.Array,
    numbers: Numbers,
    *,
    side: str,
    config: RetargetConfig,
) -> tuple[Pass, SeamMaps, Int32[Array, ""]]:
    """One round on one side; what it leaves, and how many protected pixels go with it."""
    step = run_pass(maps, size, Round(side, 0), wanted, size, jnp.float32(jnp.inf), numbers, config)
    assert maps.bias is not None
    seams = step.carving.levels[0]
    taken = (seams.order < seams.removed) & (turned(maps.bias[0], side) > 0)
    return step, leave(maps, step, config), jnp.sum(taken, dtype=jnp.int32)


def _marked(maps: SeamMaps, size: tuple[int, int]) -> Bool[np.ndarray, "h w"] | None:
    """What is still to be removed at the finest level, bool [H, W]; None for nothing."""
    if maps.bias is None:
        return None
    marked = np.asarray(maps.bias[0] < 0)[: size[0], : size[1]]
    return marked if marked.any() else None
