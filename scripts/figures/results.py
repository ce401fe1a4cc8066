"""Makes sheets of results: each row holds a photo, its published results and those in folders, all at full size.

Blind sheets do not say which result is whose.
"""

import json
import string
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dnr_jax.evaluation.dataset import Case
from dnr_jax.inspection.table import show_size
from dnr_jax.photos.files import read_image
from figures.layout import Panel, Sheet


class Row(NamedTuple):
    """A photo and its results.

    Attributes:
      photo: the name of the photo.
      source: the photo's file.
      results: the name of the column and the file of each result, from left to right.
    """

    photo: str
    source: Path
    results: list[tuple[str, Path]]


def choose_rows(
    cases: Sequence[Case], photos: Sequence[str], published: Sequence[str], columns: Sequence[str]
) -> list[Row]:
    """The rows of all pages.

    Args:
      cases: the photos of the data set.
      photos: the names of the photos to show; all of the data set where there are none.
      published: the operators whose published results are shown.
      columns: further columns as "NAME=DIR", where DIR/PHOTO.png is the result of a photo.

    Raises:
      ValueError: a photo is unknown, a column is written otherwise or named twice, or a result is not there.
    """
    folders = [(name, Path(folder)) for name, _, folder in (column.partition("=") for column in columns)]
    names = [f"published:{operator}" for operator in published] + [name for name, _ in folders]
    for name, folder in folders:
        if not name or folder == Path():
            raise ValueError(f"--columns has {name!r}: write NAME=DIR, for instance before=out1,now=out2")
    if len(set(names)) < len(names):
        raise ValueError(f"--columns and --published name a column twice ({', '.join(names)}): give each its own name")
    if not 0 < len(names) <= len(string.ascii_uppercase):
        raise ValueError(f"there are {len(names)} columns of results: give 1 to 26 by --published and --columns")
    by_name = {case.name: case for case in cases}
    unknown = [name for name in photos if name not in by_name]
    if unknown:
        raise ValueError(f"--photos has {unknown[0]}: the data set holds {', '.join(by_name)}")
    rows = []
    for case in (by_name[name] for name in photos or by_name):
        missing = [operator for operator in published if operator not in case.published]
        if missing:
            has = ", ".join(case.published) or "none"
            raise ValueError(f"{case.name} has no published result {missing[0]} ({has}): leave it out of --published")
        files = [case.published[operator] for operator in published]
        files += [folder / f"{case.name}.png" for _, folder in folders]
        for file in files:
            if not file.is_file():
                raise ValueError(f"{file} is not there: make it, or name by --photos those that are")
        rows.append(Row(case.name, case.source, list(zip(names, files, strict=True))))
    return rows


def shuffle_rows(rows: Sequence[Row], seed: int) -> list[Row]:
    """The same rows, each with its results in an order that the seed and the photo's name alone decide."""
    shuffled = []
    for row in rows:
        order = np.random.default_rng([seed, *row.photo.encode()]).permutation(len(row.results))
        shuffled.append(row._replace(results=[row.results[place] for place in order]))
    return shuffled


def draw_pages(rows: Sequence[Row], *, per_page: int, blind: bool) -> list[Sheet]:
    """Lays the rows out on sheets.

    Args:
      rows: the rows of all sheets.
      per_page: how many rows a sheet has at most.
      blind: whether results are called A, B, C, and nothing else is said of them.
    """
    pages = [rows[start : start + per_page] for start in range(0, len(rows), per_page)]
    title = "Results, in an order of each row's own" if blind else "Results"
    return [
        Sheet(f"{title}, page {number} of {len(pages)}", [_panels(row, blind=blind) for row in page])
        for number, page in enumerate(pages, 1)
    ]


def write_key(rows: Sequence[Row], seed: int, command: str) -> bytes:
    """The JSON that says what each letter of blind sheets stands for: {"photos": {"001": {"A": NAME, ...}}}."""
    photos = {row.photo: dict(zip(string.ascii_uppercase, (n for n, _ in row.results), strict=False)) for row in rows}
    return (json.dumps({"seed": seed, "command": command, "photos": photos}, indent=1) + "\n").encode()


def _panels(row: Row, *, blind: bool) -> list[Panel]:
    photo = read_image(row.source)
    panels = [Panel(photo, f"{row.photo}, {show_size(photo.shape[:2])}")]
    for letter, (name, file) in zip(string.ascii_uppercase, row.results, strict=False):
        picture = read_image(file)
        panels.append(Panel(picture, letter if blind else f"{name}, {show_size(picture.shape[:2])}"))
    return panels
