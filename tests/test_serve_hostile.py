"""What a server withstands: slow and silent clients, clients that leave, too many, bombs, failures, and its own end."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_photos import disc_photo
from serve_runs import NETWORK, QUICK, Running, picture_file, read_picture, small_photo
from signals import LIMIT, SIGNALS

from dnr_jax.pipeline import retarget
from dnr_jax.serve.command import main
from dnr_jax.serve.engine import Engine
from dnr_jax.serve.fields import parse_fields
from dnr_jax.serve.settings import Settings

BOUNDARY = "a-boundary"
TYPE = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


class Endless:
    """An engine whose work never ends by itself, but tells how far it is; or fails, or is done when told to."""

    def __init__(self, weights: Any, outcome: Callable[[], Any] | None = None):
        self.weights = weights
        self.outcome = outcome
        self.begun = threading.Event()

    def retarget(self, form: Any, order: Any, report: Callable[[str, int, int], None], *, show: Any = None) -> Any:
        """Never ends, unless there is an outcome."""
        self.begun.set()
        step = 0
        while self.outcome is None:
            report("reconstruction", step, 1_000_000)
            step += 1
            time.sleep(0.005)
        return self.outcome()


@pytest.fixture
def endless(engine: Engine) -> Any:
    return Endless(engine.weights)


def form_of(photo: bytes, **fields: str) -> bytes:
    """A multipart form with a photo."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="p.png"\r\n\r\n'.encode()
    return b"".join(parts) + head + photo + f"\r\n--{BOUNDARY}--\r\n".encode()


def ask(running: Running, body: bytes, timeout: float = 120) -> tuple[int, dict[str, str], bytes]:
    """The status, headers and body that a form is answered with."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=timeout)
    try:
        connection.request("POST", "/v1/retarget", body, TYPE)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def metric(running: Running, name: str) -> float:
    """A metric without labels."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1])


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_slow_and_silent_clients_are_let_go(endless: Any) -> None:
    with Running(Settings(network=NETWORK, body_seconds=0.5, silent_seconds=0.5), endless) as running:
        with socket.create_connection(("127.0.0.1", running.port)) as silent:
            silent.settimeout(10)
            assert silent.recv(9) == b""
        with socket.create_connection(("127.0.0.1", running.port)) as half:
            half.settimeout(10)
            half.sendall(b"GET /health HTTP/1.1\r\nHos")
            assert half.recv(9) == b""
        with socket.create_connection(("127.0.0.1", running.port)) as slow:
            slow.settimeout(10)
            head = f"POST /v1/retarget HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nContent-Length: 900\r\n"
            slow.sendall(f"{head}Content-Type: {TYPE['Content-Type']}\r\n\r\n--a".encode())
            assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert not endless.begun.is_set()


@pytest.mark.parametrize("stream", [False, True])
def test_the_work_of_a_client_that_leaves_stops(endless: Any, stream: bool) -> None:
    with Running(Settings(network=NETWORK), endless) as running:
        client = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
        accept = {"Accept": "multipart/mixed"} if stream else {}
        client.request("POST", "/v1/retarget", form_of(small_photo()), {**TYPE, **accept})
        assert endless.begun.wait(10)
        assert metric(running, "dnr_jobs") == 1
        client.close()
        wait_for(lambda: metric(running, "dnr_jobs") == 0)
        assert metric(running, "dnr_jobs_abandoned_total") == 1


def test_more_than_can_wait_is_told_when_to_come_again(endless: Any) -> None:
    with Running(Settings(network=NETWORK, jobs=1, waiting=1), endless) as running:
        clients = [http.client.HTTPConnection("127.0.0.1", running.port, timeout=30) for _ in range(2)]
        for number, client in enumerate(clients, 1):
            client.request("POST", "/v1/retarget", form_of(small_photo()), TYPE)
            wait_for(lambda number=number: metric(running, "dnr_jobs") == number)
        status, headers, body = ask(running, form_of(small_photo()))
        assert status == 503
        assert int(headers["retry-after"]) >= 1
        assert json.loads(body)["detail"].startswith("2 photos are worked on or wait already: try again in")
        for client in clients:
            client.close()
        wait_for(lambda: metric(running, "dnr_jobs") == 0)


@pytest.mark.parametrize("accept", ["*/*", "multipart/mixed"])
def test_a_client_that_leaves_while_it_waits_gives_its_place_back(endless: Any, accept: str) -> None:
    with Running(Settings(network=NETWORK, jobs=1, waiting=1), endless) as running:
        clients = [http.client.HTTPConnection("127.0.0.1", running.port, timeout=30) for _ in range(2)]
        for number, client in enumerate(clients, 1):
            client.request("POST", "/v1/retarget", form_of(small_photo()), {**TYPE, "Accept": accept})
            wait_for(lambda number=number: metric(running, "dnr_jobs") == number)
        clients[1].close()
        wait_for(lambda: metric(running, "dnr_jobs") == 1)
        assert metric(running, "dnr_jobs_abandoned_total") == 1
        clients[0].close()
        wait_for(lambda: metric(running, "dnr_jobs") == 0)


