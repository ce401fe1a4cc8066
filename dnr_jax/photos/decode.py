"""Decodes the bytes of a photo file into a `Photo`; whatever they hold, the only error is a `PhotoError`."""

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import PIL.Image
from PIL.ImageFile import ImageFile

from dnr_jax.photos.animation import frame_count, read_frames, used_colours
from dnr_jax.photos.colour_profiles import profile_space, srgb_profile, take_inks, take_rgb
from dnr_jax.photos.deep_pixels import colour_key, is_deep, read_deep
from dnr_jax.photos.kinds import Kind, Mode, Photo, PhotoError, make_frame
from dnr_jax.photos.metadata import Metadata, read_metadata

Frames = Literal["refuse", "all"]

BARRED = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")
"""Formats that Pillow knows by name, but decodes with another program or not at all."""
_SIGNATURES = (
    *(b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"II*\0", b"MM\0*", b"BM", b"\0\0\0\x0cjP", b"8BPS"),
    b"\xff\x4f\xff\x51",
)
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_CONTAINERS = {b"mif1", b"msf1"}
"""The brands of HEIC files, and those of the container that AVIF shares with them."""
_LOSSY = ("JPEG", "MPO", "AVIF", "JPEG2000")
_GREYS = ("1", "L", "LA", "La")
_UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}
"""The function that sets an [H, W, ...] array upright, by its EXIF orientation."""


def decode(data: bytes, name: str, *, max_megapixels: float, frames: Frames) -> Photo:
    """Decodes a photo file. Only one thread at a time may call this, because it silences and limits Pillow as a whole.

    Args:
      data: the bytes of the file.
      name: what the file is called in messages.
      max_megapixels: how many millions of pixels a picture may have, which is checked before it is decoded; all frames
        of an animation together may have four times as many.
      frames: what to do with an animation.

    Raises:
      PhotoError: whatever is wrong with the bytes.
    """
    if not data:
        raise PhotoError(f"{name} is empty: give a photo")
    limit = round(max_megapixels * 1e6)
    with _quiet(limit), _silent_libtiff() if data.startswith((b"II", b"MM")) else contextlib.nullcontext():
        try:
            with _open(data) as image:
                return _decode(image, data, limit, frames)
        except PhotoError as error:
            raise PhotoError(f"{name} {error}") from None
        except PIL.UnidentifiedImageError:
            if data.startswith(_SIGNATURES):
                raise PhotoError(f"{name} is damaged and cannot be read: get a whole copy of it") from None
            if _is_heic(data):
                raise PhotoError(
                    f"{name} is a HEIC photo, which cannot be read: convert it to JPEG first (magick photo.heic"
                    " photo.jpg), or have the phone take its photos as JPEG (Most Compatible)"
                ) from None
            raise PhotoError(f"{name} is no image that can be read: give a JPEG, PNG, WebP or TIFF photo") from None
        except PIL.Image.DecompressionBombError:
            raise PhotoError(f"{name} {_too_large(limit)}") from None
        except MemoryError:
            raise PhotoError(f"{name} needs more memory than there is: give a smaller photo") from None
        except Exception as error:  # Damaged files make Pillow and the libraries below it raise almost anything.
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise PhotoError(f"{name} is damaged and cannot be read ({reason}): get a whole copy of it") from None


def _decode(image: ImageFile, data: bytes, limit: int, frames: Frames) -> Photo:
    """Decodes an opened file of at most `limit` pixels; raises PhotoError without the file's name."""
    width, height = image.size
    if width < 1 or height < 1:
        raise PhotoError("has no pixels: give a photo")
    if width * height > limit:
        raise PhotoError(f"is {width}x{height} and {_too_large(limit)}")
    count = frame_count(image)
    deep = is_deep(image, data)
    if count > 1:
        if image.format == "TIFF":
            raise PhotoError(f"holds {count} pages: give a file of a single one")
        if deep:
            raise PhotoError("is an animation of 16 bits, which 8 bits would cut: reduce it to 8 bits first")
        if frames == "refuse":
            raise PhotoError(f"is an animation of {count} frames: ask for --frames=all, or give a single picture")
        if width * height * count > 4 * limit:
            raise PhotoError(
                f"holds {count} frames of {width}x{height}, in all more than {4 * limit / 1e6:g} megapixels (four"
                " times --max_megapixels): shrink or shorten it first, or raise --max_megapixels"
            )
        pictures, kind = read_frames(image, count)
        profile, metadata = image.info.get("icc_profile"), read_metadata(image)
        still = _Still(pictures, kind.mode, profile if profile_space(profile) == "RGB" else None)
    elif deep:
        values = read_deep(image, lambda: _open(data))
        still, metadata, kind = _deep_still(image, values), read_metadata(image), Kind(depth=16)
    else:
        image.load()
        still, metadata, kind = _shallow_still(image), read_metadata(image), Kind()
    return _photo(image, data, still, metadata, kind)


class _Still(NamedTuple):
    """Pictures as they lie in the file, not yet upright, and how their colours are meant; see `Kind`."""

    pictures: list[tuple[np.ndarray, np.ndarray | None]]
    mode: Mode
    profile: bytes | None
    converted: bool = False
    note: str = ""


