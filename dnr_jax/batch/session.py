"""One process's run from start to end: photos, network, devices, records, summary."""

import contextlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import filelock

from dnr_jax.batch.devices import Devices
from dnr_jax.batch.entries import STATE_DIR, Entry
from dnr_jax.batch.hosts import Shard, find_shard, take_shard
from dnr_jax.batch.jobs import Job, Request, make_batches, make_jobs, map_in_threads
from dnr_jax.batch.ledger import Ledger
from dnr_jax.batch.options import RunOptions
from dnr_jax.batch.photo_tasks import read_header
from dnr_jax.batch.run import Run
from dnr_jax.batch.searching import find_entries, left_out_note
from dnr_jax.batch.stream import stdin_windows
from dnr_jax.batch.summary import Tally, summary_text
from dnr_jax.batch.workers import Workers, default_workers
from dnr_jax.photos import files
from dnr_jax.shell.progress import ProgressLine
from dnr_jax.weights import Weights
from dnr_jax.weights.load import load_chosen


class Session(NamedTuple):
    """What one process does.

    Attributes:
      request: what every photo is to become.
      shard: the share of the photos that is this process's.
      windows: its photos, in lists: one list of all of them, or lists as a stream brings them.
      whole: whether there is one list of all of them.
      weights: the network, and where it comes from.
      weights_sha256: the digest of the network.
      options: where photos and network come from, and what does the work.
    """

    request: Request
    shard: Shard
    windows: Iterable[list[Entry]]
    whole: bool
    weights: Weights
    weights_sha256: str
    options: RunOptions


def open_session(options: RunOptions, request: Request) -> Session:
    """Finds the photos, this process's share of them, and the network.

    Args:
      options: where photos and network come from.
      request: what every photo is to become.

    Raises:
      ValueError: photos, share, network or summary file cannot be used.
      OSError: the output directory cannot be made.
    """
    streamed = options.source == "-"
    entries: list[Entry] = []
    if not streamed:
        left_out: Counter[str] = Counter()
        entries = find_entries(
            options.source, request.output_dir, options.extensions, naming=options.naming, left_out=left_out
        )
        if left_out:
            print(f"dnr_jax.batch: {left_out_note(left_out)}", file=sys.stderr)
    (request.output_dir / STATE_DIR).mkdir(parents=True, exist_ok=True)
    if options.summary is not None:
        files.check_writable(options.summary)
    shard = options.shard
    if shard is None:
        alone = options.engine == "ray" or options.dry_run
        shard = Shard(0, 1) if alone else find_shard(options.coordinator)
    if streamed:
        windows = stdin_windows(request.output_dir, options.extensions, shard, naming=options.naming)
    else:
        windows = [take_shard(entries, shard, request.output_dir, _pixels)]
    weights = load_chosen(options.network)
    weights.network.check_taps(request.config.taps)
    return Session(request, shard, windows, not streamed, weights, weights.network.sha256, options)


def run_local(session: Session) -> int:
    """Retargets this process's photos on its own devices; writes the summary to standard output and to a file.

    Returns:
      The exit code: 0 when every photo is done, 1 when some failed, now or before.

    Raises:
      ValueError: another process is at work on the same shard.
    """
    with ProgressLine(sys.stderr, quiet=session.options.quiet) as line:
        tally = Tally(line)
        figures = process(session, session.shard.name, tally, line=line)
    write_summary(session, figures)
    return exit_code(figures)


def process(session: Session, name: str, tally: Tally, *, line: ProgressLine | None = None) -> dict[str, Any]:
    """Retargets every photo of a session; returns the figures of `Tally.summary`.

    Args:
      session: the photos and how to treat them.
      name: names this process's records, temporary files and lock.
      tally: counts what happens to the photos.
      line: shows how many of the photos' files were looked at; None to show nothing.

    Raises:
      ValueError: another process is at work under the same name.
    """
    request, network = session.request, session.weights.network
    workers = session.options.workers
    with own_state(request.output_dir, name) as temporary_dir:
        devices = Devices(network, request.config)
        ledger = Ledger(request.output_dir, name)
        with contextlib.closing(ledger), Workers(default_workers() if workers is None else workers) as pool:
            run = Run(request, session.weights, session.weights_sha256, devices, pool, ledger, temporary_dir, tally)
            for entries in session.windows:
                look = None if line is None else lambda done, most: line.update("looking", done, most)
                jobs = make_jobs(
                    entries, request, network.importance_side, session.weights_sha256, ledger, progress=look
                )
                tally.expect(jobs)
                run.process(make_batches(jobs, request, devices.count, whole=session.whole))
        seconds = {f"{bucket} x{size}": value for (bucket, size), value in devices.compile_seconds.items()}
        return tally.summary(seconds, devices.busy_seconds, devices.count)


def write_summary(session: Session, figures: dict[str, Any]) -> None:
    """Writes the figures of `Tally.summary` as JSON to the summary file and as text to standard output."""
    path = session.options.summary
    if path is None:
        path = session.request.output_dir / STATE_DIR / f"summary-{session.shard.name}.json"
    files.write_bytes(path, json.dumps(figures, indent=1).encode())
    print(summary_text(figures))


def exit_code(figures: dict[str, Any]) -> int:
    """The exit code for the figures of `Tally.summary`: 1 when any photo has failed, now or before, else 0."""
    photos = figures["photos"]
    return 1 if photos["failed"] or photos["skipped_failed_before"] else 0


def open_jobs(session: Session) -> list[Job]:
    """The jobs of a session whose photos are all known (`Session.whole`); nothing is recorded."""
    (entries,) = session.windows
    ledger = Ledger(session.request.output_dir, session.shard.name)
    side = session.weights.network.importance_side
    return make_jobs(entries, session.request, side, session.weights_sha256, ledger)


@contextlib.contextmanager
def own_state(output_dir: Path, name: str) -> Iterator[Path]:
    """Holds a lock and gives a folder for temporary files, both under `name`; the folder is emptied before and after.

    Args:
      output_dir: the folder of the results.
      name: names the lock and the folder; one process at a time may hold them.

    Raises:
      ValueError: another process holds the lock.
    """
    state = output_dir / STATE_DIR
    state.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(state / f"lock-{name}")
    try:
        with lock.acquire(timeout=0):
            temporary_dir = state / f"temporary-{name}"
            temporary_dir.mkdir(exist_ok=True)
            _empty(temporary_dir)
            try:
                yield temporary_dir
            finally:
                _empty(temporary_dir)
    except filelock.Timeout:
        raise ValueError(f"another run is at work on {output_dir}, shard {name}: wait for it, or stop it") from None


def _empty(folder: Path) -> None:
    """Removes unfinished files from a folder; one that somebody else removes meanwhile does no harm."""
    for left in folder.iterdir():
        left.unlink(missing_ok=True)


def _pixels(entries: Sequence[Entry]) -> list[int]:
    """How many pixels each photo has; 0 where its file cannot be opened."""

    def pixels(entry: Entry) -> int:
        try:
            size = read_header(entry).size
            return size[0] * size[1]
        except Exception:  # Damaged files make Pillow raise almost anything; its turn will come.
            return 0

    with contextlib.closing(map_in_threads(pixels, entries)) as found:
        return list(found)
