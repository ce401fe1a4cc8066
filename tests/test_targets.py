"""Lists of targets on a command line, uses, and the names of their files."""

from pathlib import Path
from typing import Any

import pytest

from dnr_jax.shell.sizes import parse_target
from dnr_jax.shell.targets import Asked, check_different, check_replaced, check_without_photo, list_targets, name_output
from dnr_jax.shell.uses import USES

PHOTO = (480, 640)


def sizes_of(**sizes: Any) -> list[tuple[str, tuple[int, int]]]:
    return [(asked.name, asked.target(PHOTO).written) for asked in list_targets(sizes)]


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ({}, [("same", (480, 640))]),
        ({"width": "75%"}, [("75", (480, 480))]),
        ({"max_side": 320}, [("320", (240, 320))]),
        ({"width": "75%,320"}, [("75", (480, 480)), ("320", (480, 320))]),
        ({"width": "75%, 50%", "height": "360"}, [("75", (360, 480)), ("50", (360, 320))]),
        ({"width": "75%,50%", "height": "50%,75%"}, [("75x50", (240, 480)), ("50x75", (360, 320))]),
        ({"aspect": "1:1,16/9,1.5"}, [("1x1", (480, 480)), ("16x9", (360, 640)), ("1.5", (427, 640))]),
        ({"aspect": "1:1,2:1", "width": "320"}, [("1x1", (320, 320)), ("2x1", (160, 320))]),
        ({"aspect": "1:1,2:1", "fit": "grow"}, [("1x1", (640, 640)), ("2x1", (480, 960))]),
        ({"aspect": "1:1,4:3", "max_side": 300}, [("1x1", (300, 300)), ("4x3", (225, 300))]),
        ({"size_text": "480x320,320X320"}, [("480x320", (320, 480)), ("320x320", (320, 320))]),
        ({"use": "instagram,youtube"}, [("instagram", (1350, 1080)), ("youtube", (720, 1280))]),
    ],
)
def test_lists_become_targets(sizes: dict[str, Any], found: list[tuple[str, tuple[int, int]]]) -> None:
    assert sizes_of(**sizes) == found
    for asked in list_targets(sizes):
        check_without_photo(asked)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"width": "75%,50%", "height": "1,2,3"}, r"--width 2 and --height 3 values"),
        ({"width": "75%,"}, "--width is '75%,': leave no item of the list empty"),
        ({"use": "x,,story"}, "--for is 'x,,story'"),
        ({"width": "75%,75"}, "both be called '75'"),
        ({"aspect": "1:1,1x1"}, "both be called '1x1'"),
    ],
)
def test_lists_that_cannot_be_served(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list_targets(sizes)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"width": "75%,5%"}, "--width is 5%: give from 10% to 400% of the photo's width$"),
        ({"height": " 500 %"}, "--height is 500 %: give from 10% to 400% of the photo's height$"),
        ({"width": "0"}, "--width is 0: give from"),
        ({"width": "0px"}, "--width is 0px: give from"),
        ({"width": "75%,wide"}, "--width is 'wide'"),
        ({"aspect": "1:1,0:1"}, "--aspect is '0:1'"),
        ({"use": "story,myspace"}, "--for is 'myspace': choose any of instagram, instagram_square, story"),
        ({"use": "story", "width": "50%"}, "--for says how many pixels both sides get, so --width"),
        ({"use": "story", "max_side": 300}, "so --max_side would contradict it"),
    ],
)
def test_bad_items_are_refused_without_a_photo(sizes: dict[str, Any], message: str) -> None:
    *fine, last = list_targets(sizes)
    for asked in fine:
        check_without_photo(asked)
    with pytest.raises(ValueError, match=message):
        check_without_photo(last)


@pytest.mark.parametrize(
    "sizes", [{"size_text": "48x32"}, {"max_side": 50}, {"aspect": "30:1"}, {"width": "7"}, {"width": " 480 px"}]
)
def test_what_depends_on_the_photo_waits_for_it(sizes: dict[str, Any]) -> None:
    (asked,) = list_targets(sizes)
    check_without_photo(asked)


