# pyright: reportMissingImports=false
"""The grid warp (Eq. 3) and the bilinear sampler (Sec. 3.3) in PyTorch, for `torch_reference`.

The warp narrows only; it is written for width, and the height is the transpose.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


@torch.no_grad()
def grid_warp(
    image: Tensor,
    maps: Sequence[Tensor],
    strides: Sequence[int],
    target: tuple[int, int],
    cell: int = 16,
) -> Tensor:
    """Narrows an image to the target, the cells of least importance most.

    Args:
      image: the image, float32 [1, C, H, W].
      maps: the carved importance S_l of each tap, float32 [H // stride, W // stride].
      strides: how many pixels a neuron of each map spans.
      target: the (height, width) wanted, no side above the image's.
      cell: the width w_G of the cells in pixels.
    """
    size = (image.shape[2], image.shape[3])
    if size == target:
        return image
    importance = sum_levels(maps, strides, size)[None, None]
    if target[1] != size[1]:
        weights = _box_weights(*plan_cells(importance[0, 0], target[1], cell), size[1]).to(image)
        image, importance = image @ weights, importance @ weights
    if target[0] != size[0]:
        edges = plan_cells(importance[0, 0].t(), target[0], cell)
        image = _box_weights(*edges, size[0]).to(image).t() @ image
    return image


def scale(image: Tensor, target: tuple[int, int]) -> Tensor:
    """Scales an image [1, C, H, W] uniformly to a smaller (height, width), with a box filter along each side."""
    for axis, transpose in ((1, False), (0, True)):
        length = image.shape[2 + axis]
        ends = torch.tensor([[0, length], [0, target[axis]]], dtype=torch.float64)
        weights = _box_weights(ends[0], ends[1], length).to(image)
        image = weights.t() @ image if transpose else image @ weights
    return image


def sum_levels(maps: Sequence[Tensor], strides: Sequence[int], size: tuple[int, int]) -> Tensor:
    """The sum of the maps, each divided by its mean and upsampled bilinearly to pixels; float32 [H, W]."""
    total = torch.zeros(size, device=maps[0].device)
    for values, factor in zip(maps, strides, strict=True):
        mean = values.mean()
        normalised = (values / torch.where(mean > 0, mean, 1))[None, None]
        fine = F.interpolate(normalised, scale_factor=float(factor), mode="bilinear") if factor > 1 else normalised
        # Pixels left over by pooling repeat the last neuron.
        short = [n - m for n, m in zip(size, fine.shape[2:], strict=True)]
        total += F.pad(fine, (0, short[1], 0, short[0]), mode="replicate")[0, 0]
    return total


def plan_cells(importance: Tensor, target: int, cell: int) -> tuple[Tensor, Tensor]:
    """The borders of cells before and after a warp: new widths are in proportion to importance times width.

    Cells that would grow keep their width, and what is left is shared out among the others, until none would. The few
    cells are worked out on the host, in double precision.
    """
    height, width = importance.shape
    cells = -(-width // cell)
    columns = F.pad(importance.sum(0), (0, cells * cell - width))
    shares = columns.view(cells, cell).sum(1).double().cpu() / height
    edges = (torch.arange(cells + 1, dtype=torch.float64) * cell).clamp(max=width)
    old = edges.diff()
    full = torch.zeros(cells, dtype=torch.bool)
    while True:
        left, weights = target - float(old[full].sum()), torch.where(full, 0, shares)
        if not float(weights.sum()) > 0:
            weights = torch.where(full, 0, old)
        new = torch.where(full, old, max(0.0, left) * weights / max(float(weights.sum()), 1e-12))
        grows = ~full & (new > old)
        if not bool(grows.any()):
            break
        full |= grows
    new_edges = torch.cat([torch.zeros(1, dtype=torch.float64), new.cumsum(0)]).clamp(max=target)
    new_edges[-1] = target
    return edges, new_edges


def _box_weights(old_edges: Tensor, new_edges: Tensor, width: int) -> Tensor:
    """The warp of a row as a matrix, [old width, new width]: each column the box filter of one output pixel.

    An output pixel averages what it covers of the old columns, or one pixel around its centre where that is more.
    """
    # Where output pixel borders come from: linear within each cell.
    borders = torch.arange(round(float(new_edges[-1])) + 1, dtype=torch.float64)
    cell = torch.searchsorted(new_edges, borders, right=True).clamp(1, len(new_edges) - 1)
    span = new_edges[cell] - new_edges[cell - 1]
    along = torch.where(span > 0, (borders - new_edges[cell - 1]) / torch.where(span > 0, span, 1), 1)
    ends = old_edges[cell - 1] + along.clamp(0, 1) * (old_edges[cell] - old_edges[cell - 1])
    centres, half = (ends[1:] + ends[:-1]) / 2, ends.diff().clamp(min=1) / 2
    low, high = (centres - half).clamp(0, width), (centres + half).clamp(0, width)
    pixels = torch.arange(width, dtype=torch.float64)[:, None]
    overlap = (torch.minimum(high, pixels + 1) - torch.maximum(low, pixels)).clamp(min=0)
    return overlap / overlap.sum(0)


def sample(image: Tensor, displacement: Tensor) -> Tensor:
    """`G(O)(i, j) = O(i + dy, j + dx)`, bilinear, clamped to the borders (Sec. 3.3).

    Not F.grid_sample: its normalised coordinates round, so that a displacement of 0 may fall into the cell before its
    pixel, and its gradient is 0 all along the borders, where an undisplaced pixel starts.

    Args:
      image: float32 [H, W, C].
      displacement: float32 [H, W, 2], (dy, dx) in pixels.
    """
    height, width, channels = image.shape
    top, bottom, y = _cells(torch.arange(height, device=image.device)[:, None] + displacement[..., 0], height)
    left, right, x = _cells(torch.arange(width, device=image.device)[None, :] + displacement[..., 1], width)
    pixels = image.reshape(-1, channels)

    def take(rows: Tensor, columns: Tensor) -> Tensor:
        return pixels.index_select(0, (rows * width + columns).flatten()).view(*rows.shape, channels)

    above = torch.lerp(take(top, left), take(top, right), x)
    below = torch.lerp(take(bottom, left), take(bottom, right), x)
    return torch.lerp(above, below, y)


def _cells(coordinates: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """The two pixels around each coordinate, and how far it is from the first to the second, [H, W, 1]."""
    inside = (coordinates >= 0) & (coordinates <= length - 1)
    clamped = torch.where(inside, coordinates, coordinates.detach().clamp(0, length - 1))
    first = clamped.detach().floor().long().clamp(0, max(length - 2, 0))
    return first, (first + 1).clamp(max=length - 1), (clamped - first)[..., None]
