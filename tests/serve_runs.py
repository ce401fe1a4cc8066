"""Servers that tests start, what they send to them, and their page."""

import contextlib
import dataclasses
import io
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
import pytest
import uvicorn
from browser_pages import watched_page
from drawn_photos import disc_photo

from dnr_jax.serve.engine import Engine
from dnr_jax.serve.running import make_server
from dnr_jax.serve.settings import Settings
from dnr_jax.weights.names import NetworkChoice

NETWORK = NetworkChoice(name="embedded", weights_dir=None, offline=True, quiet=True)
QUICK = {
    "taps": "block1_conv2",
    "objects": "none",
    "importance_percentile": "20",
    "reconstruct_steps": "2",
    "refine_steps": "1",
}
"""Fields of a request that compiles little."""
SIZE = (48, 64)
"""(height, width) of the small photo."""


def small_photo(kind: str = "PNG", size: tuple[int, int] = SIZE, **options: Any) -> bytes:
    """A drawn photo as a file."""
    pixels = disc_photo(*size, centre=(size[0] // 2, size[1] // 3), radius=size[0] // 4)
    return picture_file(pixels, kind, **options)


def picture_file(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    """An array as a file."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def read_picture(data: bytes) -> PIL.Image.Image:
    """A file as Pillow's image, loaded."""
    image = PIL.Image.open(io.BytesIO(data))
    image.load()
    return image


class Running:
    """A server on a port of its own: its `port`, its `address`, and uvicorn's `server`."""

    def __init__(self, settings: Settings, engine: Engine):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.server: uvicorn.Server = make_server(settings_with_port(settings, self.port), engine)
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True)

    def __enter__(self) -> "Running":
        self._thread.start()
        deadline = time.monotonic() + 60
        while not self.server.started:
            assert self._thread.is_alive(), "the server ended"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()


def settings_with_port(settings: Settings, port: int) -> Settings:
    """The same settings for a port."""
    return dataclasses.replace(settings, port=port)


@pytest.fixture(scope="module")
def engine() -> Engine:
    """The work of a server, with the embedded network."""
    return Engine(Settings(network=NETWORK))


@pytest.fixture(scope="module")
def running(engine: Engine) -> Iterator[Running]:
    """A server with the default limits."""
    with Running(Settings(network=NETWORK), engine) as server:
        yield server


@contextlib.contextmanager
def page_of(chromium: Any, address: str, *, refusals: bool = False, **options: Any) -> Iterator[Any]:
    """The server's page; any error, any failed request and any request to elsewhere fails the test, and so do
    `refusals`, which the browser's console lists, unless they are expected."""
    refused = "Failed to load resource: the server responded with a status of 422" if refusals else ""
    window = {"width": 1100, "height": 800}
    with watched_page(
        chromium, (f"{address}/", "data:", "blob:"), expected=refused, viewport=window, **options
    ) as page:
        page.goto(f"{address}/")
        yield page
