"""Makes jobs of entries (with size, target, bucket, and whether it is done already), and batches of jobs."""

import contextlib
import dataclasses
import json
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, TypeVar

from dnr_jax.batch.buckets import Bucket, find_bucket, spread
from dnr_jax.batch.entries import Entry
from dnr_jax.batch.ledger import DONE, FAILED, Ledger, Recorded, config_sha256, file_stat, is_current
from dnr_jax.batch.photo_tasks import output_kind, read_header
from dnr_jax.config import RetargetConfig
from dnr_jax.photos import MAX_MEGAPIXELS
from dnr_jax.photos.decode import Frames
from dnr_jax.photos.kinds import Colour
from dnr_jax.planning.reach import seam_target
from dnr_jax.shapes import PER_OCTAVE
from dnr_jax.shell.sizes import Target, parse_target
from dnr_jax.shell.targets import Asked

Result = TypeVar("Result")
_THREADS = 16  # File headers wait for disks and networks, not for a processor.


@dataclasses.dataclass(frozen=True)
class Request:
    """What every photo of a run is to become.

    Attributes:
      config: the options of the method.
      targets: the sizes wanted of every photo, at least one; an entry's own width or height replaces them.
      output_dir: the folder of the results.
      background: the colour that transparent parts are laid on; None to keep them transparent.
      frames: what to do with animations.
      max_megapixels: how large a photo may be to be decoded, in millions of pixels.
      per_octave: how many bucket sides there are between one power of two and the next.
      batch_size: how many photos each device computes at a time, at most.
      batch_megapixels: how many millions of padded pixels each device computes at a time, at most; a single photo may
        have more.
      retry_failed: whether photos that failed before are tried again.
      recheck: whether finished photos' inputs are read again to see if they changed.
    """

    config: RetargetConfig
    targets: tuple[Asked, ...]
    output_dir: Path
    background: Colour | None = None
    frames: Frames = "refuse"
    max_megapixels: float = MAX_MEGAPIXELS
    per_octave: int = PER_OCTAVE
    batch_size: int = 8
    batch_megapixels: float = 2.0
    retry_failed: bool = False
    recheck: bool = False

    @property
    def limits(self) -> str:
        """What photos may be refused for, as text: on it depends which fail, and no result."""
        return f"frames={self.frames} max_megapixels={self.max_megapixels}"


class Job(NamedTuple):
    """One photo and what to do with it.

    Attributes:
      entry: the photo.
      size: the photo's (height, width); None where its file could not be opened.
      target: the (height, width) that retargeting leads to; None where the size is, or where `failure` says why.
      bucket: the bucket whose batches the photo joins; None where it goes alone.
      alone: why it goes alone: "something to remove", "frames", "unreadable", "too small",
        "no full-resolution tap"; empty where it does not.
      config_sha256: the digest of every option that the result depends on.
      recorded: "done" or "failed" where an earlier run's record still holds and nothing is to be done; else empty.
      failure: why the photo cannot be retargeted, in one line; empty where nothing is known against it.
      scaled: the (height, width) that the result is then scaled to; None where it stays as it is.
    """

    entry: Entry
    size: tuple[int, int] | None
    target: tuple[int, int] | None
    bucket: Bucket | None
    alone: str
    config_sha256: str
    recorded: str = ""
    failure: str = ""
    scaled: tuple[int, int] | None = None

    @property
    def written(self) -> tuple[int, int] | None:
        """The (height, width) of the result's file; None where the photo could not be opened."""
        return self.scaled or self.target

    @property
    def pixels(self) -> int:
        """How many pixels the photo has, by which its cost is reckoned; 0 where it could not be opened."""
        return 0 if self.size is None else self.size[0] * self.size[1]


class Batch(NamedTuple):
    """Jobs that run together.

    Attributes:
      bucket: the bucket of all of them; None for a single job that runs alone.
      size: the batch size that the program is compiled for, at least the number of jobs.
      jobs: the jobs.
    """

    bucket: Bucket | None
    size: int
    jobs: tuple[Job, ...]


def make_jobs(
    entries: Sequence[Entry],
    request: Request,
    importance_side: int | None,
    weights_sha256: str,
    ledger: Ledger,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Job]:
    """Finds out what is to be done with each photo; opens its file for that, unless a record has its size.

    Args:
      entries: the photos.
      request: what every photo is to become.
      importance_side: the side in pixels of the overview that the network sees; None for a network that sees the photo
        itself.
      weights_sha256: the digest of the network.
      ledger: what earlier runs have done.
      progress: called with (how many photos were looked at, how many there are); None for nobody.

    Returns:
      A job for each entry, in order.
    """
    jobs = []

    def make(entry: Entry) -> Job:
        return _make_job(entry, request, importance_side, weights_sha256, ledger)

    with contextlib.closing(map_in_threads(make, entries)) as made:
        for job in made:
            jobs.append(job)
            if progress is not None:
                progress(len(jobs), len(entries))
    return jobs


