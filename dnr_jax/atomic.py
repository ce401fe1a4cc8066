"""Files appear whole or not at all: written under a temporary name beside the target, then renamed."""

import contextlib
import os
import secrets
from pathlib import Path

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_unfinished: set[Path] = set()


def write_atomically(path: Path, data: bytes, *, folder: Path | None = None) -> None:
    """Writes `data` to `path`; on any failure or interrupt, what was there before stays and no temporary file does.

    Args:
      path: the file.
      data: its content.
      folder: where the temporary file lies, on the same file system; None for beside `path`.

    Raises:
      OSError: as the file system has it (missing directory, no permission, disk full).
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
    """Removes the temporary files of all threads, before the process is ended without them."""
    for temporary in list(_unfinished):
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def temporary_path(path: Path, *, folder: Path | None = None) -> Path:
    """A hidden name that nobody else has, for what will become `path`; in `folder`, or beside it."""
    # A name may have 255 bytes, which the temporary one must not exceed either: 40 letters are 160 at most.
    return (folder or path.parent) / f".{path.name[:40]}.{secrets.token_hex(4)}.tmp"


def create_file(path: Path) -> int:
    """Makes a file that was not there and opens it for writing; returns the descriptor.

    The file has the permissions that any program's new files have: it is the system that takes away what the umask
    says, which a process can only read by changing it for all of its threads.

    Raises:
      OSError: as the file system has it; FileExistsError where something has that name.
    """
    return os.open(path, _FLAGS, 0o666)
