"""The loop: decode ahead, keep the devices fed, encode behind, record what is finished."""

import time
import weakref
from collections import deque
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from dnr_jax.batch.alone import Finished, retarget_alone
from dnr_jax.batch.devices import Devices, Shaped, StepFailedError, loss_record
from dnr_jax.batch.jobs import Batch, Job, Request
from dnr_jax.batch.ledger import DONE, FAILED, Ledger
from dnr_jax.batch.photo_tasks import Decoded, Written, check_failure, decode_entry, encode_result, output_kind
from dnr_jax.batch.program import Retargeted
from dnr_jax.batch.workers import WorkerDiedError, Workers
from dnr_jax.photos.encode import check_output
from dnr_jax.planning.plan import too_wide
from dnr_jax.shell.command_line import one_line
from dnr_jax.shell.ending import uninterrupted
from dnr_jax.weights import Weights

_AHEAD = 2
"""Batches decoded before they are needed, and results not yet in their files: what memory holds at most."""
_LAST_SECONDS = 1.0
"""For results on their way to their files when the run is told to end."""
_PHOTO_ERRORS = (ValueError, OSError, FloatingPointError, MemoryError, WorkerDiedError, jax.errors.JaxRuntimeError)
"""What may be wrong with one photo and leaves the others alone."""


class Listener(Protocol):
    """Is told what becomes of each photo."""

    def finish(self, job: Job, seconds: float) -> None:
        """It is in its file, and took so many seconds."""

    def fail(self, job: Job, reason: str) -> None:
        """It cannot be served."""


class _Read(NamedTuple):
    """A job whose photo is in memory; `decode_seconds` are 0 where another target's job had it decoded."""

    job: Job
    decoded: Decoded
    decode_seconds: float


class _Task(NamedTuple):
    """The promise of a job's photo, and whether it was made for this job."""

    future: Future[Any]
    is_own: bool


class _Running(NamedTuple):
    """Photos on the devices; for each a result or what went wrong."""

    photos: list[_Read]
    results: "Future[list[Finished | str]]"


class _Writing(NamedTuple):
    """A result on its way to its file."""

    photo: _Read
    finished: Finished
    task: Future[Any]


