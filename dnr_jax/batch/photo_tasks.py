"""What worker processes do: they read files into arrays, and write arrays to files. Needs no JAX."""

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
from dnr_jax.plain_files import open_plain, shown_name

_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)


class Header(NamedTuple):
    """What a file says of itself before it is decoded.

    Attributes:
      size: (height, width) of the photo once it stands upright.
      alone: why the photo cannot share a batch; empty where it can.
      opacity: whether the photo may be transparent somewhere.
    """

    size: tuple[int, int]
    alone: str
    opacity: bool


class Decoded(NamedTuple):
    """A photo ready for the devices.

    Attributes:
      frames: [H, W, 3], or with opacity [H, W, 4], in [0, 255]; uint8 where that is exact, else float32.
      kind: what the file was: format, colour mode, depth, metadata.
      masks: by name, where the entry has them: "protect" and "remove", bool [H, W], and "objects", float32 [H, W] in
        [0, 1].
      input_sha256: the digest of the photo and its masks.
      stat: (bytes, modification time in nanoseconds) of these files, from before they were read.
      notes: lines that a person should read, for instance of metadata that was left out.
      seconds: how long reading and decoding took.
    """

    frames: list[np.ndarray]
    kind: Kind
    masks: dict[str, np.ndarray]
    input_sha256: str
    stat: tuple[tuple[int, int], ...]
    notes: tuple[str, ...]
    seconds: float


class Written(NamedTuple):
    """A file that was written: how many bytes it has, and how many seconds scaling, encoding and writing took."""

    output_bytes: int
    seconds: float


def read_header(entry: Entry) -> Header:
    """Reads a photo's size, and whether it must go alone, from the first bytes of its file.

    Raises:
      ValueError, OSError: the file cannot be opened; a damaged one may raise almost anything. Decoding says why.
    """
    with open_plain(entry.path) as file, PIL.Image.open(file) as image:
        width, height = image.size
        try:
            turned = image.getexif().get(_ORIENTATION) in _TURNED
        except Exception:  # What is damaged is passed over when the photo is decoded, too.
            turned = False
        alone = ""
        if entry.remove is not None:
            alone = "something to remove"
        elif entry.objects is not None:
            alone = "a map of objects"
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
            f"cannot write {shown_name(path)}: give --fallback_format=png, --format=png (or another), or name its"
            " output"
        ) from None


def decode_entry(entry: Entry, max_megapixels: float, frames: Frames) -> Decoded:
    """Reads one photo and its masks.

    Args:
      entry: names the files.
      max_megapixels: how large a photo or mask may be, in millions of pixels.
      frames: what to do with an animation.

    Raises:
      ValueError: a file is no image, is too large, changed while it was read, or is refused by `photos.files`.
      OSError: a file cannot be read.
    """
    start = time.perf_counter()
    photo = files.read_photo(entry.path, max_megapixels=max_megapixels, frames=frames)
    stat = file_stat(entry.files)
    masks = {
        name: files.read_mask(path, photo.size, max_megapixels=max_megapixels)
        for name, path in (("protect", entry.protect), ("remove", entry.remove))
        if path is not None
    }
    if entry.objects is not None:
        masks["objects"] = files.read_objects(entry.objects, photo.size, max_megapixels=max_megapixels)
    arrays = [_compact(array) for array in frame_arrays(photo)]
    digest = files_sha256(entry.files)
    if file_stat(entry.files) != stat:
        raise PhotoError(f"{entry.name} changed while it was read: run again")
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
      output: the file to write.
      images: float32 [H, W, 3], or with opacity [H, W, 4], in [0, 255]; as many as the photo has frames.
      kind: what the photo's file was.
      background: the colour that transparent parts are laid on; None to keep them transparent.
      temporary_dir: the folder of the unfinished file, on the same file system as `output`.
      size: (height, width) of the file.

    Raises:
      ValueError: the format cannot hold the result.
      OSError: the file or its folder cannot be written.
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
    """`files_sha256` and `file_stat` of a photo that failed; of no file at all where they cannot be read."""
    try:
        stat = file_stat(entry.files)
        return files_sha256(entry.files), stat
    except OSError:
        return hashlib.sha256().hexdigest(), ()


def _compact(array: np.ndarray) -> np.ndarray:
    """The array as uint8 where every value is a whole number, which takes a quarter of the memory."""
    whole = array.astype(np.uint8)
    return whole if (whole == array).all() else array
