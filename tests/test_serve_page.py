"""The page in a real Chromium: photos are dropped, dragged, marked, retargeted, saved; by hand, by key, on a phone."""

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serve_runs import Running, page_of, read_picture, small_photo

DROP = """({name, text}) => {
  const held = new DataTransfer();
  held.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], name, {type: 'image/png'}));
  const drop = new DragEvent('drop', {dataTransfer: held, bubbles: true, cancelable: true});
  document.getElementById('stage').dispatchEvent(drop);
}"""
NOTHING_KEPT = "() => import('/page/state.js').then(({change}) => change({keep: new Set()}))"
STATE = """() => import("/page/state.js").then(
  ({state}) => [state.target, state.tool, [...state.masks.marks].some(Boolean)])"""
PATIENCE = 120_000
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def page(chromium: Any, running: Running) -> Iterator[Any]:
    with page_of(chromium, running.address) as page:
        page.set_default_timeout(PATIENCE)
        yield page


def drop(page: Any, data: bytes | None = None, name: str = "disc.png") -> None:
    """Drops a photo on a page that looks for nothing beyond the feature network, which compiles less."""
    page.evaluate(NOTHING_KEPT)
    page.evaluate(DROP, {"name": name, "text": base64.b64encode(data or small_photo()).decode()})


def opened(page: Any) -> None:
    """Drops a photo and waits until it can be worked on."""
    drop(page)
    page.wait_for_selector("#frame:not([hidden])")
    page.wait_for_selector("#progress", state="hidden")


def drag(page: Any, selector: str, x: float, y: float) -> None:
    """Drags a handle by so many pixels."""
    box = page.locator(selector).bounding_box()
    start = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + x, start[1] + y, steps=6)
    page.mouse.up()


