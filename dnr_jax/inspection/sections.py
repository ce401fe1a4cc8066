"""Draws every intermediate result of a run, in the order of the method, and writes the page that shows them."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image

from dnr_jax.atomic import write_atomically
from dnr_jax.config import RetargetConfig
from dnr_jax.inspection import drawing
from dnr_jax.inspection.curve import curve_svg, draw_curve
from dnr_jax.inspection.page import Chapter, Figure, render_page
from dnr_jax.inspection.table import count, show_size, stop_reason, table_rows
from dnr_jax.padding import traced_size
from dnr_jax.planning.importance import aggregate
from dnr_jax.planning.objects import object_level
from dnr_jax.planning.passes import Pass, replay
from dnr_jax.planning.sides import AXES, turned
from dnr_jax.planning.warp import Warp, uniform_warp, warp_width
from dnr_jax.result import Result

_COMPRESSION = 1  # Quick: a run of a large photo draws dozens of full-size pictures.
_WHEEL = 96
_PATCH, _PATCH_ZOOM = 96, 4


class Picture(NamedTuple):
    """One picture of a section: the name of its file without extension, pixels, caption, and an <svg> of the same."""

    name: str
    pixels: np.ndarray
    caption: str
    svg: str | None = None


class Section(NamedTuple):
    """One step of the method: its title, a few sentences of plain text, and pictures."""

    title: str
    text: str
    pictures: list[Picture]


def write_inspection(directory: Path, photo: np.ndarray, result: Result, config: RetargetConfig) -> None:
    """Writes a picture of every intermediate result as PNG, and last an index.html that shows them in order.

    Every file appears whole or not at all. Files of the same names are replaced, others are left alone.

    Args:
      directory: the folder of the files; it is made where it is missing.
      photo: the photo that `retarget` was called with, uint8 or float [H, W, 3] in [0, 255].
      result: what `retarget` returned.
      config: the options that `retarget` was called with.

    Raises:
      ValueError: `directory` is a file, or below one.
      OSError: a file cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(f"{directory} is no directory: name one to write the inspection to") from None
    config, chapters = config.resolve(result.record["size"]), []
    for section in draw_sections(photo, result, config):
        figures = []
        for picture in section.pictures:
            file = f"{picture.name}.png"
            write_atomically(directory / file, _encode(picture.pixels))
            height, width = picture.pixels.shape[:2]
            figures.append(Figure(file, (height, width), picture.caption, picture.svg))
        chapters.append(Chapter(section.title, section.text, figures))
    title = f"Retargeting from {show_size(result.record['size'])} to {show_size(result.record['target_size'])}"
    page = render_page(title, chapters, table_rows(result, config))
    write_atomically(directory / "index.html", page.encode())


def draw_sections(photo: np.ndarray, result: Result, config: RetargetConfig) -> Iterator[Section]:
    """Draws a run, one step of the method after the other; takes the arguments of `write_inspection`."""
    picture, config = drawing.to_picture(photo), config.resolve(result.record["size"])
    yield Section("Photo", "What was given.", [Picture("1_photo", picture, show_size(picture.shape))])
    yield _objects(picture, result, config)
    yield _importance(picture, result, config)
    if result.passes:
        yield _seams(picture, result, config)
    yield _starts(picture, result, config)
    yield _reconstruction(result)
    yield _refinement(result)
    if result.warps:
        yield _warps(result)
    final = drawing.to_picture(result.image)
    yield Section("Result", "The retargeted photo.", [Picture("8_result", final, show_size(final.shape))])


def _objects(photo: np.ndarray, result: Result, config: RetargetConfig) -> Section:
    size, pictures = (photo.shape[0], photo.shape[1]), []
    seen = result.sight
    if seen is not None:
        maps = {
            "salience": (seen.objects, "Salience"),
            "faces": (seen.face_map, f"Faces: {len(seen.faces)} found"),
            "words": (seen.word_map, f"Words: {count(len(seen.words), 'line')} found"),
        }
        for name, (values, title) in maps.items():
            if values is not None:
                whole = PIL.Image.fromarray(values).resize(size[::-1], PIL.Image.Resampling.BILINEAR)
                caption = f"{title}, from {values.min():.2f} (blue) to {values.max():.2f}"
                pictures.append(Picture(f"2_{name}", drawing.colour_map(np.asarray(whole)), caption))
    level = object_level(config.taps)
    drawn = drawing.spread(drawing.colour_map(result.objects), level.stride, size)
    pictures.append(
        Picture("2_objects", drawn, f"What the proportional warp goes by: all of these, and {level.tap}'s importance")
    )
    text = (
        "What the photo is of. Salience, faces and words multiply every map of importance; with what the network"
        " itself finds outstanding they also say what the warp may crop and squeeze."
    )
    return Section("Objects", text, pictures)


