"""Reads and writes 16-bit pixels, of which Pillow keeps only the upper half.

They are read through Pillow twice, and written as PNG without it.
"""

import io
import struct
import sys
import zlib
from collections.abc import Callable

import numpy as np
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from dnr_jax.photos.kinds import PhotoError

_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANES = 258, 262, 284
_PNG_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}
"""PNG's colour type, by the number of channels."""
_GREY = ("I;16", "I;16L", "I;16B", "I;16N")


def is_deep(image: ImageFile, data: bytes) -> bool:
    """Whether an opened file has 16 bits a channel that `read_deep` reads.

    Raises:
      PhotoError: it has more than 8 bits in a way that cannot be kept.
    """
    raw_modes = [str(tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args) for tile in image.tile]
    deep = image.mode in (*_GREY, "I") or any(";16" in raw and not raw.startswith("BGR") for raw in raw_modes)
    if isinstance(image, TiffImageFile):
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, 1)
        most = max(bits) if isinstance(bits, tuple) else bits
        planes = image.tag_v2.get(_PLANES, 1) if len(image.getbands()) > 1 else 1
        supported = image.mode in _GREY or any(raw.startswith(("RGB;", "RGBA;")) for raw in raw_modes)
        if most > 16 or image.mode in ("I", "F") or (most > 8 and (most != 16 or planes != 1 or not supported)):
            raise PhotoError(
                f"has {most}-bit pixels ({image.mode}) stored so that 8 bits would cut them: make it a 16-bit PNG first"
            )
        return most == 16
    if isinstance(image, PngImageFile):
        return deep
    if image.format == "PPM" and image.mode == "I":
        return True
    if image.format == "JPEG2000" and image.mode in _GREY:
        return True
    if image.mode in ("I", "F") or deep or _hides_depth(image, data):
        raise PhotoError(
            f"is a {image.format} of more than 8 bits a channel, which 8 bits would cut: make it a 16-bit PNG first"
        )
    return False


def read_deep(image: ImageFile, reopen: Callable[[], ImageFile]) -> np.ndarray:
    """Every bit of a file that `is_deep`, as uint16 [H, W, C]: grey, grey and alpha, RGB, or RGBA.

    Pillow's decoder drops the lower byte of each 16-bit channel. Read again in the other byte order, it drops the
    upper one instead.

    Args:
      image: the opened file, which is loaded here.
      reopen: opens the file afresh.
    """
    raw = str(image.tile[0].args[0] if isinstance(image.tile[0].args, tuple) else image.tile[0].args)
    inverted = isinstance(image, TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == 0
    if raw == "LA;16B":  # Four bytes a pixel, as RGBA has.
        both = np.asarray(_load_as(image, "RGBA")).astype(np.uint16)
        return both[..., ::2] * 256 + both[..., 1::2]
    if image.mode in (*_GREY, "I"):
        image.load()
        grey = np.asarray(image)[..., None]
        if grey.min() < 0 or grey.max() > 65535:
            raise PhotoError("has grey values beyond 16 bits: make it a 16-bit PNG first")
        return 65535 - grey.astype(np.uint16) if inverted else grey.astype(np.uint16)
    native = "L" if sys.byteorder == "little" else "B"
    order = native if raw[-1] == "N" else raw[-1]
    lower = np.asarray(_load_as(reopen(), raw[:-1] + ("B" if order == "L" else "L")))
    image.load()
    return np.asarray(image).astype(np.uint16) * 256 + lower


def colour_key(image: ImageFile, values: np.ndarray) -> np.ndarray | None:
    """The alpha, float32 [H, W], of a 16-bit PNG that names one colour as transparent; None where it names none."""
    key = image.info.get("transparency")
    if not isinstance(image, PngImageFile) or key is None or values.shape[-1] not in (1, 3):
        return None
    wanted = np.asarray(key if isinstance(key, tuple) else (key,))
    return (values.astype(np.int64) != wanted).any(-1).astype(np.float32)


def encode_png16(
    values: np.ndarray,
    *,
    profile: bytes | None = None,
    exif: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """The bytes of a 16-bit PNG.

    Args:
      values: uint16 [H, W, C], C from 1 to 4: grey, grey and alpha, RGB, or RGBA.
      profile: an ICC profile to embed; None for none.
      exif: an EXIF block to embed, "Exif\\0\\0" first; None for none.
      dpi: the resolution in pixels an inch, across and down; None to say none.
    """
    height, width, channels = values.shape
    out = io.BytesIO()
    out.write(b"\x89PNG\r\n\x1a\n")
    _chunk(out, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOUR[channels], 0, 0, 0))
    if profile is not None:
        _chunk(out, b"iCCP", b"ICC profile\0\0" + zlib.compress(profile))
    if exif is not None:
        _chunk(out, b"eXIf", exif.removeprefix(b"Exif\0\0"))
    if dpi is not None:
        _chunk(out, b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in dpi), 1))
    packer = zlib.compressobj(6)
    above = np.zeros(width * channels * 2, np.uint8)
    packed = []
    for row in values.astype(">u2").reshape(height, -1).view(np.uint8):
        packed.append(packer.compress(_filtered(row, above, 2 * channels)))
        above = row
    packed.append(packer.flush())
    _chunk(out, b"IDAT", b"".join(packed))
    _chunk(out, b"IEND", b"")
    return out.getvalue()


def _filtered(row: np.ndarray, above: np.ndarray, pixel: int) -> bytes:
    """Filters a row of a PNG by the filter (sub, up or Paeth) that leaves the least sum of absolute values.

    Args:
      row: the bytes of the row.
      above: the bytes of the row above it.
      pixel: how many bytes a pixel has.

    Returns:
      The number of the filter, as one byte, and the filtered row.
    """
    left = np.concatenate([np.zeros(pixel, np.uint8), row[:-pixel]])
    corner = np.concatenate([np.zeros(pixel, np.uint8), above[:-pixel]])
    a, b, c = (part.astype(np.int16) for part in (left, above, corner))
    from_a, from_b, from_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    paeth = np.where((from_a <= from_b) & (from_a <= from_c), left, np.where(from_b <= from_c, above, corner))
    candidates = {1: row - left, 2: row - above, 4: row - paeth}
    best = min(candidates, key=lambda kind: int(abs(candidates[kind].view(np.int8).astype(np.int16)).sum()))
    return bytes((best,)) + candidates[best].tobytes()


def _chunk(out: io.BytesIO, name: bytes, body: bytes) -> None:
    """Writes one chunk of a PNG."""
    out.write(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))


def _load_as(image: ImageFile, raw: str) -> ImageFile:
    """Loads an opened file as if its bytes were laid out as Pillow's raw mode `raw` says."""
    image.tile = [
        tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw) for tile in image.tile
    ]
    image.load()
    return image


def _hides_depth(image: ImageFile, data: bytes) -> bool:
    """Whether a file that Pillow reads as 8 bits a channel has more."""
    if image.format == "PPM":
        args = image.tile[0].args
        return isinstance(args, tuple) and isinstance(args[-1], int) and args[-1] > 255
    if image.format == "SGI":
        return data[3:4] == b"\x02"
    if image.format == "JPEG2000":
        start = data.find(b"\xff\x4f\xff\x51")
        depths = data[start + 42 : start + 42 + 3 * len(image.getbands()) : 3]
        return start >= 0 and any((depth & 127) + 1 > 8 for depth in depths)
    if image.format == "AVIF":
        start = data.find(b"av1C")
        return start >= 0 and len(data) > start + 6 and bool(data[start + 6] & 64)
    return False
