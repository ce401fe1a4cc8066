"""Runs methods on photos and measures the results; those that were made with the same settings before are read instead.

OUT/results/PHOTO/source.png          the photo, scaled as it was asked
OUT/results/PHOTO/importance.png      the judge's importance map
OUT/results/PHOTO/METHOD.png          the result
OUT/results/PHOTO/METHOD.map.png      DNR's effective importance (Fig. 9)
OUT/results/PHOTO/METHOD.json         by what settings they were made, how long it took, the measures
"""

import dataclasses
import hashlib
import io
import json
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image

from dnr_jax.atomic import write_atomically
from dnr_jax.baselines import METHODS, Context
from dnr_jax.evaluation.dataset import Case
from dnr_jax.evaluation.measures import Judge
from dnr_jax.evaluation.outlines import Outlines, draw_objects
from dnr_jax.evaluation.rivals import Method
from dnr_jax.inspection import drawing
from dnr_jax.inspection.sections import effective_map, pass_map
from dnr_jax.metrics.pairs import area_scale
from dnr_jax.photos.files import read_image
from dnr_jax.pipeline import retarget
from dnr_jax.plain_files import open_plain
from dnr_jax.progress import Progress
from dnr_jax.result import Result
from dnr_jax.shell.sizes import parse_side, parse_target
from dnr_jax.weights import Weights


class Scored(NamedTuple):
    """A result and what was measured of it.

    Attributes:
      photo: the name of the photo's case.
      method: the name of the method.
      image: the file of the result.
      map_image: the file of DNR's effective importance as a picture; None for other methods.
      size: the (height, width) of the result.
      seconds: how long the method took; not a number for a published result.
      values: the measures, by key.
    """

    photo: str
    method: str
    image: Path
    map_image: Path | None
    size: tuple[int, int]
    seconds: float
    values: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a comparison runs with.

    Attributes:
      out: the directory of results.
      weights: the network of DNR and of other operators.
      judge: the network that measures.
      scale: the factor by which the sides of photos are scaled first.
      width: the target width in pixels or percent, where the data set says none; None for the photo's own.
      height: the target height, likewise.
      aspect: the aspect, width to height, that every photo is to have; None for the sizes of the data set.
      outlines: the outlines of objects, by the name of the photo.
      recompute: whether to run and measure everything anew.
    """

    out: Path
    weights: Weights
    judge: Judge
    scale: float = 1.0
    width: str | None = None
    height: str | None = None
    aspect: str | None = None
    outlines: Mapping[str, Outlines] = dataclasses.field(default_factory=dict)
    recompute: bool = False

    @cached_property
    def digests(self) -> dict[str, str]:
        """The digests of DNR's network ("weights") and of what the judge measures with."""
        judge = {"weights": self.judge.weights.network.sha256, "tap": self.judge.tap}
        return {"weights": self.weights.network.sha256, "judge": _digest(judge)}


class Subject:
    """One photo of the data set, as a case and the settings have it; its file is read when it is first needed."""

    def __init__(self, case: Case, settings: Settings):
        self.case = case
        self.folder = settings.out / "results" / case.name
        self._settings = settings

    @cached_property
    def image(self) -> np.ndarray:
        """The photo as the methods get it, uint8 [H, W, 3], scaled by the settings' factor."""
        return _scaled(read_image(self.case.source), self._settings.scale)

    @cached_property
    def target(self) -> tuple[int, int]:
        """The (height, width) that methods have to make."""
        if self._settings.aspect is not None:
            wanted = parse_target((self.image.shape[0], self.image.shape[1]), aspect=self._settings.aspect)
            return wanted.height, wanted.width
        if self.case.target is not None:
            return _scaled_size(self.case.target, self._settings.scale)
        if self._settings.width is None and self._settings.height is None:
            raise ValueError(f"the data set says no size for {self.case.name}: give --width or --height")
        sides = zip(("height", "width"), (self._settings.height, self._settings.width), self.image.shape, strict=False)
        height, width = (parse_side(name, text, has) for name, text, has in sides)
        return height, width

    @cached_property
    def importance(self) -> np.ndarray:
        """The photo's importance by the judge, float32 [H, W]."""
        return self._settings.judge.importance(self.image)

    @cached_property
    def objects(self) -> np.ndarray | None:
        """The outlined objects, bool [n, H, W]; None where there are none, or where they were drawn at another size."""
        outlines, shape = self._settings.outlines.get(self.case.name), (self.image.shape[0], self.image.shape[1])
        if outlines is None or _scaled_size(outlines.size, self._settings.scale) != shape:
            return None
        return draw_objects(outlines, shape)

    @cached_property
    def digest(self) -> str:
        """A SHA-256 of the scaled photo's pixels."""
        return _digest([self.image.shape, hashlib.sha256(self.image.tobytes()).hexdigest()])

    @property
    def source_file(self) -> Path:
        """The file that the scaled photo is written to."""
        return self.folder / "source.png"

    @property
    def importance_file(self) -> Path:
        """The file that the judge's importance is drawn into."""
        return self.folder / "importance.png"


