"""Photos from standard input, as they come."""

import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from dnr_jax.batch.entries import ONE_TARGET, Entry, Extensions, Naming, check_outputs, stream_entries
from dnr_jax.batch.hosts import Shard

_MOST = 1024
"""Photos looked at together; so many may be sorted into buckets."""
_PATIENCE = 0.5
"""Seconds without another line after which what there is gets done."""


def stdin_windows(extensions: Extensions, shard: Shard, *, naming: Naming = ONE_TARGET) -> Iterator[list[Entry]]:
    """Lists of entries from JSON lines, as many as came without a pause.

    Args:
      extensions: of the outputs.
      shard: takes each `count`-th photo, from the `index`-th.
      naming: the targets; every photo has an entry for each.

    Raises:
      ValueError: a malformed line, or two photos with one output; what came before is done first.
    """
    lines: queue.Queue[Entry | BaseException | None] = queue.Queue(4 * _MOST)

    def read() -> None:
        try:
            taken: dict[str, str] = {}
            for number, entry in enumerate(stream_entries(sys.stdin, "standard input", Path(), extensions)):
                results = naming.expand(entry)
                check_outputs(results, taken)
                if number % shard.count == shard.index:
                    for result in results:
                        lines.put(result)
            lines.put(None)
        except BaseException as error:
            lines.put(error)

    threading.Thread(target=read, daemon=True).start()
    item = lines.get()
    while isinstance(item, Entry):
        window = []
        while isinstance(item, Entry) and len(window) < _MOST:
            window.append(item)
            try:
                item = lines.get(timeout=_PATIENCE)
            except queue.Empty:
                break
        else:
            yield window
            continue
        yield window
        item = lines.get()
    if item is not None:
        raise item
