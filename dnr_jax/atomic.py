"""Writes files whole or not at all: under a temporary name, which becomes the file's own once all is written."""

import contextlib
import os
import secrets
from pathlib import Path

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_unfinished: set[Path] = set()


def write_atomically(path: Path, data: bytes, *, folder: Path | None = None) -> None:
    """Writes `data` to `path`; on any failure or interrupt, what was there before stays and no temporary file does.

    Args:
      path: the file to write or replace.
      data: the content of the file.
      folder: the folder of the temporary file, on the same file system as `path`; None for the folder of `path`.

    Raises:
      OSError: the file cannot be written: its directory is missing, permission is missing, or the disk is full.
    """
    temporary = temporary_path(path, folder=folder)
    _unfinished.add(temporary)
    try:
        with os.fdopen(create_file(temporary), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        _unfinished.discard(temporary)


def remove_unfinished() -> None:
    """Removes the temporary files that any thread is writing, for a process that ends without waiting for them."""
    for temporary in list(_unfinished):
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def temporary_path(path: Path, *, folder: Path | None = None) -> Path:
    """A hidden name that nobody else uses, in `folder` or beside `path`, for a file that will become `path`."""
    # A name may have 255 bytes, which the temporary one must not exceed either: 40 letters are 160 at most.
    return (folder or path.parent) / f".{path.name[:40]}.{secrets.token_hex(4)}.tmp"


def create_file(path: Path) -> int:
    """Makes a new file and opens it for writing; returns the file descriptor.

    The file gets the permissions that any program's new files get: the system applies the umask, which a process could
    only read by changing it for all of its threads.

    Raises:
      FileExistsError: something has that name already.
      OSError: the file cannot be made.
    """
    return os.open(path, _FLAGS, 0o666)
