"""The cache directory, where converted weights live with the record of where they came from. It holds these files:

vgg19.safetensors   the converted weights
vgg19.json          the record: digests of this file and of every source file ever fetched, which later ones must match;
                    while the file is being replaced also the record that is then to hold, under "coming"
hint_shown          an empty file: the line that says how to get VGG19 was shown once, and is not shown again
.lock               a lock that a process holds while it fetches or converts
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dnr_jax.atomic import write_atomically

CACHED_VGG19 = "vgg19.safetensors"
RECORD = "vgg19.json"
_COMING = "coming"
HINT = "hint_shown"
_NO = ("", "0", "false", "no", "off")


def cache_dir(*, weights_dir: str | os.PathLike[str] | None = None) -> Path:
    """The directory of converted weights: `weights_dir`, else $DNR_JAX_CACHE, else the platform's cache directory."""
    named = weights_dir or os.environ.get("DNR_JAX_CACHE")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("dnr_jax", appauthor=False))


def find_vgg19(*, weights_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """The file of VGG19's weights: the one at $DNR_JAX_WEIGHTS, else the one in the cache; None where there is none.

    Args:
      weights_dir: the cache directory, for which $DNR_JAX_WEIGHTS is not looked at; None for the usual one.

    Raises:
      FileNotFoundError: $DNR_JAX_WEIGHTS names something that is no file.
    """
    named = os.environ.get("DNR_JAX_WEIGHTS")
    if named and not weights_dir:
        if not Path(named).is_file():
            raise FileNotFoundError(f"DNR_JAX_WEIGHTS names {named}, which is no file: correct or unset it")
        return Path(named)
    cached = cache_dir(weights_dir=weights_dir) / CACHED_VGG19
    return cached if cached.is_file() else None


def is_offline(*, offline: bool | None = None) -> bool:
    """Whether the network is not to be used: `offline` where it is given, else whether $DNR_JAX_OFFLINE is set."""
    return os.environ.get("DNR_JAX_OFFLINE", "").strip().lower() not in _NO if offline is None else offline


@contextlib.contextmanager
def cache_lock(directory: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Makes the cache directory and holds its lock while the body runs.

    Args:
      directory: the cache directory.
      say: called with a line for the person at the terminal where another process must be waited for.

    Raises:
      OSError: the directory cannot be made or written.
    """
    import filelock

    directory.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(directory / ".lock")
    try:
        lock.acquire(timeout=0.5)
    except filelock.Timeout:
        say(f"another process is filling {directory}: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def read_record(directory: Path) -> dict[str, Any]:
    """The record beside the cached weights; empty where there is none.

    Raises:
      ValueError: it is there but cannot be read, so that the digests in it could not be enforced.
    """
    path = directory / RECORD
    try:
        record = json.loads(path.read_text("utf-8"))
        if not _is_record(record) or not _is_record(record.get(_COMING, {})):
            raise ValueError("not what this package writes")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is unreadable ({error}): delete it, then fetch again with --force") from None
    return record


def _is_record(content: Any) -> bool:
    return isinstance(content, dict) and all(isinstance(content.get(part, {}), dict) for part in ("file", "sources"))


def write_record(directory: Path, record: dict[str, Any]) -> None:
    """Writes the record beside the cached weights, whole or not at all; OSError where that is not possible."""
    write_atomically(directory / RECORD, json.dumps(record, indent=1).encode())


def record_of(path: Path) -> tuple[dict[str, Any], bool]:
    """The record of the cached weights at `path`, and whether it is of them: False where they are others than recorded.

    The answer is right at every moment of `replace_weights` in another process, and wherever that was broken off. Where
    nothing was recorded about the file, the record has no "file", and counts as being of it.

    Raises:
      ValueError: the record cannot be read.
    """
    while True:
        written = read_record(path.parent)
        if "file" not in written and _COMING not in written:
            return written, True
        digest = file_sha256(path) if path.is_file() else ""
        coming = written.get(_COMING, {})
        record = {key: value for key, value in written.items() if key != _COMING}
        for each in (record, coming):
            if each.get("file", {}).get("sha256") == digest:
                return each, True
        # Between the two reads the file may have been replaced, and then the record was too.
        if read_record(path.parent) == written:
            return record, "file" not in record


def replace_weights(path: Path, data: bytes, before: dict[str, Any], record: dict[str, Any]) -> None:
    """Writes cached weights and their record; at any moment, and wherever this ends, `record_of` finds both in accord.

    The caller holds the cache's lock.

    Args:
      path: the file of the weights.
      data: its content.
      before: the record of what was there before, as `record_of` gives it.
      record: the record of the new content, with its digest.

    Raises:
      OSError: a file cannot be written; the old weights are still there.
    """
    write_record(path.parent, {**before, _COMING: record})
    write_atomically(path, data)
    write_record(path.parent, record)


def is_first_hint(directory: Path) -> bool:
    """Whether the line that says how to get VGG19 has never been shown; from now on it counts as shown.

    Where the cache directory cannot be written, this cannot be kept, and the answer stays True.
    """
    with contextlib.suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        try:
            (directory / HINT).touch(exist_ok=False)
        except FileExistsError:
            return False
    return True


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