def run_all(
    cases: Sequence[Case], methods: Sequence[Method], settings: Settings, *, progress: Progress | None = None
) -> list[Scored]:
    """Runs every method on every photo; published results that a photo lacks are left out.

    Every result is written to disk at once: after a failure or an interrupt the next call goes on from there.

    Args:
      cases: the photos.
      methods: the methods to run.
      settings: what the comparison runs with.
      progress: called after each result, and as the long stages of a method advance; None for nobody.

    Raises:
      ValueError: a photo or result cannot be read, or a target cannot be met; the message says whose.
      OSError: a file cannot be written.
    """
    outcomes = []
    for number, case in enumerate(cases):
        photo = Subject(case, settings)
        photo.folder.mkdir(parents=True, exist_ok=True)
        _write_pictures(photo, settings)
        for place, method in enumerate(methods):
            if method.published is not None and method.published not in case.published:
                continue
            try:
                outcomes.append(run_one(photo, method, settings, progress=progress))
            except (ValueError, FloatingPointError) as error:
                raise ValueError(f"{case.name}, {method.name}: {error}") from error
            if progress is not None:
                progress("comparison", number * len(methods) + place + 1, len(cases) * len(methods))
    return outcomes


def run_one(photo: Subject, method: Method, settings: Settings, *, progress: Progress | None = None) -> Scored:
    """Runs one method on one photo and measures the result, or reads what an earlier call of the same settings left."""
    image_file, record_file = (photo.folder / f"{method.slug}.{suffix}" for suffix in ("png", "json"))
    map_file = photo.folder / f"{method.slug}.map.png" if method.config is not None else None
    key = _result_key(photo, method, settings)
    record = {} if settings.recompute else _read_record(record_file)
    files = [file for file in (image_file, map_file) if file is not None]
    if record.get("key") != key or not all(file.is_file() for file in files):
        start = time.perf_counter()
        image, drawn, seconds = _make(photo, method, settings, progress)
        if seconds is None:
            seconds = time.perf_counter() - start
        if map_file is not None and drawn is not None:
            write_atomically(map_file, _png(drawn))
        write_atomically(image_file, _png(image))
        record = {"key": key, "photo": photo.case.name, "method": method.name, "seconds": round(seconds, 3)}
        record["size"] = image.shape[:2]
        _write_record(record_file, record)
    outlined = None if photo.objects is None else hashlib.sha256(photo.objects.tobytes()).hexdigest()
    measured = _digest([key, photo.digest, settings.digests["judge"], outlined, version("dnr_jax")])
    if record.get("measured") != measured:
        values = settings.judge.measure(photo.image, read_image(image_file), photo.importance, objects=photo.objects)
        record |= {"measured": measured, "values": values}
        _write_record(record_file, record)
    seconds = float("nan") if method.published is not None else record["seconds"]
    size = (record["size"][0], record["size"][1])
    return Scored(photo.case.name, method.name, image_file, map_file, size, seconds, record["values"])


def _result_key(photo: Subject, method: Method, settings: Settings) -> str:
    """A digest of everything that a result depends on."""
    inputs: dict[str, Any] = {"photo": photo.digest, "target": photo.target, "version": version("dnr_jax")}
    if method.config is not None:
        inputs |= {"config": dataclasses.asdict(method.config), "weights": settings.digests["weights"]}
    elif method.operator is not None:
        inputs |= {"operator": method.operator}
        if METHODS[method.operator].needs_network:
            inputs |= {"weights": settings.digests["weights"]}
    else:
        file = photo.case.published[method.published or ""]
        with open_plain(file) as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        inputs |= {"published": digest, "scale": settings.scale}
    return _digest(inputs)


def _make(
    photo: Subject, method: Method, settings: Settings, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray | None, float | None]:
    """Makes a result: its image, uint8 [H', W', 3], and for DNR the effective map as a picture and its seconds."""
    if method.config is not None:
        result = retarget(photo.image, photo.target, method.config, settings.weights, progress=progress)
        return result.image, _draw_map(result, method), sum(result.record["seconds"].values())
    if method.operator is not None:
        context = Context(network=settings.weights.network, progress=progress)
        image = METHODS[method.operator](photo.image, photo.target, context)
        if image.shape != (*photo.target, 3):
            raise ValueError(f"the result has shape {image.shape}, not {(*photo.target, 3)}")
        return image, None, None
    return _scaled(read_image(photo.case.published[method.published or ""]), settings.scale), None, None


def _draw_map(result: Result, method: Method) -> np.ndarray:
    """Draws the effective importance of the first pass of seams, or the plain sum of the maps where no seam went."""
    assert method.config is not None
    taps = result.record["taps"]
    if result.passes:
        return drawing.colour_map(pass_map(result.passes[0], taps))
    return drawing.colour_map(effective_map(result.importance, taps, result.record["size"]))


def _write_pictures(photo: Subject, settings: Settings) -> None:
    """Writes the scaled photo and the judge's map, unless the same are there already."""
    record_file = photo.folder / "source.json"
    key = _digest([photo.digest, settings.digests["judge"]])
    there = photo.source_file.is_file() and photo.importance_file.is_file()
    if there and not settings.recompute and _read_record(record_file).get("key") == key:
        return
    write_atomically(photo.source_file, _png(photo.image))
    write_atomically(photo.importance_file, _png(drawing.colour_map(photo.importance)))
    _write_record(record_file, {"key": key})


def _scaled_size(size: Sequence[int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _scaled(image: np.ndarray, scale: float) -> np.ndarray:
    scaled = area_scale(image.astype(np.float32), _scaled_size(image.shape, scale))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read_record(path: Path) -> dict[str, Any]:
    """Reads a record; it is empty where there is none or it is damaged, so that the work is done again."""
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write_record(path: Path, record: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(record, indent=1).encode())
