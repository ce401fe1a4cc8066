"""Words of a photo, as turned rectangles around lines of text.

The network (`dbnet`) sees the whole photo at two resolutions, 768 and 640 pixels on the longer side, and the mean of
both is taken: what is text is text at both, while ornaments, petals and wheels that pass for text at one seldom do so
at the other. What is likely makes connected parts; each part's smallest rectangle is a line's core, which is widened
as the network's training shrank it.
"""

from functools import partial
from typing import Any, NamedTuple, cast

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float32, Int
from scipy import ndimage

from dnr_jax.arrays import Image
from dnr_jax.networks.dbnet import COARSEST, TextDetector, network_input
from dnr_jax.networks.letterbox import Letterbox, boxed, rounded_up, triangle_weights
from dnr_jax.networks.mobile import Size, inside
from dnr_jax.programs import program, run_together

SECOND_LONGER = 640
"""Pixels of the longer side at the second resolution."""
THRESHOLD = 0.2
"""The probability from which a pixel belongs to a line's core."""
LEAST_SCORE, LEAST_FILL = 0.55, 0.6
"""What a core's mean probability, and the share of its rectangle that it fills, are at least."""
LEAST_SIDE = 6.0
"""Pixels, at the first resolution, of the shorter side of a core's rectangle at least."""
MOST_SHARE = 0.3
"""The share of the photo that a line covers at most: what is larger is mostly sea or sky, and leaves nothing beside."""
WIDENING = 1.5
"""How far a core's rectangle is widened on all sides, as a multiple of its area over its perimeter."""
_ANGLES = np.deg2rad(np.arange(0, 90, 3))  # Directions that the smallest rectangle is chosen from.


class WordNetwork(flax.struct.PyTreeNode):
    """The text detector ready to run.

    Attributes:
      params: {layer or block: ...} with float32 kernels and biases; see `dbnet.layer_shapes`.
    """

    params: dict[str, Any]


class Rectangle(NamedTuple):
    """A turned rectangle in pixels: its centre (x, y), half of its sides, and the direction of the first in radians."""

    centre: Float[np.ndarray, "2"]
    half: Float[np.ndarray, "2"]
    angle: float

    def widened(self, share: float) -> "Rectangle":
        """Wider on all sides by `share` of its area over its perimeter."""
        width, height = 2 * self.half
        return self._replace(half=self.half + share * width * height / (2 * (width + height)))

    def corners(self) -> Float32[np.ndarray, "4 2"]:
        """float32 [4, 2], (row, column), in the order of going round."""
        across = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * self.half
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        x, y = self.centre[:, None] + np.array([[cos, -sin], [sin, cos]]) @ across.T
        return np.stack([y, x], -1).astype(np.float32)


def find_words(
    network: WordNetwork, image: Image, *, size: Size | None = None
) -> tuple[Float32[np.ndarray, "n 4 2"], Float32[np.ndarray, " n"]]:
    """The lines of text of a photo and how sure they are.

    Args:
      network: the text detector.
      image: float32 [H, W, 3], RGB in [0, 255].
      size: int32 (height, width), at least 1: only the top-left part of that size is a photo, and what lies outside
        (not finite values included) changes nothing; None for all of `image`.

    Returns:
      Corners of turned rectangles, float32 [n, 4, 2], (row, column) in pixels, which may lie a little beyond the photo;
      and scores, float32 [n], from LEAST_SCORE to 1, falling.
    """
    boxes = word_boxes(image, size=size)
    height, width = (int(n) for n in boxes[0].size)
    corners, scores = lines(np.asarray(text_probability(network, *boxes))[:height, :width])
    lengths = image.shape[:2] if size is None else size
    return corners * np.array([int(lengths[0]) / height, int(lengths[1]) / width], np.float32), scores


def word_boxes(image: Image, *, size: Size | None = None) -> tuple[Letterbox, Letterbox]:
    """The photo letterboxed at both resolutions; arguments are those of `find_words`."""
    return boxed(image, size=size), boxed(image, size=size, longer=SECOND_LONGER)


