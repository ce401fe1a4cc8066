"""What the page shows and asks for in states that a real server is rarely in."""

from typing import Any

import pytest
from made_up_server import MARKED, STATE, MadeUp, analyse, refuse, retarget
from serve_runs import small_photo


def test_a_photo_and_another_are_chosen_by_key(site: MadeUp) -> None:
    page, choosers = site.page, []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    for name in ("choose", "another"):
        page.wait_for_selector(f"#{name}")
        page.focus(f"#{name}")
        page.keyboard.press("Enter")
        site.wait(lambda: choosers, "the page let no photo be chosen")
        photo = {"name": f"{name}.png", "mimeType": "image/png", "buffer": small_photo()}
        choosers.pop().set_files(photo)
        analyse(site.request("/v1/analyse"), photo["name"])
        site.says(photo["name"], "name")


def touch(session: Any, kind: str, *fingers: tuple[int, float, float]) -> None:
    """What a phone tells of fingers, each a number and a place: they are down or move, or they leave."""
    points = [{"id": number, "x": x, "y": y} for number, x, y in fingers]
    session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})


def place(page: Any, selector: str, x: float = 0.5, y: float = 0.5) -> tuple[float, float]:
    """A place on an element, as shares of its sides."""
    box = page.locator(selector).bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def test_a_second_finger_neither_paints_nor_drags(site: MadeUp) -> None:
    page = site.page
    session = page.context.new_cdp_session(page)
    site.open()
    page.click("[data-tool=protect]")
    page.wait_for_selector("#handle-width", state="hidden")
    first, second = (0, *place(page, "#canvas", 0.2, 0.2)), (1, *place(page, "#canvas", 0.8, 0.8))
    touch(session, "Start", first)
    touch(session, "End", first)
    site.request("/v1/analyse")
    spot = page.evaluate(MARKED)
    page.click("#undo")
    site.request("/v1/analyse")
    touch(session, "Start", first)
    touch(session, "Start", first, second)
    touch(session, "Move", first, (1, *place(page, "#canvas", 0.7, 0.8)))
    touch(session, "End", second)
    site.idle()
    assert page.evaluate(MARKED) == spot
    touch(session, "End", first)
    analyse(site.request("/v1/analyse"))
    page.click("[data-tool=none]")
    page.wait_for_selector("#handle-width")
    target = page.evaluate(STATE, "target")
    first, second = (0, *place(page, "#handle-width")), (1, *place(page, "#handle-height"))
    touch(session, "Start", first)
    touch(session, "Start", first, second)
    touch(session, "Move", first, (1, second[1], second[2] - 40))
    touch(session, "End", second)
    site.idle()
    assert page.evaluate(STATE, "target") == target
    touch(session, "Move", (0, first[1] - 40, first[2]))
    touch(session, "End", first)
    site.request("/v1/retarget")
    height, width = page.evaluate(STATE, "target")
    assert height == target[0]
    assert width < target[1]


def test_the_focused_photo_has_a_crosshair(site: MadeUp) -> None:
    page = site.page
    site.open()
    page.focus("[data-tool=protect]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#handle-width", state="hidden")
    assert page.is_hidden("#crosshair")
    page.focus("#canvas")
    page.wait_for_selector("#crosshair")
    there, middle = place(page, "#crosshair"), place(page, "#canvas")
    assert there == pytest.approx(middle, abs=2)
    page.focus("#brush")
    page.wait_for_selector("#crosshair", state="hidden")


def test_a_handle_that_is_only_clicked_keeps_the_result(site: MadeUp) -> None:
    page = site.page
    site.open()
    page.click("[data-aspect='1:1']")
    retarget(site.request("/v1/retarget"), (48, 48))
    page.wait_for_selector("#download[href]")
    page.click("#handle-width")
    page.focus("#handle-width")
    page.keyboard.press("ArrowUp")
    site.idle()
    assert page.get_attribute("#download", "href") is not None
    assert page.inner_text("#caption") == "48 \u00d7 48 pixels"


def test_the_command_line_has_the_servers_arguments(site: MadeUp) -> None:
    command = "python -m dnr_jax.resize --input=disc.png --output=disc_64x48.png --size=64x48"
    site.open()
    site.says(command, "command")
    site.open("disc.png", arguments=["--weights=vgg19", "--weights_dir=/srv/my files"])
    site.says(f"{command} --weights=vgg19 '--weights_dir=/srv/my files'", "command")


