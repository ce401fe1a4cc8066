"""Reads photos and masks of any kind from files or standard input, and writes photos whole or not at all.

`read_photo` gives a `Photo` whose `Kind` remembers what the file was; `write_photo` and `write_animation` write the
same kind again. `read_image` and `write_image` are for scripts: they handle 8-bit RGB, and refuse anything else.
"""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dnr_jax.atomic import check_place, write_atomically
from dnr_jax.photos import MAX_MEGAPIXELS, MOST_MEGAPIXELS
from dnr_jax.photos.animation import Picture
from dnr_jax.photos.decode import Frames, decode
from dnr_jax.photos.encode import FORMATS, check_output, encode_animation, encode_photo
from dnr_jax.photos.kinds import Colour, Kind, Photo, PhotoError
from dnr_jax.photos.luma import luma
from dnr_jax.plain_files import NoPlainFileError, open_plain, shown_name

_URL = re.compile(r"(https?|ftp|file):/", re.IGNORECASE)


def read_photo(source: Path | str, *, max_megapixels: float = MAX_MEGAPIXELS, frames: Frames = "refuse") -> Photo:
    """Reads a photo, sets it upright, and converts its colours to the sRGB working space.

    Args:
      source: the path of the file, or "-" for standard input; its format is found by its content.
      max_megapixels: how many millions of pixels a photo may have, which is checked before it is decoded; all frames of
        an animation together may have four times as many.
      frames: whether to "refuse" animations, or to read "all" their frames.

    Returns:
      The photo, with all that is needed to write a file of the same kind.

    Raises:
      ValueError: the file is no photo, or one that would lose something; the message is one line that names the file
        and the remedy.
    """
    if not 0 < max_megapixels <= MOST_MEGAPIXELS:
        raise ValueError(f"max_megapixels is {max_megapixels}: give a number above 0, {MOST_MEGAPIXELS:.0f} at most")
    if frames not in ("refuse", "all"):
        raise ValueError(f"frames is {frames!r}: choose refuse or all")
    name = _name(source)
    return decode(_read_bytes(source, name, max_megapixels), name, max_megapixels=max_megapixels, frames=frames)


def read_image(path: Path) -> np.ndarray:
    """Reads a photo as uint8 [H, W, 3] RGB, upright.

    Raises:
      ValueError: `read_photo` refuses the file, or 8-bit RGB would lose its transparency or 16 bits.
    """
    photo = read_photo(path)
    if photo.alpha is not None:
        raise PhotoError(f"{_name(path)} has transparency, which would be lost: flatten it onto a background first")
    if photo.kind.depth != 8:
        raise PhotoError(f"{_name(path)} has {photo.kind.depth} bits, which 8 would cut: convert it to 8-bit RGB first")
    return np.rint(photo.pixels).astype(np.uint8)