def _photo(image: ImageFile, data: bytes, still: _Still, metadata: Metadata, kind: Kind) -> Photo:
    """Sets decoded pictures upright, and makes a photo of them with all that is known of the file."""
    upright = _UPRIGHT[metadata.orientation]
    opaque = all(alpha is None or bool((alpha == 1).all()) for _, alpha in still.pictures)
    frames = []
    for colours, alpha in still.pictures:
        alpha = None if opaque or alpha is None else np.ascontiguousarray(upright(alpha))
        frames.append(make_frame(np.ascontiguousarray(upright(colours)), alpha))
    file_format = {"MPO": "JPEG", "DIB": "BMP"}.get(str(image.format), str(image.format))
    return Photo(
        tuple(frames),
        Kind(
            format=file_format,
            mode=still.mode,
            depth=kind.depth,
            lossless=image.format not in _LOSSY and (image.format != "WEBP" or b"VP8L" in data),
            transparent=not opaque,
            profile=still.profile,
            converted=still.converted,
            exif=metadata.exif,
            dpi=metadata.dpi,
            palettes=tuple(used_colours(frame) for frame in frames) if still.mode == "palette" else (),
            animation=kind.animation,
        ),
        tuple(note for note in (still.note, metadata.note) if note),
    )


def _deep_still(image: ImageFile, values: np.ndarray) -> _Still:
    """A 16-bit picture in the numbers of its profile, since converting them to sRGB would cut them to 8 bits."""
    grey = values.shape[-1] <= 2
    alpha = colour_key(image, values)
    if values.shape[-1] in (2, 4):
        alpha = values[..., -1].astype(np.float32) / np.float32(65535)
        values = values[..., :-1]
    colours = values.astype(np.float32) / np.float32(257)
    if grey:
        colours = np.repeat(colours, 3, -1)
    profile, note = _kept_profile(image, "GRAY" if grey else "RGB")
    return _Still([(colours, alpha)], "grey" if grey else "rgb", profile, note=note)


def _shallow_still(image: PIL.Image.Image) -> _Still:
    """An 8-bit picture, in sRGB where that loses nothing."""
    if image.mode in ("CMYK", "LAB"):
        taken = take_inks(image, image.info.get("icc_profile"))
        return _Still([(_colours(taken.image), None)], "rgb", taken.profile, note=taken.note)
    full, alpha = image, None
    if image.has_transparency_data:
        full = image.convert("L") if image.mode == "1" and "transparency" not in image.info else image
        full = full.convert("RGBA")
        alpha = np.asarray(full.getchannel("A")).astype(np.float32) / np.float32(255)
    flat = full.convert("RGB")
    if image.mode in _GREYS:
        profile, note = _kept_profile(image, "GRAY")
        return _Still([(_colours(flat), alpha)], "grey", profile, note=note)
    palette = image.mode in ("P", "PA")
    taken = take_rgb(flat, image.info.get("icc_profile"), keep=palette)
    mode: Mode = "palette" if palette else "rgb"
    return _Still([(_colours(taken.image), alpha)], mode, taken.profile, taken.converted, taken.note)


def _kept_profile(image: PIL.Image.Image, space: str) -> tuple[bytes | None, str]:
    """The profile that a picture carries on without being converted, and a note about one that is left out."""
    profile = image.info.get("icc_profile")
    if profile is None or profile_space(profile) == space:
        return profile, ""
    if space == "GRAY" and profile_space(profile) == "RGB":
        return None, "" if profile == srgb_profile() else "its colour profile is for RGB, not grey, and is left out"
    return None, "its broken colour profile is ignored"


def _colours(image: PIL.Image.Image) -> np.ndarray:
    return np.asarray(image).astype(np.float32)


def _too_large(limit: int) -> str:
    return f"has more than {limit / 1e6:g} megapixels: shrink it first, or raise --max_megapixels"


def _is_heic(data: bytes) -> bool:
    """Whether the bytes begin as those of a HEIC photo do: with a box that names what the file is compatible with."""
    if data[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(data[:4], "big"), 512)
    brands = {data[start : start + 4] for start in (8, *range(16, end, 4))}
    return bool(brands & _HEIC) or (bool(brands & _CONTAINERS) and not brands & {b"avif", b"avis"})


def _open(data: bytes) -> ImageFile:
    return PIL.Image.open(io.BytesIO(data), formats=[name for name in PIL.Image.ID if name not in BARRED])


@contextlib.contextmanager
def _silent_libtiff() -> Iterator[None]:
    """Points standard error elsewhere while its body runs, because libtiff writes there and cannot be silenced else."""
    try:
        kept = os.dup(2)
    except OSError:  # There is no standard error to keep clean.
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def _quiet(limit: int) -> Iterator[None]:
    """Keeps Pillow from warning and logging about damage that is reported or harmless, and limits the size it opens."""
    PIL.Image.init()
    before, disabled = PIL.Image.MAX_IMAGE_PIXELS, logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        PIL.Image.MAX_IMAGE_PIXELS = max(1, limit)
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = before
            logging.disable(disabled)
