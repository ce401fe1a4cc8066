"""The settings of a server: its limits, hosts and network. Needs no JAX and no Starlette."""

import dataclasses
from pathlib import Path

from dnr_jax.photos import MAX_MEGAPIXELS, MOST_MEGAPIXELS
from dnr_jax.weights.names import NAMES, NetworkChoice


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a server, validated when they are made.

    Attributes:
      host: the address to listen on.
      port: the port to listen on; 0 for one that is free.
      allow_hosts: names, each with or without a port, under which browsers may reach the server besides `host` and the
        names of this machine (localhost).
      max_megapixels: how many millions of pixels a photo may have.
      max_upload: how many megabytes a request may have.
      jobs: how many photos are worked on at a time.
      waiting: how many requests may wait for their turn; further ones are answered with status 503.
      body_seconds: how many seconds the body of a request may take to arrive.
      silent_seconds: how many seconds a connection may be silent while a request is due.
      network: which network to load.

    Raises:
      ValueError: a number or a name is out of range; the message names the flag and the remedy.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    allow_hosts: tuple[str, ...] = ()
    max_megapixels: float = MAX_MEGAPIXELS
    max_upload: float = 64.0
    jobs: int = 1
    waiting: int = 8
    body_seconds: float = 120.0
    silent_seconds: float = 15.0
    network: NetworkChoice

    def __post_init__(self) -> None:
        for name in ("max_megapixels", "max_upload", "body_seconds", "silent_seconds"):
            if not 0 < getattr(self, name) <= MOST_MEGAPIXELS:  # One bound for all.
                raise ValueError(
                    f"--{name} is {getattr(self, name)}: give a number above 0, {MOST_MEGAPIXELS:.0f} at most"
                )
        if not 0 <= self.port < 2**16:
            raise ValueError(f"--port is {self.port}: give a number from 0 (any that is free) to 65535")
        if not 1 <= self.jobs <= 64:
            raise ValueError(f"--jobs is {self.jobs}: give a number from 1 to 64")
        if not 0 <= self.waiting <= 10_000:
            raise ValueError(f"--waiting is {self.waiting}: give a number from 0 to 10000")
        for name in self.allow_hosts:
            if not name or any(letter in name for letter in "/@ *"):
                raise ValueError(f"--allow_host names {name!r}: give names like photos.example or photos.example:8443")

    @property
    def arguments(self) -> list[str]:
        """The arguments, quoted for no shell, by which `dnr_jax.resize` takes the same network and limit.

        Defaults are left out; and so is, of a server that other machines reach, where its files lie.
        """
        limit, network = self.max_megapixels, self.network
        is_private = self.host in ("127.0.0.1", "::1", "localhost") and not self.allow_hosts
        given = {
            "weights": (network.name if is_private or network.name in NAMES else Path(network.name).name, "auto"),
            "weights_dir": (network.weights_dir if is_private else None, None),
            "max_megapixels": (int(limit) if limit == int(limit) else limit, MAX_MEGAPIXELS),
        }
        return [f"--{name}={value}" for name, (value, default) in given.items() if value != default]

    @property
    def most_bytes(self) -> int:
        """How many bytes a request may have."""
        return round(self.max_upload * 1e6)
