"""The registry, which says where VGG19's weights are published, with the digests that their publishers state.

It ships as `data/registry.json` beside this module; the environment variable DNR_JAX_REGISTRY names another file, for
an institution's mirror or a test. A source is written as

  {"name": "keras", "file": "vgg19.h5", "url": "https://...", "digest": "md5:...", "bytes": 80134624}

where `digest` ("md5:" or "sha256:") and `bytes` may be left out when nobody publishes them: the SHA-256 of the first
fetch is recorded and enforced in any case. Sources are tried in order. `widths` are the channels of blocks 1 to 5 that
a fetched network must have.
"""

import json
import os
import re
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

_FORMAT = "dnr_jax-registry-1"
_DIGEST = re.compile(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}")


class Source(NamedTuple):
    """One place to fetch VGG19 from: short name, file name, address, and digest and size where they are published."""

    name: str
    file: str
    url: str
    digest: str | None
    size: int | None


class Registry(NamedTuple):
    """What is to be fetched: the network's widths, and its sources in the order in which they are tried."""

    widths: tuple[int, ...]
    sources: tuple[Source, ...]

    def named(self, name: str | None) -> tuple[Source, ...]:
        """The source called `name`, or all sources for None; ValueError where there is none of that name."""
        if name is None:
            return self.sources
        chosen = tuple(source for source in self.sources if source.name == name)
        if not chosen:
            raise ValueError(f"unknown source {name!r}: choose {' or '.join(s.name for s in self.sources)}")
        return chosen


def shipped_path(name: str) -> Path:
    """The path of a file among the data that ship with the package."""
    return Path(str(files("dnr_jax.weights.data") / name))


def registry_path() -> Path:
    """The path of the registry: $DNR_JAX_REGISTRY, else the file that ships with the package."""
    named = os.environ.get("DNR_JAX_REGISTRY")
    if named:
        return Path(named)
    return shipped_path("registry.json")


def read_registry() -> Registry:
    """Reads and checks the registry.

    Raises:
      ValueError: there is no such file, or it is no registry; the message names the file and what is wrong.
    """
    path = registry_path()
    try:
        fields = json.loads(path.read_text("utf-8"))
        if fields["format"] != _FORMAT:
            raise ValueError(f"its format is {fields['format']!r}, not {_FORMAT!r}")
        widths = tuple(int(width) for width in fields["widths"])
        sources = tuple(_source(entry) for entry in fields["sources"])
        if len(widths) != 5 or not sources:
            raise ValueError("it needs five widths and at least one source")
    except OSError as error:
        raise ValueError(f"no registry of weights at {path} ({error.strerror}): correct DNR_JAX_REGISTRY") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is no registry of weights: {error}") from None
    return Registry(widths, sources)


def _source(entry: dict[str, Any]) -> Source:
    source = Source(entry["name"], entry["file"], entry["url"], entry.get("digest"), entry.get("bytes"))
    if not all(isinstance(text, str) and text for text in source[:3]):
        raise ValueError(f"source {source.name!r} needs a name, a file and a URL")
    if source.file != Path(source.file).name or not source.url.startswith(("https://", "http://")):
        raise ValueError(f"source {source.name!r} needs a plain file name and an http(s) URL")
    if source.digest is not None and not _DIGEST.fullmatch(source.digest):
        raise ValueError(
            f"source {source.name!r} has digest {source.digest!r}: write md5:<32> or sha256:<64 hex digits>"
        )
    if source.size is not None and (not isinstance(source.size, int) or source.size < 1):
        raise ValueError(f"source {source.name!r} has bytes {source.size!r}: give a positive number")
    return source
