"""Shows a person at the terminal how far a run is, on stderr, and only once it has taken two seconds."""

import os
import time
from collections.abc import Callable
from typing import TextIO

_SILENT_SECONDS = 2.0
_PLAIN_SECONDS = 5.0
_LONGEST_BAR = 24
_USUAL_COLUMNS = 80


class ProgressLine:
    """A bar for each stage on a terminal, redrawn in place; elsewhere a plain line every few seconds.

    Whatever becomes of the stream (closed, its reader gone), the run goes on without progress.

    Args:
      stream: the stream to write to, usually stderr.
      quiet: whether to write nothing at all.
      clock: gives the time in seconds from any moment on, and never goes back.
    """

    def __init__(self, stream: TextIO, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic):
        self._stream = stream
        self._clock = clock
        self._silent = quiet
        self._columns = None if quiet else _terminal_columns(stream)
        self._start = self._last = clock()
        self._stage: str | None = None
        self._drawn = ""

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn and self._columns is not None:
            self._write("\n")

    def update(self, stage: str, done: int, most: int, *, note: str = "") -> None:
        """Shows how far a stage is.

        Args:
          stage: the name of the stage.
          done: how many steps of it are done.
          most: how many steps there are at most; for 0 nothing is shown.
          note: a few words on how it goes.
        """
        now = self._clock()
        if self._silent or now - self._start < _SILENT_SECONDS or most < 1:
            return
        done = min(max(done, 0), most)
        if self._columns is None:
            line = f"{stage}: {done} of {most}, {note}" if note else f"{stage}: step {done} of at most {most}"
            due = stage != self._stage or done == most or now - self._last >= _PLAIN_SECONDS
        else:
            line, due = _bar(stage, done, most, self._columns, note), True
        if not due or (stage == self._stage and line == self._drawn):
            return
        if self._columns is None:
            self._write(f"{line}\n")
        else:
            self._write(("\n" if stage != self._stage and self._drawn else "\r\x1b[K") + line)
        self._stage, self._drawn, self._last = stage, line, now

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # A broken pipe, a closed stream.
            self._silent = True


def _bar(stage: str, done: int, most: int, columns: int, note: str = "") -> str:
    """A line with a bar, shorter than a terminal of so many columns."""
    count = f" {done}/{most} {note}".rstrip()
    # A line that reaches the last column wraps, and could not be redrawn in place.
    length = min(_LONGEST_BAR, columns - 1 - len(f"{stage:14} []") - len(count))
    if length < 1:
        return f"{stage}{count}"[: max(0, columns - 1)]
    filled = length * done // most
    return f"{stage:14} [{'#' * filled}{'.' * (length - filled)}]{count}"


def _terminal_columns(stream: TextIO) -> int | None:
    """How many columns a terminal has; None for a stream that is no terminal."""
    try:
        if not stream.isatty():
            return None
        return os.get_terminal_size(stream.fileno()).columns or _USUAL_COLUMNS
    except (OSError, ValueError):
        return _USUAL_COLUMNS if not stream.closed else None