def test_a_busy_server_is_asked_again_while_its_answer_is_wanted(site: MadeUp) -> None:
    page = site.page
    site.choose()
    refuse(site.request("/v1/analyse"), 503, "all places are taken", **{"Retry-After": "1"})
    site.says("The server is busy: the next try is in 1 second.")
    assert page.is_visible("#cancel")
    again = site.request("/v1/analyse")
    site.says("Asking the server again")
    analyse(again)
    page.click("[data-aspect='1:1']")
    refuse(site.request("/v1/retarget"), 503, "all places are taken", **{"Retry-After": "1"})
    retarget(site.request("/v1/retarget"), (48, 48))
    page.wait_for_selector("#download[href]")
    page.click("[data-aspect='4:5']")
    refuse(site.request("/v1/retarget"), 503, "all places are taken", **{"Retry-After": "1000"})
    site.says("The server is busy: the next try is in 60 seconds.")
    page.click("[data-aspect='3:2']")
    refuse(site.request("/v1/retarget"), 503, "all places are taken", **{"Retry-After": "1"})
    site.says("The server is busy: the next try is in 1 second.")
    page.click("#cancel")
    page.wait_for_timeout(1000)
    site.idle()
    page.click("[data-aspect='16:9']")
    refuse(site.request("/v1/retarget"), 503, "the server is gone")
    site.says("the server is gone", "problem")


def test_the_analysis_is_of_the_marks_as_they_are(site: MadeUp) -> None:
    page = site.page
    site.open()
    page.click("[data-tool=protect]")
    page.wait_for_selector("#handle-width", state="hidden")
    page.click("#canvas")
    asked = site.request("/v1/analyse")
    page.click("[data-aspect='1:1']")
    site.idle()
    analyse(asked, arguments=["--seed=2"])
    retarget(site.request("/v1/retarget"), (48, 48))
    site.says("Done.")
    assert page.text_content("#command").endswith("--protect=protect.png --seed=2")
    page.click("#canvas")
    site.request("/v1/analyse")
    page.click("#cancel")
    page.click("[data-aspect='4:5']")
    refuse(site.request("/v1/analyse"), 422, "no")
    site.says("no", "problem")
    page.click("[data-aspect='3:2']")
    analyse(site.request("/v1/analyse"))
    site.request("/v1/retarget")


def test_what_is_looked_for_changes_while_an_arrow_key_rests(site: MadeUp) -> None:
    page = site.page
    site.open()
    page.focus("#handle-width")
    page.keyboard.press("ArrowLeft")
    page.evaluate("document.querySelector('[data-keep=faces]').click()")
    asked = site.request("/v1/analyse")
    page.wait_for_timeout(600)
    site.idle()
    analyse(asked)
    site.request("/v1/retarget")


def test_an_error_goes_with_the_size_that_it_was_of(site: MadeUp) -> None:
    page = site.page
    site.open()
    page.click("[data-aspect='1:1']")
    refuse(site.request("/v1/retarget"), 422, "no")
    page.wait_for_selector("#problem")
    page.click("[data-aspect=Photo]")
    assert page.is_hidden("#problem")
    site.idle()


def test_a_photo_stays_until_the_next_one_can_be_shown(site: MadeUp) -> None:
    page = site.page
    site.open("first.png")
    page.click("[data-tool=protect]")
    page.wait_for_selector("#handle-width", state="hidden")
    page.click("#canvas")
    analyse(site.request("/v1/analyse"), "first.png")
    page.click("[data-aspect='1:1']")
    retarget(site.request("/v1/retarget"), (48, 48))
    page.wait_for_selector("#download[href]")
    marked = page.evaluate(MARKED)
    site.choose("notes.png")
    refuse(site.request("/v1/analyse"), 422, "notes.png is no image")
    site.says("notes.png is no image", "problem")
    assert page.inner_text("#name") == "first.png"
    assert page.get_attribute("#download", "href") is not None
    assert page.evaluate(MARKED) == marked
    page.click("summary")
    with page.expect_download() as waiting:
        page.click("#save-protect")
    assert waiting.value.suggested_filename == "protect.png"
    # A size that is chosen meanwhile is heeded if the photo stays.
    site.choose("notes.png")
    asked = site.request("/v1/analyse")
    page.click("[data-aspect='4:5']")
    site.idle()
    refuse(asked, 422, "notes.png is no image")
    retarget(site.request("/v1/retarget"), (48, 38))
    page.wait_for_selector("#download[href]")
    assert page.inner_text("#problem") == "notes.png is no image"
    site.open("second.png")
    assert page.evaluate(MARKED) == 0
    assert page.evaluate(STATE, "tool") == "none"
    assert page.is_hidden("#save-protect")
    assert page.get_attribute("#download", "href") is None
    assert "--size=64x48" in page.text_content("#command")
    site.idle()


def test_notes_on_the_photo_stay_beside_those_on_results(site: MadeUp) -> None:
    page = site.page
    site.open(notes=["the profile is broken"])
    site.says("the profile is broken")
    page.click("[data-aspect='1:1']")
    asked = site.request("/v1/retarget")
    site.says("Waiting for the server")
    retarget(asked, (48, 48), notes=("the profile is broken", "nothing is marked"))
    site.says("Done. the profile is broken; nothing is marked")
    page.click("[data-aspect=Photo]")
    site.says("the profile is broken")
    site.open("second.png")
    site.says("")
