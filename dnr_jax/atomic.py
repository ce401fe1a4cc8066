"""Writes files whole or not at all: under a temporary name, which becomes the file's own once all is written."""

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

from dnr_jax.plain_files import shown_name

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_unfinished: set[Path] = set()


def write_atomically(path: Path, data: bytes, *, folder: Path | None = None) -> None:
    """Writes `data` to `path`; on any failure or interrupt, what was there before stays and no temporary file does.

    A link is replaced, not what it leads to.

    Args:
      path: the file to write or replace.
      data: the content of the file.
      folder: the folder of the temporary file, on the same file system as `path`; None for the folder of `path`.

    Raises:
      OSError: the file cannot be written: its directory is missing, permission is missing, the disk is full, or `path`
        leads to a device, a pipe or a socket.
    """
    if _is_special(path):
        raise OSError(errno.EINVAL, "it is a device, a pipe or a socket, not a file: give a file name", str(path))
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


def check_place(path: Path) -> None:
    """Refuses a path that no file could be written to, as far as that shows without writing.

    Raises:
      ValueError: its folder is missing or may not be written to, its name is too long, or something that is no file is
        there; one line that says so, and the remedy.
    """
    name, folder = shown_name(path), path.parent
    if not folder.is_dir():
        raise ValueError(f"cannot write {name}: {shown_name(folder)} is no directory, create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"cannot write {name}: {shown_name(folder)} may not be written to, choose another place")
    if _is_too_long(path):
        raise ValueError(f"cannot write {name}: the name is too long, give a shorter one")
    if path.is_dir():
        raise ValueError(f"cannot write {name}: it is a directory, give a file name")
    if _is_special(path):
        raise ValueError(
            f"cannot write {name}: it is a device, a pipe or a socket, give a file name, or - for standard output"
        )


def check_folder(folder: Path) -> None:
    """Refuses a folder that could not be made or written to, as far as that shows without doing so.

    Raises:
      ValueError: it is a file or below one, may not be written to, or has too long a name; one line that says so, and
        the remedy.
    """
    name = shown_name(folder)
    there = next((place for place in (folder, *folder.parents) if os.path.lexists(place)), folder)
    if not there.is_dir():
        raise ValueError(f"cannot write to {name}: {shown_name(there)} is no directory, name another one")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"cannot write to {name}: {shown_name(there)} may not be written to, choose another place")
    if any(_is_too_long(there / part) for part in folder.relative_to(there).parts):
        raise ValueError(f"cannot write to {name}: a name is too long, give a shorter one")


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


def _is_too_long(path: Path) -> bool:
    """Whether the file system has no room for such a name: it knows best what it counts, bytes or letters."""
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def _is_special(path: Path) -> bool:
    """Whether a path leads to what is neither a file nor a folder, and which a new file must not take the place of."""
    if path.is_symlink():
        # Links like /dev/stdout lead to whatever a process has open, which may be a file as well.
        folder = path.parent.resolve()
        if folder == Path("/dev") or Path("/proc") in folder.parents:
            return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # There is nothing yet.
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
