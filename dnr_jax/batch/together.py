"""Photos that share a batch: one compiled program retargets them all."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnr_jax.batch.alone import Finished
from dnr_jax.batch.devices import Devices, Shaped, StepFailedError, loss_record
from dnr_jax.batch.jobs import Batch, Job
from dnr_jax.batch.photo_tasks import Decoded
from dnr_jax.batch.program import Retargeted
from dnr_jax.planning.plan import too_wide
from dnr_jax.planning.sides import AXES, SIDES
from dnr_jax.result import describe_round, describe_warp
from dnr_jax.shapes import Round


def retarget_together(
    batch: Batch, photos: Sequence[tuple[Job, Decoded]], devices: Devices, taps: tuple[str, ...]
) -> list[Finished | str]:
    """Retargets photos of one bucket on the devices.

    Args:
      batch: names the bucket, which must not be None, and the batch size of its program.
      photos: each job with its photo as it was decoded, a still one of the job's size; at least one.
      devices: run the program.
      taps: the taps of the method, by which the record names the levels.

    Returns:
      For each photo its result, or in one line why there is none.
    """
    assert batch.bucket is not None
    shaped = [
        Shaped(_with_opacity(decoded, batch.bucket.opacity), _target(job), decoded.masks.get("protect"))
        for job, decoded in photos
    ]
    try:
        results = devices.run(batch.bucket, batch.size, shaped)
    except StepFailedError as error:
        return [f"{job.entry.name}: {error}" for job, _ in photos]
    return [
        _finished(job, decoded, result, seconds, _describe_plan(result, batch.bucket.rounds, taps))
        for (job, decoded), (result, seconds) in zip(photos, results, strict=True)
    ]


def _with_opacity(decoded: Decoded, opacity: bool) -> np.ndarray:
    """A photo's pixels, with a channel of opacity where its bucket has one: a file may announce it and be opaque."""
    pixels = decoded.frames[0]
    if opacity and pixels.shape[2] == 3:
        return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 255, pixels.dtype)], -1)
    return pixels


def _describe_plan(result: Retargeted, rounds: Sequence[Round], taps: tuple[str, ...]) -> dict[str, Any]:
    """What seams and warps did to a photo, in the words of the record of a single one."""
    passes = [
        describe_round(this.side, [int(n) for n in counts], taps, grow=bool(this.room))
        for this, counts in zip(rounds, result.removed, strict=True)
        if np.any(counts)
    ]
    warps = {
        side: describe_warp(warp, int(result.mid[AXES[side]]))
        for side, warp in zip(SIDES, result.warps, strict=True)
        if not np.array_equal(warp.old_edges, warp.new_edges)
    }
    return {"passes": passes, "warps": warps}


def _finished(
    job: Job, decoded: Decoded, result: Retargeted, seconds: float, described: dict[str, Any]
) -> Finished | str:
    """The image and the record of one photo of a batch, or what was wrong with its optimisation."""
    ends, steps = {}, {}
    for stage, losses, count in (
        ("reconstruction", result.reconstruct_losses, result.reconstruct_steps),
        ("refinement", result.refine_losses, result.refine_steps),
    ):
        values, wrong = loss_record(np.asarray(losses), int(count), stage)
        if wrong:
            return f"{job.entry.name}: {wrong}"
        ends[stage], steps[stage] = [values[0], values[-1]], int(count)
    record = {
        "intermediate_size": [int(n) for n in result.mid],
        "target_size": list(_target(job)),
        **described,
        "losses": ends,
        "steps": steps,
        "notes": too_wide(decoded.masks.get("protect"), _target(job)),
    }
    channels = decoded.frames[0].shape[2]
    return Finished([np.asarray(result.image)[..., :channels]], record, seconds, job.scaled)


def _target(job: Job) -> tuple[int, int]:
    assert job.target is not None
    return job.target
