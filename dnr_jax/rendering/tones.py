"""Tones on both sides of what a mask removed, brought together before anything else is done with the photo.

Sky, walls and ground change their tone slowly from one side of a photo to the other. Where a wide object is taken out,
two places meet that were far apart, and their difference shows as a step, which the features hold as well as the
pixels: no reconstruction takes it away. Here the photo itself is changed, by a field as smooth as can be that jumps by
the opposite of the step (Pérez et al., "Poisson Image Editing", 2003, with a term that lets it fade). Differs from the
paper, which shows no removal. On the host: masks come with single photos.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.fft
import scipy.ndimage
from jaxtyping import Float, Float32

from dnr_jax.arrays import Image
from dnr_jax.config import RetargetConfig
from dnr_jax.padding import pad
from dnr_jax.planning.passes import Pass, replay
from dnr_jax.rendering.render import crop, places
from dnr_jax.shapes import bucket_shape

LARGEST_STEP = 24.0
"""Grey levels between both sides that still count as a change of tone; more is something else, and stays."""
BLUR = 8.0
"""Pixels along a joint over which its step is averaged: what is left are tones, not grain."""
FADE = 0.25
"""The length over which the field falls to 1 / e, as a share of the shorter side."""


def match_tones(photos: Sequence[Image], removals: Sequence[Pass], config: RetargetConfig) -> list[Image]:
    """Changes a photo so that what remains of it has no step in tone where something was removed.

    All frames of an animation get the same change, the mean of what each would get, so that nothing flickers.

    Args:
      photos: the photo, or each frame, float32 [H, W, 3] in [0, 255], in the corner of its padded array.
      removals: the passes that take what is marked, on the host; see `dnr_jax.planning.removal.remove_marked`.
      config: the options; with tones=keep, or without removals, the photos are returned as they are.

    Returns:
      The photos, of the same shape, in [0, 255]. What is removed has the change of the nearest pixel that is not.
    """
    if not removals or config.tones == "keep":
        return [*photos]
    size, left = removals[0].size, removals[-1].new_size
    sources = crop(replay(removals, places(bucket_shape(size)), 0, config), left).astype(int)
    frames = [crop(photo, size) for photo in photos]
    steps = [np.mean([joint_steps(frame, sources, axis) for frame in frames], 0) for axis in (0, 1)]
    rows, columns = sources[..., 0], sources[..., 1]
    changes, gone = np.zeros((*size, 3), np.float32), np.ones(size, bool)
    changes[rows, columns] = smooth_field(steps, FADE * min(left))
    gone[rows, columns] = False
    nearest: Any = scipy.ndimage.distance_transform_edt(gone, return_distances=False, return_indices=True)
    changes = changes[nearest[0], nearest[1]]
    return [
        jnp.asarray(pad(np.clip(frame + changes, 0, 255), (photo.shape[0], photo.shape[1])))
        for frame, photo in zip(frames, photos, strict=True)
    ]


def joint_steps(photo: Float32[np.ndarray, "_ _ 3"], sources: np.ndarray, axis: int) -> Float[np.ndarray, "_ _ 3"]:
    """The step in tone between each pixel that remains and the next one along `axis`, 0 where none was removed between.

    What the slope of the photo on both sides explains is no step, nor is what exceeds LARGEST_STEP in any channel:
    there one thing meets another. Steps are averaged along the joint; where half of them are too large, they count 0.

    Args:
      photo: in [0, 255].
      sources: int [h, w, 2], the (row, column) in the photo of each pixel that remains.
      axis: 0 for the next row, 1 for the next column.

    Returns:
      Float64 [h, w, 3]; the last row or column is 0, which has no next one.
    """
    height, width = photo.shape[:2]
    ahead = np.array([1, 0]) if axis == 0 else np.array([0, 1])
    here, there = (sources[:-1], sources[1:]) if axis == 0 else (sources[:, :-1], sources[:, 1:])

    def pixels(at: np.ndarray) -> np.ndarray:
        rows, columns = at[..., 0].clip(0, height - 1), at[..., 1].clip(0, width - 1)
        return photo[rows, columns].astype(np.float64)

    # On the sides that stay: on the others lies what was removed.
    slope = (pixels(here) - pixels(here - ahead) + pixels(there + ahead) - pixels(there)) / 2
    steps = pixels(there) - pixels(here) - slope
    # A seam that bends moves its neighbours by one: that is no removal between them.
    joint = np.abs(there - here - ahead).sum(-1) > 1
    tone = joint & (np.abs(steps).max(-1) <= LARGEST_STEP)
    blurred = [scipy.ndimage.gaussian_filter(mask.astype(np.float64), BLUR) for mask in (joint, tone)]
    share = np.divide(blurred[1], blurred[0], out=np.zeros(joint.shape), where=joint)
    smooth = scipy.ndimage.gaussian_filter(np.where(tone[..., None], steps, 0), (BLUR, BLUR, 0))
    smooth = np.divide(smooth, blurred[1][..., None], out=np.zeros(steps.shape), where=(share > 0)[..., None])
    result = np.zeros((*sources.shape[:2], 3))
    result[tuple(slice(n) for n in joint.shape)] = smooth * np.clip(4 * share - 2, 0, 1)[..., None]
    return result


def smooth_field(steps: Sequence[Float[np.ndarray, "h w 3"]], fade: float) -> Float[np.ndarray, "h w 3"]:
    """The field that takes steps away: the u that minimises `sum (u' - u + step)^2 + sum u^2 / fade^2`.

    The first sum is over all pairs of neighbours, u' the next one's, the second one over all pixels.

    Args:
      steps: from a pixel to the next row's, and to the next column's; 0 where there is none.
      fade: how many pixels away from a step its change has fallen to 1 / e.
    """
    # What flows out of each pixel less what flows in, then the screened Poisson equation in cosines.
    source = sum(step - np.roll(step, 1, axis) for axis, step in enumerate(steps))
    height, width = steps[0].shape[:2]
    down, across = (2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in (height, width))
    scale = down[:, None] + across[None, :] + 1 / fade**2
    return np.asarray(scipy.fft.idctn(scipy.fft.dctn(source, axes=(0, 1)) / scale[..., None], axes=(0, 1)))
