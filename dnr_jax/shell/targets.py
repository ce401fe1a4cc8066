"""Reads several targets from one command line, and names their files. Plain Python.

`--width`, `--height`, `--size`, `--aspect` and `--for` take lists: 75%,50%. Beside a list, another flag has either one
value, which goes with each of the list's items, or as many values, which go with the items in order.
"""

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from dnr_jax.shell.sizes import OutOfReachError, Target, parse_side, parse_target

_LISTED = ("use", "aspect", "size_text", "width", "height")
"""The arguments of `parse_target` that may be lists, in the order in which they name a target."""
_FLAGS = {"use": "for", "size_text": "size"}
"""The flags, by argument, whose names differ from the arguments'."""
_PLACE = re.compile(r"\{(target|width|height)\}")
_PIXELS = re.compile(r" *0*[1-9][0-9]{0,8} *(px)? *")
_PHOTO = (10_000, 10_000)
"""The (height, width) of a photo that sizes are tried on before there is a real one."""


class Asked(NamedTuple):
    """One target as it was asked for.

    Attributes:
      name: a short name, fit for files: "1x1", "75", "story"; "same" where no size was asked for.
      sizes: the keyword arguments of `parse_target`.
    """

    name: str
    sizes: dict[str, Any]

    def target(self, size: tuple[int, int]) -> Target:
        """The target size of a photo of (height, width) `size`; raises ValueError as `parse_target` does."""
        return parse_target(size, **self.sizes)


def list_targets(sizes: dict[str, Any]) -> list[Asked]:
    """The targets that a command line asks for, in the order of its lists; at least one.

    Args:
      sizes: the keyword arguments of `parse_target`, where each text may be a list with commas.

    Raises:
      ValueError: lists have different lengths, an item is empty, or two targets would have one name.

    Example:
      >>> [asked.name for asked in list_targets({"aspect": "1:1,16:9", "width": "480"})]
      ['1x1', '16x9']
    """
    items = {name: sizes[name].split(",") for name in _LISTED if sizes.get(name) is not None}
    lists = {name: values for name, values in items.items() if len(values) > 1}
    counts = {len(values) for values in lists.values()}
    if len(counts) > 1:
        flags = " and ".join(f"--{_FLAGS.get(name, name)} {len(values)}" for name, values in lists.items())
        raise ValueError(f"lists must be equally long to go together, but {flags} values: give as many, or one")
    for name, values in lists.items():
        if not all(value.strip() for value in values):
            raise ValueError(f"--{_FLAGS.get(name, name)} is {sizes[name]!r}: leave no item of the list empty")
    named = lists or items
    found: list[Asked] = []
    for number in range(max(counts, default=1)):
        this = {name: values[number] if name in lists else values[0] for name, values in items.items()}
        found.append(Asked(_name_target({name: this[name] for name in named}, sizes), {**sizes, **this}))
    names = [asked.name for asked in found]
    if repeated := [name for name in names if names.count(name) > 1]:
        text = ",".join(next(iter(lists.values())))
        raise ValueError(f"{text} has two targets that would both be called {repeated[0]!r}: leave one of them out")
    return found


def check_without_photo(asked: Asked) -> None:
    """Refuses, before there is a photo, a target that no photo could be brought to.

    Raises:
      ValueError: flags are malformed or contradict each other, or a share is out of range.
    """
    shares = {name: _share(asked.sizes.get(name)) for name in ("width", "height")}
    for name, text in shares.items():
        try:
            parse_side(name, text, _PHOTO[0])
        except OutOfReachError:
            raise ValueError(f"--{name} is {str(text).strip()}: give from 10% to 400% of the photo's {name}") from None
    # What an aspect and pixels come to depends on the photo.
    with contextlib.suppress(OutOfReachError):
        asked._replace(sizes={**asked.sizes, **shares}).target(_PHOTO)