def read_mask(path: Path | str, size: tuple[int, int], *, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """Reads a mask as bool [H, W], upright: true where it is brighter than half and opaque enough to be so over black.

    Args:
      path: the path of an image of any kind that `read_photo` takes, or "-" for standard input.
      size: the photo's (height, width), which the mask must have.
      max_megapixels: how many millions of pixels the mask may have.

    Raises:
      ValueError: `read_photo` refuses the file, or the mask has another size than the photo.
    """
    return take_mask(read_photo(path, max_megapixels=max_megapixels), _name(path), size)


def read_objects(path: Path | str, size: tuple[int, int], *, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """Reads a map of objects as float32 [H, W] in [0, 1], upright: 1 where the mask is white and opaque.

    The arguments and errors are those of `read_mask`; a mask that is black everywhere is refused as well.
    """
    return take_objects(read_photo(path, max_megapixels=max_megapixels), _name(path), size)


def take_mask(mask: Photo, name: str, size: tuple[int, int]) -> np.ndarray:
    """Makes a mask, bool [H, W] as for `read_mask`, of an image that has been read.

    Args:
      mask: the image.
      name: what the mask is called in messages.
      size: the photo's (height, width), which the mask must have.

    Raises:
      ValueError: the mask has another size than the photo.
    """
    return _greys(mask, name, size) > 127.5


def take_objects(mask: Photo, name: str, size: tuple[int, int]) -> np.ndarray:
    """Makes a map of objects, float32 [H, W] in [0, 1] as for `read_objects`, of an image that has been read.

    Args:
      mask: the image.
      name: what the map is called in messages.
      size: the photo's (height, width), which the map must have.

    Raises:
      ValueError: the map has another size than the photo, or is black everywhere.
    """
    objects = np.clip(_greys(mask, name, size) / 255, 0, 1).astype(np.float32)
    if objects.max() == 0:
        raise PhotoError(f"the mask {name} is black everywhere: mark what the photo is of, or leave it out")
    return objects


def _greys(photo: Photo, name: str, size: tuple[int, int]) -> np.ndarray:
    """The brightness of a mask that is laid on black, float [H, W] in [0, 255]; ValueError for one of another size."""
    if photo.size != tuple(size):
        raise PhotoError(
            f"the mask {name} is {photo.size[1]}x{photo.size[0]} and the photo {size[1]}x{size[0]} (width x"
            " height, upright): give a mask of the photo's size"
        )
    white = luma(photo.straight)
    return white * (1 if photo.alpha is None else photo.alpha)


def output_format(path: Path | str, *, kind: Kind | None = None) -> str:
    """The format to write, as Pillow calls it.

    Args:
      path: the path of the output, whose extension says the format; "-" for standard output, which gets the format of
        the input, or PNG where that cannot hold the photo.
      kind: what the input's file was; None where it is not known.

    Raises:
      ValueError: the extension is none of `FORMATS`.
    """
    if str(path) == "-":
        try:
            check_output(kind or Kind(), (kind or Kind()).format)
        except PhotoError:
            return "PNG"
        return (kind or Kind()).format
    try:
        return FORMATS[Path(path).suffix.lower()]
    except KeyError:
        raise PhotoError(f"cannot write {_name(path)}: name it {', '.join(FORMATS)}") from None


def write_photo(
    path: Path | str,
    pixels: np.ndarray,
    *,
    alpha: np.ndarray | None = None,
    kind: Kind | None = None,
    background: Colour | None = None,
) -> None:
    """Writes a still photo whole or not at all.

    Args:
      path: the file to write, whose extension says the format; "-" for standard output.
      pixels: float or uint8 [H, W, 3] in [0, 255], the colours to store.
      alpha: float [H, W] in [0, 1]; None for an opaque photo.
      kind: what the photo's file was, so that the output is of the same kind; None for 8-bit RGB.
      background: a colour that transparent parts are laid on; None to keep them transparent.

    Raises:
      ValueError: the extension is unknown, the folder is missing, or the format cannot hold the photo.
      OSError: the file cannot be written.
    """
    kind = kind or Kind()
    file_format = output_format(path, kind=kind)
    write_bytes(path, _named(path, lambda: encode_photo(pixels, alpha, kind, file_format, background=background)))


def write_animation(
    path: Path | str, frames: Sequence[Picture], kind: Kind, *, background: Colour | None = None
) -> None:
    """Writes an animation whole or not at all.

    Args:
      path: the file to write, whose extension says the format; "-" for standard output.
      frames: the pixels and the alpha of each frame, as `encode_photo` takes them.
      kind: what the photo's file was, with its timing.
      background: a colour that transparent parts are laid on; None to keep them transparent.

    Raises:
      ValueError: the extension is unknown, the folder is missing, or the format cannot hold the animation.
      OSError: the file cannot be written.
    """
    file_format = output_format(path, kind=kind)
    write_bytes(path, _named(path, lambda: encode_animation(frames, kind, file_format, background=background)))


def write_image(path: Path, image: np.ndarray) -> None:
    """Writes uint8 [H, W, 3] RGB whole or not at all, in the format of the path's extension.

    Raises:
      ValueError: the extension is unknown or GIF's, or the folder is missing.
      OSError: the file cannot be written.
    """
    write_photo(path, image)


def check_writable(path: Path | str) -> None:
    """Refuses an output path that cannot be written to, before anything is computed.

    Raises:
      ValueError: as `dnr_jax.atomic.check_place` has it; "-" is always fine.
    """
    if str(path) != "-":
        check_place(Path(path))


def write_bytes(path: Path | str, data: bytes) -> None:
    """Writes bytes whole or not at all; to standard output for "-".

    Raises:
      ValueError: `check_writable` refuses the path.
      OSError: the file cannot be written; the error names it.
    """
    check_writable(path)
    if str(path) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        write_atomically(Path(path), data)
    except OSError as error:
        reason = f"{error.strerror or error}: nothing written, choose another place or make room"
        raise OSError(error.errno, reason, str(path)) from None


def _named(path: Path | str, encode: Callable[[], bytes]) -> bytes:
    try:
        return encode()
    except PhotoError as error:
        raise PhotoError(f"{_name(path)}: {error}") from None


def _read_bytes(source: Path | str, name: str, max_megapixels: float) -> bytes:
    most = round(max_megapixels * 1e6) * 64 + (64 << 20)  # Room for 16-bit RGBA, metadata and several frames.
    try:
        if str(source) == "-":
            if sys.stdin is None:
                raise PhotoError("standard input is closed: pipe a photo into it")
            data = _read_at_most(sys.stdin.buffer, most + 1)
        elif _URL.match(str(source)):
            raise PhotoError(
                f"{name} is an address, not a file: fetch it, for instance curl -sL ADDRESS | python -m dnr_jax.resize"
                " --input=-"
            )
        else:
            with open_plain(source) as file:
                data = _read_at_most(file, most + 1)
    except FileNotFoundError:
        raise PhotoError(f"no such file: {name} (check the path)") from None
    except PhotoError:
        raise
    except NoPlainFileError as error:
        remedy = "give a photo, or send it to --input=-" if error.what == "a named pipe" else "give a photo"
        raise PhotoError(f"{name} is {error.what}, not a file: {remedy}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise PhotoError(f"{name} cannot be read ({reason}): give a photo that can be opened") from None
    if len(data) > most:
        raise PhotoError(f"{name} is larger than any photo of {max_megapixels:g} megapixels: raise --max_megapixels")
    return data


def _read_at_most(file: BinaryIO, most: int) -> bytes:
    """Reads up to `most` bytes in pieces; asked for all at once, Python would first set aside memory for so many."""
    parts, left = [], most
    while left > 0 and (part := file.read(min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _name(source: Path | str) -> str:
    """What a file is called in messages."""
    return "standard input" if str(source) == "-" else shown_name(source)
