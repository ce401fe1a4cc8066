"""EXIF: the orientation to apply, and what of the rest travels to the output."""

from typing import NamedTuple

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
      note: what a person should know, or "".
    """

    orientation: int
    exif: bytes | None
    note: str = ""


def read_metadata(image: PIL.Image.Image) -> Metadata:
    """The EXIF of a loaded image; a broken one is left out with a note, never an error.

    The orientation and the pixel size are left out, as they would be wrong of the result; so is the thumbnail.
    """
    orientation = 1
    try:
        exif = image.getexif()
        found = exif.get(Base.Orientation, 1)
        orientation = found if isinstance(found, int) and 1 <= found <= 8 else 1
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
        return Metadata(orientation, _with_prefix(carried.tobytes()) if len(carried) else None)
    except Exception:  # Pillow's EXIF reader and writer fail in many ways on a damaged block.
        return Metadata(orientation, None, "its broken EXIF is left out")


def _with_prefix(block: bytes) -> bytes:
    return block if block.startswith(b"Exif\0\0") else b"Exif\0\0" + block
