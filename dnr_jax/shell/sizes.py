"""A target size as people write it. Plain Python, so that a size can be refused before JAX is imported."""

import re
from fractions import Fraction
from typing import NamedTuple

from dnr_jax.shapes import LARGEST_GROWTH
from dnr_jax.shell.uses import USES

SMALLEST, LARGEST = Fraction(1, 10), Fraction(LARGEST_GROWTH)
"""How short and how long a target's side may be, as shares of the photo's side."""

FITS = ("shrink", "grow")

_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"


class OutOfReachError(ValueError):
    """Raised for a side that is well formed, but too short or too long for the photo."""


class Target(NamedTuple):
    """The size that a photo is to have.

    Attributes:
      height: the height in pixels that retargeting leads to.
      width: the width in pixels that retargeting leads to.
      note: a line for a person that says which side an aspect changes; None where the size was given outright.
      scaled: the (height, width) that the retargeted photo is then scaled to, both sides by the same factor but for a
        rounded pixel; None where it stays as it is.
    """

    height: int
    width: int
    note: str | None = None
    scaled: tuple[int, int] | None = None

    @property
    def retargeted(self) -> tuple[int, int]:
        """The (height, width) that retargeting leads to."""
        return self.height, self.width

    @property
    def written(self) -> tuple[int, int]:
        """The (height, width) of the result's file."""
        return self.scaled or self.retargeted


def parse_target(
    size: tuple[int, int],
    *,
    width: str | None = None,
    height: str | None = None,
    size_text: str | None = None,
    aspect: str | None = None,
    fit: str | None = None,
    max_side: int | None = None,
    use: str | None = None,
) -> Target:
    """The target size of a photo, from what was asked for; where nothing was, the photo's own size.

    An aspect changes one side. Given one side, it sets the other; else `fit` says whether the side that is too long
    for it shrinks or the other one grows. `max_side` keeps the aspect, as fitting into a box does everywhere: both
    sides shrink by the same share until the longer one has at most so many pixels; it never enlarges.

    A use gives exact pixels. Retargeting gives the photo their aspect at its own resolution, as `aspect` does; plain
    scaling, which keeps all proportions, then brings it to the pixels, up or down as far as that takes.

    Args:
      size: the photo's (height, width).
      width: the target width, as pixels ("480") or as percent of the photo's width ("75%").
      height: the target height, as pixels or as percent of the photo's height.
      size_text: both at once in pixels, width first ("480x320").
      aspect: width to height ("16:9", "16/9" or "1.5").
      fit: "shrink" (default) or "grow"; only for an aspect without a width or height, or a use.
      max_side: the most pixels of the longer side.
      use: one of `dnr_jax.shell.uses.USES`.

    Raises:
      ValueError: a value is malformed, contradicts another, or asks for less than 10 % or more than 400 % of a side;
        the message is one line that names the flag.
    """
    _check_combination(width, height, size_text, aspect, fit, max_side, use)
    if use is not None:
        return _apply_use(size, use, fit or FITS[0])
    if size_text is not None:
        return _parse_size(size_text, size)
    if aspect is not None:
        target, ratio = _apply_aspect(size, aspect, width, height, fit or FITS[0])
    else:
        target = Target(parse_side("height", height, size[0]), parse_side("width", width, size[1]))
        ratio = Fraction(size[1], size[0])
    return target if max_side is None else _limit(target, ratio, max_side, size)


def parse_side(name: str, text: str | None, has: int) -> int:
    """Reads a target side from "480", "75%" or None (unchanged), in pixels; percentages round to the nearest pixel.

    Args:
      name: "width" or "height", for the message.
      text: the value as it was typed.
      has: how many pixels the photo has on that side.

    Raises:
      ValueError: the text is no size, or the side is not from 10 % to 400 % of the photo's.
    """
    if text is None:
        return has
    match = re.fullmatch(rf" *({_NUMBER}) *(%|px)? *", text)
    if match is None or (match[2] != "%" and "." in match[1]):
        raise ValueError(f"--{name} is {_shown(text)}: give pixels (480) or percent (75%)")
    pixels = _nearest(has * Fraction(match[1]) / 100) if match[2] == "%" else int(match[1])
    return _check_side(f"--{name} is {text.strip()} ({pixels} pixels)", name, pixels, has)


def _check_combination(
    width: str | None,
    height: str | None,
    size_text: str | None,
    aspect: str | None,
    fit: str | None,
    max_side: int | None,
    use: str | None,
) -> None:
    given = {"width": width, "height": height, "size": size_text, "aspect": aspect, "max_side": max_side}
    names = [name for name, value in given.items() if value is not None]
    if use is not None and names:
        raise ValueError(
            f"--for says how many pixels both sides get, so --{names[0]} would contradict it: leave it out"
        )
    outright = [name for name in names if name in ("width", "height", "size")]
    if size_text is not None and len(names) > 1:
        others = " and ".join(f"--{name}" for name in names if name != "size")
        raise ValueError(f"--size sets both sides, so {others} would contradict it: give one or the other")
    if max_side is not None and outright:
        raise ValueError(
            f"--max_side limits a size that is not given, but --{outright[0]} gives one: leave one of them out"
        )
    if aspect is not None and width is not None and height is not None:
        raise ValueError("--width and --height settle the aspect: leave out --aspect or one of them")
    if fit is None:
        return
    if fit not in FITS:
        raise ValueError(f"--fit is {_shown(fit)}: choose {' or '.join(FITS)}")
    if aspect is None and use is None:
        raise ValueError("--fit says how to reach an --aspect: give --aspect=16:9, or leave --fit out")
    if outright:
        raise ValueError(f"--{outright[0]} and --aspect settle both sides, so --fit has no say: leave it out")


