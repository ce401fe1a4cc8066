"""A published network, the server that serves it, and a cache of its own for each test of fetching."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import random_layers
from weight_files import write_keras
from weight_server import Server, serving, write_registry

from dnr_jax.weights import cache, download
from dnr_jax.weights.commands import main

WIDTHS = (4, 5, 6, 7, 8)
QUICK = download.Limits(connect=2.0, read=0.5, window=0.3, slowest=4096.0, attempts=3, pause=0.01)
CACHED = ["vgg19.json", "vgg19.safetensors"]


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("published") / "keras.h5"
    write_keras(path, random_layers(WIDTHS), "1")
    return path.read_bytes()


@pytest.fixture
def server(body: bytes) -> Iterator[Server]:
    with serving(body) as server:
        yield server


@pytest.fixture
def online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DNR_JAX_OFFLINE")
    monkeypatch.setenv("DNR_JAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DNR_JAX_REGISTRY", str(tmp_path / "registry.json"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(download, "LIMITS", QUICK)


def publish(tmp_path: Path, body: bytes, **sources: str) -> None:
    write_registry(tmp_path / "registry.json", WIDTHS, body, **sources)


def cached_files(tmp_path: Path) -> list[str]:
    """What a user finds in the cache, without the lock and the mark of a hint."""
    folder = tmp_path / "cache"
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.name not in (".lock", cache.HINT))


def run(*args: str) -> int:
    return main(["weights", *args])