class Run:
    """Retargets batches of jobs.

    Args:
      request: what is asked for.
      weights: the network, and where it comes from.
      weights_sha256: of the network, for the records.
      devices: that run the batches.
      workers: that decode and encode.
      ledger: takes a line for each photo.
      temporary_dir: of unfinished files, on the file system of the results.
      tally: is told of everything that happens.
    """

    def __init__(
        self,
        request: Request,
        weights: Weights,
        weights_sha256: str,
        devices: Devices,
        workers: Workers,
        ledger: Ledger,
        temporary_dir: Path,
        tally: Listener,
    ):
        self._request, self._weights, self._weights_sha256 = request, weights, weights_sha256
        self._devices, self._workers, self._ledger, self._tally = devices, workers, ledger, tally
        self._temporary_dir = temporary_dir
        self._running: deque[_Running] = deque()
        self._writing: deque[_Writing] = deque()
        self._tasks: weakref.WeakValueDictionary[tuple[str, ...], Future[Any]] = weakref.WeakValueDictionary()

    def process(self, batches: Iterable[Batch]) -> None:
        """Retargets all batches; returns when every photo is in its file, or its failure recorded."""
        waiting: deque[tuple[Batch, list[_Task | None]]] = deque()
        device_thread = ThreadPoolExecutor(1)
        try:
            for batch in batches:
                waiting.append((batch, [self._read(job) for job in batch.jobs]))
                if len(waiting) > _AHEAD:
                    self._compute(*waiting.popleft(), device_thread)
            while waiting:
                self._compute(*waiting.popleft(), device_thread)
            while self._running:
                self._write(self._running.popleft())
            while self._writing:
                self._record_next()
        except BaseException:
            self._record_finished(_LAST_SECONDS)
            raise
        finally:
            # Not even the batch that is being computed is waited for: there is none unless something ends the run.
            device_thread.shutdown(wait=False, cancel_futures=True)

    def _record_finished(self, seconds: float) -> None:
        """On an interrupt: records what is in its file now or soon; the rest is left for another run."""
        end = time.monotonic() + seconds
        for writing in self._writing:
            try:
                failed = writing.task.exception(max(0.0, end - time.monotonic()))
            except (TimeoutError, CancelledError):
                continue
            if failed is None:
                self._record(writing)
        self._writing.clear()

    def _read(self, job: Job) -> _Task | None:
        """Has the photo decoded, once for all its targets that are waiting together; nothing is kept beyond them."""
        if job.failure:
            return None
        files = job.entry.path, job.entry.protect or "", job.entry.remove or ""
        future = self._tasks.get(files)
        if future is not None:
            return _Task(future, False)
        asked = self._request
        future = self._workers.submit(decode_entry, job.entry, asked.max_megapixels, asked.frames)
        self._tasks[files] = future
        return _Task(future, True)

    def _compute(self, batch: Batch, tasks: list[_Task | None], device_thread: ThreadPoolExecutor) -> None:
        """Hands one batch to the devices once its photos are read."""
        together, alone = [], []
        for job, task in zip(batch.jobs, tasks, strict=True):
            if task is None:
                self._fail(job, job.failure)
                continue
            try:
                decoded: Decoded = task.future.result()
            except _PHOTO_ERRORS as error:
                self._fail(job, one_line(error))
                continue
            try:
                check_output(
                    decoded.kind, output_kind(job.entry.output), background=self._request.background, size=job.written
                )
            except ValueError as error:
                self._fail(job, f"{job.entry.path}: {error}", decoded)
                continue
            photo = _Read(job, decoded, decoded.seconds if task.is_own else 0.0)
            frames = photo.decoded.frames
            if batch.bucket is None or (frames[0].shape[2] == 4 and not batch.bucket.opacity):
                alone.append(photo)
            elif len(frames) > 1 or frames[0].shape[:2] != job.size:
                self._fail(job, f"{job.entry.path} changed while the run was going on: run again")
            else:
                together.append(photo)
        if together:
            self._running.append(_Running(together, device_thread.submit(self._together, batch, together)))
        for photo in alone:
            self._running.append(_Running([photo], device_thread.submit(self._alone, photo)))
        while len(self._running) > _AHEAD - 1:
            self._write(self._running.popleft())

    def _together(self, batch: Batch, photos: list[_Read]) -> "list[Finished | str]":
        """In the device thread: one batch."""
        assert batch.bucket is not None
        shaped = [
            Shaped(_with_opacity(photo, batch.bucket.opacity), _target(photo.job), photo.decoded.masks.get("protect"))
            for photo in photos
        ]
        try:
            results = self._devices.run(batch.bucket, batch.size, shaped)
        except StepFailedError as error:
            return [f"{photo.job.entry.path}: {error}" for photo in photos]
        return [_finished(photo, result, seconds) for photo, (result, seconds) in zip(photos, results, strict=True)]

    def _alone(self, photo: _Read) -> "list[Finished | str]":
        """In the device thread: one photo that cannot share a batch."""
        try:
            finished = retarget_alone(photo.job, photo.decoded, self._request, self._weights)
        except _PHOTO_ERRORS as error:
            return [f"{photo.job.entry.path}: {one_line(error)}"]
        self._devices.busy_seconds += finished.seconds
        return [finished]

    def _write(self, running: _Running) -> None:
        """Hands one batch's results to the encoders, and records what they have finished."""
        for photo, result in zip(running.photos, running.results.result(), strict=True):
            if isinstance(result, str):
                self._fail(photo.job, result, photo.decoded)
                continue
            with uninterrupted():  # What is begun must be waited for.
                task = self._workers.submit(
                    encode_result,
                    self._request.output_dir / photo.job.entry.output,
                    result.images,
                    photo.decoded.kind,
                    self._request.background,
                    self._temporary_dir,
                    photo.job.scaled or result.images[0].shape[:2],
                )
                self._writing.append(_Writing(photo, result._replace(images=[]), task))
        most = _AHEAD * len(running.photos)
        while self._writing and (len(self._writing) > most or self._writing[0].task.done()):
            self._record_next()

    def _record_next(self) -> None:
        """Records the photo whose encoding began first, once it is in its file."""
        wait([self._writing[0].task])
        with uninterrupted():
            self._record(self._writing.popleft())

    def _record(self, writing: _Writing) -> None:
        photo, finished = writing.photo, writing.finished
        try:
            written: Written = writing.task.result()
        except _PHOTO_ERRORS as error:
            self._fail(photo.job, one_line(error), photo.decoded)
            return
        seconds = {"decode": photo.decode_seconds, "device": finished.seconds, "encode": written.seconds}
        line = {
            **self._line(photo.job, DONE, photo.decoded.input_sha256, photo.decoded.stat),
            **finished.record,
            **({} if photo.job.scaled is None else {"output_size": photo.job.scaled}),
            "output_bytes": written.output_bytes,
            "seconds": {stage: round(value, 4) for stage, value in seconds.items()},
        }
        entry = photo.job.entry
        fallback = (
            [f"its own format cannot be written: it is {Path(entry.output).suffix} now"] if entry.fallback else []
        )
        notes = [*photo.decoded.notes, *fallback, *finished.record.get("notes", [])]
        self._ledger.append({**line, "notes": notes} if notes else line)
        self._tally.finish(photo.job, sum(seconds.values()))

    def _fail(self, job: Job, reason: str, decoded: Decoded | None = None) -> None:
        digest, stat = check_failure(job.entry) if decoded is None else (decoded.input_sha256, decoded.stat)
        self._ledger.append({**self._line(job, FAILED, digest, stat), "reason": reason})
        self._tally.fail(job, reason)

    def _line(self, job: Job, status: str, digest: str, stat: tuple[tuple[int, int], ...]) -> dict[str, Any]:
        return {
            "output": job.entry.output,
            "status": status,
            "input": job.entry.path,
            "input_sha256": digest,
            "config_sha256": job.config_sha256,
            "weights_sha256": self._weights_sha256,
            "input_stat": stat,
            "size": job.size,
            "bucket": None if job.bucket is None else str(job.bucket),
            "opacity": job.bucket is not None and job.bucket.opacity,
        }


