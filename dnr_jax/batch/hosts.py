"""Which share of the photos is this process's: the one it is given, the one `jax.distributed` gives it, or all."""

import dataclasses
import hashlib
import heapq
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dnr_jax.atomic import create_file, temporary_path
from dnr_jax.batch.entries import STATE_DIR, Entry
from dnr_jax.shell.ending import handlers_kept

MOST_BALANCED = 50_000
"""How many entries are balanced by size at most; of more, each shard has so many that plain dealing is even enough."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """One share of the photos.

    Attributes:
      index: the number of this process, from 0.
      count: how many processes there are.
    """

    index: int
    count: int

    @property
    def name(self) -> str:
        """What names this shard's records, for instance "0-of-4"."""
        return f"{self.index}-of-{self.count}"


class Coordinator(NamedTuple):
    """The arguments of `jax.distributed.initialize`; all are None where it should find them out by itself.

    Attributes:
      address: host:port of process 0.
      num_processes: how many processes there are.
      process_id: the number of this one, from 0.
    """

    address: str | None = None
    num_processes: int | None = None
    process_id: int | None = None


def parse_shard(text: str) -> Shard:
    """Reads a shard from "i/n", with i from 0 to n - 1; ValueError for anything else."""
    match = re.fullmatch(r"([0-9]{1,7})/([0-9]{1,7})", text)
    if match is None or not int(match[1]) < int(match[2]):
        raise ValueError(f"--shard is {text!r}: give i/n with i from 0 to n - 1, for instance 0/4")
    return Shard(int(match[1]), int(match[2]))


def is_many_processes(environment: Mapping[str, str]) -> bool:
    """Whether a launcher that `jax.distributed` knows (Slurm, Open MPI, TPU) started this process as one of several.

    Args:
      environment: the variables of the process.
    """
    counts = [environment.get(name, "1") for name in ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE")]
    started = ["SLURM_PROCID" in environment, "OMPI_COMM_WORLD_RANK" in environment]
    if any(is_started and count != "1" for is_started, count in zip(started, counts, strict=True)):
        return True
    return "," in environment.get("TPU_WORKER_HOSTNAMES", "") or "MEGASCALE_COORDINATOR_ADDRESS" in environment


def find_shard(coordinator: Coordinator, *, environment: Mapping[str, str] = os.environ) -> Shard:
    """The shard that `jax.distributed` gives this process; all photos where it is the only one.

    `jax.distributed` is asked once and shut down before the first photo: while it runs, the loss of one host would end
    the processes of all.

    Args:
      coordinator: how the processes find each other.
      environment: the variables of the process, by which a launcher is recognised.

    Raises:
      ValueError: the processes cannot find each other.
    """
    import jax

    joined = False
    if not jax.distributed.is_initialized() and (coordinator.address or is_many_processes(environment)):
        try:
            with handlers_kept():
                jax.distributed.initialize(*coordinator)
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"the processes did not find each other ({reason}): give each its --shard=i/n") from None
        joined = True
    shard = Shard(jax.process_index(), jax.process_count())
    if joined:
        with handlers_kept():
            jax.distributed.shutdown()
    return shard


def take_shard(
    entries: Sequence[Entry],
    shard: Shard,
    output_dir: Path,
    measure: Callable[[Sequence[Entry]], list[int]],
) -> list[Entry]:
    """The entries of one shard; every entry is in exactly one shard.

    Up to `MOST_BALANCED` entries are dealt so that all shards have the same cost. Processes that share the output
    directory follow the first to have dealt, so that nothing is lost or done twice where they see different files.

    Args:
      entries: all entries, in the same order for all shards.
      shard: the shard whose entries to return.
      output_dir: the folder of the results, which the shards share.
      measure: gives the cost of each entry, in any unit, 0 where it is not known.
    """
    if shard.count == 1:
        return list(entries)
    if len(entries) > MOST_BALANCED:
        return list(entries[shard.index :: shard.count])
    names = "\n".join(entry.output for entry in entries)
    digest = hashlib.sha256(f"{shard.count}\n{names}".encode(errors="surrogateescape")).hexdigest()
    path = output_dir / STATE_DIR / f"shards-{shard.count}-{digest[:16]}.json"
    if not path.exists():
        _publish(path, json.dumps(deal(measure(entries), shard.count)).encode())
    owners = json.loads(path.read_bytes())
    return [entry for entry, owner in zip(entries, owners, strict=True) if owner == shard.index]


def deal(costs: Sequence[float], count: int) -> list[int]:
    """The shard of each entry: the costliest first, each to the shard that has least so far.

    Args:
      costs: the cost of each entry, in any unit, 0 where it is not known.
      count: how many shards there are.

    Returns:
      For each entry the number of its shard, from 0.
    """
    owners = [0] * len(costs)
    loads = [(0.0, 0, shard) for shard in range(count)]
    for index in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        load, number, shard = heapq.heappop(loads)
        owners[index] = shard
        heapq.heappush(loads, (load + costs[index], number + 1, shard))
    return owners


def _publish(path: Path, data: bytes) -> None:
    """Writes a file unless another process has written it first; whichever it was, the file is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        with os.fdopen(create_file(temporary), "wb") as file:
            file.write(data)
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            pass
        except OSError:  # A file system without hard links.
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
