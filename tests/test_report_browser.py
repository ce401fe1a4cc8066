"""The report in headless Chromium: it loads without errors, shows everything, records votes and exports them."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import oracles_metrics
import PIL.Image
import pytest
from browser_pages import watched_page

from dnr_jax.evaluation.dataset import Case
from dnr_jax.evaluation.measures import MEASURES, Judge
from dnr_jax.evaluation.report import write_report
from dnr_jax.evaluation.runs import Scored, Settings, Subject
from dnr_jax.evaluation.tables import summarise
from dnr_jax.evaluation.votes import merge_ballots, read_ballot, tally
from dnr_jax.weights import Weights

METHODS = ("dnr", "scl", "published:sc")
PHOTOS = ("hills", "<!--<script> & 'sea'")
WINDOW = {"width": 1200, "height": 900}
SETTLED = 500
"""Milliseconds after which Chromium's store has what a page gave it: one reload in 400 at once does not find it."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, embedded: Weights) -> Path:
    """A report on two photos and three methods, of made-up pictures."""
    out = tmp_path_factory.mktemp("report")
    settings = Settings(out, embedded, Judge(embedded, "block5_conv1"))
    photos, outcomes = [], []
    for number, name in enumerate(PHOTOS):
        photo = Subject(Case(name, Path(), None, {}), settings)
        photo.folder.mkdir(parents=True)
        pixels = oracles_metrics.textured((64, 96), number).astype(np.uint8)
        PIL.Image.fromarray(pixels).save(photo.source_file)
        PIL.Image.fromarray(255 - pixels).save(photo.importance_file)
        for place, method in enumerate(METHODS):
            file = photo.folder / f"{place}.png"
            PIL.Image.fromarray(pixels[:, place : place + 72]).save(file)
            values = {measure.key: 0.1 * (place + 1) for measure in MEASURES}
            outcomes.append(Scored(name, method, file, None, (64, 72), 2.0, values))
        photos.append(photo)
    rows = [("data set", "made up")]
    return write_report(out, photos, outcomes, summarise(outcomes, 0), settings.judge, rows=rows)


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page of a participant's own."""
    with participant(chromium) as page:
        yield page


def participant(chromium: Any) -> contextlib.AbstractContextManager[Any]:
    """A page that remembers nothing of others."""
    return watched_page(chromium, ("file:", "data:", "blob:"), viewport=WINDOW)


def open_report(page: Any, report: Path, suffix: str = "?seed=5") -> None:
    page.goto(report.as_uri() + suffix)


def exported(page: Any, directory: Path) -> Path:
    with page.expect_download() as waiting:
        page.click("#export")
    path = directory / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def shown_pair(page: Any) -> tuple[str, str, str]:
    """The addresses of the original and the two results that are shown."""
    page.wait_for_selector("#source[src]", state="attached")
    images = [page.get_attribute(selector, "src") for selector in ("#source", "#left img", "#right img")]
    return images[0], images[1], images[2]


def test_the_open_page_shows_everything(page: Any, report: Path) -> None:
    open_report(page, report)
    assert page.locator("section").count() == 2
    assert page.locator("section h2").all_inner_texts() == [*PHOTOS]
    captions = page.locator("section figcaption b").all_inner_texts()
    assert captions == ["photo", *METHODS, "importance by embedded"] * 2
    for image in page.locator("section img").all():
        image.scroll_into_view_if_needed()
        image.evaluate("image => image.decode()")
        # Full size: as many CSS pixels as the picture has.
        assert image.evaluate("image => image.naturalWidth === image.clientWidth && image.naturalWidth > 0")
    assert "not comparable with its Table 1" in page.inner_text("#open")
    assert "semantic score (embedded)" in page.locator("section").first.inner_text()
    assert "made up" in page.inner_text("#open")


def test_votes_are_recorded_and_exported(page: Any, report: Path, tmp_path: Path) -> None:
    open_report(page, report)
    page.click("#start")
    assert page.is_hidden("#open")
    assert page.is_disabled("#export")
    data = json.loads(page.inner_text("#data") or page.evaluate("document.getElementById('data').textContent"))
    methods = {option["file"]: option["method"] for trial in data["trials"] for option in trial["options"]}
    expected = []
    for number, choice in enumerate(("left", "right", "right", "left")):
        assert page.inner_text("#progress") == f"Pair {number + 1} of 4"
        source, left, right = shown_pair(page)
        (trial,) = [t for t in data["trials"] if {o["file"] for o in t["options"]} == {left, right}]
        assert trial["source"]["file"] == source
        expected.append((trial["photo"], methods[left], methods[right], choice))
        if number % 2:
            page.click(f"#{choice}")
        else:
            page.keyboard.press("ArrowLeft" if choice == "left" else "ArrowRight")
    assert page.inner_text("#progress") == "4 votes"
    assert page.is_visible("#done")
    page.keyboard.press("ArrowLeft")  # There is nothing left to vote on.
    path = exported(page, tmp_path)
    ballot = json.loads(path.read_text())
    votes = [(vote["photo"], vote["left"], vote["right"], vote["choice"]) for vote in ballot["votes"]]
    assert votes == expected
    assert (ballot["seed"], ballot["report"]) == (5, data["report"])
    assert all(vote["milliseconds"] >= 0 for vote in ballot["votes"])
    counted = merge_ballots([read_ballot(path)])
    assert sum(each.share.total for each in tally(counted)) == 4
    assert {vote.winner for vote in counted} == {v[1] if v[3] == "left" else v[2] for v in expected}


