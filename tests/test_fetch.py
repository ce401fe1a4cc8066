"""Fetching VGG19 from a real HTTP server on the loopback interface: whatever it does, the cache stays sound.

Each case asserts the message, the exit code, that nothing half-written is left, and that the embedded network steps in
for `auto` alone.
"""

import concurrent.futures
import contextlib
import errno
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import random_layers
from test_pipeline import textured_photo
from weight_files import torchvision_arrays, write_keras
from weight_server import Server, closed_port, serving, write_registry

from dnr_jax import resize
from dnr_jax.image_io import write_image
from dnr_jax.weights import FetchError, Weights, cache, download, fetch_vgg19, load_weights
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


@pytest.fixture(autouse=True)
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
    """What a user finds in the cache, without the lock and the note of a failure."""
    folder = tmp_path / "cache"
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.name not in (".lock", cache.FAILURE))


def run(*args: str) -> int:
    return main(["weights", *args])


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

    # vgg19 fails as fetch does; auto runs on with the embedded network, and says in one line why and what to do.
    with pytest.raises(FetchError, match="keras: "):
        load_weights("vgg19")
    capsys.readouterr()
    assert load_weights("auto").provenance.name == "embedded"
    line = capsys.readouterr().err.splitlines()[-1]
    for part in (FAILURES[kind], "using the embedded network", "dnr_jax.weights fetch", "dnr_jax.weights convert"):
        assert part in line
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
        assert "no space left" in capsys.readouterr().err
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
    assert load_weights("auto").provenance.name == "embedded"
    line = capsys.readouterr().err
    assert "cannot be written" in line
    assert "embedded network" in line
    assert not server.requests


