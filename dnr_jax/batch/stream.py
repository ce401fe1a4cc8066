"""Reads from standard input which photos to retarget, as they come."""

import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from dnr_jax.batch.entries import ONE_TARGET, Entry, Extensions, Naming, Outputs
from dnr_jax.batch.hosts import Shard
from dnr_jax.batch.manifests import stream_entries

_MOST = 1024
"""How many photos are looked at together at most, to be sorted into buckets."""
_PATIENCE = 0.5
"""Seconds without another line after which the photos that have come are done."""


def stdin_windows(
    output_dir: Path, extensions: Extensions, shard: Shard, *, naming: Naming = ONE_TARGET
) -> Iterator[list[Entry]]:
    """Reads JSON lines from standard input; gives lists of entries, each of as many as came without a pause.

    Args:
      output_dir: the folder of the results.
      extensions: which extensions the results have.
      shard: this process's share: each `count`-th photo, from the `index`-th on.
      naming: the targets; every photo has an entry for each.

    Raises:
      ValueError: a malformed line, or a result that would replace another or a photo; it is raised after what came
        before.
    """
    lines: queue.Queue[Entry | BaseException | None] = queue.Queue(4 * _MOST)

    def read() -> None:
        try:
            outputs = Outputs(output_dir)
            for number, entry in enumerate(stream_entries(sys.stdin, "standard input", Path(), extensions)):
                results = naming.expand(entry)
                outputs.add(results)
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
