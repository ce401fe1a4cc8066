"""Photos that cannot share a batch: each is retargeted by itself, through `retarget_frames`.

There are several kinds. How many rounds of seams it takes to remove what a mask marks shows only on the way; the frames
of an animation share one plan and differ in number; and what a file holds may differ from what its header said.
"""

from typing import Any, NamedTuple

import numpy as np

from dnr_jax.batch.jobs import Job, Request, find_target
from dnr_jax.batch.photo_tasks import Decoded
from dnr_jax.pipeline import retarget_frames
from dnr_jax.planning.masks import Masks
from dnr_jax.weights import Weights

_PASS = ("side", "action", "seams")
"""What the ledger keeps of a round of seams."""


class Finished(NamedTuple):
    """One retargeted photo on its way to its file.

    Attributes:
      images: float32 [H, W, 3], or with opacity [H, W, 4], in [0, 255]; one for each frame.
      record: what the ledger's line says of the result: sizes, seams, warps, losses, steps and notes.
      seconds: how long the photo kept the device busy; of a batch, this photo's share of it.
      scaled: the (height, width) that the images are then scaled to; None where they stay as they are.
    """

    images: list[np.ndarray]
    record: dict[str, Any]
    seconds: float
    scaled: tuple[int, int] | None


def retarget_alone(job: Job, decoded: Decoded, request: Request, weights: Weights) -> Finished:
    """Retargets one photo of any kind: still or animated, with or without masks.

    Args:
      job: the photo's job; its target is worked out anew from the decoded size.
      decoded: the frames and masks of the photo.
      request: the options of the run.
      weights: the network, and where it comes from.

    Raises:
      ValueError: a target that cannot be reached, or a mask that cannot be used.
      FloatingPointError: an optimisation diverged.
    """
    height, width = decoded.frames[0].shape[:2]
    target = find_target(job.entry, (height, width), request)
    frames = [frame.astype(np.float32) for frame in decoded.frames]
    results = retarget_frames(frames, target.retargeted, request.config, weights, masks=Masks(**decoded.masks))
    first = results[0].record
    seconds = sum(sum(result.record["seconds"].values()) for result in results)
    record = {
        "size": list(first["size"]),
        "intermediate_size": list(first["intermediate_size"]),
        "target_size": list(first["target_size"]),
        "passes": [{name: step[name] for name in _PASS} for step in first["passes"] if any(step["seams"].values())],
        "warps": first["warps"],
        "losses": {stage: _ends(first[stage]["losses"]) for stage in ("reconstruction", "refinement")},
        "steps": {stage: first[stage]["steps"] for stage in ("reconstruction", "refinement")},
        "notes": list(first["notes"]),
    }
    return Finished([result.image for result in results], record, seconds, target.scaled)


def _ends(losses: list[float]) -> list[float]:
    """The first and the last loss of an optimisation."""
    return [losses[0], losses[-1]]