def test_a_use_is_its_aspect_by_retargeting_and_its_pixels_by_scaling() -> None:
    target = parse_target(PHOTO, use="youtube")
    assert (target.retargeted, target.scaled, target.written) == ((360, 640), (720, 1280), (720, 1280))
    assert target.note == (
        "youtube (1280x720): the height shrinks from 480 to 360 pixels, and the whole is scaled up from 640x360"
    )
    target = parse_target((4000, 3000), use="instagram_square", fit="grow")
    assert (target.retargeted, target.written) == ((4000, 4000), (1080, 1080))
    assert target.note is not None
    assert "the width grows from 3000 to 4000 pixels, and the whole is scaled down" in target.note
    exact = parse_target((900, 1600), use="x")
    assert (exact.retargeted, exact.scaled) == ((900, 1600), None)
    with pytest.raises(ValueError, match=r"--for is story \(1080x1920\), whose aspect makes the width 5 pixels"):
        parse_target((9, 640), use="story")


@pytest.mark.parametrize("name", USES)
def test_every_use_says_where_its_size_comes_from(name: str) -> None:
    use = USES[name]
    assert len(use.source) > 40
    assert parse_target(PHOTO, use=name).written == (use.height, use.width)


def test_names_of_outputs() -> None:
    one, two = list_targets({"aspect": "1:1,16:9"})
    target = one.target(PHOTO)
    cases = {
        "out.jpg": "out_1x1.jpg",
        "a.b/out.tar.png": "a.b/out.tar_1x1.png",
        "{target}/out.jpg": "1x1/out.jpg",
        "o_{width}x{height}_{target}.jpg": "o_480x480_1x1.jpg",
        "{other}.jpg": "{other}_1x1.jpg",
        "-": "-",
    }
    for pattern, name in cases.items():
        assert name_output(pattern, one, target, several=True) == name
    assert name_output("out.jpg", one, target, several=False) == "out.jpg"
    assert name_output("out_{width}.jpg", one, target, several=False) == "out_480.jpg"
    with pytest.raises(ValueError, match=r"{width} is known only once a photo is read"):
        name_output("out_{width}.jpg", one, None, several=True)
    names = [name_output("out_{width}.jpg", asked, asked.target((480, 480)), several=True) for asked in (one, two)]
    with pytest.raises(ValueError, match=r"two targets would both be written to out_480.jpg: put {target}"):
        check_different(names)


def test_nothing_replaces_what_is_read_or_another_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photo.jpg", "mask.png", "-"):
        Path(name).write_bytes(b"")
    Path("link").symlink_to("photo.jpg")
    Path("later").symlink_to("out.png")
    inputs = {"input": "photo.jpg", "remove": str(tmp_path / "mask.png")}
    for outputs, record, overwrite, message in (
        (["out.png", "link"], None, False, "link is the input as well: give --overwrite"),
        (["mask.png"], "run.json", False, "mask.png is the remove as well: give --overwrite"),
        (["out.png"], "link", False, "the record would replace link, the file of --input: give --record another name"),
        (["out.png"], "mask.png", True, "the record would replace mask.png, the file of --remove"),
        (["a.png", "out.png"], "./out.png", False, "the record would replace the result, out.png"),
        (["out.png"], "later", False, "the record would replace the result, out.png"),
        (["-"], "-", False, "standard output holds the photo"),
    ):
        with pytest.raises(ValueError, match=message):
            check_replaced(inputs, outputs, record, overwrite=overwrite)
    check_replaced(inputs, ["link", "mask.png"], "run.json", overwrite=True)
    check_replaced(inputs, ["out.png"], "-")
    check_replaced(inputs, ["-"], "run.json")
    check_replaced({"input": "gone.jpg"}, ["gone.jpg"], None)  # That there is no such file says more.


def test_a_name_has_nothing_that_could_lead_elsewhere() -> None:
    for text in ("../../etc", "a/b:c", "~", "\x00x"):
        (asked,) = list_targets({"aspect": text})
        assert isinstance(asked, Asked)
        assert not set(asked.name) & set("/\\~\x00:")
