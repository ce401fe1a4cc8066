"""Reads what is to be done from manifests: .jsonl and .csv files, and JSON lines as they come. Plain Python."""

import csv
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from dnr_jax.batch.entries import STATE_DIR, Entry, Extensions

COLUMNS = ("path", "width", "height", "protect", "remove", "objects", "output")
"""The columns that a manifest may have; only the path is needed."""


def read_manifest(path: Path, extensions: Extensions) -> Iterator[Entry]:
    """Reads the entries of a .jsonl or .csv file; paths in it are relative to its directory.

    Raises:
      ValueError: the file is of another kind or not UTF-8, or a row is malformed; the message names the file and line.
    """
    if path.suffix.lower() not in (".jsonl", ".csv"):
        raise ValueError(
            f"{path} is no manifest: name it .jsonl (one object a line) or .csv (with a header), or"
            " retarget a single photo with python -m dnr_jax.resize"
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                yield from _csv_entries(file, path, extensions)
            else:
                yield from stream_entries(file, str(path), path.parent, extensions)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8") from None


def stream_entries(lines: Iterable[str], name: str, base: Path, extensions: Extensions) -> Iterator[Entry]:
    """Reads entries from JSON lines as they come.

    Args:
      lines: one JSON object each; blank lines are passed over.
      name: what the source of the lines is called in messages.
      base: the folder that paths in the lines are relative to.
      extensions: which extensions the results have.

    Raises:
      ValueError: a malformed line; the message has `name` and the line's number.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{name} line {number} is no JSON ({error}): give one object a line") from None
        if not isinstance(row, dict):
            raise ValueError(f'{name} line {number} is no object: write {{"path": "photo.jpg"}}')
        yield _row_entry(row, f"{name} line {number}", base, extensions)


def _csv_entries(file: TextIO, path: Path, extensions: Extensions) -> Iterator[Entry]:
    """Reads the entries of a manifest in CSV; an empty cell is as if its column were not there."""
    reader = csv.DictReader(file)
    for row in reader:
        where = f"{path} line {reader.line_num}"
        if None in row or None in row.values():
            raise ValueError(f"{where} has another number of columns than the header: quote commas in names")
        yield _row_entry({name: value for name, value in row.items() if value != ""}, where, path.parent, extensions)


def _row_entry(row: dict[str, Any], where: str, base: Path, extensions: Extensions) -> Entry:
    """Checks one row of a manifest, which `where` names in messages, and makes an entry of it."""
    unknown = [name for name in row if name not in COLUMNS]
    if unknown:
        raise ValueError(f"{where} has an unknown column {unknown[0]!r}: there are {', '.join(COLUMNS)}")
    values: dict[str, str | None] = {}
    for name in COLUMNS:
        value = row.get(name)
        if name in ("width", "height") and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if value is not None and (not isinstance(value, str) or not value):
            raise ValueError(
                f"{where}: {name} is {value!r}: give text" + (" or pixels" if name in ("width", "height") else "")
            )
        values[name] = value
    path = values["path"]
    if path is None:
        raise ValueError(f"{where} has no path: name the photo")
    output, fallback = values["output"], False
    if output is None:
        output = _relative_output(path)
        if not output:
            raise ValueError(f"{where}: the path {path!r} is a directory: name a photo")
        output, fallback = extensions.name(output)
    parts = PurePosixPath(output).parts
    if PurePosixPath(output).is_absolute() or ".." in parts:
        raise ValueError(f"{where}: the output {output} leaves the output directory: give a path below it")
    if not parts or STATE_DIR in parts:
        raise ValueError(f"{where}: the output {output!r} is no file, or one of the records: give another")
    protect, remove, objects = (
        None if values[name] is None else str(base / str(values[name])) for name in ("protect", "remove", "objects")
    )
    sides = values["width"], values["height"]
    return Entry(str(base / path), output, *sides, protect, remove, fallback, objects=objects)


def _relative_output(path: str) -> str:
    """The output of a photo in a manifest: its path, without the parts that would leave the output directory."""
    plain = os.path.normpath(path).replace(os.sep, "/")
    return "/".join(part for part in plain.split("/") if part not in ("", "..", "."))