def test_auto_remembers_a_failure_for_an_hour(
    tmp_path: Path,
    server: Server,
    body: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    publish(tmp_path, body, keras=server.url("404"))
    for asked in (1, 1):
        assert load_weights("auto").provenance.name == "embedded"
        assert server.requests["404"] == asked
    err = capsys.readouterr().err
    assert err.count("fetching VGG19") == 1
    assert "0 min ago" in err
    assert run("list") == 0
    assert "auto's last fetch failed: keras: answered 404" in capsys.readouterr().out

    with monkeypatch.context() as patched:
        now = time.time()
        patched.setattr("dnr_jax.weights.cache.time.time", lambda: now + cache.FAILURE_SECONDS + 1)
        load_weights("auto")
        assert server.requests["404"] == 2
    # Who asks for VGG19 by name is not put off, and a success is the end of the matter.
    publish(tmp_path, body, keras=server.url("good"))
    assert load_weights("vgg19").provenance.name == "vgg19"
    assert not (tmp_path / "cache" / cache.FAILURE).exists()
    assert load_weights("auto").provenance.name == "vgg19"


def test_offline_asks_nobody(
    tmp_path: Path,
    server: Server,
    body: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    publish(tmp_path, body, keras=server.url("good"))
    assert load_weights("auto", offline=True).provenance.name == "embedded"
    with pytest.raises(FileNotFoundError, match="network is switched off"):
        load_weights("vgg19", offline=True)
    assert run("fetch", "--offline") == 2
    monkeypatch.setenv("DNR_JAX_OFFLINE", "1")
    assert load_weights("auto").provenance.name == "embedded"
    assert run("fetch") == 2
    assert "switches off" in capsys.readouterr().err
    assert not server.requests
    assert load_weights("auto", offline=False).provenance.name == "vgg19"


def test_an_interrupted_download_leaves_nothing(
    tmp_path: Path, server: Server, body: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    publish(tmp_path, body, keras=server.url("good"))
    with monkeypatch.context() as patched:
        patched.setattr(download, "_append", interrupt)
        assert run("fetch") == 130
    assert "interrupted" in capsys.readouterr().err
    assert cached_files(tmp_path) == []
    # A process that is killed cannot tidy up; the next one does.
    (tmp_path / "cache/.fetching").mkdir()
    (tmp_path / "cache/.fetching/tmpabc").write_bytes(b"half a file")
    assert run("fetch") == 0
    assert cached_files(tmp_path) == CACHED


def test_proxy_variables_are_honoured(
    tmp_path: Path, server: Server, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, body, keras="http://weights.invalid/good")
    monkeypatch.setenv("http_proxy", server.url("").rstrip("/"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert run("fetch") == 0
    assert server.requests == {"http://weights.invalid/good": 1}


def test_a_process_that_must_wait_says_so(
    tmp_path: Path, server: Server, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path, body, keras=server.url("good"))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with cache.cache_lock(tmp_path / "cache", print):
            waiting = pool.submit(fetch_vgg19)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.8)
            assert not server.requests
        assert waiting.result(timeout=60).is_file()
    assert f"another process is filling {tmp_path / 'cache'}" in capsys.readouterr().err


def test_progress_is_for_terminals(
    tmp_path: Path, server: Server, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    publish(tmp_path, body, keras=server.url("good"))
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        assert run("fetch", "--force") == 0
        assert ("0%|" in stream.getvalue()) is shown


def test_two_processes_at_once_share_one_download(tmp_path: Path, server: Server, body: bytes) -> None:
    publish(tmp_path, body, keras=server.url("good"))
    program = (
        "import sys, time; from pathlib import Path; from dnr_jax.weights import load_weights;"
        " import dnr_jax.weights.install, dnr_jax.weights.download;"
        " Path(sys.argv[1]).touch(); [time.sleep(0.01) for _ in range(3000) if not Path(sys.argv[2]).exists()];"
        " weights = load_weights('auto'); print(weights.provenance.name)"
    )
    marks = [tmp_path / "a", tmp_path / "b"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(mine), str(other)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for mine, other in (marks, marks[::-1])
    ]
    results = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert [out.strip() for out, _ in results] == ["vgg19", "vgg19"]
    assert server.requests["good"] == 1
    assert cached_files(tmp_path) == CACHED
    assert run("verify") == 0


def test_connecting_has_one_limit_for_all_sources(
    tmp_path: Path, body: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A listener that accepts nobody and whose queue is full: a connection attempt gets no answer at all.
    monkeypatch.setattr(download, "LIMITS", QUICK._replace(connect=1.2))
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, contextlib.ExitStack() as queue:
        for _ in range(4):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        publish(tmp_path, body, first=url, second=url, third=url)
        start = time.monotonic()
        assert run("fetch") == 2
        assert time.monotonic() - start < 1.2 + 2 * 1.0 + 1.0
    line = capsys.readouterr().err.splitlines()[-1]
    assert "first: no connection within 1 s" in line
    assert "check the network and HTTPS_PROXY" in line
    assert cached_files(tmp_path) == []


def test_the_main_command_fetches_and_its_flags_say_where_and_whether(
    tmp_path: Path, server: Server, body: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path, body, keras=server.url("good"))
    write_image(tmp_path / "photo.png", textured_photo(64, 96))
    arguments = [
        "resize",
        f"--input={tmp_path / 'photo.png'}",
        f"--output={tmp_path / 'out.png'}",
        f"--record={tmp_path / 'record.json'}",
        "--width=75%",
        "--reconstruct_steps=1",
        "--refine_steps=1",
        "--taps=block1_conv2,block2_conv2",
        f"--weights_dir={tmp_path / 'mine'}",
    ]
    used = []

    def stop(frames: object, target: object, config: object, weights: Weights, **_: object) -> None:
        used.append(weights.provenance.name)
        raise ValueError("far enough")

    with monkeypatch.context() as patched:
        patched.setattr("dnr_jax.pipeline.retarget_frames", stop)
        assert resize.main([*arguments, "--weights=vgg19", "--offline"]) == 2
        assert f"VGG19 is not at {tmp_path / 'mine'}" in capsys.readouterr().err
        assert resize.main([*arguments, "--offline"]) == 2
        assert used == ["embedded"]
        assert not server.requests
        assert resize.main(arguments) == 2
        assert resize.main([*arguments, "--weights=vgg19", "--offline"]) == 2
        assert used == ["embedded", "vgg19", "vgg19"]
    assert (tmp_path / "mine/vgg19.safetensors").is_file()
    assert not (tmp_path / "cache").exists()
    assert resize.main(arguments) == 0
    assert json.loads((tmp_path / "record.json").read_text())["weights"]["name"] == "vgg19"
    assert server.requests["good"] == 1