def _parse_size(text: str, size: tuple[int, int]) -> Target:
    match = re.fullmatch(r" *([0-9]{1,9}) *[xX\u00d7] *([0-9]{1,9}) *", text)
    if match is None:
        raise ValueError(f"--size is {_shown(text)}: give width x height in pixels (480x320)")
    width, height = int(match[1]), int(match[2])
    subject = f"--size is {text.strip()}"
    return Target(_check_side(subject, "height", height, size[0]), _check_side(subject, "width", width, size[1]))


def _apply_aspect(
    size: tuple[int, int], text: str, width: str | None, height: str | None, fit: str
) -> tuple[Target, Fraction]:
    ratio = _parse_aspect(text)
    text = text.strip()
    if width is not None:
        wide = parse_side("width", width, size[1])
        changed, tall = "height", _nearest(wide / ratio)
    elif height is not None:
        tall = parse_side("height", height, size[0])
        changed, wide = "width", _nearest(tall * ratio)
    else:
        changed, tall, wide = _change_one_side(size, ratio, fit)
    before, after = (size[0], tall) if changed == "height" else (size[1], wide)
    _check_side(f"--aspect is {text}, which makes the {changed} {after} pixels", changed, after, before)
    return Target(tall, wide, f"aspect {text}: {_describe_change(changed, before, after)}"), ratio


def _change_one_side(size: tuple[int, int], ratio: Fraction, fit: str) -> tuple[str, int, int]:
    """The name of the side that changes to give a photo an aspect, and the photo's height and width after that."""
    if (size[1] > size[0] * ratio) == (fit == "shrink"):
        return "width", size[0], _nearest(size[0] * ratio)
    return "height", _nearest(size[1] / ratio), size[1]


def _describe_change(side: str, before: int, after: int) -> str:
    if before == after:
        return f"the {side} has its {before} pixels already"
    return f"the {side} {'shrinks' if after < before else 'grows'} from {before} to {after} pixels"


def _apply_use(size: tuple[int, int], name: str, fit: str) -> Target:
    name = name.strip()
    if name not in USES:
        raise ValueError(f"--for is {_shown(name)}: choose any of {', '.join(USES)}, or give --aspect or --size")
    use = USES[name]
    changed, tall, wide = _change_one_side(size, Fraction(use.width, use.height), fit)
    before, after = (size[0], tall) if changed == "height" else (size[1], wide)
    pixels = f"{use.width}x{use.height}"
    _check_side(f"--for is {name} ({pixels}), whose aspect makes the {changed} {after} pixels", changed, after, before)
    note = f"{name} ({pixels}): {_describe_change(changed, before, after)}"
    if (tall, wide) == (use.height, use.width):
        return Target(tall, wide, note)
    way = "down" if use.height * use.width < tall * wide else "up"
    return Target(tall, wide, f"{note}, and the whole is scaled {way} from {wide}x{tall}", (use.height, use.width))


def _parse_aspect(text: str) -> Fraction:
    match = re.fullmatch(rf" *({_NUMBER}) *(?:[:/] *({_NUMBER}) *)?", text)
    if match is None or not Fraction(match[1]) or not Fraction(match[2] or 1):
        raise ValueError(f"--aspect is {_shown(text)}: give width to height, both above 0 (16:9, 16/9 or 1.5)")
    return Fraction(match[1]) / Fraction(match[2] or 1)


def _limit(target: Target, ratio: Fraction, most: int, size: tuple[int, int]) -> Target:
    if most < 1:
        raise ValueError(f"--max_side is {most}: give the most pixels of the longer side (1080)")
    if max(target.height, target.width) <= most:
        return target
    # The shorter side comes from the exact aspect, not from sides that were rounded to it.
    tall, wide = (_nearest(most / ratio), most) if target.width >= target.height else (most, _nearest(most * ratio))
    subject = f"--max_side is {most}, which makes the target {wide}x{tall}"
    tall, wide = _check_side(subject, "height", tall, size[0]), _check_side(subject, "width", wide, size[1])
    note = None if target.note is None else f"{target.note}; max_side {most}: both sides shrink to {wide}x{tall}"
    return Target(tall, wide, note)


def _check_side(subject: str, name: str, pixels: int, has: int) -> int:
    """Returns the length of a side in pixels, where a side of `has` pixels may become so long.

    Raises:
      OutOfReachError: it may not; the message begins with `subject`.
    """
    low, high = max(1, _nearest(has * SMALLEST)), int(has * LARGEST)
    if not low <= pixels <= high:
        raise OutOfReachError(
            f"{subject}: the {name} must be from {low} to {high} pixels, 10% to 400% of the photo's {has}"
        )
    return pixels


def _nearest(value: Fraction) -> int:
    """The nearest whole number; halves are rounded up."""
    return int(value + Fraction(1, 2))


def _shown(text: str) -> str:
    """A value as messages quote it, cut where it is long."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
