"""Reads the EXIF and the resolution of a photo: the orientation to apply, and what the output is to carry."""

from typing import Any, NamedTuple, cast

import PIL.Image
from PIL.ExifTags import IFD, Base

_PIXEL_SIZES = (Base.ExifImageWidth, Base.ExifImageHeight)
_DESCRIPTIVE = (
    *(Base.ImageDescription, Base.Make, Base.Model, Base.XResolution, Base.YResolution, Base.ResolutionUnit),
    *(Base.Software, Base.DateTime, Base.Artist, Base.HostComputer, Base.Copyright, IFD.Exif, IFD.GPSInfo),
)
"""The tags of a TIFF that the output may carry; the others describe how the file's pixels were stored."""
_NOT_CARRIED = (Base.Orientation, Base.ImageWidth, Base.ImageLength, IFD.Interop)


class Metadata(NamedTuple):
    """What a file's EXIF and resolution say.

    Attributes:
      orientation: EXIF's orientation, from 1 to 8; 1 where the file has none that makes sense.
      exif: the EXIF block that the output is to carry, b"Exif\\0\\0" first; None for none.
      dpi: the resolution of the upright photo in pixels an inch, across and down; None where the file has none.
      note: a line that a person should read; empty for none.
    """

    orientation: int
    exif: bytes | None
    dpi: tuple[float, float] | None = None
    note: str = ""


def read_metadata(image: PIL.Image.Image) -> Metadata:
    """Reads the metadata of a loaded image; a broken EXIF block is left out with a note, and is never an error.

    The orientation and the pixel size are left out, since they would be wrong for the result; so is the thumbnail.
    """
    orientation, dpi = 1, _plausible(image.info.get("dpi"))
    try:
        exif = image.getexif()
        found = exif.get(Base.Orientation, 1)
        orientation = found if isinstance(found, int) and 1 <= found <= 8 else 1
        dpi = dpi or _plausible_exif(exif)
        if dpi is not None and orientation > 4:
            dpi = dpi[1], dpi[0]
        carried = PIL.Image.Exif()
        carried.endian = exif.endian
        for tag in exif:
            if tag in _NOT_CARRIED or (image.format == "TIFF" and tag not in _DESCRIPTIVE):
                continue
            if tag in (IFD.Exif, IFD.GPSInfo):
                block = {key: value for key, value in exif.get_ifd(tag).items() if key not in _PIXEL_SIZES}
                if block:
                    carried[tag] = block
            else:
                carried[tag] = exif[tag]
        if orientation > 4 and Base.XResolution in carried and Base.YResolution in carried:
            across, down = carried[Base.XResolution], carried[Base.YResolution]
            carried[Base.XResolution], carried[Base.YResolution] = down, across
        return Metadata(orientation, _with_prefix(carried.tobytes()) if len(carried) else None, dpi)
    except Exception:  # Pillow's EXIF reader and writer fail in many ways on a damaged block.
        return Metadata(orientation, None, dpi, "its broken EXIF is left out")


def with_resolution(exif: bytes | None, dpi: tuple[float, float]) -> bytes:
    """An EXIF block that holds the resolution; the same block where it holds one already.

    Args:
      exif: the block so far; None for none.
      dpi: the resolution in pixels an inch, across and down.
    """
    block = PIL.Image.Exif()
    if exif is not None:
        block.load(exif)
        if Base.XResolution in block:
            return exif
    block[Base.XResolution], block[Base.YResolution], block[Base.ResolutionUnit] = *dpi, 2
    return _with_prefix(block.tobytes())


def _plausible_exif(exif: PIL.Image.Exif) -> tuple[float, float] | None:
    """The resolution in an EXIF block, whose unit is the inch or the centimetre."""
    unit = exif.get(Base.ResolutionUnit, 2)
    values = exif.get(Base.XResolution), exif.get(Base.YResolution)
    return _plausible(values, 2.54 if unit == 3 else 1.0) if unit in (2, 3) else None


def _plausible(dpi: object, factor: float = 1.0) -> tuple[float, float] | None:
    """A resolution times a factor; None for values that cannot be one, like the 1 that Pillow gives for no value."""
    try:
        across, down = (float(value) * factor for value in cast(Any, dpi))
    except (TypeError, ValueError, ArithmeticError):
        return None
    return (across, down) if 1 < across < 65536 and 1 < down < 65536 else None


def _with_prefix(block: bytes) -> bytes:
    return block if block.startswith(b"Exif\0\0") else b"Exif\0\0" + block
