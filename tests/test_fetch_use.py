"""Fetching in use: `auto` never does, offline, interruption, proxies, several processes, the main command."""

import concurrent.futures
import contextlib
import io
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from drawn_photos import textured_photo
from fetch_fixtures import CACHED, QUICK, cached_files, publish, run
from weight_server import Server

from dnr_jax import resize
from dnr_jax.photos.files import write_image
from dnr_jax.weights import Weights, cache, download, fetch_vgg19, load_weights

pytestmark = pytest.mark.usefixtures("online")


def test_auto_asks_nobody_and_says_once_how_to_get_vgg19(
    tmp_path: Path, server: Server, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path, body, keras=server.url("good"))
    assert load_weights("auto", quiet=True).provenance.name == "embedded"
    assert not capsys.readouterr().err
    for expected in (1, 0, 0):
        assert load_weights("auto").provenance.name == "embedded"
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == expected
        assert all("embedded network; `python -m dnr_jax.weights fetch` gets VGG19" in line for line in lines)
    assert not server.requests
    assert cached_files(tmp_path) == []
    # What was fetched once is used from then on.
    assert load_weights("vgg19").provenance.name == "vgg19"
    assert load_weights("auto").provenance.name == "vgg19"
    assert server.requests["good"] == 1


@pytest.mark.slow
def test_the_readmes_first_command_downloads_nothing(
    tmp_path: Path, server: Server, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path, body, keras=server.url("good"))
    write_image(tmp_path / "photo.png", textured_photo(64, 96))
    files = (f"--input={tmp_path / 'photo.png'}", f"--output={tmp_path / 'out.png'}")
    quick = ("--taps=block1_conv2", "--reconstruct_steps=1", "--refine_steps=0")
    assert resize.main(["resize", *files, "--width=75%", *quick]) == 0
    err = capsys.readouterr().err
    assert "fetching" not in err
    assert err.count("dnr_jax.weights fetch") == 1
    assert resize.main(["resize", *files, "--width=75%", *quick]) == 0
    assert "fetch" not in capsys.readouterr().err
    assert not server.requests


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
    assert load_weights("vgg19", offline=False).provenance.name == "vgg19"


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


@pytest.mark.slow
def test_two_processes_at_once_share_one_download(tmp_path: Path, server: Server, body: bytes) -> None:
    publish(tmp_path, body, keras=server.url("good"))
    program = (
        "import sys, time; from pathlib import Path; from dnr_jax.weights import load_weights;"
        " import dnr_jax.weights.install, dnr_jax.weights.download;"
        " Path(sys.argv[1]).touch(); [time.sleep(0.01) for _ in range(3000) if not Path(sys.argv[2]).exists()];"
        " weights = load_weights('vgg19'); print(weights.provenance.name)"
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
    monkeypatch.setattr(download, "LIMITS", QUICK._replace(connect=3.0))
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, contextlib.ExitStack() as queue:
        for _ in range(4):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        publish(tmp_path, body, first=url, second=url, third=url)
        start = time.monotonic()
        assert run("fetch") == 2
        # What is left after the first source is nothing: the others get a second each, not three more.
        assert time.monotonic() - start < 3.0 + 2 * 1.0 + 3.0
    line = capsys.readouterr().err.splitlines()[-1]
    assert "first: no connection within 3 s" in line
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
        "--importance_percentile=20",
        "--keep=objects",
        f"--weights_dir={tmp_path / 'mine'}",
    ]
    used = []

    def stop(frames: object, target: object, config: object, weights: Weights, **_: object) -> None:
        used.append(weights.provenance.name)
        raise ValueError("far enough")

    with monkeypatch.context() as patched:
        patched.setattr("dnr_jax.pipeline.retarget_frames_to_all", stop)
        assert resize.main([*arguments, "--weights=vgg19", "--offline"]) == 2
        assert f"VGG19 is not at {tmp_path / 'mine'}" in capsys.readouterr().err
        assert resize.main(arguments) == 2
        assert used == ["embedded"]
        assert not server.requests
        assert resize.main([*arguments, "--weights=vgg19"]) == 2
        assert resize.main([*arguments, "--weights=vgg19", "--offline"]) == 2
        assert used == ["embedded", "vgg19", "vgg19"]
    assert (tmp_path / "mine/vgg19.safetensors").is_file()
    assert not (tmp_path / "cache").exists()
    assert resize.main(arguments) == 0
    assert json.loads((tmp_path / "record.json").read_text())["weights"]["name"] == "vgg19"
    assert server.requests["good"] == 1
