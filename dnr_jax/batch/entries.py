"""What there is to do: photos, and where their results go. Plain Python."""

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from dnr_jax.photos.encode import FORMATS
from dnr_jax.plain_files import shown_name

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
    def name(self) -> str:
        """What the photo is called in messages."""
        return shown_name(self.path)

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


class Outputs:
    """Sees to it that no result of a run is written over another one or over a file that the run reads.

    Args:
      output_dir: the folder of the results.
    """

    def __init__(self, output_dir: Path):
        self._output_dir = output_dir
        self._taken: dict[str, str] = {}
        self._read: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def add(self, entries: Iterable[Entry]) -> None:
        """Adds entries.

        Raises:
          ValueError: two results would be written to one file, or one over a photo or a mask; also of entries added
            before.
        """
        entries = list(entries)
        for entry in entries:
            for path in entry.files:
                place = self._place(path)
                self._read[place] = path
                if place in self._taken:
                    raise ValueError(_over_a_source(self._taken[place], path))
        for entry in entries:
            place = self._place(self._output_dir / entry.output)
            other = self._taken.get(place)
            self._taken[place] = entry.path
            if other is not None:
                names = f"{shown_name(other)} and {entry.name} would both be written to {shown_name(entry.output)}"
                ways = "rename one, name its output in a manifest, or give another --format or --fallback_format"
                raise ValueError(f"{names}: {ways}")
            if place in self._read:
                raise ValueError(_over_a_source(entry.path, self._read[place]))

    def _place(self, path: Path | str) -> str:
        """Where a file is, whatever links lead to its folder; each folder is looked up once."""
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return f"{self._folders[folder]}{os.sep}{name}"


def _over_a_source(photo: str, path: str) -> str:
    """What is wrong with a result that would replace a file."""
    return f"the result of {shown_name(photo)} would replace {shown_name(path)}: give another --output_dir"
