"""Calls for worker processes; light to import, as each of them does."""

import os
import time
from pathlib import Path


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
