"""What becomes of the objects of a photo: how much of them is discarded, and how far their proportions change.

Objects are outlined in the photo and carried along the map from the result back to the photo, a `Registration`: where
each pixel of the result comes from. It is estimated by `register`, or given exactly where a method knows its own map;
the measures need no pixels.

References:
  F. Shen, C. Li, Y. Geng, Y. Deng, H. Chen. Prune and Repaint: content-aware image retargeting for any ratio. NeurIPS
    2024 (the saliency discard ratio).
"""

import math

import numpy as np
from jaxtyping import Bool

from dnr_jax.metrics.registration import Registration

LOST = math.log(4)
"""The distortion of an object that is lost, and the most that any counts: as if squeezed to a quarter of its width.
It is above what uniform scaling does at the most extreme of usual targets, 16:9 to 9:16 (log 3.16), because losing an
object must never be the cheaper choice, and not far above it, so that one lost object does not decide a mean alone."""
LEAST_VISIBLE = 0.1
"""An object of which less than this share of either side is left counts as lost: what is left shows no proportions."""


def saliency_discard_ratio(objects: np.ndarray, registration: Registration) -> float:
    """SDR: `|columns that hold an object before - after| / before`; 0 at best.

    A column of the result holds an object where any of its pixels comes from one. Where the height changed instead of
    the width, rows count; where both did, or neither, columns and rows are averaged. Uniform scaling to a share s of
    the width has 1 - s.

    Differs from the paper, which finds objects by a saliency network: here they are outlined by hand.

    Args:
      objects: bool [n, H, W], the pixels of each object of the photo, none of them empty.
      registration: float32 [H', W'] each, where the result's pixels come from; places outside the photo hold nothing.

    Raises:
      ValueError: no objects, an empty one, or a map that is no pair of equal, finite arrays.
    """
    held = carry(objects, registration)
    before, after = objects.any(0), held.any(0)
    changed = [axis for axis in (0, 1) if before.shape[axis] != after.shape[axis]] or [0, 1]
    ratios = []
    for axis in changed:
        old, new = (int(np.any(mask, 1 - axis).sum()) for mask in (before, after))
        ratios.append(abs(old - new) / old)
    return float(np.mean(ratios))


def object_aspect_distortion(objects: np.ndarray, registration: Registration) -> float:
    """The mean over objects of `|log((width' / height') / (width / height))|`; 0 where all keep their proportions.

    Sides are those of the box around the object's visible part, before and after: what is cropped is left out of both,
    and so is a rim that carving took (the saliency discard ratio counts that). Sides lie between the centres of the
    outermost pixels, so that uniform scaling to a share s of the width has |log s| exactly. An object that is lost
    counts `LOST`, and none counts more; a side of one pixel counts as kept.

    Args:
      objects: bool [n, H, W], as for `saliency_discard_ratio`.
      registration: float32 [H', W'] each, as for `saliency_discard_ratio`.

    Raises:
      ValueError: objects or a map that cannot be used, as for `saliency_discard_ratio`.
    """
    held = carry(objects, registration)
    return float(np.mean([_distortion(mask, seen, registration) for mask, seen in zip(objects, held, strict=True)]))


def carry(objects: np.ndarray, registration: Registration) -> Bool[np.ndarray, "n h w"]:
    """The objects in the result, bool [n, H', W']; arguments and errors as for `saliency_discard_ratio`."""
    if objects.ndim != 3 or objects.dtype != bool or not len(objects) or not objects.any((1, 2)).all():
        raise ValueError(
            f"objects are {objects.dtype} {objects.shape}: give bool [n, height, width], none of them empty"
        )
    shapes = {positions.shape for positions in registration}
    if len(shapes) != 1 or registration.rows.ndim != 2 or 0 in registration.rows.shape:
        raise ValueError(
            f"the map's shapes are {sorted(shapes)}: give rows and columns of the result's height and width"
        )
    if not all(np.isfinite(positions).all() for positions in registration):
        raise ValueError("the map holds values that are not finite: give a place in the photo for every pixel")
    places, inside = [], np.ones(registration.rows.shape, bool)
    for positions, length in zip(registration, objects.shape[1:], strict=True):
        # The nearest pixel; halves up, so that evenly spaced places stay evenly spaced.
        nearest = np.floor(positions + 0.5)
        inside &= (nearest >= 0) & (nearest < length)
        places.append(np.clip(nearest, 0, length - 1).astype(np.intp))
    return objects[:, places[0], places[1]] & inside


def _distortion(mask: np.ndarray, seen: np.ndarray, registration: Registration) -> float:
    """How far one object's proportions change; it is bool [H, W] in the photo and [H', W'] in the result."""
    if not seen.any():
        return LOST
    ratios = []
    for axis, positions in enumerate(registration):
        whole, after = (_length(np.flatnonzero(np.any(held, 1 - axis))) for held in (mask, seen))
        if not whole:  # From one pixel's centre to itself.
            ratios.append(1.0)
            continue
        before = _length(positions[seen])
        if before < LEAST_VISIBLE * whole or before <= 0 or after <= 0:
            return LOST
        ratios.append(after / before)
    return min(LOST, abs(math.log(ratios[1] / ratios[0])))


def _length(places: np.ndarray) -> float:
    return float(places.max() - places.min())
