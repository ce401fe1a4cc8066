"""`importance_percentile=auto`: where seams should stop and the grid warp take over (the paper's Sec. 4.7, Fig. 21).

The paper names the choice as a limitation and offers no rule. Here the seams of the deepest level are found once, as
many as the target could ask for; they nest, so each candidate percentile is a prefix of them. Each candidate is judged
by what it would do to the photo's objects: at the resolution of the deepest level, a neuron ends up with a local scale
s along the side that changes (0 where a seam took it, the width of its cell where the warp squeezed it, 1 where
nothing happened), and the damage is

    `sum(S_L^2 * (s - 1)^2) / sum(S_L^2)`.

- One currency: the strain energy of the map from photo to result, weighted by what the network sees. The square is the
  energy of elastic deformation that grid methods minimise (Wang et al., "Optimized Scale-and-Stretch for Image
  Resizing", 2008; Panozzo et al., "Robust Image Retargeting via Axis-Aligned Deformation", 2012). It also says what
  the two operators are for: a slight squeeze of an object passes unnoticed, a cut through it never does, and on ground
  where there is no object neither costs much.
- The weight is the energy of the features, so that what seams remove counts by its share of the squared norm that
  Eq. 5, the paper's semantic score, looks at; the square also sets objects off against their ground.
- The scales of the warp come from Eq. 3 with the maps of all levels, as the warp's do, in cells of one deepest neuron.

The sides are judged one by one on the same maps and their damages added. An enlargement beyond half of a side is judged
by its first round. Plain NumPy on maps of a few hundred neurons, but for the seams and the warp themselves.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnr_jax.networks.taps import tap_stride
from dnr_jax.planning.carve import intermediate_width
from dnr_jax.planning.masks import protect_importance
from dnr_jax.planning.passes import AXES, SIDES, Layers
from dnr_jax.planning.seams import find_seams
from dnr_jax.planning.warp import plan_warp

CANDIDATES = (5.0, 10.0, 20.0, 35.0, 50.0, 75.0, 100.0)
"""The percentiles that are tried."""
USUAL = 20.0
"""The paper's percentile; of equally good candidates the nearest to it is taken."""
_EQUAL = 1e-6


class Choice(NamedTuple):
    """The percentile that was chosen, and the damage that each candidate would do."""

    percentile: float
    damage: dict[float, float]


