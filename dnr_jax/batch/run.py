"""The loop: decode ahead, keep the devices fed, encode behind, record what is finished."""

import time
import weakref
from collections import deque
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax

from dnr_jax.batch.alone import Finished, retarget_alone
from dnr_jax.batch.devices import Devices
from dnr_jax.batch.jobs import Batch, Job, Request
from dnr_jax.batch.ledger import DONE, FAILED, Ledger
from dnr_jax.batch.photo_tasks import Decoded, Written, check_failure, decode_entry, encode_result, output_kind
from dnr_jax.batch.together import retarget_together
from dnr_jax.batch.workers import WorkerDiedError, Workers
from dnr_jax.photos.encode import check_output
from dnr_jax.shell.command_line import one_line
from dnr_jax.shell.ending import uninterrupted
from dnr_jax.weights import Weights

_AHEAD = 2
"""How many batches are decoded before they are needed, and how many batches' results may wait to be written: with them
the memory that a run takes is bounded."""
_LAST_SECONDS = 1.0
"""Seconds that results on their way to their files have when the run is asked to end."""
_EXPECTED = (ValueError, OSError, FloatingPointError, MemoryError, WorkerDiedError, jax.errors.JaxRuntimeError)
"""Exceptions that photos, disks and devices give rise to; their messages are for users."""


class Listener(Protocol):
    """What a run reports to: `summary.Tally`, or anything else with these methods."""

    def finish(self, job: Job, seconds: float) -> None:
        """Called once a photo is in its file; `seconds` is what decoding, computing and encoding took together."""

    def fail(self, job: Job, reason: str) -> None:
        """Called where a photo cannot be retargeted; `reason` is one line that names it."""


class _Read(NamedTuple):
    """A job whose photo is in memory; `decode_seconds` is 0 where the job of another target had it decoded already."""

    job: Job
    decoded: Decoded
    decode_seconds: float


class _Task(NamedTuple):
    """The future of a job's decoded photo, and whether it was submitted for this job or for another target's."""

    future: Future[Any]
    is_own: bool


class _Running(NamedTuple):
    """Photos on the devices, and the future of their results; one line says what was wrong with a photo instead."""

    photos: list[_Read]
    results: "Future[list[Finished | str]]"


class _Writing(NamedTuple):
    """A result that a worker is encoding; `finished` holds its record, without the images."""

    photo: _Read
    finished: Finished
    task: Future[Any]


