"""Photo files to arrays and back: orientation, mode, atomic writes."""

import io
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps

from dnr_jax.atomic import write_atomically

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Output formats by file extension."""
_JPEG_QUALITY = 95
_WEBP_QUALITY = 92


def read_image(path: Path) -> np.ndarray:
    """Reads a photo as uint8 [H, W, 3] RGB, upright (EXIF orientation applied).

    Raises:
      ValueError: the file is missing, no photo, damaged, or of a kind that 8-bit RGB would lose something of; the
        message names the file and the remedy.
    """
    try:
        with PIL.Image.open(path) as opened:
            opened.load()
            frames = getattr(opened, "n_frames", 1)
            if frames > 1:
                raise ValueError(f"{path} holds {frames} frames: give a single image")
            image = PIL.ImageOps.exif_transpose(opened)
    except FileNotFoundError:
        raise ValueError(f"no such file: {path}") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a directory: give a photo") from None
    except PIL.UnidentifiedImageError:
        raise ValueError(f"{path} is no image that can be read: give a JPEG, PNG or WebP photo") from None
    except (OSError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as an image ({error})") from None
    if image.has_transparency_data:
        raise ValueError(f"{path} has transparency, which would be lost: flatten it onto a background first")
    if image.mode not in ("RGB", "L", "P", "CMYK", "1"):
        raise ValueError(f"{path} has pixels of kind {image.mode}, which 8 bits would cut: convert it to 8-bit RGB")
    return np.asarray(image.convert("RGB"))


def output_format(path: Path) -> str:
    """The format that a file extension asks for; ValueError for an extension that is none of `FORMATS`."""
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise ValueError(f"cannot write {path}: name it {', '.join(FORMATS)}") from None


def write_image(path: Path, image: np.ndarray) -> None:
    """Writes uint8 [H, W, 3] RGB whole or not at all, in the format of the path's extension.

    Raises:
      ValueError: an unknown extension.
      OSError: as the file system has it.
    """
    write_atomically(path, encode_image(image, output_format(path)))


def encode_image(image: np.ndarray, file_format: str) -> bytes:
    """The bytes of a "PNG", "JPEG" or "WEBP" file of uint8 [H, W, 3] RGB."""
    options = {"JPEG": {"quality": _JPEG_QUALITY, "subsampling": 0}, "WEBP": {"quality": _WEBP_QUALITY}}
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, file_format, **options.get(file_format, {}))
    return buffer.getvalue()
