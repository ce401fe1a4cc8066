"""Calls for worker processes; light to import, as each of them does."""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

from dnr_jax.batch import photo_tasks


def end_process(code: int) -> None:
    """Ends the worker that runs it."""
    os._exit(code)


def end_process_once(mark: Path) -> str:
    """Ends the first worker that runs it."""
    if not mark.exists():
        mark.touch()
        os._exit(1)
    return "done"


def answer(value: int) -> tuple[int, int]:
    """A value, and who says it."""
    return value + 1, os.getpid()


def meet(folder: Path, count: int) -> int:
    """Returns once it runs in `count` processes at the same time."""
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < count:
        time.sleep(0.01)
    return os.getpid()


class OddError(Exception):
    """An exception that cannot be made from what it keeps."""

    def __init__(self, first: str, second: str):
        super().__init__(first + second)


def raise_odd() -> None:
    """Raises it."""
    raise OddError("a", "b")


def compute(*_: object) -> None:
    """Says so, and is then busy for minutes, outside Python and without looking at signals."""
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)


def decode_for_ever(entry: Any, *args: Any) -> Any:
    """Decodes a photo, or, if it is called p005, is busy with it for minutes."""
    if "p005" in entry.path:
        compute()
    return photo_tasks.decode_entry(entry, *args)


def encode_for_ever(output: Path, *args: Any) -> Any:
    """Encodes a photo, or, if it is called p005, is busy for minutes while its file is half-written."""
    if "p005" in output.name:
        photo_tasks.write_atomically.__globals__["os"].fsync = compute
    return photo_tasks.encode_result(output, *args)