def choose_percentile(
    layers: Layers,
    size: tuple[int, int],
    target: tuple[int, int],
    thresholds: Mapping[float, float],
    taps: tuple[str, ...],
) -> Choice:
    """Tries each candidate and takes the one of least damage.

    Args:
      layers: importance maps, and what masks add to them; what is marked for removal has gone.
      size: the (height, width) in pixels that they are valid for.
      target: the (height, width) wanted.
      thresholds: by percentile, the most mean importance that a seam of the deepest level may have.
      taps: the maps' taps.

    Example:
      >>> layers = Layers((jnp.ones((4, 8)),), None)  # Nothing stands out, so nothing can be damaged.
      >>> choose_percentile(layers, (4, 8), (4, 6), {20.0: 1.0, 100.0: np.inf}, ("block1_conv1",)).percentile
      20.0
    """
    stride = tap_stride(taps[-1])
    cost, objects, importance = _on_deepest(layers, size, taps)
    damage = dict.fromkeys(thresholds, 0.0)
    for side in SIDES:
        length, wanted = size[AXES[side]], target[AXES[side]]
        wanted = min(wanted, length + length // 2)
        most = abs(length // stride - wanted // stride)
        if not most:
            continue  # Every candidate leaves the change to seams of the finer levels.
        maps = (cost, objects, importance) if side == "width" else (cost.T, objects.T, importance.T)
        seams = _find_seams(jnp.asarray(maps[0]), most)
        order, costs = np.asarray(seams.order), np.asarray(seams.costs)[:most]
        known: dict[int, float] = {}
        for percentile, threshold in thresholds.items():
            count = stopping_point(costs, threshold)
            if count not in known:
                known[count] = side_damage(order, count, most, maps[1], maps[2], (length, wanted))
            damage[percentile] += known[count]
    least = min(damage.values())
    best = [percentile for percentile, value in damage.items() if value <= least + _EQUAL]
    return Choice(min(best, key=lambda percentile: abs(percentile - USUAL)), damage)


def stopping_point(costs: np.ndarray, threshold: float) -> int:
    """How many seams go: the first, and others until one's mean cost is above the threshold.

    Args:
      costs: float32 [n], of the seams in the order of their removal.
      threshold: the most mean cost of a seam.
    """
    above = np.flatnonzero(costs[1:] > np.float32(threshold))
    return int(above[0]) + 1 if above.size else costs.size


def side_damage(
    order: np.ndarray,
    count: int,
    most: int,
    objects: np.ndarray,
    importance: np.ndarray,
    lengths: tuple[int, int],
) -> float:
    """The damage of removing, or inserting, the first `count` seams and leaving the rest to the warp.

    Args:
      order: int32 [h, w], the number of the seam through each neuron, from 0; w or more where there is none.
      count: how many seams go.
      most: how many could.
      objects: S_L^2 of each neuron, [h, w].
      importance: the warp's, [h, w].
      lengths: the side's length in pixels now, and what is wanted.
    """
    scale = local_scale(order, count, most, importance, lengths)
    total = float(objects.sum())
    return float((objects * np.square(scale - 1)).sum()) / total if total > 0 else 0.0


def local_scale(
    order: np.ndarray, count: int, most: int, importance: np.ndarray, lengths: tuple[int, int]
) -> np.ndarray:
    """What becomes of each neuron's width, float64 [h, w], 1 for unchanged. Args as for `side_damage`."""
    (height, width), (length, wanted) = order.shape, lengths
    copies = 1 + (1 if wanted > length else -1) * (order < count)
    columns = np.stack([np.repeat(np.arange(width), row) for row in copies])
    rows, left = np.arange(height)[:, None], columns.shape[1]
    middle = int(intermediate_width(*(jnp.int32(n) for n in (length, wanted, count, most, width))))
    widths = np.ones(left)
    if left and middle != wanted:
        # Padded to one shape, so that every candidate shares a compilation.
        carved = np.pad(importance[rows, columns], ((0, 0), (0, 2 * width - left)))
        warp = plan_warp(jnp.asarray(carved, jnp.float32), (height, left), jnp.float32(left * wanted / middle), 1)
        widths = np.diff(np.asarray(warp.new_edges, np.float64))[:left]
    scale = np.zeros((height, width))
    np.add.at(scale, (rows, columns), widths)
    return scale


def _on_deepest(
    layers: Layers, size: tuple[int, int], taps: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The seams' cost, S_L^2 and the warp's importance (mu of Eq. 3) on the deepest level, float32 [h, w]."""
    strides = [tap_stride(tap) for tap in taps]
    shape = (size[0] // strides[-1], size[1] // strides[-1])
    deepest = np.asarray(layers.maps[-1])[: shape[0], : shape[1]]
    importance = np.zeros(shape, np.float32)
    for values, stride in zip(layers.maps, strides, strict=True):
        step = strides[-1] // stride
        valid = np.asarray(values)[: size[0] // stride, : size[1] // stride]
        blocks = valid[: shape[0] * step, : shape[1] * step].reshape(shape[0], step, shape[1], step)
        mean = valid.mean()
        importance += blocks.mean((1, 3)) / (mean if mean > 0 else 1)
    objects = np.square(deepest)
    if layers.bias is None:
        return deepest, objects, importance
    bias = np.asarray(layers.bias[-1])[: shape[0], : shape[1]]
    # What the user protects is an object, whatever the network makes of it.
    objects = np.where(bias > 0, max(float(objects.max()), 1.0), objects)
    return deepest + bias, objects, np.asarray(protect_importance(jnp.asarray(importance), jnp.asarray(bias)))


_find_seams = jax.jit(find_seams)