def _importance(photo: np.ndarray, result: Result, config: RetargetConfig) -> Section:
    size, pictures = (photo.shape[0], photo.shape[1]), []
    for level, values in zip(config.levels, result.importance, strict=True):
        drawn = drawing.spread(drawing.colour_map(values), level.stride, size)
        caption = (
            f"{level.tap}: {show_size(values.shape)} neurons, from {values.min():.4g} (blue) to {values.max():.4g}"
        )
        pictures.append(Picture(f"2_importance_{level.tap}", drawn, caption))
    if not result.passes:
        drawn = drawing.colour_map(effective_map(result.importance, config.taps, size))
        pictures.append(Picture("2_effective", drawn, "Effective importance: the sum of the maps"))
    for number, step in enumerate(result.passes, 1):
        values = pass_map(step, config.taps)
        pictures.append(
            Picture(
                f"2_effective_{number}_{step.side}",
                drawing.colour_map(values),
                f"Effective importance for pass {number}, from {values.min():.3g} to {values.max():.3g}",
            )
        )
    text = (
        "Importance is the length of each neuron's feature vector (Fig. 4). The effective map (Fig. 9) sums the maps"
        " that the seams were found on, each divided by its mean, lowered where deeper seams lead the way."
    )
    return Section("Importance", text, pictures)


def effective_map(maps: tuple[np.ndarray, ...], taps: tuple[str, ...], size: tuple[int, int]) -> np.ndarray:
    """The effective importance (Fig. 9), float32 of `size`: the sum of the maps, each divided by its mean, upsampled.

    Args:
      maps: the map of each tap, float32 [h_l, w_l], of which the part that belongs to `size` counts.
      taps: the names of the taps.
      size: the (height, width) of the image that the seams were found in.
    """
    return np.asarray(_aggregate(maps, traced_size(size), taps=taps, shape=size))


def pass_map(step: Pass, taps: tuple[str, ...]) -> np.ndarray:
    """The effective importance that the seams of one pass were found on, float32 of the size before the pass."""
    return effective_map(turned(jax.device_get(step.carving.guided), step.side), taps, step.size)


def _seams(photo: np.ndarray, result: Result, config: RetargetConfig) -> Section:
    pictures = []
    for number, step in enumerate(result.passes, 1):
        ground = _after(photo, result.passes[: number - 1], config)
        recorded = result.record["passes"][number - 1]
        reason = stop_reason(recorded, result.record["importance_threshold"], config)
        title = f"Pass {number}, seams to {recorded['action']} from the {step.side}"
        for level, seams in reversed(list(zip(config.levels, step.carving.levels, strict=True))):
            removed = int(seams.removed)
            ranks = np.where(np.asarray(seams.order) < removed, np.asarray(seams.order), -1)
            # Past the valid part of a map no seam can pass; what pooling left over belongs to the last neuron.
            valid = [max(1, n) for n in level.size(ground.shape)]
            ranks = turned(ranks, step.side)[: valid[0], : valid[1]]
            detail = reason if level == config.levels[-1] else f"{level.tap}: {count(removed, 'seam')}"
            drawn = drawing.draw_seams(ground, ranks, level.stride)
            pictures.append(Picture(f"3_seams_{number}_{step.side}_{level.tap}", drawn, f"{title}, {detail}"))
    text = (
        "From the deepest level to the finest, each level's seams lead those of the next (Fig. 5, 6). The first seam"
        " is red, the last one yellow. Each pass is drawn over what the passes before it left."
    )
    return Section("Seams", text, pictures)


def _starts(photo: np.ndarray, result: Result, config: RetargetConfig) -> Section:
    mid = result.record["intermediate_size"]
    chosen = drawing.to_picture(result.start)
    names = {"seam": "the seam-carved photo", "linear": "the uniformly scaled photo", "noise": "noise"}
    pictures = [Picture(f"4_start_{config.init}", chosen, f"The start: {names[config.init]}, {show_size(mid)}")]
    if config.init != "seam" and result.passes:
        carved = _after(photo, result.passes, config)
        pictures.append(Picture("4_start_seam", carved, "For comparison: the seam-carved photo"))
    if config.init != "linear":
        pictures.append(Picture("4_start_linear", _scale(photo, mid), "For comparison: the uniformly scaled photo"))
    if result.warps:
        warped = result.start
        for side, warp in result.warps.items():
            warped = _warp_columns(warped, side, warp)
        caption = f"The start through the warp, {show_size(warped.shape)}"
        pictures.append(Picture("4_start_warped", drawing.to_picture(warped), caption))
    return Section("Starting images", "What the reconstruction began with, and what it could have.", pictures)


