"""The page of a server that is not there: tests make up what it answers."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from browser_pages import watched_page
from serve_runs import SIZE, picture_file, small_photo

from dnr_jax.planning.cells import CELLS
from dnr_jax.serve.answers import END, MULTIPART, json_part, make_part
from dnr_jax.serve.preview import rules

ADDRESS = "http://localhost"
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
PATIENCE = 60
STATE = "(name) => import('/page/state.js').then(({state}) => state[name])"
MARKED = "() => import('/page/state.js').then(({state}) => state.masks.marks.filter(Boolean).length)"


class MadeUp:
    """The page of a server that is not there: files are answered at once, requests when a test does."""

    def __init__(self, page: Any):
        self.page = page
        self.asked: list[Any] = []
        page.route(f"{ADDRESS}/**", self._route)
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(f"{ADDRESS}/")

    def _route(self, route: Any) -> None:
        path = urlsplit(route.request.url).path
        if path.startswith("/v1/"):
            self.asked.append(route)
            return
        name = path.removeprefix("/page/").strip("/") or "index.html"
        data = (files("dnr_jax.serve") / "page" / name).read_bytes()
        route.fulfill(body=data, content_type=TYPES[name.rpartition(".")[2]])

    def wait(self, ready: Callable[[], Any], trouble: str) -> None:
        """Waits until something is there."""
        deadline = time.monotonic() + PATIENCE
        while not ready():
            assert time.monotonic() < deadline, trouble
            self.page.wait_for_timeout(10)

    def request(self, path: str) -> Any:
        """Waits for the page's next request, which is for a path, to be answered later."""
        self.wait(lambda: self.asked, f"the page did not ask for {path}")
        assert urlsplit(self.asked[0].request.url).path == path
        return self.asked.pop(0)

    def choose(self, name: str = "disc.png") -> None:
        """Chooses a photo, which the page asks to be analysed."""
        self.page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": small_photo()})

    def open(self, name: str = "disc.png", **values: Any) -> None:
        """Opens a photo with values of its analysis."""
        self.choose(name)
        analyse(self.request("/v1/analyse"), name, **values)
        self.until(f"document.getElementById('name').textContent === '{name}'")

    def until(self, condition: str) -> None:
        """Waits for a condition of the page."""
        self.page.wait_for_function(f"() => {condition}")

    def says(self, text: str, place: str = "status") -> None:
        """Waits for a text at a place."""
        self.page.wait_for_function(
            "([id, text]) => document.getElementById(id).textContent === text", arg=[place, text]
        )

    def idle(self) -> None:
        """Waits long enough for a request that should not come."""
        self.page.wait_for_timeout(300)
        assert self.asked == []


@pytest.fixture
def site(chromium: Any) -> Iterator[MadeUp]:
    window = {"width": 1100, "height": 800}
    refused = "Failed to load resource: the server responded with a status of"
    local = (f"{ADDRESS}/", "data:", "blob:")
    with watched_page(chromium, local, expected=refused, viewport=window, has_touch=True) as page:
        yield MadeUp(page)


def analyse(route: Any, name: str = "disc.png", **values: Any) -> None:
    """Answers with an analysis of a photo that holds nothing, which is all that a page needs."""

    def encode(data: bytes) -> str:
        return base64.b64encode(data).decode()

    picture = f"data:image/png;base64,{encode(small_photo())}"
    nothing = {"auto": True, "attempts": [], "growth": []}
    analysis = {
        "name": name,
        "format": "PNG",
        "photo_size": SIZE,
        "size": SIZE,
        "most_crop": 0.0,
        "deepest_stride": 1,
        "grid": {"objects": encode(bytes(4 * CELLS * CELLS)), "protected": encode(bytes(CELLS * CELLS))},
        "sides": {"width": nothing, "height": nothing},
        "rules": rules(),
        "pictures": {"photo": picture, "importance": picture, "objects": picture},
        "notes": [],
    }
    route.fulfill(json={**analysis, **values})


def retarget(route: Any, size: tuple[int, int], notes: tuple[str, ...] = ()) -> None:
    """Answers with a grey photo of a (height, width)."""
    data = picture_file(np.full((*size, 3), 90, np.uint8))
    parts = [json_part("record", {"notes": notes}), make_part("image", "image/png", data, file_name="made.png"), END]
    route.fulfill(body=b"".join(parts), content_type=MULTIPART)


def refuse(route: Any, status: int, detail: str, **headers: str) -> None:
    """Answers with a problem."""
    route.fulfill(
        status=status, body=json.dumps({"detail": detail}), content_type="application/problem+json", headers=headers
    )