class Run:
    """Retargets batches of jobs: decodes ahead, keeps the devices busy, encodes behind, and records every photo.

    Args:
      request: what every photo is to become.
      weights: the network, and where it comes from.
      weights_sha256: the digest of the network, which goes into the records.
      devices: the devices that run the batches.
      workers: the processes that decode and encode.
      ledger: takes a line for each photo that is finished or failed.
      temporary_dir: the folder of unfinished files, on the same file system as the results.
      tally: hears of every photo that is finished or failed.
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
        """Retargets all batches; returns once every photo is in its file, or its failure is recorded."""
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
        """Records, where a run ends early, the photos that are in their files within `seconds`."""
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
        """Has a job's photo decoded by a worker; targets of one photo that wait at the same time share the result.

        Returns:
          None for a job that is known to fail, whose photo is not read.
        """
        if job.failure:
            return None
        entry = job.entry
        files = entry.path, entry.protect or "", entry.remove or "", entry.objects or ""
        future = self._tasks.get(files)
        if future is not None:
            return _Task(future, False)
        asked = self._request
        future = self._workers.submit(decode_entry, job.entry, asked.max_megapixels, asked.frames)
        self._tasks[files] = future
        return _Task(future, True)

    def _compute(self, batch: Batch, tasks: list[_Task | None], device_thread: ThreadPoolExecutor) -> None:
        """Waits for the photos of one batch and hands them to the devices, those that cannot share it one by one."""
        together, alone = [], []
        for job, task in zip(batch.jobs, tasks, strict=True):
            if task is None:
                self._fail(job, job.failure)
                continue
            try:
                decoded: Decoded = task.future.result()
            except Exception as error:
                self._fail(job, _reason(job, error))
                continue
            try:
                check_output(
                    decoded.kind, output_kind(job.entry.output), background=self._request.background, size=job.written
                )
            except ValueError as error:
                self._fail(job, f"{job.entry.name}: {error}", decoded)
                continue
            photo = _Read(job, decoded, decoded.seconds if task.is_own else 0.0)
            frames = photo.decoded.frames
            if batch.bucket is None or (frames[0].shape[2] == 4 and not batch.bucket.opacity):
                alone.append(photo)
            elif len(frames) > 1 or frames[0].shape[:2] != job.size:
                self._fail(job, f"{job.entry.name} changed while the run was going on: run again")
            else:
                together.append(photo)
        if together:
            self._running.append(_Running(together, device_thread.submit(self._together, batch, together)))
        for photo in alone:
            self._running.append(_Running([photo], device_thread.submit(self._alone, photo)))
        while len(self._running) > _AHEAD - 1:
            self._write(self._running.popleft())

    def _together(self, batch: Batch, photos: list[_Read]) -> "list[Finished | str]":
        """Retargets one batch, in the device thread."""
        return retarget_together(
            batch, [(photo.job, photo.decoded) for photo in photos], self._devices, self._request.config.taps
        )

    def _alone(self, photo: _Read) -> "list[Finished | str]":
        """Retargets one photo that cannot share a batch, in the device thread."""
        try:
            finished = retarget_alone(photo.job, photo.decoded, self._request, self._weights)
        except Exception as error:
            return [_reason(photo.job, error, f"{photo.job.entry.name}: ")]
        self._devices.busy_seconds += finished.seconds
        return [finished]

    def _write(self, running: _Running) -> None:
        """Waits for the results of one batch, hands them to the workers, and records what is written already."""
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
                    result.scaled or result.images[0].shape[:2],
                )
                self._writing.append(_Writing(photo, result._replace(images=[]), task))
        most = _AHEAD * len(running.photos)
        while self._writing and (len(self._writing) > most or self._writing[0].task.done()):
            self._record_next()

    def _record_next(self) -> None:
        """Waits for the photo whose encoding began first to be in its file, and records it."""
        wait([self._writing[0].task])
        with uninterrupted():
            self._record(self._writing.popleft())

    def _record(self, writing: _Writing) -> None:
        """Records a photo that a worker has written, or why it could not."""
        photo, finished = writing.photo, writing.finished
        try:
            written: Written = writing.task.result()
        except Exception as error:
            self._fail(photo.job, _reason(photo.job, error), photo.decoded)
            return
        seconds = {"decode": photo.decode_seconds, "device": finished.seconds, "encode": written.seconds}
        line = {
            **self._line(photo.job, DONE, photo.decoded.input_sha256, photo.decoded.stat),
            **finished.record,
            **({} if finished.scaled is None else {"output_size": finished.scaled}),
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
        """Records a photo that cannot be retargeted; `decoded` is None where it was never read."""
        digest, stat = check_failure(job.entry) if decoded is None else (decoded.input_sha256, decoded.stat)
        self._ledger.append({**self._line(job, FAILED, digest, stat), "limits": self._request.limits, "reason": reason})
        self._tally.fail(job, reason)

    def _line(self, job: Job, status: str, digest: str, stat: tuple[tuple[int, int], ...]) -> dict[str, Any]:
        """What every line of the ledger says, of finished and of failed photos; see `Recorded`."""
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


def _reason(job: Job, error: Exception, beginning: str = "") -> str:
    """One line on why a photo failed; `beginning` names it where messages do not.

    What nobody has foreseen fails the one photo too, and is called a fault.
    """
    if isinstance(error, _EXPECTED):
        return f"{beginning}{one_line(error)}"
    return f"{job.entry.name}: {type(error).__name__}: {one_line(error)} (please report this)"
