"""The browser that tests look at pages with, and pages in it that fail a test by what goes wrong on them."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install playwright")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*SWITCHES])
        yield browser
        browser.close()


@contextlib.contextmanager
def watched_page(chromium: Any, local: tuple[str, ...], *, expected: str = "", **options: Any) -> Iterator[Any]:
    """An empty page with storage of its own; any error, any failed request, and any request to an address that does not
    start with one of `local` fails the test, save messages in the browser's console that start with `expected`."""
    context = chromium.new_context(accept_downloads=True, **options)
    page, troubles = context.new_page(), []
    page.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    # Leaving a picture before it is there is no trouble.
    page.on("requestfailed", lambda request: request.failure == "net::ERR_ABORTED" or troubles.append(request.url))
    page.on("request", lambda request: request.url.startswith(local) or troubles.append(request.url))
    yield page
    context.close()
    assert [trouble for trouble in troubles if not (expected and trouble.startswith(expected))] == []
