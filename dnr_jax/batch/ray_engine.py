"""A run on a Ray cluster: Ray Data hands the batches to one actor for each device, and again where an actor dies.

All nodes must see the photos and the output directory under the same paths. The records are those of a local run, so
that either engine goes on where the other stopped.
"""

import contextlib
import dataclasses
import importlib
import itertools
import logging
import os
import pickle
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import filelock

from dnr_jax import compilation_cache
from dnr_jax.batch.devices import Devices
from dnr_jax.batch.entries import STATE_DIR, Entry
from dnr_jax.batch.jobs import Batch, Job, Request, make_batches, make_jobs
from dnr_jax.batch.ledger import Ledger, is_current
from dnr_jax.batch.run import Run
from dnr_jax.batch.session import Session, exit_code, own_state, write_summary
from dnr_jax.batch.summary import Tally
from dnr_jax.batch.workers import Workers, default_workers
from dnr_jax.shell.ending import handlers_kept
from dnr_jax.shell.progress import ProgressLine
from dnr_jax.weights.load import load_chosen
from dnr_jax.weights.names import NetworkChoice

_CHUNK = 4
"""How many batches an actor is given at once: enough to read, compute and write at the same time."""


class Report(NamedTuple):
    """What an actor has done with one chunk.

    Attributes:
      actor: the actor's name.
      finished: (job, seconds it took) of each photo that is done.
      failed: (job, reason in one line) of each photo that failed.
      busy_seconds: how long the actor's device ran programs, since the actor began.
      compile_seconds: how long each of its programs took to compile, by a name that says which it is, since then.
    """

    actor: str
    finished: list[tuple[Job, float]]
    failed: list[tuple[Job, str]]
    busy_seconds: float
    compile_seconds: dict[str, float]


class _Listener:
    """Keeps what happens to the photos of one chunk, for the report; a `run.Listener`."""

    def __init__(self) -> None:
        self.finished: list[tuple[Job, float]] = []
        self.failed: list[tuple[Job, str]] = []

    def finish(self, job: Job, seconds: float) -> None:
        self.finished.append((job, seconds))

    def fail(self, job: Job, reason: str) -> None:
        self.failed.append((job, reason))


class DeviceActor:
    """One device of the cluster; Ray Data makes it once and calls it with one chunk after the other.

    Args:
      request: what every photo is to become.
      network: which network to load.
      weights_sha256: the digest of the network that the driver has loaded; another one is refused.
      workers: how many processes decode and encode.

    Raises:
      RuntimeError: this node has another network than the driver.
    """

    def __init__(self, request: Request, network: NetworkChoice, weights_sha256: str, workers: int):
        compilation_cache.enable(programs=True)
        weights = load_chosen(network)
        if weights.network.sha256 != weights_sha256:
            raise RuntimeError("this node has other weights than the driver: give --weights a path that all see")
        self._name = f"ray-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._request, self._weights_sha256 = request, weights_sha256
        self._stack = contextlib.ExitStack()  # Ends with the process.
        temporary_dir = self._stack.enter_context(own_state(request.output_dir, self._name))
        pool = self._stack.enter_context(Workers(workers))
        self._devices = Devices(weights.network, request.config)
        self._ledger = Ledger(request.output_dir, self._name)
        self._listener = _Listener()
        self._run = Run(
            request, weights, weights_sha256, self._devices, pool, self._ledger, temporary_dir, self._listener
        )

    def __call__(self, row: dict[str, Any]) -> dict[str, bytes]:
        """Retargets the pickled list of batches under "batches"; gives a pickled `Report` under "report"."""
        self._listener.__init__()
        batches: list[Batch] = pickle.loads(row["batches"])
        self._run.process([batch._replace(jobs=self._left(batch.jobs)) for batch in batches])
        report = Report(
            self._name,
            self._listener.finished,
            self._listener.failed,
            self._devices.busy_seconds,
            {f"{bucket} x{size}": value for (bucket, size), value in self._devices.compile_seconds.items()},
        )
        return {"report": pickle.dumps(report)}

    def _left(self, jobs: tuple[Job, ...]) -> tuple[Job, ...]:
        """The jobs of a chunk that nobody has finished yet: an actor before this one may have died over it."""
        left = []
        for job in jobs:
            known = self._ledger.get(job.entry.output)
            args = self._request.output_dir, job.config_sha256, self._weights_sha256
            if (
                known is not None
                and known.status == "done"
                and is_current(known, job.entry, *args, limits=self._request.limits)
            ):
                self._listener.finish(job, known.seconds)
            else:
                left.append(job)
        return tuple(left)