def paint(page: Any, tool: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draws a line with a tool; places are shares of the canvas."""
    page.click(f"[data-tool={tool}]")
    box = page.locator("#canvas").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=6)
    page.mouse.up()


def saved(page: Any, folder: Path) -> tuple[str, tuple[int, int]]:
    """Waits for the result, saves it, and tells its name and its (width, height)."""
    page.wait_for_selector("#download[href]")
    with page.expect_download() as waiting:
        page.click("#download")
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path.name, read_picture(path.read_bytes()).size


def test_drop_drag_and_save(page: Any, tmp_path: Path) -> None:
    opened(page)
    drag(page, "#handle-width", -8, 0)
    (height, width), _, _ = page.evaluate(STATE)
    assert height == 48
    assert 40 < width < 64
    assert saved(page, tmp_path) == (f"disc_{width}x48.png", (width, 48))
    assert page.inner_text("#caption") == f"{width} \u00d7 48 pixels"
    page.click("[data-aspect='1:1']")
    assert saved(page, tmp_path) == ("disc_48x48.png", (48, 48))
    page.fill("#height-percent", "75")
    page.keyboard.press("Tab")
    assert saved(page, tmp_path) == ("disc_48x36.png", (48, 36))
    command = page.text_content("#command")
    assert command == (
        "python -m dnr_jax.resize --input=disc.png --output=disc_48x36.png --size=48x36 --objects=none"
        " --weights=embedded"
    )
    page.click("[data-aspect=Photo]")
    assert page.get_attribute("#download", "aria-disabled") == "true"


@pytest.mark.slow
def test_marks_are_painted_undone_and_heeded(page: Any, tmp_path: Path) -> None:
    opened(page)
    paint(page, "remove", (0.8, 0.3), (0.8, 0.7))
    assert saved(page, tmp_path) == ("disc_64x48.png", (64, 48))
    assert "--remove=remove.png" in page.text_content("#command")
    page.click("summary")
    with page.expect_download() as waiting:
        page.click("#save-remove")
    waiting.value.save_as(tmp_path / "remove.png")
    mask = read_picture((tmp_path / "remove.png").read_bytes())
    assert mask.size == (64, 48)
    assert mask.convert("L").getbbox() is not None
    paint(page, "protect", (0.3, 0.3), (0.3, 0.5))
    paint(page, "erase", (0.3, 0.2), (0.3, 0.6))
    for _ in range(3):
        page.click("#undo")
    assert page.evaluate(STATE)[2] is False
    assert page.is_disabled("#undo")


@pytest.mark.slow
def test_overlays_and_before(page: Any) -> None:
    opened(page)
    page.click("[data-aspect='1:1']")
    page.wait_for_selector("#download[href]")
    pictures = {"result": page.locator("#canvas").screenshot()}
    for name in ("importance", "objects", "grid"):
        page.check(f"[data-overlay={name}]")
        page.wait_for_timeout(100)
        pictures[name] = page.locator("#canvas").screenshot()
        page.uncheck(f"[data-overlay={name}]")
    page.check("[data-overlay=seams]")
    page.wait_for_function("() => document.getElementById('caption').textContent.includes('seam')")
    page.uncheck("[data-overlay=seams]")
    box = page.locator("#before").bounding_box()
    page.mouse.move(box["x"] + 9, box["y"] + 9)
    page.mouse.down()
    page.wait_for_function("() => document.getElementById('caption').textContent.endsWith('the photo')")
    pictures["before"] = page.locator("#canvas").screenshot()
    page.mouse.up()
    page.wait_for_function("() => document.getElementById('caption').textContent === '48 \u00d7 48 pixels'")
    assert len(set(pictures.values())) == len(pictures)


@pytest.mark.slow
def test_everything_by_keyboard(page: Any, tmp_path: Path) -> None:
    opened(page)
    page.focus("#handle-width")
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#handle-width", "aria-valuenow") == "60"
    assert saved(page, tmp_path) == ("disc_60x48.png", (60, 48))
    page.focus("[data-tool=protect]")
    page.keyboard.press("Enter")
    page.focus("#canvas")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    assert page.evaluate(STATE)[1:] == ["protect", True]
    assert saved(page, tmp_path)[1] == (60, 48)
    page.focus("#before")
    page.keyboard.down("Space")
    page.wait_for_function("() => document.getElementById('before').getAttribute('aria-pressed') === 'true'")
    page.keyboard.up("Space")
    page.wait_for_function("() => document.getElementById('before').getAttribute('aria-pressed') === 'false'")


def test_what_is_no_photo_is_said(chromium: Any, running: Running) -> None:
    with page_of(chromium, running.address, refusals=True) as page:
        page.set_default_timeout(PATIENCE)
        drop(page, b"no photo", "notes.png")
        page.wait_for_selector("#problem:not([hidden])")
        shown = page.inner_text("#problem")
        assert shown == "notes.png is no image that can be read: give a JPEG, PNG, WebP or TIFF photo"
        opened(page)
        assert page.is_hidden("#problem")


@pytest.mark.slow
def test_a_reload_in_the_middle_and_a_second_tab(chromium: Any, running: Running, page: Any, tmp_path: Path) -> None:
    drop(page)
    page.reload()
    page.set_default_timeout(PATIENCE)
    assert page.is_visible("#drop")
    with page_of(chromium, running.address) as other:
        other.set_default_timeout(PATIENCE)
        for each in (page, other):
            drop(each)
        for each in (page, other):
            each.wait_for_selector("#frame:not([hidden])")
        page.click("[data-aspect='1:1']")
        other.click("[data-aspect='16:9']")
        assert saved(page, tmp_path) == ("disc_48x48.png", (48, 48))
        assert saved(other, tmp_path) == ("disc_64x36.png", (64, 36))
    deadline = time.monotonic() + 60
    while page.evaluate("() => fetch('/health').then((response) => response.json()).then(({jobs}) => jobs)"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(("scheme", "phone"), [("light", False), ("dark", True)], ids=["wide-light", "phone-dark"])
def test_axe_finds_nothing(chromium: Any, running: Running, scheme: str, phone: bool) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with page_of(chromium, running.address, color_scheme=scheme) as page:
        page.set_default_timeout(PATIENCE)
        if phone:
            page.set_viewport_size(PHONE)
        found = [axe.run(page)]
        opened(page)
        page.click("[data-aspect='1:1']")
        page.wait_for_selector("#download[href]")
        page.click("summary")
        found.append(axe.run(page))
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        for selector in ("#copy", "#brush", "#download", "[data-keep=words]"):
            page.locator(selector).scroll_into_view_if_needed()
            page.locator(selector).click(trial=True)
        page.goto(f"{running.address}/docs")
        page.wait_for_selector("dt#busy")
        found.append(axe.run(page))
    for results in found:
        assert results.violations_count == 0, results.generate_report()
