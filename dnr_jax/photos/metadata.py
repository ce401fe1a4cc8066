"""EXIF and resolution: the orientation to apply, and what of the rest travels to the output."""

from typing import Any, NamedTuple, cast

import PIL.Image
from PIL.ExifTags import IFD, Base

_PIXEL_SIZES = (Base.ExifImageWidth, Base.ExifImageHeight)
_DESCRIPTIVE = (
    *(Base.ImageDescription, Base.Make, Base.Model, Base.XResolution, Base.YResolution, Base.ResolutionUnit),
    *(Base.Software, Base.DateTime, Base.Artist, Base.HostComputer, Base.Copyright, IFD.Exif, IFD.GPSInfo),
)
"""What may leave a TIFF file: its other tags describe how its pixels were stored."""
_NOT_CARRIED = (Base.Orientation, Base.ImageWidth, Base.ImageLength, IFD.Interop)


class Metadata(NamedTuple):
    """What a file's EXIF says.

    Attributes:
      orientation: 1 to 8; 1 where there is none that makes sense.
      exif: the block to carry, b"Exif\\0\\0" first, or None.
      dpi: pixels an inch across and down, upright; None where the file does not say.
      note: what a person should know, or "".
    """

    orientation: int
    exif: bytes | None
    dpi: tuple[float, float] | None = None
    note: str = ""


def read_metadata(image: PIL.Image.Image) -> Metadata:
    """The EXIF of a loaded image; a broken one is left out with a note, never an error.

    The orientation and the pixel size are left out, as they would be wrong of the result; so is the thumbnail.
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
    """An EXIF block that says the resolution: the same block where it does already."""
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
    """Two numbers that can be a resolution, times a factor; Pillow gives 1 where a TIFF says nothing."""
    try:
        across, down = (float(value) * factor for value in cast(Any, dpi))
    except (TypeError, ValueError, ArithmeticError):
        return None
    return (across, down) if 1 < across < 65536 and 1 < down < 65536 else None


def _with_prefix(block: bytes) -> bytes:
    return block if block.startswith(b"Exif\0\0") else b"Exif\0\0" + block
