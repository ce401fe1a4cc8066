"""Draws arrays as pictures: maps in colour, seams over a photo, displacements, and the cells of a warp.

All of it is plain NumPy. A picture is uint8 [H, W, 3], or with a fourth channel, alpha, where the image has one.
"""

import numpy as np

_VIRIDIS = (
    "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219"
    " fde725"
)
_ANCHORS = np.array([[int(colour[i : i + 2], 16) for i in (0, 2, 4)] for colour in _VIRIDIS.split()])
_PLACES = np.linspace(0, len(_ANCHORS) - 1, 256)
_COLOURS = np.rint(
    np.stack([np.interp(_PLACES, np.arange(len(_ANCHORS)), channel) for channel in _ANCHORS.T], -1)
).astype(np.uint8)
_FIRST_SEAM, _LAST_SEAM = np.array([255, 30, 0]), np.array([255, 225, 60])
_SEAM_OPACITY = 0.75
_EDGE = np.array([255, 225, 60], np.uint8)
_PAPER = 255


def to_picture(image: np.ndarray) -> np.ndarray:
    """Rounds an image in [0, 255] of any float or integer type to uint8; grey [H, W] becomes three channels."""
    picture = np.rint(np.clip(image, 0, 255)).astype(np.uint8)
    return np.repeat(picture[..., None], 3, -1) if picture.ndim == 2 else picture


def colour_map(values: np.ndarray) -> np.ndarray:
    """Draws a map [H, W] in colours from dark blue for its lowest value to yellow for its highest.

    Their lightness rises evenly.
    """
    low, high = float(values.min()), float(values.max())
    places = (values - low) * ((len(_COLOURS) - 1) / (high - low if high > low else 1))
    return _COLOURS[np.rint(places).astype(np.uint8)]


