"""Multi-operator retargeting: the best sequence of scaling, seam carving and cropping (Rubinstein et al. 2009).

The change of a side is cut into STEPS equal steps, each done by one operator. A node (a, b, c) of the resizing space
is what a steps of scaling, b of seam carving and c of cropping, in any order, lead to. Dynamic programming keeps at
each node the image that is most like the source by Bi-Directional Warping among those that one step makes of the
images kept at its predecessors; the best node with a + b + c = STEPS gives the sequence. Mixed sequences are thus
searched, as in the paper's Sec. 5, over the operators of its Fig. 1.

The search runs on the photo scaled to a longer side of SEARCH_SIDE; the sequence found is then carried out at full
size, runs of one operator at once. Scaling is bicubic, seams are by forward energy, and a crop takes from the left or
the right edge, wherever the gradient energy of what goes is less. Width first, then height; a side that grows has
no crop.

Differs from the paper: one fixed number of steps instead of a step in pixels; patches of 7x7 pixels; no weighting by a
saliency map; no order of operators and no side of the crop is fixed beforehand.

Reference: M. Rubinstein, A. Shamir and S. Avidan, "Multi-operator media retargeting", ACM TOG 28(3), 2009.
"""

from itertools import groupby, product
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float32, Shaped

from dnr_jax.baselines import Context
from dnr_jax.baselines.bidirectional_warping import bidirectional_warping
from dnr_jax.baselines.seam_carving import carve_photo, find_pixel_seams, gradient_energy
from dnr_jax.photos.luma import luma
from dnr_jax.photos.scaling import scale_pixels
from dnr_jax.planning.carve import apply_width, insert_width

SEARCH_SIDE = 64
"""Longer side in pixels of the image that the search runs on."""
STEPS = 10
"""Operator applications on each side that changes."""
OPERATORS = ("scale", "seam", "crop")
_SILENT = Context()


class Sequence(NamedTuple):
    """A sequence of operators.

    Attributes:
      operators: one for each step: "scale", "seam", "crop_left" or "crop_right" (the edge that goes).
      distance: BDW between the source and what they lead to, at the search's size.
    """

    operators: tuple[str, ...]
    distance: float


def multi_operator(
    image: Float32[np.ndarray, "_ _ c"], target: tuple[int, int], context: Context
) -> Float32[np.ndarray, "_ _ c"]:
    """Multi-operator retargeting; see `Baseline`."""
    image = retarget_width(image, target[1], context)
    return retarget_width(image.swapaxes(0, 1), target[0], context).swapaxes(0, 1)


def retarget_width(image: Float32[np.ndarray, "h _ c"], width: int, context: Context) -> Float32[np.ndarray, "h _ c"]:
    """Brings an image float32 [H, W, C] to `width` columns by the best sequence."""
    if image.shape[1] == width:
        return image
    factor = min(1.0, SEARCH_SIDE / max(*image.shape[:2], width))
    small = scale_pixels(
        image[..., :3].copy(), (max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor)))
    )
    found = find_sequence(small, max(1, round(width * factor)), context)
    return apply_sequence(image, width, found.operators)


def widths_along(length: int, width: int, steps: int) -> list[int]:
    """The widths before, between and after the steps."""
    return [round(length + (width - length) * n / steps) for n in range(steps + 1)]


def find_sequence(
    source: Float32[np.ndarray, "h w 3"], width: int, context: Context, *, steps: int = STEPS
) -> Sequence:
    """The sequence whose result is most like the source, by dynamic programming over the resizing space.

    Args:
      source: float32 [H, W, 3].
      width: the target width.
      context: hears of progress.
      steps: operator applications.
    """
    widths = widths_along(source.shape[1], width, steps)
    canvas = max(widths)
    padded = _pad(source, canvas)
    names = OPERATORS if width < source.shape[1] else OPERATORS[:2]
    layer: dict[tuple[int, ...], tuple[float, np.ndarray, tuple[str, ...]]] = {(0, 0, 0): (0.0, padded, ())}
    for step in range(steps):
        reached: dict[tuple[int, ...], tuple[float, np.ndarray, tuple[str, ...]]] = {}
        for (node, (_, image, path)), (axis, name) in product(layer.items(), enumerate(names)):
            changed, taken = _small_step(image, widths[step], widths[step + 1], name)
            distance = bidirectional_warping(source, changed[:, : widths[step + 1]])
            goal = tuple(n + (i == axis) for i, n in enumerate(node))
            if goal not in reached or distance < reached[goal][0]:
                reached[goal] = (distance, changed, (*path, taken))
        layer = reached
        # The number of nodes grows with the square of the step.
        context.report("search", (step + 1) ** 3, steps**3)
    distance, _, path = min(layer.values(), key=lambda kept: kept[0])
    return Sequence(path, distance)


def apply_sequence(
    image: Shaped[np.ndarray, "h _ c"], width: int, operators: tuple[str, ...]
) -> Shaped[np.ndarray, "h _ c"]:
    """Carries a sequence out on an image [H, W, C] in [0, 255], with steps that lead from its width to `width`."""
    widths = widths_along(image.shape[1], width, len(operators))
    step = 0
    for name, run in groupby(operators):
        step += len(list(run))
        if name == "scale":
            image = scale_pixels(image.copy(), (image.shape[0], widths[step]))
        elif name == "seam":
            image = carve_photo(image, widths[step], "forward", _SILENT, canvas=max(widths))
        else:
            start = image.shape[1] - widths[step] if name == "crop_left" else 0
            image = image[:, start : start + widths[step]]
    return image


def _small_step(image: np.ndarray, width: int, new_width: int, name: str) -> tuple[np.ndarray, str]:
    """One step on the valid part of an image of the canvas's size, and what it is called in a sequence.

    Arrays keep one size, so that the whole search needs one compilation.
    """
    canvas = image.shape[1]
    if name == "scale":
        return _pad(scale_pixels(image[:, :width].copy(), (image.shape[0], new_width)), canvas), name
    if name == "crop":
        energy = np.asarray(_energy(luma(image))).sum(0)
        count = width - new_width
        left = energy[:count].sum() < energy[width - count : width].sum()
        start = count if left else 0
        return _pad(image[:, start : start + new_width], canvas), "crop_left" if left else "crop_right"
    seams = find_pixel_seams(luma(image), width, abs(new_width - width), "forward", _SILENT)
    if new_width <= width:
        return np.asarray(_take(image, seams.kept)), name
    return np.asarray(_insert(image, seams, canvas)), name


_energy, _take = jax.jit(gradient_energy), jax.jit(apply_width)
_insert = jax.jit(insert_width, static_argnames=("width",))


def _pad(image: np.ndarray, width: int) -> np.ndarray:
    return np.pad(image, ((0, 0), (0, width - image.shape[1]), (0, 0)), mode="edge")
