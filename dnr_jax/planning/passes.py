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
from dnr_jax.padding import fit, traced_size
from dnr_jax.planning.carve import Carving, apply_width, carve_width, insert_width
from dnr_jax.planning.choice import Judged, choose_width
from dnr_jax.planning.masks import widest
from dnr_jax.planning.objects import object_level
from dnr_jax.planning.seams import Seams
from dnr_jax.shapes import bucket_side

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
      damage: by number of deepest seams, the damage of each choice that was tried; None where nothing was to choose.
    """

    side: str
    grow: bool
    carving: Carving
    size: tuple[int, int]
    new_size: tuple[int, int]
    wanted: int
    damage: dict[int, float] | None = None

    @property
    def changes(self) -> bool:
        """Whether any seam goes."""
        return self.new_size != self.size


class Layers(NamedTuple):
    """The maps that passes are found on; their valid part changes with every pass.

    Attributes:
      maps: S_l of each tap with its priors, float32 [h_l, w_l].
      bias: what masks add to the costs, likewise; None without masks.
      objects: what the warp goes by, float32 [h_l, w_l] at `object_level`; None where it goes by the maps.
      look: what joints are judged by (`dnr_jax.planning.damage.look_of`), float32 [H, W, 4]; None where nothing is
        to be chosen.
    """

    maps: tuple[jax.Array, ...]
    bias: tuple[jax.Array, ...] | None
    objects: jax.Array | None = None
    look: jax.Array | None = None

    def protected(self, taps: tuple[str, ...]) -> jax.Array | None:
        """What a mask protects, bool at `object_level`; None without masks."""
        return None if self.bias is None else self.bias[object_level(taps)] > 0


def find_passes(
    layers: Layers,
    size: tuple[int, int],
    target: tuple[int, int],
    threshold: jax.Array | None,
    config: RetargetConfig,
    *,
    end: tuple[int, int] | None = None,
) -> tuple[list[Pass], Layers, tuple[int, int]]:
    """Everything the seams do: first what is marked for removal goes, then width, then height approach the target.

    Args:
      layers: the photo's maps.
      size: its (height, width) in pixels.
      target: the (height, width) that seams may lead to.
      threshold: the most mean importance of a deepest seam; None: as many go as do least damage.
      config: options.
      end: the (height, width) that the warp leads to, where that is another; for the damage.

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
            if threshold is None:
                step, layers = _choose_pass(layers, size, side, wanted, end or target, config)
            else:
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
    turned = layers if side == "width" else transpose(layers)
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
    return _make_pass(layers, carving, size, side, wanted, None, config)


def _choose_pass(
    layers: Layers, size: tuple[int, int], side: str, wanted: int, end: tuple[int, int], config: RetargetConfig
) -> tuple[Pass, Layers]:
    """The pass of least damage, which may change nothing, and the maps that it leaves."""
    turned = layers if side == "width" else transpose(layers)
    assert turned.objects is not None
    turn = slice(None) if side == "width" else slice(None, None, -1)
    room = bucket_side(wanted) // tap_stride(config.taps[object_level(config.taps)])
    choice = choose_width(
        turned.maps,
        turned.bias,
        Judged(turned.objects, turned.protected(config.taps), turned.look),
        traced_size(size[turn]),
        wanted,
        traced_size(end[turn]),
        config.alpha,
        config.crop_share,
        taps=config.taps,
        region=config.region,
        room=room if wanted > size[AXES[side]] else None,
        seam_kernel=config.seam_kernel,
    )
    tried = zip(np.asarray(choice.counts), np.asarray(choice.damage), strict=True)
    damage = {int(count): float(value) for count, value in tried if np.isfinite(value)}
    return _make_pass(layers, choice.carving, size, side, wanted, damage, config)


def _make_pass(
    layers: Layers,
    carving: Carving,
    size: tuple[int, int],
    side: str,
    wanted: int,
    damage: dict[int, float] | None,
    config: RetargetConfig,
) -> tuple[Pass, Layers]:
    length = int(carving.width)
    new_size = (size[0], length) if side == "width" else (length, size[1])
    step = Pass(side, wanted > size[AXES[side]], carving, size, new_size, wanted, damage)
    if new_size == size:
        return step, layers
    level = object_level(config.taps)
    objects, look = layers.objects, layers.look
    left = Layers(
        tuple(replay([step], m, i, config) for i, m in enumerate(layers.maps)),
        None if layers.bias is None else tuple(replay([step], b, i, config) for i, b in enumerate(layers.bias)),
        None if objects is None else replay([step], objects, level, config),
        None if look is None else replay([step], look, 0, config),
    )
    return step, left


def replay(
    passes: list[Pass], array: jax.Array, level: int, config: RetargetConfig, shape: tuple[int, int] | None = None
) -> jax.Array:
    """Removes or inserts in an array of one level, [h_l, w_l] or [h_l, w_l, c], what the passes did there.

    A removal keeps the array's shape; an insertion gives it that of a canvas which holds the new size. With `shape` the
    result is cut or padded to it.
    """
    passes = [step for step in passes if step.changes]
    if not passes:
        return array if shape is None else fit(array, shape)
    stride = tap_stride(config.taps[level])
    for number, step in enumerate(passes, 1):
        room = bucket_side(step.new_size[AXES[step.side]]) // stride if step.grow else None
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
    # Arrays may be larger than the map that the seams were found on, never smaller.
    height, width = map(max, array.shape[:2], seams.kept.shape)
    array = fit(array, (height, width))
    array = apply_width(array, seams.kept) if room is None else insert_width(array, seams, room)
    array = jnp.swapaxes(array, 0, 1) if turned else array
    return array if shape is None else fit(array, shape)


@jax.jit
def transpose(layers: Layers) -> Layers:
    """The same of the photo turned over its diagonal."""
    return jax.tree.map(lambda array: jnp.swapaxes(array, 0, 1), layers)


def _marked(layers: Layers, size: tuple[int, int]) -> np.ndarray | None:
    """What is still to be removed at the finest level, bool [H, W]; None for nothing."""
    if layers.bias is None:
        return None
    marked = np.asarray(layers.bias[0] < 0)[: size[0], : size[1]]
    return marked if marked.any() else None
