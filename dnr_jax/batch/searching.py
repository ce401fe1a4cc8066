"""Finds what to retarget: the photos of a directory, of a glob, or of a manifest. Plain Python."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import PIL.Image

from dnr_jax.batch.entries import ONE_TARGET, Entry, Extensions, Naming, Outputs
from dnr_jax.batch.manifests import read_manifest
from dnr_jax.photos.decode import BARRED
from dnr_jax.photos.encode import FORMATS

_UNREAD = {".heic", ".heif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"}
"""Extensions of photos of phones and cameras that are not read; there is a note of those that a folder holds."""


def find_entries(
    source: str,
    output_dir: Path,
    extensions: Extensions,
    *,
    naming: Naming = ONE_TARGET,
    left_out: Counter[str] | None = None,
) -> list[Entry]:
    """The photos of a directory, a glob or a manifest file, in a fixed order.

    Directories are searched to any depth for files that Pillow may read; links to directories are not followed, and
    hidden files, and the output directory, are left out. The tree below the directory (or a glob's fixed part) is
    mirrored.

    Args:
      source: a directory, a pattern with *, ? or [, or a .jsonl or .csv file.
      output_dir: the folder of the results.
      extensions: which extensions the results have.
      naming: the targets; every photo has an entry for each.
      left_out: is added how many photos of a directory cannot be read, by extension; None where nobody asks.

    Raises:
      ValueError: there are no photos, the manifest is malformed, or results would replace each other or a photo.
    """
    path = Path(source)
    if path.is_dir():
        if output_dir.exists() and path.samefile(output_dir):
            raise ValueError(f"{source} is the output directory as well: give another --output_dir")
        left_out = Counter() if left_out is None else left_out
        entries = [_mirrored(file, path, extensions) for file in _photos_below(path, output_dir, left_out)]
    elif path.is_file():
        entries = list(read_manifest(path, extensions))
    elif glob.has_magic(source):
        base = _fixed_part(source)
        files = sorted(_matches(source, base, output_dir))
        entries = [_mirrored(file, base, extensions) for file in files]
    else:
        raise ValueError(f"no such directory or manifest: {source} (check the path)")
    if not entries and left_out:
        raise ValueError(f"no photos in {source} that can be read: {left_out_note(left_out)}")
    if not entries:
        raise ValueError(f"no photos in {source}: give a directory, a quoted pattern ('photos/**/*.jpg') or a manifest")
    entries = [entry for found in entries for entry in naming.expand(found)]
    Outputs(output_dir).add(entries)
    return entries


def left_out_note(left_out: Counter[str]) -> str:
    """What to say of photos that cannot be read, by extension: one line."""
    listed = ", ".join(f"{count} {extension}" for extension, count in sorted(left_out.items()))
    return f"{listed} left out, which is not read: convert to JPEG or TIFF first"


def _photos_below(base: Path, output_dir: Path, left_out: Counter[str]) -> Iterator[Path]:
    """The files below a directory that Pillow may read, by name, without hidden ones and those below `output_dir`."""
    PIL.Image.init()
    known = PIL.Image.registered_extensions()
    readable = {extension for extension, name in known.items() if name in PIL.Image.OPEN and name not in BARRED}
    readable |= {*FORMATS}
    results = output_dir.resolve()
    for folder, folders, files in os.walk(base, followlinks=False):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (Path(folder) / name).resolve() != results
        )
        for name in sorted(files):
            extension = Path(name).suffix.lower()
            if name.startswith("."):
                continue
            if extension in readable:
                yield Path(folder) / name
            elif extension in _UNREAD:
                left_out[extension] += 1


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