def spread(values: np.ndarray, stride: int, shape: tuple[int, int]) -> np.ndarray:
    """Gives each pixel the value of the neuron that pooled it; pixels left over by pooling get the last neuron's.

    Args:
      values: the map of a tap, [h, w, ...], h and w at least one.
      stride: how many pixels a neuron spans.
      shape: the (height, width) of the result in pixels.
    """
    rows, columns = (np.minimum(np.arange(n) // stride, m - 1) for n, m in zip(shape, values.shape[:2], strict=True))
    return values[rows[:, None], columns[None, :]]


def draw_seams(picture: np.ndarray, ranks: np.ndarray, stride: int) -> np.ndarray:
    """Tints the pixels of the seams over a picture, red for the first seam to yellow for the last.

    Args:
      picture: the image that the seams' map belongs to.
      ranks: int32 [h, w], k where the k-th seam passes, -1 where none does.
      stride: how many pixels a neuron of the map spans.
    """
    ranks = spread(ranks, stride, (picture.shape[0], picture.shape[1]))
    seams = ranks >= 0
    place = (ranks[seams] / max(1, int(ranks.max())))[:, None]
    tint = _FIRST_SEAM * (1 - place) + _LAST_SEAM * place
    drawn = picture[..., :3].copy()
    drawn[seams] = np.rint((1 - _SEAM_OPACITY) * drawn[seams] + _SEAM_OPACITY * tint)
    return drawn


def draw_displacement(displacement: np.ndarray) -> tuple[np.ndarray, float]:
    """Draws displacements in the colours of a wheel: hue says where to, saturation how far; white stays in place.

    Red pixels take their colour from the right, yellow-green ones from below, cyan ones from the left, violet ones from
    above.

    Args:
      displacement: float [H, W, 2], (dy, dx) in pixels.

    Returns:
      The picture, and the length in pixels that has full saturation: the longest there is.
    """
    dy, dx = displacement[..., 0].astype(np.float32), displacement[..., 1].astype(np.float32)
    length = np.hypot(dy, dx)
    scale = float(length.max(initial=0))
    saturation = length / scale if scale > 0 else length
    sector = (np.arctan2(dy, dx) * np.float32(3 / np.pi))[..., None]
    hue = np.clip(np.abs((sector + np.array([0, 4, 2], np.float32)) % 6 - 3) - 1, 0, 1)
    return np.rint(255 * (1 - saturation[..., None] * (1 - hue))).astype(np.uint8), scale


def draw_wheel(size: int) -> np.ndarray:
    """Draws the key to `draw_displacement`: each place has the colour of the displacement from the centre to it."""
    ends = (np.arange(size) + 0.5) / size * 2 - 1
    wheel = np.stack(np.meshgrid(ends, ends, indexing="ij"), -1)
    inside = np.hypot(wheel[..., 0], wheel[..., 1]) <= 1
    return draw_displacement(np.where(inside[..., None], wheel, 0))[0]


def most_moved(displacement: np.ndarray, side: int) -> tuple[slice, slice]:
    """The rows and columns of the square, cut to the image, in which pixels are moved most in all.

    Args:
      displacement: float [H, W, 2], (dy, dx) in pixels.
      side: the side of the square in pixels.
    """
    length = np.hypot(displacement[..., 0], displacement[..., 1]).astype(np.float64)
    height, width = (min(side, n) for n in length.shape)
    sums = np.pad(length.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    totals = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = (int(n) for n in np.unravel_index(np.argmax(totals), totals.shape))
    return slice(top, top + height), slice(left, left + width)


def draw_cells(before: np.ndarray, after: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Draws a warp of columns: the image with the old edges of cells, bars from old to new edges, the warped image.

    The colour of a bar says how much of its width the cell keeps: yellow for the cell that keeps most, dark blue for
    none. What is cropped is faded.

    Args:
      before: the picture before the warp, uint8 [H, W, 3].
      after: the warped picture, uint8 [H, W', 3].
      old: float [cells + 1], the edges of cells in `before`; empty cells are left out, and what lies before the first
        or past the last is cropped.
      new: float [cells + 1], the same edges in `after`.

    Returns:
      A picture that holds the three, one below the other, max(W, W') pixels wide.
    """
    filled = np.append(True, np.diff(old) > 0)
    old, new = old[filled].astype(np.float64), new[filled].astype(np.float64)
    bars = max(12, before.shape[0] // 6)
    shape = (2 * before.shape[0] + bars, max(before.shape[1], after.shape[1]), 3)
    drawn = np.full(shape, _PAPER, np.uint8)
    top, strip, bottom = np.split(drawn, [before.shape[0], before.shape[0] + bars])
    columns = np.arange(before.shape[1])
    cropped = (columns + 1 <= old[0]) | (columns >= old[-1])
    faded = np.where(cropped[:, None], before[..., :3] // 3 + (255 - 255 // 3), before[..., :3])
    top[:, : before.shape[1]] = _with_edges(faded.astype(np.uint8), old)
    bottom[:, : after.shape[1]] = _with_edges(after[..., :3], new)
    strip[:] = draw_bars(old, new, bars, shape[1])
    return drawn


def draw_bars(old: np.ndarray, new: np.ndarray, height: int, width: int) -> np.ndarray:
    """Draws a bar for each cell, from its old edges at the top to its new edges at the bottom.

    The colour of a bar says how much of its width the cell keeps, as in `draw_cells`.

    Args:
      old: float [cells + 1], the old edges, rising.
      new: float [cells + 1], the new edges, not falling.
      height: the height of the picture.
      width: the width of the picture; what no cell covers is white.
    """
    share = np.diff(new) / np.diff(old)
    colours = colour_map(np.concatenate([share, [0, max(1, share.max())]])[None])[0]
    colours[-1] = _PAPER
    picture = np.empty((height, width, 3), np.uint8)
    for row, place in enumerate(np.linspace(0, 1, height)):
        edges = (1 - place) * old + place * new
        cells = np.searchsorted(edges, np.arange(width) + 0.5, side="right") - 1
        picture[row] = colours[np.where(cells < len(share), cells, -1)]
        picture[row, _columns(edges, width)] = 0
    return picture


def _with_edges(picture: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """A picture with the edges of cells drawn over it."""
    picture = picture.copy()
    picture[:, _columns(edges, picture.shape[1])] = _EDGE
    return picture


def _columns(edges: np.ndarray, width: int) -> np.ndarray:
    """The pixel columns that the edges between cells fall on, the last within the cells where one has no width."""
    columns = np.rint(edges).astype(int)
    return np.clip(columns[1:-1], 0, max(1, min(width, int(columns[-1]))) - 1)
