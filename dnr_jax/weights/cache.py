"""The cache: where converted weights live, what is recorded beside them, and the memory of a failed fetch.

vgg19.safetensors   the converted weights
vgg19.json          the record: digests of this file and of every source file ever fetched, which later ones must match
hint_shown          empty: a person has been told once that `fetch` gets VGG19, which `auto` does without
.lock               held while a process fetches or converts
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
HINT = "hint_shown"
_NO = ("", "0", "false", "no", "off")


def cache_dir(*, weights_dir: str | os.PathLike[str] | None = None) -> Path:
    """The directory that holds converted weights: `weights_dir`, $DNR_JAX_CACHE, or the platform's cache directory."""
    named = weights_dir or os.environ.get("DNR_JAX_CACHE")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("dnr_jax", appauthor=False))


def find_vgg19(*, weights_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """The VGG19 weights at $DNR_JAX_WEIGHTS, else in the cache, else None; FileNotFoundError if the former is amiss."""
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
    """Makes the cache directory and holds its lock; a process that must wait for another says so.

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
      ValueError: it is there and unreadable. Its digests cannot be enforced then, so that is no case to pass over.
    """
    path = directory / RECORD
    try:
        record = json.loads(path.read_text("utf-8"))
        if not isinstance(record, dict) or not isinstance(record.get("sources", {}), dict):
            raise ValueError("not what this package writes")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is unreadable ({error}): delete it, then fetch again with --force") from None
    return record


def write_record(directory: Path, record: dict[str, Any]) -> None:
    """Writes the record beside the cached weights."""
    write_atomically(directory / RECORD, json.dumps(record, indent=1).encode())


def is_first_hint(directory: Path) -> bool:
    """Whether the person was never told that VGG19 can be fetched; from now on the cache remembers that they were.

    Where the cache cannot be written nothing is remembered, and the answer stays True.
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