def run_ray(session: Session) -> int:
    """Retargets a session's photos on an existing Ray cluster, or on a local one that it starts.

    Returns:
      The exit code, as `run_local`.

    Raises:
      ValueError: Ray is not installed, or another Ray run is at work on the same output directory.
    """
    try:
        ray = _import_ray()
    except ImportError:
        raise ValueError("--engine=ray needs Ray: pip install 'dnr_jax[ray]'") from None
    session = _absolute(session)
    request, options = session.request, session.options
    with _only_driver(request.output_dir), ProgressLine(sys.stderr, quiet=options.quiet) as line:
        started = not ray.is_initialized()
        if started:
            with handlers_kept():
                ray.init(log_to_driver=False, logging_level=logging.ERROR)
        try:
            tally, reports = Tally(line), {}
            (entries,) = session.windows
            ledger = Ledger(request.output_dir, "ray")
            side = session.weights.network.importance_side
            jobs = make_jobs(entries, request, side, session.weights_sha256, ledger)
            tally.expect(jobs)
            resources = ray.cluster_resources()
            device = next((name for name in ("GPU", "TPU") if resources.get(name)), "CPU")
            actors = options.ray_actors or (int(resources[device]) if device != "CPU" else 1)
            for report in _reports(session, list(make_batches(jobs, request, 1)), device, actors):
                reports[report.actor] = report
                for job, seconds in report.finished:
                    tally.finish(job, seconds)
                for job, reason in report.failed:
                    tally.fail(job, reason)
        finally:
            if started:
                ray.shutdown()
    compiled: dict[str, float] = {}
    for report in reports.values():
        compiled |= {f"{name} on {report.actor}": value for name, value in report.compile_seconds.items()}
    busy = sum(report.busy_seconds for report in reports.values())
    figures = tally.summary(compiled, busy, actors, groups=actors)
    write_summary(session, figures)
    return exit_code(figures)


def _reports(session: Session, batches: list[Batch], device: str, actors: int) -> Iterator[Report]:
    """Runs batches on `actors` actors that have one device ("GPU", "TPU" or "CPU") each; gives reports as they come."""
    ray = _import_ray()
    chunks = []
    for _, same_bucket in itertools.groupby(batches, key=lambda batch: batch.bucket):
        members = list(same_bucket)
        chunks += [pickle.dumps(members[start : start + _CHUNK]) for start in range(0, len(members), _CHUNK)]
    if not chunks:
        return
    options = session.options
    needs: dict[str, Any] = {"num_cpus": 1}
    if device == "GPU":
        needs["num_gpus"] = 1
    elif device == "TPU":
        needs["resources"] = {"TPU": 1}
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    rows = ray.data.from_items([{"batches": chunk} for chunk in chunks], override_num_blocks=len(chunks))
    results = rows.map(
        DeviceActor,
        fn_constructor_args=(
            session.request,
            dataclasses.replace(options.network, quiet=True),
            session.weights_sha256,
            default_workers() if options.workers is None else options.workers,
        ),
        compute=ray.data.ActorPoolStrategy(size=actors),  # Restarts actors and repeats their calls without limit.
        **needs,
    )
    for row in results.iter_rows():
        yield pickle.loads(row["report"])


def _import_ray() -> Any:
    """Imports Ray and its Data library by name, since they are an extra that type checkers do not find everywhere."""
    importlib.import_module("ray.data")
    return importlib.import_module("ray")


def _absolute(session: Session) -> Session:
    """The session with absolute paths, since actors have other working directories."""

    def absolute(entry: Entry) -> Entry:
        paths = {
            name: None if value is None else str(Path(value).absolute())
            for name, value in entry._asdict().items()
            if name in ("path", "protect", "remove", "objects")
        }
        return entry._replace(**paths)

    request = dataclasses.replace(session.request, output_dir=session.request.output_dir.absolute())
    options = dataclasses.replace(session.options, network=session.options.network.absolute())
    windows = [[absolute(entry) for entry in entries] for entries in session.windows]
    return session._replace(request=request, windows=windows, options=options)


@contextlib.contextmanager
def _only_driver(output_dir: Path) -> Iterator[None]:
    """Keeps a second driver away from an output directory, and removes what actors, crashed ones too, have left there.

    Raises:
      ValueError: another driver is at work.
    """
    state = output_dir / STATE_DIR

    def clear() -> None:
        for left in state.glob("temporary-ray-*"):
            shutil.rmtree(left, ignore_errors=True)
        for left in state.glob("lock-ray-*"):
            left.unlink(missing_ok=True)

    try:
        with filelock.FileLock(state / "lock-ray").acquire(timeout=0):
            clear()
            try:
                yield
            finally:
                clear()
    except filelock.Timeout:
        raise ValueError(f"another Ray run is at work on {output_dir}: wait for it, or stop it") from None