def test_nothing_that_is_seen_names_a_method_while_voting(page: Any, report: Path) -> None:
    open_report(page, report, "?seed=7#vote")
    for _ in range(4):
        seen = page.locator("body").inner_text() + page.locator("#blind").inner_html()
        assert not any(method in seen for method in METHODS)
        assert page.is_hidden("#open")
        page.keyboard.press("ArrowLeft")


def test_orders_and_sides_differ_between_participants(chromium: Any, report: Path) -> None:
    orders = set()
    for seed in range(8):
        with participant(chromium) as page:
            open_report(page, report, f"?seed={seed}")
            page.click("#start")
            order = []
            for _ in range(4):
                order.append(shown_pair(page))
                page.keyboard.press("ArrowLeft")
        assert len({frozenset(pair) for pair in order}) == 4
        orders.add(tuple(order))
    assert len(orders) > 4
    # Each pair is seen both ways round.
    pairs = {pair for order in orders for pair in order}
    assert all((source, right, left) in pairs for source, left, right in pairs)


def test_votes_survive_a_reload_and_can_be_undone(page: Any, report: Path, tmp_path: Path) -> None:
    open_report(page, report, "")
    page.click("#start")
    first = shown_pair(page)
    page.click("#left")
    second = shown_pair(page)
    page.wait_for_timeout(SETTLED)
    page.reload()
    page.click("#start")
    assert page.inner_text("#progress") == "Pair 2 of 4"
    assert shown_pair(page) == second
    page.click("#undo")
    assert shown_pair(page) == first
    page.click("#right")
    (vote,) = json.loads(exported(page, tmp_path).read_text())["votes"]
    assert vote["choice"] == "right"
    page.click("#stop")
    assert page.is_visible("#open")
    assert page.is_hidden("#blind")


def test_without_storage_votes_are_kept_in_the_page(page: Any, report: Path, tmp_path: Path) -> None:
    page.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new Error('denied'); }})")
    open_report(page, report)
    page.click("#start")
    page.click("#left")
    assert len(json.loads(exported(page, tmp_path).read_text())["votes"]) == 1


def test_what_storage_has_no_room_for_is_kept_in_the_page(page: Any, report: Path, tmp_path: Path) -> None:
    open_report(page, report, "?seed=5#vote")
    page.keyboard.press("ArrowLeft")
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    for number in (3, 4):
        page.keyboard.press("ArrowLeft")
        assert page.inner_text("#progress") == f"Pair {number} of 4"
    assert len(json.loads(exported(page, tmp_path).read_text())["votes"]) == 3


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
def test_two_tabs_fill_one_ballot(page: Any, report: Path, tmp_path: Path, told: bool) -> None:
    other = page.context.new_page()
    if not told:  # As for a tab that slept meanwhile.
        other.add_init_script("addEventListener('storage', (event) => event.stopImmediatePropagation())")
    for tab in (other, page):
        open_report(tab, report, "#vote")
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    pair = shown_pair(page)
    if not told:
        page.wait_for_timeout(SETTLED)
        assert other.inner_text("#progress") == "Pair 1 of 4"
        other.keyboard.press("ArrowLeft")  # Meant for a pair that has its vote already.
    other.wait_for_function("document.getElementById('progress').textContent === 'Pair 3 of 4'")
    assert shown_pair(other) == pair
    other.keyboard.press("ArrowRight")
    page.wait_for_function("document.getElementById('progress').textContent === 'Pair 4 of 4'")
    ballots = [json.loads(exported(tab, tmp_path).read_text()) for tab in (page, other)]
    assert ballots[0]["participant"] == ballots[1]["participant"]
    assert ballots[0]["votes"] == ballots[1]["votes"]
    assert [vote["choice"] for vote in ballots[0]["votes"]] == ["left", "left", "right"]


def test_a_new_participant_begins_anew(page: Any, report: Path, tmp_path: Path) -> None:
    questions, answers = [], [False, True]

    def answer(dialog: Any) -> None:
        questions.append(dialog.message)
        (dialog.accept if answers.pop(0) else dialog.dismiss)()

    page.on("dialog", answer)
    open_report(page, report, "#vote")
    page.keyboard.press("ArrowLeft")
    first = json.loads(exported(page, tmp_path).read_text())
    page.focus("#anew")
    page.keyboard.press("Enter")  # Nothing would be lost: nothing is asked.
    assert (page.inner_text("#progress"), questions) == ("Pair 1 of 4", [])
    page.keyboard.press("ArrowLeft")
    second = json.loads(exported(page, tmp_path).read_text())
    page.keyboard.press("ArrowLeft")
    page.click("#anew")
    assert page.inner_text("#progress") == "Pair 3 of 4"
    page.click("#anew")
    assert page.inner_text("#progress") == "Pair 1 of 4"
    assert questions == ["Votes that were not exported will be lost (2). Begin as a new participant?"] * 2
    page.wait_for_timeout(SETTLED)
    page.reload()
    page.keyboard.press("ArrowLeft")
    third = json.loads(exported(page, tmp_path).read_text())
    assert [len(each["votes"]) for each in (first, second, third)] == [1, 1, 1]
    assert len({each["participant"] for each in (first, second, third)}) == 3