def map_in_threads(function: Callable[[Entry], Result], entries: Sequence[Entry]) -> Generator[Result]:
    """Calls a function for each entry, in several threads at once; gives what it returns, in order.

    Closed early, it does not begin the calls that are left. What Pillow warns of in damaged files is not shown.
    """
    pool = ThreadPoolExecutor(_THREADS)
    try:
        with warnings.catch_warnings():  # Here, because threads share the filters.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield from pool.map(function, entries)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _make_job(entry: Entry, request: Request, importance_side: int | None, weights_sha256: str, ledger: Ledger) -> Job:
    recorded = ledger.get(entry.output)
    size, alone, opacity = _look_at(entry, recorded)
    target, scaled, failure = None, None, ""
    try:
        output_kind(entry.output)
    except ValueError as error:
        failure = f"{entry.name}: {error}"
    if size is not None and not failure:
        try:
            wanted = find_target(entry, size, request)
            target, scaled = wanted.retargeted, wanted.scaled
        except ValueError as error:
            failure = f"{entry.name}: {error}"
    config = request.config if size is None else request.config.resolve(size)
    digest = request_sha256(entry, target, scaled, request, config)
    bucket = None
    if size is not None and target is not None and not alone:
        if min(size) < request.config.levels[-1].stride:  # With taps=auto it goes alone, with the taps that fit.
            alone = "too small"
        elif (opacity or entry.protect is not None) and not config.full_resolution:
            alone = "no full-resolution tap"
        else:
            bucket = find_bucket(
                size,
                seam_target(size, target, request.config),
                target=target,
                importance_side=importance_side,
                seams_only=request.config.importance_percentile == 100,
                per_octave=request.per_octave,
                opacity=opacity,
                protected=entry.protect is not None,
            )
    status = ""
    if recorded is not None and not (recorded.status == FAILED and request.retry_failed):
        current = is_current(
            recorded, entry, request.output_dir, digest, weights_sha256, limits=request.limits, recheck=request.recheck
        )
        status = recorded.status if current else ""
    return Job(entry, size, target, bucket, alone, digest, status, failure, scaled)


def find_target(entry: Entry, size: tuple[int, int], request: Request) -> Target:
    """The size wanted of a photo.

    Args:
      entry: the photo; its own width or height goes before the request's targets.
      size: the photo's (height, width).
      request: holds the targets.

    Raises:
      ValueError: a size that is malformed or out of range.
    """
    if entry.has_own_size:
        return parse_target(size, width=entry.width, height=entry.height)
    return request.targets[entry.target].target(size)


def request_sha256(
    entry: Entry,
    target: tuple[int, int] | None,
    scaled: tuple[int, int] | None,
    request: Request,
    config: RetargetConfig,
) -> str:
    """The digest that ties a record to what was asked for.

    Args:
      entry: the photo.
      target: the (height, width) that retargeting leads to.
      scaled: the (height, width) that the result is then scaled to; None where it stays as it is.
      request: what every photo is to become.
      config: the request's options with their values for this photo's size.
    """
    asked: dict[str, str | float | None] = {
        "output": entry.output,
        "background": None if request.background is None else ",".join(map(str, request.background)),
        "masks": f"{entry.protect is not None} {entry.remove is not None}",
    }
    if entry.objects is not None:
        asked["objects"] = "given"
    if target is None:  # The photo's size is not known: what was asked for has to do.
        own = {"width": entry.width, "height": entry.height}
        asked["wanted"] = json.dumps(own if entry.has_own_size else request.targets[entry.target].sizes)
    if scaled is not None:
        asked["scaled"] = f"{scaled[1]}x{scaled[0]}"
    return config_sha256(config, target, version("dnr_jax"), **asked)


def _look_at(entry: Entry, recorded: Recorded | None) -> tuple[tuple[int, int] | None, str, bool]:
    """What `Header` holds: from the record of a photo that ran in a batch and is unchanged, else from its file."""
    try:
        if recorded is not None and recorded.batched and recorded.size and file_stat(entry.files) == recorded.stat:
            return recorded.size, "", recorded.opacity
        return read_header(entry)
    except Exception:  # Damaged files make Pillow raise almost anything; decoding will say what it is.
        return None, "unreadable", False


def make_batches(jobs: Iterable[Job], request: Request, devices: int, *, whole: bool = True) -> Iterator[Batch]:
    """Groups the jobs that are not done: first bucket by bucket, then one by one those that go alone.

    The batch size of a bucket follows from all its jobs, those done included, so that a run which goes on where
    another stopped runs the same programs.

    Args:
      jobs: the jobs, whose order is kept within a bucket.
      request: limits the size of batches.
      devices: how many devices share a batch.
      whole: whether these are all the jobs there will be; else every batch has the largest size allowed.
    """
    groups: dict[Bucket, list[Job]] = {}
    single = []
    for job in jobs:
        if job.failure or job.bucket is None:
            single.append(job)
        else:
            groups.setdefault(job.bucket, []).append(job)
    for bucket in sorted(groups):
        members = groups[bucket]
        padded = bucket.shape[0] * bucket.shape[1] / 1e6
        most = devices * max(1, min(request.batch_size, int(request.batch_megapixels / padded)))
        size = spread(len(members), most, multiple=devices) if whole else most
        left = [job for job in members if not job.recorded]
        for start in range(0, len(left), size):
            yield Batch(bucket, size, tuple(left[start : start + size]))
    for job in single:
        if not job.recorded:
            yield Batch(None, 1, (job,))


def count_recorded(jobs: Iterable[Job]) -> tuple[int, int]:
    """How many jobs an earlier run has finished, and at how many it failed."""
    states = [job.recorded for job in jobs]
    return states.count(DONE), states.count(FAILED)
