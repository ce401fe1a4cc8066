"""Finds what to retarget: the photos of a directory, of a glob, or of a manifest. Plain Python."""

import csv
import glob
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TextIO

import PIL.Image

from dnr_jax.photos.encode import FORMATS

COLUMNS = ("path", "width", "height", "protect", "remove", "objects", "output")
"""The columns that a manifest may have; only the path is needed."""
STATE_DIR = ".dnr-batch"
"""The folder in the output directory that holds records and temporary files."""


class Entry(NamedTuple):
    """One photo to retarget.

    Attributes:
      path: where the photo is.
      output: the result's path below the output directory; it also names the result in records.
      width: the target width as text, in pixels or percent; None where none is given. Where an entry has a width or a
        height, these replace the command's targets.
      height: the target height as text, likewise.
      protect: where the mask of what is protected is; None for no mask.
      remove: where the mask of what is to be removed is; None for no mask.
      fallback: whether the output has another extension than the photo because the photo's format cannot be written.
      target: the number of the command's target that the entry is for, from 0; not used where the entry has a size of
        its own.
      objects: where the map of objects is that replaces what the networks see; None for no map.
    """

    path: str
    output: str
    width: str | None = None
    height: str | None = None
    protect: str | None = None
    remove: str | None = None
    fallback: bool = False
    target: int = 0
    objects: str | None = None

    @property
    def has_own_size(self) -> bool:
        """Whether the entry says itself how large its result is to be."""
        return self.width is not None or self.height is not None

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that the result depends on."""
        return tuple(path for path in (self.path, self.protect, self.remove, self.objects) if path is not None)


class Extensions(NamedTuple):
    """Which extensions results have whose output is not named by a manifest.

    Attributes:
      every: the extension of all of them (".png"); None to keep each photo's.
      fallback: the extension for photos whose own format cannot be written; None to keep theirs too, so that they fail.
    """

    every: str | None = None
    fallback: str | None = ".png"

    def name(self, output: str) -> tuple[str, bool]:
        """The path of an output with the extension that it is to have, and whether that is the fallback."""
        path = PurePosixPath(output)
        if self.every is not None:
            return str(path.with_suffix(self.every)), False
        if self.fallback is not None and path.suffix.lower() not in FORMATS:
            return str(path.with_suffix(self.fallback)), True
        return output, False


class Naming(NamedTuple):
    """The command's targets, and how their results are named.

    Attributes:
      targets: the names of the targets, in order.
      pattern: the path of a result below the output directory, without its extension; {name} stands for the path that
        the photo's only result would have, {target} for the target's name.
    """

    targets: tuple[str, ...] = ("",)
    pattern: str = "{name}"

    def expand(self, entry: Entry) -> list[Entry]:
        """An entry for each target; the entry alone, unchanged, where it has a size of its own."""
        if entry.has_own_size:
            return [entry]
        if self.pattern == "{name}":
            return [entry]
        path = PurePosixPath(entry.output)
        stem, found = str(path.with_suffix("")), []
        for number, target in enumerate(self.targets):
            values = {"{name}": stem, "{target}": target}
            name = re.sub(r"\{name\}|\{target\}", lambda place, values=values: values[place[0]], self.pattern)
            found.append(entry._replace(output=f"{name}{path.suffix}", target=number))
        return found


ONE_TARGET = Naming()
"""Every photo has one result, under its own name."""


def find_entries(source: str, output_dir: Path, extensions: Extensions, *, naming: Naming = ONE_TARGET) -> list[Entry]:
    """The photos of a directory, a glob or a manifest file, in a fixed order.

    Directories are searched to any depth for files that Pillow may read; links to directories are not followed, and
    hidden files, and the output directory, are left out. The tree below the directory (or a glob's fixed part) is
    mirrored.

    Args:
      source: a directory, a pattern with *, ? or [, or a .jsonl or .csv file.
      output_dir: the folder of the results.
      extensions: which extensions the results have.
      naming: the targets; every photo has an entry for each.

    Raises:
      ValueError: there are no photos, the manifest is malformed, or two photos have the same output.
    """
    path = Path(source)
    if path.is_dir():
        if output_dir.exists() and path.samefile(output_dir):
            raise ValueError(f"{source} is the output directory as well: give another --output_dir")
        entries = [_mirrored(file, path, extensions) for file in _photos_below(path, output_dir)]
    elif path.is_file():
        entries = list(read_manifest(path, extensions))
    elif glob.has_magic(source):
        base = _fixed_part(source)
        files = sorted(_matches(source, base, output_dir))
        entries = [_mirrored(file, base, extensions) for file in files]
    else:
        raise ValueError(f"no such directory or manifest: {source} (check the path)")
    if not entries:
        raise ValueError(f"no photos in {source}: give a directory, a quoted pattern ('photos/**/*.jpg') or a manifest")
    entries = [entry for found in entries for entry in naming.expand(found)]
    check_outputs(entries, {})
    return entries


def check_outputs(entries: Iterable[Entry], taken: dict[str, str]) -> None:
    """Adds the outputs of entries to those that are taken.

    Args:
      entries: the entries to add.
      taken: the photo of each output so far, by output; it is changed.

    Raises:
      ValueError: two results would be written to one file.
    """
    for entry in entries:
        other = taken.get(entry.output)
        taken[entry.output] = entry.path
        if other is not None:
            raise ValueError(
                f"{other} and {entry.path} would both be written to {entry.output}: rename one, or name its output in"
                " a manifest"
            )


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
        output, fallback = extensions.name(_relative_output(path))
    elif PurePosixPath(output).is_absolute() or ".." in PurePosixPath(output).parts:
        raise ValueError(f"{where}: the output {output} leaves the output directory: give a path below it")
    protect, remove, objects = (
        None if values[name] is None else str(base / str(values[name])) for name in ("protect", "remove", "objects")
    )
    sides = values["width"], values["height"]
    return Entry(str(base / path), output, *sides, protect, remove, fallback, objects=objects)


def _relative_output(path: str) -> str:
    """The output of a photo in a manifest: its path, without the parts that would leave the output directory."""
    plain = os.path.normpath(path).replace(os.sep, "/")
    return "/".join(part for part in plain.split("/") if part not in ("", "..", "."))


def _photos_below(base: Path, output_dir: Path) -> Iterator[Path]:
    """The files below a directory that Pillow may read, by name, without hidden ones and those below `output_dir`."""
    PIL.Image.init()
    known = PIL.Image.registered_extensions()
    readable = {extension for extension, name in known.items() if name in PIL.Image.OPEN} | set(FORMATS)
    results = output_dir.resolve()
    for folder, folders, files in os.walk(base, followlinks=False):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (Path(folder) / name).resolve() != results
        )
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in readable:
                yield Path(folder) / name


def _matches(pattern: str, base: Path, output_dir: Path) -> Iterator[Path]:
    """The files that a glob matches, without hidden ones, those behind linked directories and those in `output_dir`."""
    results, links = output_dir.resolve(), {}

    def is_behind_link(folder: Path) -> bool:
        if folder == base or folder == folder.parent:
            return False
        if folder not in links:
            links[folder] = folder.is_symlink() or folder.resolve() == results or is_behind_link(folder.parent)
        return links[folder]

    rest = str(Path(*Path(pattern).parts[len(base.parts) :]))
    for file in base.glob(rest):
        is_hidden = any(part.startswith(".") for part in file.relative_to(base).parts)
        if not is_hidden and not file.is_dir() and not is_behind_link(file.parent):
            yield file


def _fixed_part(pattern: str) -> Path:
    """The directory that a glob starts from: the part of its path that has no *, ? or [."""
    parts: Sequence[str] = Path(pattern).parts
    fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:fixed]) if fixed else Path()


def _mirrored(file: Path, base: Path, extensions: Extensions) -> Entry:
    """The entry of a photo whose result has the same path below the output directory as the photo has below `base`."""
    output, fallback = extensions.name(file.relative_to(base).as_posix())
    return Entry(str(file), output, fallback=fallback)
