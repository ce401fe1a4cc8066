"""Drops compiled programs before the process runs out of memory maps for them, which would end it.

Every program that XLA compiles for a CPU holds hundreds of memory maps, and a Linux process may have 65,530 of them.
Photos of near sizes share their programs, but a server or a batch that sees every size would still come to the end one
day, and die.
"""

import logging
import threading
import weakref
from pathlib import Path
from typing import Protocol

_MAPS, _MOST = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")
_COMPILED = "/jax/core/compile/backend_compile_duration"
"""What JAX says of each program that it has compiled, or loaded from its own cache."""
_RARELY = 64  # Calls after which it looks in any case: whoever clears JAX's listeners clears ours.


class Holder(Protocol):
    """What holds compiled programs of its own, beside those that JAX and `dnr_jax.programs` hold."""

    def drop_programs(self) -> None:
        """Lets go of them all; they are compiled or loaded again when they are needed."""


class _News:
    """Whether programs have come since somebody last asked."""

    def __init__(self) -> None:
        self._lock, self._any, self._calls, self._listens = threading.Lock(), True, 0, False

    def note(self) -> None:
        self._any = True

    def take(self) -> bool:
        """Whether there are any; there are none afterwards."""
        with self._lock:
            if not self._listens:
                import jax.monitoring

                jax.monitoring.register_event_duration_secs_listener(self._listen)
                self._listens = True
            self._calls += 1
            taken, self._any = self._any or self._calls % _RARELY == 0, False
            return taken

    def _listen(self, event: str, duration_secs: float, **about: str | int) -> None:
        if event == _COMPILED:
            self.note()


_news, _holders = _News(), weakref.WeakSet[Holder]()


def register(holder: Holder) -> None:
    """Has `make_room` drop the programs of `holder` too, for as long as it lives."""
    _holders.add(holder)


def note_program() -> None:
    """Says that a program has come into the process without JAX having compiled it."""
    _news.note()


def make_room() -> bool:
    """Drops all compiled programs of this process where half of its memory maps are used up.

    To be called before work that may compile programs. Counts only where programs have come since the last time, so
    that it costs next to nothing otherwise. What is dropped is compiled again when it is needed, or loaded where there
    is a persistent cache.

    Returns:
      Whether programs were dropped.
    """
    if not _news.take():
        return False
    used, most = count_maps(), most_maps()
    if used is None or most is None or used <= most // 2:
        return False
    import jax

    from dnr_jax import programs

    logging.getLogger(__name__).info("%d of %d memory maps in use: compiled programs are dropped", used, most)
    programs.drop()
    for holder in list(_holders):
        holder.drop_programs()
    jax.clear_caches()
    return True


def count_maps() -> int | None:
    """How many memory maps this process has; None where the system does not say."""
    try:
        with _MAPS.open("rb") as file:
            return sum(1 for _ in file)
    except OSError:
        return None


def most_maps() -> int | None:
    """How many memory maps a process may have; None where the system does not say."""
    try:
        return int(_MOST.read_text())
    except (OSError, ValueError):
        return None
