"""Opens ordinary files and nothing else, because reading a pipe without a writer, or a terminal, would never end; and
says what files are called in messages."""

import io
import os
import stat
from collections.abc import Callable
from pathlib import Path

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NoPlainFileError(OSError):
    """Raised for something other than an ordinary file.

    Args:
      path: where it is.
      what: what kind of thing it is, for instance "a directory".
    """

    def __init__(self, path: Path | str, what: str):
        super().__init__(None, f"it is {what}, not a file", str(path))
        self.what = what

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.filename, self.what)


def open_plain(path: Path | str) -> io.BufferedReader:
    """Opens an ordinary file, or what a link to one leads to, for reading.

    Raises:
      NoPlainFileError: it is a directory, a pipe, a socket or a device; it is not read.
      OSError: it is not there, or may not be read.
    """
    _check(path, Path(path).stat().st_mode)
    # Looked at again once it is open, which does not wait: it may have been replaced meanwhile.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check(path, os.fstat(descriptor).st_mode)
        return io.BufferedReader(io.FileIO(descriptor))
    except BaseException:
        os.close(descriptor)
        raise


def shown_name(path: Path | str) -> str:
    """What a file is called in messages: its path, as Python writes it where a terminal or a line could not show it.

    Example:
      >>> print(shown_name("in/two\\nlines.png"), shown_name("in/photo.png"))
      'in/two\\nlines.png' in/photo.png
    """
    text = str(path)
    return text if text.isprintable() else repr(text)


def _check(path: Path | str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NoPlainFileError(path, next((what for is_kind, what in _KINDS if is_kind(mode)), "something else"))