def text_probability(network: WordNetwork, fine: Letterbox, coarse: Letterbox) -> Float32[Array, "_ _"]:
    """How likely each pixel of `fine` lies in the core of a line of text, float32 [Hc, Wc] in [0, 1].

    The mean over a photo's two letterboxes. What it holds outside the photo means nothing.
    """
    found = run_together(*(partial(_probability, network, box) for box in (fine, coarse)))
    return _mean_at(found[0], fine, found[1], coarse)


@program()
def _probability(network: WordNetwork, box: Letterbox) -> jax.Array:
    """The network's own map of a letterboxed photo, float32 [Hc, Wc]."""
    size = rounded_up(box.size, COARSEST)
    return cast("jax.Array", TextDetector().apply({"params": network.params}, network_input(box.image)[None], size))[0]


@program()
def _mean_at(fine: jax.Array, box: Letterbox, coarse: jax.Array, small: Letterbox) -> jax.Array:
    """The mean of two maps, at the resolution of the first, `fine`, of the letterboxed photo `box`."""
    rows, columns = (
        triangle_weights(coarse.shape[axis], small.size[axis], fine.shape[axis], box.size[axis]) for axis in (0, 1)
    )
    coarse = jnp.where(inside(coarse.shape, small.size), coarse, 0)
    enlarged = jnp.einsum("yh,hw->yw", rows, coarse, precision=lax.Precision.HIGHEST)
    return (fine + jnp.einsum("xw,yw->yx", columns, enlarged, precision=lax.Precision.HIGHEST)) / 2


def lines(
    probability: Float32[np.ndarray, "h w"],
) -> tuple[Float32[np.ndarray, "n 4 2"], Float32[np.ndarray, " n"]]:
    """Rectangles around the lines of text whose cores a map shows.

    Args:
      probability: float32 [h, w] in [0, 1].

    Returns:
      Corners, float32 [n, 4, 2], (row, column) in pixels of the map, and mean probabilities, float32 [n], falling.
    """
    parts, _ = cast("tuple[np.ndarray, int]", ndimage.label(probability >= THRESHOLD, np.ones((3, 3))))
    found: list[tuple[float, np.ndarray]] = []
    for n, window in enumerate(ndimage.find_objects(parts), 1):
        rows, columns = np.nonzero(parts[window] == n)
        if len(rows) < LEAST_FILL * LEAST_SIDE**2:
            continue
        score = float(probability[window][rows, columns].mean())
        core = smallest_rectangle(columns + window[1].start, rows + window[0].start)
        if score < LEAST_SCORE or core.half.min() * 2 < LEAST_SIDE or len(rows) < LEAST_FILL * 4 * core.half.prod():
            continue
        line = core.widened(WIDENING)
        if 4 * line.half.prod() <= MOST_SHARE * probability.size:
            found.append((score, line.corners()))
    found.sort(key=lambda line: -line[0])
    corners = np.array([line for _, line in found], np.float32).reshape(-1, 4, 2)
    return corners, np.array([score for score, _ in found], np.float32)


def smallest_rectangle(x: Int[np.ndarray, " n"], y: Int[np.ndarray, " n"]) -> Rectangle:
    """The rectangle of least area around pixels at whole (x, y), int [n], among directions three degrees apart."""
    cos, sin = np.cos(_ANGLES), np.sin(_ANGLES)
    along = np.outer(cos, x) + np.outer(sin, y)
    across = np.outer(cos, y) - np.outer(sin, x)
    first, last = (np.stack([limit(along, 1), limit(across, 1)], -1) for limit in (np.min, np.max))
    n = int(np.argmin(np.prod(last - first + 1, -1)))
    middle = (first[n] + last[n]) / 2
    centre = np.array([cos[n] * middle[0] - sin[n] * middle[1], sin[n] * middle[0] + cos[n] * middle[1]])
    return Rectangle(centre + 0.5, (last[n] - first[n] + 1) / 2, float(_ANGLES[n]))  # A pixel's centre is at a half.
