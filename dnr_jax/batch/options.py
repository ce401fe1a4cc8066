"""How a run is to be done: the flags of the command that do not change a result (see `jobs.Request`). Needs no JAX."""

import dataclasses
from typing import Literal

from dnr_jax.batch.entries import ONE_TARGET, Extensions, Naming
from dnr_jax.batch.hosts import Coordinator, Shard
from dnr_jax.weights.names import NetworkChoice


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where photos and network come from, and what does the work.

    Attributes:
      source: a directory, a pattern, a manifest, or "-" for JSON lines on standard input.
      network: which network to load.
      extensions: which extensions the results have.
      naming: the names of the targets, and of their results.
      summary: the JSON file for the run's figures; None for one in the folder of the records.
      workers: how many processes decode and encode; 0 for none, None for one for each core.
      shard: this process's share of the photos; None where it is to be found out.
      coordinator: how the processes of many hosts find each other.
      engine: "local" for the devices of this process, "ray" for those of a Ray cluster.
      ray_actors: how many actors to start on the Ray cluster; None for one for each of its GPUs.
      dry_run: whether only to say what would be done.
      quiet: whether to leave out progress and notes on stderr.
    """

    source: str
    network: NetworkChoice = dataclasses.field(default_factory=NetworkChoice)
    extensions: Extensions = dataclasses.field(default_factory=Extensions)
    naming: Naming = ONE_TARGET
    summary: str | None = None
    workers: int | None = None
    shard: Shard | None = None
    coordinator: Coordinator = dataclasses.field(default_factory=Coordinator)
    engine: Literal["local", "ray"] = "local"
    ray_actors: int | None = None
    dry_run: bool = False
    quiet: bool = False
