"""Fetching VGG19 from a real HTTP server on the loopback interface: whatever it does, the cache stays sound.

Each case asserts the message, the exit code, that nothing half-written is left, and that `auto` asks nobody.
"""

import errno
import io
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import random_layers
from fetch_fixtures import CACHED, WIDTHS, cached_files, publish, run
from weight_files import torchvision_arrays, write_keras
from weight_server import Server, closed_port, serving, write_registry

from dnr_jax.weights import FetchError, download, fetch_vgg19, load_weights

pytestmark = pytest.mark.usefixtures("online")


@pytest.mark.parametrize("kind", ["good", "redirect", "flaky", "reset", "restart"])
def test_a_server_that_comes_round_is_as_good_as_a_good_one(
    tmp_path: Path, server: Server, body: bytes, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    publish(tmp_path, body, keras=server.url(kind))
    assert run("fetch") == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(tmp_path / "cache/vgg19.safetensors")
    assert server.url(kind) in err
    assert "Keras 1 HDF5 without the classifier" in err
    assert cached_files(tmp_path) == CACHED
    assert bool(server.ranges) == (kind in ("reset", "restart"))
    weights = load_weights("vgg19")
    assert weights.provenance.source == "keras.h5"
    kernel = random_layers(WIDTHS)["block5_conv4"]["kernel"]
    np.testing.assert_array_equal(weights.network.params["block5_conv4"]["kernel"], kernel)
    assert run("verify") == 0
    assert "as at the first fetch" in capsys.readouterr().out

    # Once it is there, nobody asks the server again.
    asked = server.requests.total()
    assert run("fetch") == 0
    assert load_weights("auto").provenance == weights.provenance
    assert server.requests.total() == asked


FAILURES = {
    "404": "answered 404 Not Found",
    "wrong": "whose digest is not md5:",
    "truncated": "3 attempts",
    "resets": "3 attempts",
    "unanswered": "broke off before it answered",
    "drip": "too slow",
    "silent": "too slow: nothing for",
    "closed": "no connection",
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_source_that_fails_leaves_nothing_behind(
    tmp_path: Path, server: Server, body: bytes, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    url = f"http://127.0.0.1:{closed_port()}/x" if kind == "closed" else server.url(kind)
    publish(tmp_path, body, keras=url)
    start = time.monotonic()
    assert run("fetch") == 2
    assert time.monotonic() - start < 5
    out, err = capsys.readouterr()
    assert not out
    line = err.splitlines()[-1]
    assert line.startswith("dnr_jax.weights: keras: ")
    assert FAILURES[kind] in line
    assert cached_files(tmp_path) == []

    # vgg19 fails as fetch does; auto runs on with the embedded network, and does not try.
    with pytest.raises(FetchError, match="keras: "):
        load_weights("vgg19")
    asked = server.requests.total()
    assert load_weights("auto").provenance.name == "embedded"
    assert server.requests.total() == asked
    assert cached_files(tmp_path) == []


def test_the_next_source_steps_in(
    tmp_path: Path, server: Server, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path, body, first=server.url("404"), second=server.url("wrong"), third=server.url("good"))
    assert run("fetch") == 0
    assert server.requests == {"404": 1, "wrong": 1, "good": 1}
    assert load_weights("vgg19").provenance.source == "third.h5"
    assert cached_files(tmp_path) == CACHED
    assert run("fetch", "--source=first") == 2
    assert "answered 404" in capsys.readouterr().err
    assert load_weights("vgg19").provenance.source == "third.h5"


def test_a_torchvision_mirror_brings_its_own_preprocessing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    arrays = torchvision_arrays(random_layers(WIDTHS), top=True)
    torch.save({name: torch.from_numpy(a) for name, a in arrays.items()}, file, _use_new_zipfile_serialization=False)
    with serving(file.getvalue()) as server:
        publish(tmp_path, file.getvalue(), torchvision=server.url("good"))
        assert run("fetch", "--store=bfloat16") == 0
    assert "features differ" in capsys.readouterr().err
    weights = load_weights("vgg19")
    assert weights.network.module.preprocessing.order == "rgb"  # pyright: ignore[reportAttributeAccessIssue]
    assert "BSD" in weights.provenance.licence


def test_what_is_fetched_must_be_the_network_of_the_registry(
    tmp_path: Path, server: Server, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    write_registry(tmp_path / "registry.json", (64, 128, 256, 512, 512), body, keras=server.url("good"))
    assert run("fetch") == 2
    assert "not a VGG19 network: block1_conv1 has shapes (3, 3, 3, 4)" in capsys.readouterr().err
    assert cached_files(tmp_path) == []


def test_the_first_digest_binds_later_fetches(
    tmp_path: Path, server: Server, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    # A source without a published digest: the SHA-256 of its first file is what holds it to that file.
    publish(tmp_path, body, keras=server.url("good"))
    registry = json.loads((tmp_path / "registry.json").read_text())
    del registry["sources"][0]["digest"]
    (tmp_path / "registry.json").write_text(json.dumps(registry))
    assert run("fetch") == 0
    before = load_weights("vgg19")
    assert run("fetch", "--force") == 0
    write_keras(tmp_path / "other.h5", random_layers(WIDTHS, seed=5), "1")
    server.body = (tmp_path / "other.h5").read_bytes()
    capsys.readouterr()
    assert run("fetch", "--force") == 2
    assert "which the first fetch recorded" in capsys.readouterr().err
    (tmp_path / "cache/vgg19.safetensors").unlink()
    assert run("fetch") == 2
    assert cached_files(tmp_path) == ["vgg19.json"]
    server.body = body
    assert run("fetch") == 0
    after = load_weights("vgg19")
    assert after.provenance == before.provenance
    np.testing.assert_array_equal(
        after.network.params["block5_conv4"]["kernel"], before.network.params["block5_conv4"]["kernel"]
    )


def test_a_published_size_is_checked(
    tmp_path: Path, server: Server, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path, body, keras=server.url("good"))
    registry = json.loads((tmp_path / "registry.json").read_text())
    registry["sources"][0]["bytes"] = len(body) + 1
    (tmp_path / "registry.json").write_text(json.dumps(registry))
    assert run("fetch") == 2
    assert f"served {len(body)} bytes, not {len(body) + 1}" in capsys.readouterr().err
    assert cached_files(tmp_path) == []


def test_store_asks_for_other_weights_than_those_cached(tmp_path: Path, server: Server, body: bytes) -> None:
    publish(tmp_path, body, keras=server.url("good"))
    path = fetch_vgg19()
    full = path.stat().st_size
    fetch_vgg19(store="float32")
    assert server.requests["good"] == 1
    fetch_vgg19(store="bfloat16")
    assert server.requests["good"] == 2
    assert path.stat().st_size < 0.6 * full
    fetch_vgg19()
    assert server.requests["good"] == 2


@pytest.mark.parametrize("where", ["download", "conversion"])
def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path,
    server: Server,
    body: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    where: str,
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    publish(tmp_path, body, first=server.url("good"), second=server.url("good"))
    with monkeypatch.context() as patched:
        if where == "download":
            patched.setattr(download, "_append", full)
        else:
            patched.setattr("dnr_jax.atomic.os.fsync", full)
        assert run("fetch") == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert f"no space left for {tmp_path / 'cache'}" in line
        assert "--weights_dir" in line
        assert server.requests["good"] == 1  # Another source would fill the disk as well.
        assert load_weights("auto").provenance.name == "embedded"
    assert cached_files(tmp_path) == []
    assert run("fetch") == 0


@pytest.mark.parametrize("how", ["parent is a file", "permission"])
def test_a_cache_that_cannot_be_written_is_said_without_asking_the_network(
    tmp_path: Path,
    server: Server,
    body: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    how: str,
) -> None:
    publish(tmp_path, body, keras=server.url("good"))
    if how == "permission":

        def refuse(path: Path, *_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

        monkeypatch.setattr("dnr_jax.weights.cache.Path.mkdir", refuse)
    else:
        (tmp_path / "cache").write_text("a file")
        monkeypatch.setenv("DNR_JAX_CACHE", str(tmp_path / "cache/below"))
    assert run("fetch") == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "cannot be written" in line
    assert "DNR_JAX_CACHE" in line
    # Without a place to remember it, auto gives its hint every time.
    for _ in range(2):
        assert load_weights("auto").provenance.name == "embedded"
        assert "embedded network" in capsys.readouterr().err
    assert not server.requests