def _with_opacity(photo: _Read, opacity: bool) -> np.ndarray:
    """The photo's pixels with a channel of opacity where its bucket has it: a file may announce one and be opaque."""
    pixels = photo.decoded.frames[0]
    if opacity and pixels.shape[2] == 3:
        return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 255, pixels.dtype)], -1)
    return pixels


def _finished(photo: _Read, result: Retargeted, seconds: float) -> "Finished | str":
    """One photo of a batch, or what was wrong with its optimisation."""
    job, ends, steps = photo.job, {}, {}
    for stage, losses, count in (
        ("reconstruction", result.reconstruct_losses, result.reconstruct_steps),
        ("refinement", result.refine_losses, result.refine_steps),
    ):
        values, wrong = loss_record(np.asarray(losses), int(count), stage)
        if wrong:
            return f"{job.entry.path}: {wrong}"
        ends[stage], steps[stage] = [values[0], values[-1]], int(count)
    record = {
        "intermediate_size": [int(n) for n in result.mid],
        "target_size": list(_target(job)),
        "losses": ends,
        "steps": steps,
        "notes": too_wide(photo.decoded.masks.get("protect"), _target(job)),
    }
    channels = photo.decoded.frames[0].shape[2]
    return Finished([np.asarray(result.image)[..., :channels]], record, seconds)


def _target(job: Job) -> tuple[int, int]:
    assert job.target is not None
    return job.target
