"""What worker processes do: a file to arrays, and arrays to a file. Needs no JAX."""

import hashlib
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image

from dnr_jax.atomic import write_atomically
from dnr_jax.batch.entries import Entry
from dnr_jax.batch.ledger import file_stat, files_sha256
from dnr_jax.photos import files
from dnr_jax.photos.decode import Frames
from dnr_jax.photos.encode import FORMATS, encode_animation, encode_photo
from dnr_jax.photos.kinds import Colour, Kind, PhotoError, frame_arrays, stored_pictures
from dnr_jax.photos.scaling import scale_pixels
from dnr_jax.plain_files import open_plain

_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)


class Header(NamedTuple):
    """What a file says of itself before it is decoded.

    Attributes:
      size: upright (height, width).
      alone: why the photo cannot share a batch; empty where it can.
      opacity: whether it may be transparent somewhere.
    """

    size: tuple[int, int]
    alone: str
    opacity: bool


class Decoded(NamedTuple):
    """A photo ready for the devices.

    Attributes:
      frames: [H, W, 3], or with opacity [H, W, 4], in [0, 255]; uint8 where that is exact, else float32.
      kind: what the file was.
      masks: name -> bool [H, W].
      input_sha256: of the photo and its masks.
      stat: of the files, from before they were read.
      notes: what a person should know of.
      seconds: it took.
    """

    frames: list[np.ndarray]
    kind: Kind
    masks: dict[str, np.ndarray]
    input_sha256: str
    stat: tuple[tuple[int, int], ...]
    notes: tuple[str, ...]
    seconds: float


class Written(NamedTuple):
    """Length of a file in bytes, and how many seconds it took."""

    output_bytes: int
    seconds: float


def read_header(entry: Entry) -> Header:
    """The size, and whether the photo must go alone, from the file's first bytes.

    Raises:
      ValueError, OSError: it cannot be opened; decoding says why.
    """
    with open_plain(entry.path) as file, PIL.Image.open(file) as image:
        width, height = image.size
        turned = image.getexif().get(_ORIENTATION) in _TURNED
        alone = ""
        if entry.remove is not None:
            alone = "something to remove"
        elif getattr(image, "n_frames", 1) > 1:
            alone = "frames"
        opacity = image.has_transparency_data
    return Header((width, height) if turned else (height, width), alone, opacity)


def output_kind(path: str) -> str:
    """The format of an output's extension; PhotoError for one that cannot be written."""
    try:
        return FORMATS[Path(path).suffix.lower()]
    except KeyError:
        raise PhotoError(
            f"cannot write {path}: give --fallback_format=png, --format=png (or another), or name its output"
        ) from None


def decode_entry(entry: Entry, max_megapixels: float, frames: Frames) -> Decoded:
    """Reads one photo and its masks.

    Raises:
      ValueError: as `photos.files` has it.
      OSError: as the file system has it.
    """
    start = time.perf_counter()
    photo = files.read_photo(entry.path, max_megapixels=max_megapixels, frames=frames)
    stat = file_stat(entry.files)
    masks = {
        name: files.read_mask(path, photo.size, max_megapixels=max_megapixels)
        for name, path in (("protect", entry.protect), ("remove", entry.remove))
        if path is not None
    }
    arrays = [_compact(array) for array in frame_arrays(photo)]
    digest = files_sha256(entry.files)
    if file_stat(entry.files) != stat:
        raise PhotoError(f"{entry.path} changed while it was read: run again")
    return Decoded(arrays, photo.kind, masks, digest, stat, photo.notes, time.perf_counter() - start)


def encode_result(
    output: Path,
    images: list[np.ndarray],
    kind: Kind,
    background: Colour | None,
    temporary_dir: Path,
    size: tuple[int, int],
) -> Written:
    """Scales one result where that is wanted, and writes it whole or not at all; folders are made as needed.

    Args:
      output: the file.
      images: float32 [H, W, 3 or 4] in [0, 255], as many as the photo had frames.
      kind: of the photo.
      background: what transparent parts are laid on.
      temporary_dir: of the unfinished file; on the same file system.
      size: (height, width) of the file.

    Raises:
      ValueError: the format cannot hold it.
      OSError: as the file system has it.
    """
    start = time.perf_counter()
    pictures = stored_pictures([scale_pixels(image, size) for image in images])
    file_format = output_kind(str(output))
    if kind.animation is not None:
        data = encode_animation(pictures, kind, file_format, background=background)
    else:
        data = encode_photo(*pictures[0], kind, file_format, background=background)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, data, folder=temporary_dir)
    return Written(len(data), time.perf_counter() - start)


def check_failure(entry: Entry) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Digest and stat of the files of a photo that failed; empty where they cannot be read."""
    try:
        stat = file_stat(entry.files)
        return files_sha256(entry.files), stat
    except OSError:
        return hashlib.sha256().hexdigest(), ()


def _compact(array: np.ndarray) -> np.ndarray:
    whole = array.astype(np.uint8)
    return whole if (whole == array).all() else array
