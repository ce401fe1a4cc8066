"""Reads RetargetMe, in its official layout or with a manifest: photos, target sizes, published results.

  official   name/name.png, name/name_0.75_sc.png: the result of operator `sc` at 0.75 of a side
  manifest   manifest.json {"name": {"source_size": [w, h], "target_size": [w, h]}}, name/src.jpg, name/sc.jpg

References:
  M. Rubinstein, D. Gutierrez, O. Sorkine, A. Shamir. A comparative study of image retargeting. SIGGRAPH Asia 2010.
"""

import collections
import json
import re
from pathlib import Path
from typing import NamedTuple

import PIL.Image

from dnr_jax.plain_files import open_plain

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_RESULT = re.compile(r"_(?P<ratio>[01]?\.[0-9]+)_(?P<operator>[A-Za-z][A-Za-z0-9+-]*)$")


class Case(NamedTuple):
    """One photo and the size that it is to have.

    Attributes:
      name: the photo's name, which no other case of the data set has.
      source: the photo's file.
      target: the (height, width) to make; None where the data set says none.
      published: the files of published results, by the operator that made them, in alphabetical order.
    """

    name: str
    source: Path
    target: tuple[int, int] | None
    published: dict[str, Path]


def read_dataset(directory: Path) -> list[Case]:
    """The photos of a data set, in the order of their names; only the headers of files are read.

    Raises:
      ValueError: there is no such directory, it has neither of the layouts, or a file is damaged; the message is one
        line with the remedy.
    """
    if not directory.is_dir():
        raise ValueError(f"{directory} is no directory: name the one that holds the data set's folders")
    manifest = directory / "manifest.json"
    cases = _with_manifest(directory, manifest) if manifest.exists() else _official(directory)
    if not cases:
        raise ValueError(f"{directory} holds no photos: expected name/name.png, or manifest.json with name/src.jpg")
    return cases


def _official(directory: Path) -> list[Case]:
    cases = []
    for folder in sorted(path for path in directory.iterdir() if path.is_dir()):
        pictures = _pictures(folder)
        source = next((path for path in pictures if path.stem == folder.name), None)
        if source is None:
            continue
        by_ratio: dict[str, dict[str, Path]] = {}
        for path in pictures:
            found = _RESULT.search(path.stem)
            if found and path.stem == folder.name + found.group(0):
                by_ratio.setdefault(found["ratio"], {})[found["operator"].lower()] = path
        for ratio, published in sorted(by_ratio.items()):
            name = folder.name if len(by_ratio) == 1 else f"{folder.name}_{ratio}"
            cases.append(Case(name, source, _commonest_size(published), dict(sorted(published.items()))))
        if not by_ratio:
            cases.append(Case(folder.name, source, None, {}))
    return cases


def _with_manifest(directory: Path, manifest: Path) -> list[Case]:
    try:
        entries = json.loads(manifest.read_text("utf-8"))
        targets = {name: tuple(int(n) for n in entry["target_size"]) for name, entry in entries.items()}
        if any(len(target) != 2 or min(target) < 1 for target in targets.values()):
            raise ValueError("a target_size is no [width, height]")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{manifest} cannot be read ({error}): expected name -> target_size [width, height]") from None
    cases = []
    for name, (width, height) in sorted(targets.items()):
        if not _is_inside(name):
            raise ValueError(f"{manifest} names {name!r}, no plain path of a folder beside it: rename the entry")
        pictures = _pictures(directory / name) if (directory / name).is_dir() else []
        source = next((path for path in pictures if path.stem == "src"), None)
        if source is None:
            raise ValueError(f"{manifest} names {name}, but {directory / name} holds no src.jpg: restore it")
        published = {path.stem.lower(): path for path in pictures if path != source}
        cases.append(Case(name, source, (height, width), published))
    return cases


def _is_inside(name: str) -> bool:
    """Whether a photo's name is the path of a folder below another one, and written in the shortest way."""
    path = Path(name)
    return bool(path.parts) and not path.anchor and ".." not in path.parts and path.as_posix() == name


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)


def _commonest_size(published: dict[str, Path]) -> tuple[int, int]:
    """The (height, width) that most results have: operators of the benchmark differ by a pixel here and there."""
    sizes = collections.Counter(_size(path) for path in published.values())
    return max(sizes, key=lambda size: (sizes[size], size))


def _size(path: Path) -> tuple[int, int]:
    try:
        with open_plain(path) as file, PIL.Image.open(file) as picture:
            return picture.height, picture.width
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error}): restore or remove it") from None
