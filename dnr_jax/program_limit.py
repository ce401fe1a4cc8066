"""Drops compiled programs before the process runs out of memory maps for them, which would end it.

Every program that XLA compiles for a CPU holds a few memory maps, and a Linux process may have 65,530 of them. Photos
of near sizes share their programs, but a server or a batch that sees every size would still come to the end one day,
and die.
"""

import logging
import weakref
from pathlib import Path
from typing import Protocol

_MAPS, _MOST = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")
_seen: set[object] = set()


class Holder(Protocol):
    """What holds compiled programs of its own, beside those that JAX and `dnr_jax.programs` hold."""

    def drop_programs(self) -> None:
        """Lets go of them all; they are compiled or loaded again when they are needed."""


_holders: weakref.WeakSet[Holder] = weakref.WeakSet()


def register(holder: Holder) -> None:
    """Has `make_room` drop the programs of `holder` too, for as long as it lives."""
    _holders.add(holder)


def make_room(shapes: object) -> bool:
    """Drops all compiled programs of this process where half of its memory maps are used up.

    Looks only where a photo brings shapes that are new since the last time, so that it costs nothing otherwise. What is
    dropped is compiled again when it is needed, or loaded where there is a persistent cache.

    Args:
      shapes: the shapes that programs are about to be compiled for, as any hashable value.

    Returns:
      Whether programs were dropped.
    """
    if shapes in _seen:
        return False
    _seen.add(shapes)
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
    _seen.clear()
    _seen.add(shapes)
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
