# pyright: reportMissingImports=false
"""Hierarchical seams in PyTorch, for `torch_reference`: Eq. 1 and 2 and Sec. 3.1, without importing dnr_jax.

Maps are float32 [h, w] tensors on any device, index maps int64. Only narrowing and lowering; seams are written for
width, and the height is the transpose. The row loop runs in Python over row views made once for each map, three
operations a row into buffers that exist already. On CUDA nothing waits for the host within a seam; only the deepest
level, which may stop on its threshold, reads one number a seam.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from torch_reference.network import LAYERS, stride


class SeamPass(NamedTuple):
    """The seams of one side.

    Attributes:
      side: "width" or "height"; for the height, every array is that of the transposed map.
      kept: the kept indices K_l of each tap, shallow to deep: int64 [h_l, w_l - n_l], rising along each row.
      removed: how many seams n_l go at each tap.
      guided: the guided importance MS_l of each tap (Eq. 2), float32 [h_l, w_l].
    """

    side: str
    kept: tuple[Tensor, ...]
    removed: tuple[int, ...]
    guided: tuple[Tensor, ...]


class SeamPlan(NamedTuple):
    """What the seams do to a photo.

    Attributes:
      size: the (height, width) of the photo.
      mid: the (height, width) that the seams lead to: W_mid, and the same for the height.
      target: the (height, width) wanted.
      passes: the seams of the width first, where it changes, then those of the height.
      positions: for each tap the flat positions in the photo's own map of the places of the carved map, int64
        [h_l, w_l].
      maps: the carved importance S_l of each tap, float32.
    """

    size: tuple[int, int]
    mid: tuple[int, int]
    target: tuple[int, int]
    passes: tuple[SeamPass, ...]
    positions: tuple[Tensor, ...]
    maps: tuple[Tensor, ...]


@torch.no_grad()
def plan_seams(
    importance: Sequence[Tensor],
    taps: Sequence[str],
    size: tuple[int, int],
    target: tuple[int, int],
    *,
    percentile: float = 20.0,
    alpha: float = 0.5,
    region: str = "projected",
) -> SeamPlan:
    """Finds the seams of every level, width then height, each on the maps that the former left.

    Args:
      importance: the importance S_l of each tap, float32 [H // stride, W // stride], shallow to deep.
      taps: the names of the taps.
      size: the (height, width) of the photo in pixels.
      target: the (height, width) wanted, no side above the photo's.
      percentile: q: a deepest seam after the first goes only while its mean is at most this percentile of S_L.
      alpha: the factor of Eq. 2.
      region: "projected" or "receptive".

    Raises:
      ValueError: the target enlarges a side or leaves the deepest level nothing, or the region is unknown.
    """
    deepest = stride(taps[-1])
    if any(not deepest <= wanted <= has for wanted, has in zip(target, size, strict=True)):
        raise ValueError(f"the target {target} must lie between the deepest tap's stride, {deepest}, and {size}")
    if region not in ("projected", "receptive"):
        raise ValueError(f"region is {region!r}: choose projected or receptive")
    threshold = math.inf if percentile >= 100 else float(torch.quantile(importance[-1].flatten(), percentile / 100))
    maps, mid, passes = tuple(importance), list(size), []
    positions = tuple(torch.arange(m.numel(), device=m.device).view(m.shape) for m in maps)
    for side, axis in (("width", 1), ("height", 0)):
        if target[axis] == size[axis]:
            continue
        turned = maps if side == "width" else tuple(m.t().contiguous() for m in maps)
        step, mid[axis] = _carve(turned, taps, mid[axis], target[axis], threshold, alpha, region, side)
        passes.append(step)
        maps = tuple(_keep(m, k, side) for m, k in zip(maps, step.kept, strict=True))
        positions = tuple(_keep(p, k, side) for p, k in zip(positions, step.kept, strict=True))
    return SeamPlan(size, (mid[0], mid[1]), target, tuple(passes), positions, maps)


def _keep(array: Tensor, kept: Tensor, side: str) -> Tensor:
    """A map [h, w] without the places that seams of a side remove."""
    return array.gather(1, kept) if side == "width" else array.gather(0, kept.t())


def _carve(
    importance: Sequence[Tensor],
    taps: Sequence[str],
    width: int,
    target: int,
    threshold: float,
    alpha: float,
    region: str,
    side: str,
) -> tuple[SeamPass, int]:
    """Finds the seams of every level, from the deepest to the shallowest; gives them, and W_mid."""
    strides = [stride(tap) for tap in taps]
    most = width // strides[-1] - target // strides[-1]
    kept = find_seams(importance[-1], most, threshold=threshold)
    found, deep_width = importance[-1].shape[1] - kept.shape[1], importance[-1].shape[1]
    # W * n / w_L, halves rounded up.
    mid = target if found == most else max(target, width - (2 * width * found + deep_width) // (2 * deep_width))

    all_kept, guided = [kept], [importance[-1]]
    for level in range(len(taps) - 2, -1, -1):
        removed = torch.ones(importance[level + 1].shape, dtype=torch.bool, device=kept.device)
        removed.scatter_(1, all_kept[0], False)
        field = _receptive_field(taps[level], taps[level + 1])
        covered = _cover(removed, importance[level].shape, strides[level + 1] // strides[level], field, region)
        guided.insert(0, torch.where(covered, alpha * importance[level], importance[level]))
        all_kept.insert(0, find_seams(guided[0], width // strides[level] - mid // strides[level]))
    counts = tuple(m.shape[1] - k.shape[1] for m, k in zip(importance, all_kept, strict=True))
    return SeamPass(side, tuple(all_kept), counts, tuple(guided)), mid


def _receptive_field(shallow: str, deep: str) -> tuple[int, int]:
    """First and last row of `shallow` that row 0 of `deep` sees, borders ignored."""
    first, last = 0, 0
    for layer in reversed(LAYERS[LAYERS.index(shallow) + 1 : LAYERS.index(deep) + 1]):
        first, last = (2 * first, 2 * last + 1) if layer.endswith("pool") else (first - 1, last + 1)
    return first, last


def _cover(removed: Tensor, shape: tuple[int, ...], ratio: int, field: tuple[int, int], region: str) -> Tensor:
    """Where removed neurons of the deeper level lie in the finer one (Eq. 2), bool of `shape`.

    Rows and columns left over by pooling belong to the last block.
    """
    rows, columns = (
        (torch.arange(n, device=removed.device) // ratio).clamp(max=deep - 1)
        for n, deep in zip(shape, removed.shape, strict=True)
    )
    blocks = removed[rows[:, None], columns[None, :]]
    before, after = -field[0], field[1] - ratio + 1
    if region == "projected" or before == after == 0:
        return blocks
    padded = F.pad(blocks.float()[None, None], (after, before, after, before))
    return F.max_pool2d(padded, before + after + 1, 1)[0, 0] > 0


def find_seams(cost: Tensor, count: int, threshold: float = math.inf) -> Tensor:
    """Removes up to `count` 8-connected top-to-bottom seams of least summed cost, one after the other.

    Ties: leftmost at the bottom row; going up, straight, then left, then right. The first seam always goes, another
    only while its mean cost is at most `threshold`.

    Args:
      cost: the cost of each place, float32 [h, w].
      count: how many seams go at most.
      threshold: the largest mean cost of a seam after the first.

    Returns:
      The columns K that are kept, int64 [h, w - seams].
    """
    height, width = cost.shape
    left = F.pad(cost.float(), (1, 1), value=math.inf)  # What is left, packed to the left, infinite beyond.
    totals = torch.full_like(left, math.inf)
    columns = torch.arange(width, device=cost.device).repeat(height, 1)
    rows = list(_row_views(left, totals))
    walk = walk_up if cost.device.type == "cpu" else jump_up
    for number in range(min(count, width)):
        totals[0].copy_(left[0])
        for above, above_left, above_right, own, here in rows:
            torch.minimum(above_left, above_right, out=here)
            torch.minimum(here, above, out=here)
            here.add_(own)
        if number and threshold < math.inf and float(totals[-1].min() / height) > threshold:
            break
        seam, now = walk(totals), width - number
        after = torch.arange(now - 1, device=cost.device) >= seam[:, None]
        left[:, 1:now] = torch.where(after, left[:, 2 : now + 1], left[:, 1:now])
        left[:, now] = math.inf
        columns = torch.where(after, columns[:, 1:], columns[:, :-1])
    return columns


def _row_views(left: Tensor, totals: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Gives for each row but the first the totals above it, to their left and right, its own cost, and its totals."""
    own, middle = left[:, 1:-1].unbind(0), totals[:, 1:-1].unbind(0)
    before, after = totals[:, :-2].unbind(0), totals[:, 2:].unbind(0)
    for i in range(1, len(own)):
        yield middle[i - 1], before[i - 1], after[i - 1], own[i], middle[i]


def walk_up(totals: Tensor) -> Tensor:
    """The cheapest seam's column in each row, int64 [h], from padded totals [h, w + 2]: row by row on the host."""
    host = totals.numpy()
    column = int(host[-1, 1:-1].argmin())
    seam = [column]
    for row in host[-2::-1]:
        left, straight, right = row[column : column + 3].tolist()
        best, move = (left, -1) if left < straight else (straight, 0)
        column += 1 if right < best else move
        seam.append(column)
    return torch.tensor(seam[::-1])


def jump_up(totals: Tensor) -> Tensor:
    """Does what `walk_up` does on the device, in log2(h) rounds that each double how many rows a pointer climbs."""
    left, straight, right = totals[:-1, :-2], totals[:-1, 1:-1], totals[:-1, 2:]
    move = torch.where(left < straight, -1, 0)
    move = torch.where(right < torch.minimum(left, straight), 1, move)
    height, width = totals.shape[0], totals.shape[1] - 2
    bottom = totals[-1, 1:-1].argmin().expand(1, width)
    # climb[i] leads from a column of row i + reach to one of row i; past the bottom, every way leads to its cheapest.
    climb = torch.cat([(torch.arange(width, device=totals.device) + move).clamp(0, width - 1), bottom])
    reach = 1
    while reach < height:
        climb[:-reach] = climb[:-reach].gather(1, climb[reach:])
        reach *= 2
    return climb[:, 0]
