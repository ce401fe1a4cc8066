"""The record of finished photos: one line of JSON for each, appended once its file is in place. Plain Python.

Every process appends to a file of its own and reads those of all, so that shards share an output directory and a later
run may be divided otherwise. A line that a crash has cut short is passed over.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dnr_jax.batch.entries import STATE_DIR, Entry
from dnr_jax.config import RetargetConfig
from dnr_jax.plain_files import open_plain

DONE, FAILED = "done", "failed"


class Recorded(NamedTuple):
    """What a later run needs to know of one line.

    Attributes:
      status: "done" or "failed".
      input_sha256: the digest of the photo and its masks, as `files_sha256` makes it.
      config_sha256: the digest of every option that the result depends on, as `config_sha256` makes it.
      weights_sha256: the digest of the network.
      stat: (bytes, modification time in nanoseconds) of each input file.
      size: (height, width) of the photo; None where it could not be read.
      output_bytes: how many bytes the result's file has; 0 for a failure.
      reason: why the photo failed, in one line; empty for one that is done.
      seconds: how long the photo kept the device busy.
      batched: whether the photo ran in a batch of its bucket.
      opacity: whether that was a bucket of transparent photos.
      limits: what photos could be refused for when this one failed, as `Request.limits` says it; empty for one that is
        done.
    """

    status: str
    input_sha256: str
    config_sha256: str
    weights_sha256: str
    stat: tuple[tuple[int, int], ...]
    size: tuple[int, int] | None
    output_bytes: int
    reason: str
    seconds: float
    batched: bool
    opacity: bool
    limits: str


class Ledger:
    """The records of an output directory: reads those of all processes, and appends to the file of this one.

    Args:
      output_dir: the folder of the results, whose `STATE_DIR` holds the records.
      name: names this process's file; no other process may use it at the same time.
    """

    def __init__(self, output_dir: Path, name: str):
        self._folder = output_dir / STATE_DIR
        self._path = self._folder / f"finished-{name}.jsonl"
        self._records: dict[str, Recorded] = {}
        self._descriptor: int | None = None
        for path in sorted(self._folder.glob("finished-*.jsonl"), key=_modified):
            for line in _lines(path):
                self._remember(line)

    def get(self, output: str) -> Recorded | None:
        """What was last recorded of an output, a path below the output directory; None where nothing was."""
        return self._records.get(output)

    def append(self, line: dict[str, Any]) -> None:
        """Records one photo for good: the line is on the disk when this returns.

        Args:
          line: values for JSON, among them those that `Recorded` reads.

        Raises:
          OSError: the file cannot be written.
        """
        if self._descriptor is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
            self._descriptor = os.open(self._path, flags, 0o666)
            end = os.lseek(self._descriptor, 0, os.SEEK_END)
            if end and os.pread(self._descriptor, 1, end - 1) != b"\n":
                os.write(self._descriptor, b"\n")  # A line that a crash cut short must not swallow the next.
        data = memoryview(f"{json.dumps(line)}\n".encode())
        while data:
            data = data[os.write(self._descriptor, data) :]
        os.fsync(self._descriptor)
        self._remember(line)

    def close(self) -> None:
        """Closes this process's file, if anything was appended to it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _remember(self, line: dict[str, Any]) -> None:
        try:
            recorded = Recorded(
                line["status"],
                line["input_sha256"],
                line["config_sha256"],
                line["weights_sha256"],
                tuple((int(n), int(ns)) for n, ns in line["input_stat"]),
                None if line["size"] is None else (int(line["size"][0]), int(line["size"][1])),
                int(line.get("output_bytes", 0)),
                line.get("reason", ""),
                float(line.get("seconds", {}).get("device", 0)),
                bool(line.get("bucket")),
                bool(line.get("opacity")),
                str(line.get("limits", "")),
            )
            self._records[line["output"]] = recorded
        except (KeyError, TypeError, ValueError, IndexError):
            return


def is_current(
    recorded: Recorded,
    entry: Entry,
    output_dir: Path,
    config_sha256: str,
    weights_sha256: str,
    *,
    limits: str,
    recheck: bool = False,
) -> bool:
    """Whether a record still holds: options, network and input are the same, and the result is where it was put.

    Args:
      recorded: what was last recorded of the entry's output.
      entry: the photo.
      output_dir: the folder of the results.
      config_sha256: the digest of what is asked for now.
      weights_sha256: the digest of the network that is used now.
      limits: what photos are refused for now, as `Request.limits` says it; where another value failed them, they are
        tried again.
      recheck: whether to read the input again even where its length and time of modification are as recorded.
    """
    if (recorded.config_sha256, recorded.weights_sha256) != (config_sha256, weights_sha256):
        return False
    if recorded.status == FAILED and recorded.limits != limits:
        return False
    if recorded.status == DONE:
        try:
            if (output_dir / entry.output).stat().st_size != recorded.output_bytes:
                return False
        except OSError:
            return False
    try:
        if not recheck and file_stat(entry.files) == recorded.stat:
            return True
        return files_sha256(entry.files) == recorded.input_sha256
    except OSError:
        return recorded.status == FAILED and not recorded.stat


def file_stat(paths: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """(bytes, modification time in nanoseconds) of each file; OSError for one that is not there."""
    stats = [Path(path).stat() for path in paths]
    return tuple((found.st_size, found.st_mtime_ns) for found in stats)


def files_sha256(paths: tuple[str, ...]) -> str:
    """One SHA-256 for several files, in hexadecimal: the digest of their digests, in order.

    Raises:
      OSError: a file cannot be read.
    """
    total = hashlib.sha256()
    for path in paths:
        with open_plain(path) as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def config_sha256(
    config: RetargetConfig, target: tuple[int, int] | None, version: str, **asked: str | float | None
) -> str:
    """A SHA-256, in hexadecimal, of everything that a result depends on besides the photo and the network.

    Args:
      config: the options of the method.
      target: the (height, width) that retargeting leads to; None where the photo's size is not known.
      version: the package's version.
      asked: further options of the run, by name.
    """
    text = json.dumps([dataclasses.asdict(config), target, version, asked], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                yield value


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns
