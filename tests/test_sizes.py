"""Target sizes: exact pixels, limits, aspects within rounding, and a reason for every refusal."""

import subprocess
import sys
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnr_jax.shell.sizes import Target, parse_side, parse_target

sides = st.integers(1, 20_000)
aspects = st.tuples(st.integers(1, 40), st.integers(1, 40))
PHOTO = (480, 640)


def outcome(size: tuple[int, int], **asked: Any) -> Target | str:
    """The target, or the refusal."""
    try:
        return parse_target(size, **asked)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(
    ("text", "has", "pixels"),
    [
        (None, 90, 90),
        ("45", 90, 45),
        ("50%", 91, 46),
        ("33.3%", 300, 100),
        (" 100 % ", 7, 7),
        ("12px", 90, 12),
        ("400%", 90, 360),
        ("10%", 94, 9),
    ],
)
def test_one_side(text: str | None, has: int, pixels: int) -> None:
    assert parse_side("width", text, has) == pixels


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        ({}, (480, 640)),
        ({"width": "75%"}, (480, 480)),
        ({"height": "300"}, (300, 640)),
        ({"width": "800", "height": "50%"}, (240, 800)),
        ({"size_text": "480x360"}, (360, 480)),
        ({"size_text": " 480 X 360 "}, (360, 480)),
        ({"aspect": "1:1"}, (480, 480)),
        ({"aspect": "1"}, (480, 480)),
        ({"aspect": "16/9"}, (360, 640)),
        ({"aspect": "2.35:1"}, (272, 640)),
        ({"aspect": "1:1", "fit": "grow"}, (640, 640)),
        ({"aspect": "16:9", "fit": "grow"}, (480, 853)),
        ({"aspect": "4:3"}, (480, 640)),
        ({"aspect": "2:1", "width": "320"}, (160, 320)),
        ({"aspect": "2:1", "height": "400"}, (400, 800)),
        ({"max_side": 320}, (240, 320)),
        ({"max_side": 5000}, (480, 640)),
        ({"aspect": "1:1", "max_side": 300}, (300, 300)),
        ({"aspect": "1:2", "max_side": 333}, (333, 167)),
    ],
)
def test_targets(asked: dict[str, Any], target: tuple[int, int]) -> None:
    assert parse_target(PHOTO, **asked)[:2] == target


@pytest.mark.parametrize(
    ("asked", "note"),
    [
        ({"width": "75%"}, None),
        ({"max_side": 320}, None),
        ({"aspect": "1:1"}, "aspect 1:1: the width shrinks from 640 to 480 pixels"),
        ({"aspect": "1:1", "fit": "grow"}, "aspect 1:1: the height grows from 480 to 640 pixels"),
        ({"aspect": "4:3"}, "aspect 4:3: the height has its 480 pixels already"),
        (
            {"aspect": "1:1", "max_side": 300},
            "aspect 1:1: the width shrinks from 640 to 480 pixels; max_side 300: both sides shrink to 300x300",
        ),
    ],
)
def test_the_note_says_which_side_changes(asked: dict[str, Any], note: str | None) -> None:
    assert parse_target(PHOTO, **asked).note == note


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"width": "0"}, r"--width is 0 \(0 pixels\): the width must be from 64 to 2560 pixels, 10% to 400%"),
        ({"width": "63"}, "from 64 to 2560"),
        ({"height": "9%"}, r"--height is 9% \(43 pixels\).*from 48 to 1920"),
        ({"height": "1921"}, "from 48 to 1920"),
        ({"width": "401%"}, "10% to 400% of the photo's 640"),
        ({"width": "-3"}, r"--width is '-3': give pixels \(480\) or percent"),
        ({"width": "48.5"}, "--width is '48.5'"),
        ({"width": ""}, "--width is ''"),
        ({"width": "1e3"}, "--width is '1e3'"),
        ({"width": "٤٨٠"}, "--width is"),
        ({"width": "480\n"}, "--width is"),
        ({"width": "9" * 9}, "from 64 to 2560"),
        ({"width": "9" * 6000}, r"--width is '9{37}\.\.\.'"),
        ({"size_text": "480"}, "--size is '480': give width x height"),
        ({"size_text": "0x480"}, "--size is 0x480: the width must be"),
        ({"size_text": "480x5000"}, "--size is 480x5000: the height must be from 48 to 1920"),
        ({"aspect": "0:1"}, "--aspect is '0:1'.*above 0"),
        ({"aspect": "1:0.0"}, "--aspect is '1:0.0'"),
        ({"aspect": "wide"}, "--aspect is 'wide'"),
        ({"aspect": "1:2:3"}, "--aspect is '1:2:3'"),
        ({"aspect": "-1"}, "--aspect is '-1'"),
        ({"aspect": "1:100"}, "--aspect is 1:100, which makes the width 5 pixels: the width must be from 64"),
        ({"aspect": "1:100", "fit": "grow"}, "makes the height 64000 pixels"),
        ({"aspect": "1:1", "fit": "crop"}, "--fit is 'crop': choose shrink or grow"),
        ({"fit": "grow"}, "--fit says how to reach an --aspect"),
        ({"fit": "grow", "aspect": "1:1", "width": "480"}, "--width and --aspect settle both sides, so --fit"),
        ({"aspect": "1:1", "width": "300", "height": "300"}, "--width and --height settle the aspect"),
        ({"size_text": "300x300", "width": "300"}, "--size sets both sides, so --width would contradict"),
        ({"size_text": "300x300", "aspect": "1", "max_side": 300}, "so --aspect and --max_side would contradict"),
        ({"max_side": 300, "height": "300"}, "--height gives one"),
        ({"max_side": 0}, "--max_side is 0"),
        ({"max_side": -1}, "--max_side is -1"),
        ({"max_side": 50}, "--max_side is 50, which makes the target 50x38: the height must be from 48"),
    ],
)
def test_refusals_name_the_flag_and_the_reason(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        parse_target(PHOTO, **asked)
    assert len(str(refusal.value).splitlines()) == 1


@given(size=st.tuples(sides, sides), wanted=st.tuples(sides, sides))
def test_pixels_within_the_limits_come_out_exactly(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    lows = [max(1, int(Fraction(has, 10) + Fraction(1, 2))) for has in size]
    allowed = all(low <= pixels <= 4 * has for low, pixels, has in zip(lows, wanted, size, strict=True))
    asks: list[dict[str, Any]] = [
        {"height": str(wanted[0]), "width": str(wanted[1])},
        {"size_text": f"{wanted[1]}x{wanted[0]}"},
    ]
    for asked in asks:
        if allowed:
            assert parse_target(size, **asked) == Target(*wanted)
        else:
            with pytest.raises(ValueError, match="10% to 400%"):
                parse_target(size, **asked)


@given(has=st.integers(5, 20_000), percent=st.integers(1_000, 40_000))
def test_percent_is_the_nearest_pixel_and_always_allowed(has: int, percent: int) -> None:
    pixels = parse_side("height", f"{percent // 100}.{percent % 100:02}%", has)
    assert abs(pixels - Fraction(has * percent, 10_000)) <= Fraction(1, 2)


@given(size=st.tuples(sides, sides), aspect=aspects, fit=st.sampled_from(["shrink", "grow", None]))
def test_an_aspect_changes_one_side_the_allowed_way(
    size: tuple[int, int], aspect: tuple[int, int], fit: str | None
) -> None:
    target = outcome(size, aspect=f"{aspect[0]}:{aspect[1]}", fit=fit)
    if isinstance(target, str):
        assert "10% to 400%" in target
        return
    assert (target.height == size[0]) or (target.width == size[1])
    for now, before in zip(target[:2], size, strict=True):
        assert now >= before if fit == "grow" else now <= before
    # Within half a pixel of the side that changed.
    ratio = Fraction(*aspect)
    by_width = abs(target.width - target.height * ratio) <= Fraction(1, 2)
    by_height = abs(target.height - target.width / ratio) <= Fraction(1, 2)
    assert by_width or by_height


@given(size=st.tuples(sides, sides), aspect=st.none() | aspects, most=sides)
def test_max_side_bounds_the_longer_side_and_keeps_the_aspect(
    size: tuple[int, int], aspect: tuple[int, int] | None, most: int
) -> None:
    text = None if aspect is None else f"{aspect[0]}:{aspect[1]}"
    ratio = Fraction(size[1], size[0]) if aspect is None else Fraction(*aspect)
    target, free = outcome(size, aspect=text, max_side=most), outcome(size, aspect=text)
    if isinstance(target, str) or isinstance(free, str):
        assert "10% to 400%" in str(target)
        return
    assert max(target[:2]) == min(most, max(free[:2]))
    by_width = abs(target.width - target.height * ratio) <= Fraction(1, 2)
    by_height = abs(target.height - target.width / ratio) <= Fraction(1, 2)
    assert by_width or by_height


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_one_line(text: str) -> None:
    for flag in ("width", "height", "size_text", "aspect", "fit"):
        asked: dict[str, Any] = {"aspect": "1:1", flag: text} if flag == "fit" else {flag: text}
        target = outcome(PHOTO, **asked)
        if isinstance(target, str):
            assert target.startswith("--")
            assert len(target.splitlines()) == 1
        else:
            assert 48 <= target.height <= 1920
            assert 64 <= target.width <= 2560


def test_sizes_are_parsed_without_jax() -> None:
    program = "import sys, dnr_jax.shell.sizes; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
