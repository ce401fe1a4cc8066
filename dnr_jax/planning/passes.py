"""Width, then height: the passes of seams that lead from the photo to the intermediate image, and their replay.

Seams are written for width; here the height is transposed to and fro. A pass is found on importance maps alone and then
replayed on whatever belongs to the same photo: features, pixels, transparency, other frames.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnr_jax.config import RetargetConfig
from dnr_jax.networks.taps import tap_stride
from dnr_jax.padding import canvas_length, fit
from dnr_jax.planning.carve import Carving, apply_width, carve_width, insert_width
from dnr_jax.planning.masks import widest
from dnr_jax.planning.seams import Seams

SIDES = ("width", "height")
AXES = {"height": 0, "width": 1}


class Pass(NamedTuple):
    """One round of seams on one side.

    Attributes:
      side: "width" or "height"; for the height, the carving's arrays are transposed.
      grow: whether seams are inserted rather than removed.
      carving: the seams of every level.
      size: valid (height, width) in pixels before the pass.
      new_size: valid (height, width) after it.
      wanted: pixels of the side that were asked for; the threshold may have stopped it short of them.
    """

    side: str
    grow: bool
    carving: Carving
    size: tuple[int, int]
    new_size: tuple[int, int]
    wanted: int


class Layers(NamedTuple):
    """The maps that passes are found on; their valid part changes with every pass.

    Attributes:
      maps: S_l of each tap, float32 [h_l, w_l].
      bias: what masks add to the costs, likewise; None without masks.
    """

    maps: tuple[jax.Array, ...]
    bias: tuple[jax.Array, ...] | None


def find_passes(
    layers: Layers,
    size: tuple[int, int],
    target: tuple[int, int],
    threshold: jax.Array,
    config: RetargetConfig,
) -> tuple[list[Pass], Layers, tuple[int, int]]:
    """Everything the seams do: first what is marked for removal goes, then width, then height approach the target.

    Args:
      layers: the photo's maps.
      size: its (height, width) in pixels.
      target: the (height, width) wanted.
      threshold: the most mean importance of a deepest seam.

    Returns:
      The passes in order, the maps they leave, and the valid (height, width) of those in pixels.

    Raises:
      ValueError: the remove mask leaves nothing of a side.
    """
    passes, layers, size = remove_marked(layers, size, config)
    for side in SIDES:
        while (length := size[AXES[side]]) != target[AXES[side]]:
            # At most half the side in one round of insertions, so that no seam is needed twice.
            wanted = min(target[AXES[side]], length + length // 2)
            step, layers = _run_pass(layers, size, side, wanted, threshold, config)
            passes.append(step)
            size = step.new_size
            if size[AXES[side]] != wanted:
                break
    return passes, layers, size


def remove_marked(
    layers: Layers, size: tuple[int, int], config: RetargetConfig
) -> tuple[list[Pass], Layers, tuple[int, int]]:
    """The passes that take what is marked for removal; arguments and results as for `find_passes`."""
    passes: list[Pass] = []
    while (marked := _marked(layers, size)) is not None:
        extents = {"width": widest(marked), "height": widest(marked.T)}
        side = min(extents, key=extents.__getitem__)
        wanted = size[AXES[side]] - extents[side]
        if wanted < tap_stride(config.taps[-1]):
            raise ValueError(f"the remove mask leaves {wanted} pixels of the {side}: mark less")
        step, layers = _run_pass(layers, size, side, wanted, jnp.float32(jnp.inf), config)
        passes.append(step)
        size = step.new_size
    return passes, layers, size


def _run_pass(
    layers: Layers, size: tuple[int, int], side: str, wanted: int, limit: jax.Array, config: RetargetConfig
) -> tuple[Pass, Layers]:
    """One pass, and the maps that it leaves."""
    turned = layers if side == "width" else _transpose(layers)
    carving = carve_width(
        turned.maps,
        size if side == "width" else size[::-1],
        wanted,
        limit,
        config.alpha,
        taps=config.taps,
        region=config.region,
        bias=turned.bias,
        seam_kernel=config.seam_kernel,
    )
    length = int(carving.width)
    new_size = (size[0], length) if side == "width" else (length, size[1])
    step = Pass(side, wanted > size[AXES[side]], carving, size, new_size, wanted)
    left = Layers(
        tuple(replay([step], m, i, config) for i, m in enumerate(layers.maps)),
        None if layers.bias is None else tuple(replay([step], b, i, config) for i, b in enumerate(layers.bias)),
    )
    return step, left


def replay(
    passes: list[Pass], array: jax.Array, level: int, config: RetargetConfig, shape: tuple[int, int] | None = None
) -> jax.Array:
    """Removes or inserts in an array of one level, [h_l, w_l] or [h_l, w_l, c], what the passes did there.

    A removal keeps the array's shape; an insertion gives it that of a canvas which holds the new size. With `shape` the
    result is cut or padded to it.
    """
    if shape is not None and not passes:
        return fit(array, shape)
    stride = tap_stride(config.taps[level])
    for number, step in enumerate(passes, 1):
        room = canvas_length(step.new_size[AXES[step.side]]) // stride if step.grow else None
        seams, last = step.carving.levels[level], number == len(passes)
        array = replay_seams(array, seams, step.side == "height", room, shape if last else None)
    return array


@partial(jax.jit, static_argnames=("turned", "room", "shape"))
def replay_seams(
    array: jax.Array, seams: Seams, turned: bool, room: int | None = None, shape: tuple[int, int] | None = None
) -> jax.Array:
    """Removes seams from an array of their level, transposed if `turned`; with `room` inserts into so many columns.

    With `shape` it is cut or padded to that in the same program, so that no whole copy lies between.
    """
    array = jnp.swapaxes(array, 0, 1) if turned else array
    # Arrays may be wider than the map that the seams were found on, never narrower.
    array = apply_width(array, seams.kept) if room is None else insert_width(array, seams, room)
    array = jnp.swapaxes(array, 0, 1) if turned else array
    return array if shape is None else fit(array, shape)


@jax.jit
def _transpose(layers: Layers) -> Layers:
    return jax.tree.map(lambda array: jnp.swapaxes(array, 0, 1), layers)


def _marked(layers: Layers, size: tuple[int, int]) -> np.ndarray | None:
    """What is still to be removed at the finest level, bool [H, W]; None for nothing."""
    if layers.bias is None:
        return None
    marked = np.asarray(layers.bias[0] < 0)[: size[0], : size[1]]
    return marked if marked.any() else None