def _reconstruction(result: Result) -> Section:
    pictures = [
        Picture(f"5_reconstruction_{step:05}", drawing.to_picture(image), f"After step {step}")
        for step, image in result.snapshots
    ]
    pictures.append(_curve("5_loss_reconstruction", "reconstruction", result))
    text = "Pixels change until their features are those that the seams left (Fig. 1, 3); the loss after each step."
    return Section("Reconstruction", text, pictures)


def _refinement(result: Result) -> Section:
    before, after = drawing.to_picture(result.reconstructed), drawing.to_picture(result.refined)
    field, scale = drawing.draw_displacement(result.displacement)
    patch = drawing.most_moved(result.displacement, _PATCH)
    pair = np.concatenate([before[patch], after[patch]], 1)
    zoomed = pair.repeat(_PATCH_ZOOM, 0).repeat(_PATCH_ZOOM, 1)
    pictures = [
        Picture("6_before", before, "Before: the reconstruction"),
        Picture("6_after", after, "After"),
        Picture("6_patch", zoomed, f"Where most moved, {_PATCH_ZOOM} times as large: before, after"),
        Picture("6_displacement", field, f"Displacements; full colour is {scale:.3g} pixels"),
        Picture("6_wheel", drawing.draw_wheel(_WHEEL), "Key: where each pixel reads from"),
        _curve("6_loss_refinement", "refinement", result),
    ]
    text = "A sampler shifts pixels by fractions to lower the same loss, which evens out artefacts (Fig. 8)."
    return Section("Refinement", text, pictures)


def _warps(result: Result) -> Section:
    pictures, image = [], result.refined
    for side, warp in result.warps.items():
        warped = _warp_columns(image, side, warp)
        before, after = turned((drawing.to_picture(image), drawing.to_picture(warped)), side)
        drawn = drawing.draw_cells(before, after, np.asarray(warp.old_edges), np.asarray(warp.new_edges))
        cells = int((np.diff(np.asarray(warp.old_edges)) > 0).sum())
        window = f"pixels {warp.old_edges[0]:g} to {warp.old_edges[-1]:g}"
        caption = f"{side}: {count(cells, 'cell')} in {window} of {before.shape[1]}, and in {warp.new_edges[-1]:g}"
        pictures.append(Picture(f"7_warp_{side}", turned(drawn, side), caption))
        image = warped
    text = (
        "What the seams left to do, cells of pixels do by changing their sizes, plain ones most; what lies before"
        " the first or past the last is cropped. The bars join each cell's old edges to its new ones; the more of its"
        " size it keeps, the yellower it is."
    )
    return Section("Warp", text, pictures)


def _curve(name: str, stage: str, result: Result) -> Picture:
    losses = result.record[stage]["losses"]
    caption = f"The loss of the {stage}, from {losses[0]:.4g} to {losses[-1]:.4g}"
    return Picture(name, draw_curve(losses), caption, curve_svg(losses, caption))


def _after(photo: np.ndarray, passes: Sequence[Pass], config: RetargetConfig) -> np.ndarray:
    """The photo after some passes of seams; uniformly scaled where no tap has the resolution of pixels."""
    if not passes:
        return photo
    size = passes[-1].new_size
    if not config.full_resolution:
        return _scale(photo, size)
    carved = replay(list(passes), jnp.asarray(photo, jnp.float32), 0, config)
    return drawing.to_picture(np.asarray(carved[: size[0], : size[1]]))


def _scale(photo: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    scaled = np.asarray(photo, np.float32)
    for side, axis in AXES.items():
        scaled = _warp_columns(scaled, side, uniform_warp(photo.shape[axis], size[axis]))
    return drawing.to_picture(scaled)


def _warp_columns(image: np.ndarray, side: str, warp: Warp) -> np.ndarray:
    lying = jnp.asarray(turned(image, side), jnp.float32)
    return turned(np.asarray(warp_width(lying, warp, int(warp.new_edges[-1]))), side)


def _encode(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()


_aggregate = jax.jit(aggregate, static_argnames=("taps", "shape"))