def name_output(pattern: str, asked: Asked, target: Target | None, *, several: bool) -> str:
    """The name of a target's file.

    Args:
      pattern: a path, in which {target}, {width} and {height} stand for the target's name and the file's pixels;
        without any of them, and with several targets, the name goes before the extension: out.jpg -> out_1x1.jpg.
      asked: the target as it was asked for.
      target: what the target is for the photo; None where that is not known yet.
      several: whether there is more than one target.

    Raises:
      ValueError: the pattern has {width} or {height}, and the pixels are not known yet.
    """
    if not _PLACE.search(pattern):
        if not several or pattern == "-":
            return pattern
        path = PurePath(pattern)
        return str(path.with_name(f"{path.stem}_{asked.name}{path.suffix}"))
    values = {"target": asked.name}
    if target is not None:
        values |= {"height": str(target.written[0]), "width": str(target.written[1])}

    def fill(place: re.Match[str]) -> str:
        if place[1] not in values:
            raise ValueError(f"{place[0]} is known only once a photo is read: name results by {{target}}")
        return values[place[1]]

    return _PLACE.sub(fill, pattern)


def needs_pixels(pattern: str) -> bool:
    """Whether a pattern has {width} or {height} in it, so that it names files only once the photo is read."""
    return any(place != "target" for place in _PLACE.findall(pattern))


def check_different(outputs: Sequence[str]) -> None:
    """Refuses two targets that would be written to one file.

    Raises:
      ValueError: two outputs are the same; the message names the file.
    """
    for number, output in enumerate(outputs):
        if output in outputs[:number]:
            raise ValueError(f"two targets would both be written to {output}: put {{target}} into the name")


def check_replaced(
    inputs: Mapping[str, str], outputs: Sequence[str], record: str | None, *, overwrite: bool = False
) -> None:
    """Refuses results and a record that would replace files that are read, or each other.

    Args:
      inputs: the files that are read, by the names of their flags.
      outputs: the files of results; "-" for standard output.
      record: the file of the record, "-" for standard output; None for no record.
      overwrite: whether results, but never the record, may replace what is read.

    Raises:
      ValueError: two of them are the same, by whatever name; the message says which.
    """
    for name, source in inputs.items():
        for output in () if overwrite else outputs:
            if _is_same(output, source):
                raise ValueError(f"{output} is the {name} as well: give --overwrite to replace it, or another name")
        if record is not None and _is_same(record, source):
            raise ValueError(f"the record would replace {record}, the file of --{name}: give --record another name")
    if record == "-" and "-" in outputs:
        raise ValueError("standard output holds the photo, and would hold the record as well: give --record=run.json")
    for output in outputs:
        if record is not None and _is_same(record, output, planned=True):
            raise ValueError(f"the record would replace the result, {output}: give --record another name")


def _is_same(one: str, other: str, *, planned: bool = False) -> bool:
    """Whether two paths lead to one file that is there, or if `planned` would lead to one; "-" leads to none."""
    if "-" in (one, other):
        return False
    if Path(one).exists() and Path(other).exists():
        return Path(one).samefile(other)
    return planned and os.path.realpath(one) == os.path.realpath(other)


def _name_target(given: dict[str, str], sizes: dict[str, Any]) -> str:
    """The short name of a target, made of the flags that tell it from the others."""
    sides = [given[name] for name in ("width", "height") if name in given]
    parts = [given[name] for name in ("use", "aspect", "size_text") if name in given]
    parts += ["x".join(_plain(side) for side in sides)] if sides else []
    if not parts and sizes.get("max_side") is not None:
        parts = [str(sizes["max_side"])]
    return "_".join(map(_plain, parts)) or "same"


def _plain(text: str) -> str:
    """Makes a text fit to be a part of a file name: "16:9" becomes "16x9", and "75%" becomes "75"."""
    return re.sub(r"[^\w.-]", "", re.sub(r" *[:/\u00d7X] *", "x", text.strip()))


def _share(text: str | None) -> str | None:
    """A side for a photo that is not known yet: as typed where it is a percentage or wrong; "100%" for pixels."""
    return text if text is None or not _PIXELS.fullmatch(text) else "100%"