def test_a_place_is_taken_before_the_body_is_read(endless: Any) -> None:
    settings = Settings(network=NETWORK, jobs=1, waiting=1, body_seconds=1.5)
    with Running(settings, endless) as running:
        head = f"POST /v1/retarget HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nContent-Length: 900\r\n"
        head += f"Content-Type: {TYPE['Content-Type']}\r\n\r\n--a"
        slow = [socket.create_connection(("127.0.0.1", running.port), timeout=10) for _ in range(3)]
        for number, client in enumerate(slow, 1):
            client.sendall(head.encode())
            wait_for(lambda number=number: metric(running, "dnr_jobs") == min(number, 2))
        assert slow[2].recv(4096).startswith(b"HTTP/1.1 503 ")
        slow[0].close()
        wait_for(lambda: metric(running, "dnr_jobs") == 1)
        assert ask(running, b"no form")[0] == 400
        assert slow[1].recv(4096).startswith(b"HTTP/1.1 408 ")
        assert metric(running, "dnr_jobs") == 0
        for client in slow[1:]:
            client.close()
    assert not endless.begun.is_set()


def test_no_traceback_reaches_a_client(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise KeyError("a secret path")

    with Running(Settings(network=NETWORK), Endless(engine.weights, fail)) as running:  # pyright: ignore[reportArgumentType]
        status, headers, body = ask(running, form_of(small_photo()))
    assert (status, headers["content-type"]) == (500, "application/problem+json")
    assert b"secret" not in body
    assert b"Traceback" not in body
    assert "a secret path" in caplog.text


def test_bombs_and_scraps(running: Running) -> None:
    bomb = picture_file(np.zeros((10_000, 10_000), bool))
    assert len(bomb) < 100_000
    for data, status in ((bomb, 422), (b"x", 422), (b"", 422), (small_photo()[:60], 422)):
        answer = ask(running, form_of(data, width="75%"))
        assert (answer[0], answer[1]["content-type"]) == (status, "application/problem+json")
    assert ask(running, form_of(b"x", width="75%")[:-30])[0] == 400


def test_nothing_is_written(running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", lambda _: pytest.fail("a file was written"))
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    photo = picture_file(noise) + bytes(3_000_000)  # What follows a PNG's end is not looked at.
    status, _, body = ask(running, form_of(photo, method="scl", width="75%"))
    assert (status, read_picture(body).size) == (200, (48, 48))
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str], endless: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", f"--port={port}"]) == 2
    assert f"dnr_jax.serve: cannot listen on 127.0.0.1, port {port} (" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("--jobs=0", "--jobs is 0: give a number from 1 to 64"),
        ("--port=70000", "--port is 70000: give a number from 0"),
        ("--max_upload=0", "--max_upload is 0.0: give a number above 0"),
        ("--max_megapixels=1e305", "--max_megapixels is 1e+305: give a number above 0, 1000000 at most"),
        ("--allow_host=*", "--allow_host names '*': give names like"),
        ("photo.jpg", "unexpected argument 'photo.jpg'"),
    ],
)
def test_flags_that_cannot_be_served(flag: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", flag]) == 2
    assert capsys.readouterr().err.startswith(f"dnr_jax.serve: {sentence}")


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_it(number: signal.Signals, heeded: None) -> None:
    command = [sys.executable, "-m", "dnr_jax.serve", "--port=0", "--weights=embedded"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ}) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        port = re.search(r"http://127\.0\.0\.1:(\d+)/ \(Control-C ends it\)", line)
        assert port is not None, line
        connection = http.client.HTTPConnection("127.0.0.1", int(port[1]), timeout=30)
        connection.request("GET", "/health")
        assert json.loads(connection.getresponse().read())["status"] == "ok"
        connection.close()
        process.send_signal(number)
        assert process.wait(LIMIT) == 128 + number
        assert "Traceback" not in process.stderr.read()


@pytest.mark.slow
def test_a_warm_request_takes_hardly_longer_than_the_method(running: Running, engine: Engine) -> None:
    photo = disc_photo(480, 640, (240, 280), 90)
    body, config = form_of(picture_file(photo), width="480"), parse_fields({}, {}).config

    def seconds(work: Callable[[], Any]) -> float:
        work()
        taken = []
        for _ in range(5):
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
        return sorted(taken)[2]

    alone = seconds(lambda: retarget(photo.astype(np.float32), (480, 480), config, engine.weights))
    served = seconds(lambda: ask(running, body))
    print(f"640x480 to 480x480: {alone:.3f} s alone, {served:.3f} s served, {served / alone:.2f} times")
    assert served < 1.1 * alone + 0.05


@pytest.mark.slow
def test_two_hundred_requests_of_fifty_sizes_four_at_once(running: Running) -> None:
    sizes = [(64 + 3 * number, 96 + 5 * (number * 7 % 50)) for number in range(50)]

    def one(number: int) -> int:
        height, width = sizes[number % 50]
        photo = picture_file(disc_photo(height, width, (height // 2, width // 2), height // 4))
        status, _, body = ask(running, form_of(photo, width="75%", **QUICK), timeout=600)
        assert read_picture(body).size == (int(width * 0.75 + 0.5), height)
        return status

    memory = []
    with ThreadPoolExecutor(4) as clients:
        for start in range(0, 200, 50):
            assert set(clients.map(one, range(start, start + 50))) == {200}
            memory.append(metric(running, "process_resident_memory_bytes") / 1e6)
    print("resident megabytes after 50, 100, 150, 200 requests:", [round(value) for value in memory])
    # The first fifty compile; after them memory stays.
    assert memory[3] < 1.1 * memory[0] + 50
