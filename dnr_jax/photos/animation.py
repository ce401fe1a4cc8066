"""Reads the frames and the timing of animations from GIF, WebP, PNG and AVIF, and writes GIF, WebP and PNG."""

import io
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image
from PIL.PngImagePlugin import PngImageFile

from dnr_jax.photos.kinds import Animation, Frame, Kind, Mode

MOVING_FORMATS = ("GIF", "WEBP", "PNG")
"""The formats that animations may be written as."""
Picture = tuple[np.ndarray, np.ndarray | None]
"""Colours, float32 [H, W, 3] in [0, 255], and alpha, float32 [H, W] in [0, 1], or None for an opaque picture."""


def frame_count(image: PIL.Image.Image) -> int:
    """How many pictures of a sequence (or pages of a TIFF) an opened file holds.

    The other pictures in a phone's JPEG are previews and depth maps, and those of a PSD its layers: they do not count.
    """
    if image.format not in (*MOVING_FORMATS, "AVIF", "TIFF", "FLI"):
        return 1
    count = int(getattr(image, "n_frames", 1))
    return count - 1 if _has_default(image) else count


def read_frames(image: PIL.Image.Image, count: int) -> tuple[list[Picture], Kind]:
    """Reads all frames of an opened file, each composited whole; gives them with a kind that holds mode and timing.

    Args:
      image: the opened file.
      count: how many frames it has, as `frame_count` says.
    """
    first = int(_has_default(image))
    mode: Mode = "palette" if image.format == "GIF" or image.mode == "P" else "rgb"
    if image.mode in ("1", "L", "LA") and image.format != "GIF":
        mode = "grey"
    pictures, durations = [], []
    for index in range(first, first + count):
        image.seek(index)
        image.load()
        rgba = np.asarray(image.convert("RGBA")).astype(np.float32)
        pictures.append((rgba[..., :3], rgba[..., 3] / np.float32(255)))
        durations.append(max(0, round(image.info.get("duration") or 0)))
    plays = image.info.get("loop", 0)
    if image.format == "GIF":  # Says how often it runs again, if it does at all.
        plays = plays + bool(plays) if "loop" in image.info else 1
    return pictures, Kind(mode=mode, animation=Animation(tuple(durations), plays))


def used_colours(frame: Frame) -> bytes | None:
    """The colours of a frame as uint8 RGBA quadruples, each once; None if there are more than 256."""
    packed = np.unique(pack(frame.straight, frame.alpha))
    return packed.astype("<u4").tobytes() if packed.size <= 256 else None


def pack(colours: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Rounds each pixel to RGBA bytes in one number, uint32 [H, W]; all fully transparent pixels get the same one.

    Args:
      colours: float [H, W, 3] in [0, 255].
      alpha: float [H, W] in [0, 1]; None for an opaque picture.
    """
    r, g, b = (_bytes(colours[..., channel]) for channel in range(3))
    if alpha is None:
        return r | g << 8 | b << 16 | np.uint32(255 << 24)
    a = _bytes(255 * alpha)
    return np.where(a == 0, np.uint32(0), r | g << 8 | b << 16 | a << 24)


def palette_image(colours: np.ndarray, alpha: np.ndarray | None, palette: bytes | None) -> PIL.Image.Image:
    """A "P" image whose pixels take the nearest colour of the palette (premultiplied, so hidden ones are all alike).

    The photo's own palette is used, without dithering: what was flat stays flat, what is unchanged is exact, and the
    result never has more colours. Without one, 256 colours are chosen by median cut.

    Args:
      colours: float [H, W, 3] in [0, 255].
      alpha: float [H, W] in [0, 1]; None for an opaque picture.
      palette: the colours to choose from, as uint8 RGBA quadruples; None to choose new ones.
    """
    if palette is None:
        return _chosen_palette(colours, alpha)
    entries = np.frombuffer(palette, np.uint8).reshape(-1, 4)
    if alpha is None and not (entries[:, 3] == 255).all():
        entries = np.concatenate([entries[:, :3], np.full_like(entries[:, :1], 255)], 1)
    packed, index = np.unique(pack(colours, alpha), return_inverse=True)
    wanted = _premultiplied(packed.astype("<u4").view(np.uint8).reshape(-1, 4))
    offered = _premultiplied(entries)
    nearest = np.empty(len(wanted), np.uint8)
    for start in range(0, len(wanted), 1 << 14):
        part = wanted[start : start + (1 << 14)]
        distance = (offered * offered).sum(1) - 2 * part @ offered.T
        nearest[start : start + (1 << 14)] = distance.argmin(1)
    image = PIL.Image.fromarray(nearest[index].reshape(colours.shape[:2]), "P")
    image.putpalette(entries[:, :3].tobytes())
    return _with_transparency(image, entries[:, 3])


def encode_frames(images: Sequence[PIL.Image.Image], kind: Kind, file_format: str, options: dict[str, Any]) -> bytes:
    """The bytes of an animation.

    GIF counts time in hundredths of a second; there, what rounding takes from one frame is given to the next.

    Args:
      images: whole frames, all of them "P", "RGB" or "RGBA" images.
      kind: holds the timing.
      file_format: one of `MOVING_FORMATS`.
      options: further arguments of Pillow's `save`.
    """
    assert kind.animation is not None
    durations, plays = list(kind.animation.durations), kind.animation.plays
    options = {**options, "save_all": True, "append_images": list(images[1:])}
    if file_format == "GIF":
        ends = [round(end / 10) * 10 for end in itertools.accumulate(durations, initial=0)]
        durations = [end - start for start, end in itertools.pairwise(ends)]
        transparent = any("transparency" in image.info for image in images)
        options |= {"optimize": False, "disposal": 2 if transparent else 1}
        if plays != 1:
            options["loop"] = plays - 1 if plays else 0
    else:
        options["loop"] = plays
    if file_format == "PNG":
        options |= {"disposal": 0, "blend": 0}
    buffer = io.BytesIO()
    images[0].save(buffer, file_format, duration=durations, **options)
    return buffer.getvalue()


def _chosen_palette(colours: np.ndarray, alpha: np.ndarray | None) -> PIL.Image.Image:
    flat = PIL.Image.fromarray(np.rint(np.clip(colours, 0, 255)).astype(np.uint8))
    if alpha is None:
        return flat.quantize(256, dither=PIL.Image.Dither.NONE)
    image = flat.quantize(255, dither=PIL.Image.Dither.NONE)
    index = np.where(alpha >= 0.5, np.asarray(image), 255).astype(np.uint8)
    palette = (image.getpalette() or []) + [0] * 768
    image = PIL.Image.fromarray(index, "P")
    image.putpalette(palette[:768])
    return _with_transparency(image, np.where(np.arange(256) == 255, 0, 255))


def _with_transparency(image: PIL.Image.Image, alphas: np.ndarray) -> PIL.Image.Image:
    """Marks the transparent colours of a palette: a single hidden one by its index, else the alpha of every colour."""
    clear = np.flatnonzero(alphas < 255)
    if clear.size == 1 and alphas[clear[0]] == 0:
        image.info["transparency"] = int(clear[0])
    elif clear.size:
        image.info["transparency"] = alphas.astype(np.uint8).tobytes()
    return image


def _premultiplied(rgba: np.ndarray) -> np.ndarray:
    values = rgba.astype(np.float32)
    return np.concatenate([values[:, :3] * values[:, 3:] / 255, values[:, 3:]], 1)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint32)


def _has_default(image: PIL.Image.Image) -> bool:
    """Whether a PNG's first picture is a stand-in that is no part of its animation."""
    return isinstance(image, PngImageFile) and bool(image.default_image)
