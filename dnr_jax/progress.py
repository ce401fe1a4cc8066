"""Progress for the person at the terminal: on stderr, and only once a run has taken two seconds."""

import time
from typing import TextIO

_QUIET_SECONDS = 2.0
_PLAIN_SECONDS = 5.0
_BAR = 24


class ProgressLine:
    """A bar that redraws itself on a terminal; a plain line every few seconds otherwise."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._terminal = stream.isatty()
        self._start = self._last = time.monotonic()
        self._drawn = False

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn and self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def update(self, stage: str, done: int, most: int) -> None:
        """Shows that `done` of at most `most` steps of a stage are done."""
        now = time.monotonic()
        if now - self._start < _QUIET_SECONDS or not most:
            return
        if self._terminal:
            filled = _BAR * done // most
            self._stream.write(f"\r\x1b[K{stage:14} [{'#' * filled}{'.' * (_BAR - filled)}] {done}/{most}")
        elif not self._drawn or done == most or now - self._last >= _PLAIN_SECONDS:
            self._stream.write(f"{stage}: step {done} of at most {most}\n")
        else:
            return
        self._last, self._drawn = now, True
        self._stream.flush()
