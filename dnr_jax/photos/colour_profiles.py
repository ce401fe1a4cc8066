"""Converts colours by ICC profiles, into the sRGB working space and back."""

import functools
import io
from typing import Any, Literal, NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageCms

_ROUNDING = 2
"""How many levels, of 256, a conversion to sRGB and back may change; more means that sRGB lacks some of the colours."""
_INTENT = PIL.ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = PIL.ImageCms.Flags.BLACKPOINTCOMPENSATION


class Taken(NamedTuple):
    """The colours of a file as they are worked on.

    Attributes:
      image: an "RGB" image.
      profile: the ICC profile that the result is to carry; None for none.
      converted: whether the image is in sRGB rather than in the numbers of `profile`.
      note: a line that a person should read; empty for none.
    """

    image: PIL.Image.Image
    profile: bytes | None
    converted: bool = False
    note: str = ""


def take_rgb(image: PIL.Image.Image, profile: bytes | None, *, keep: bool = False) -> Taken:
    """An "RGB" image in the working space, if that loses nothing.

    A photo in another RGB profile is converted to sRGB, and back when it is written with that profile. Where that
    would clip (colours outside sRGB), the file's own numbers go on untouched and its profile says what they mean: the
    network then sees slightly paler colours, but no colour is lost.

    Args:
      image: an "RGB" image in the numbers of the profile.
      profile: the file's ICC profile; None for none.
      keep: whether to keep the file's own numbers in any case.
    """
    space = profile_space(profile)
    if profile is None or space != "RGB":
        return Taken(image, None, note="its broken colour profile is ignored" if profile is not None else "")
    if keep or _is_srgb(profile):
        return Taken(image, profile)
    try:
        converted = to_srgb(image, profile)
        back = from_srgb(converted, profile)
    except PIL.ImageCms.PyCMSError:
        return Taken(image, profile)
    if _distance(image, back) <= _ROUNDING:
        return Taken(converted, profile, converted=True)
    return Taken(image, profile, note="it has colours outside sRGB, so it stays in its own colour profile")


def take_inks(image: PIL.Image.Image, profile: bytes | None) -> Taken:
    """Converts a "CMYK" or "LAB" image to sRGB, in which it is then written.

    Args:
      image: the image.
      profile: its ICC profile; without a usable one, a plain formula converts it.
    """
    note = f"its {image.mode} colours become sRGB"
    try:
        if image.mode == "LAB":
            return Taken(
                _transform(image, PIL.ImageCms.createProfile("LAB"), _srgb(), "RGB"), srgb_profile(), note=note
            )
        if profile_space(profile) == "CMYK":
            return Taken(to_srgb(image, profile or b""), srgb_profile(), note=note)
    except PIL.ImageCms.PyCMSError:
        pass
    note += " by a plain formula: it has no usable colour profile"
    return Taken(image.convert("RGB"), srgb_profile(), note=note)


@functools.lru_cache(maxsize=8)
def profile_space(profile: bytes | None) -> Literal["RGB", "GRAY", "CMYK", ""]:
    """The colour space of an ICC profile; empty for no profile, a broken one, or one of another space."""
    if not profile:
        return ""
    try:
        opened = _open(profile)
        space = str(getattr(opened.profile, "xcolor_space", "")).strip()
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(space)
        if mode is None:
            return ""
        PIL.ImageCms.buildTransform(opened, _srgb(), mode, "RGB", _INTENT, _FLAGS)
    except Exception:  # Whatever a damaged profile does to its reader, the photo is worth more.
        return ""
    return "RGB" if space == "RGB" else "GRAY" if space == "GRAY" else "CMYK"


def to_srgb(image: PIL.Image.Image, profile: bytes) -> PIL.Image.Image:
    """Converts an "RGB", "L" or "CMYK" image from a profile to sRGB; colours that sRGB lacks are clipped.

    Raises:
      PIL.ImageCms.PyCMSError: the profile cannot be used.
    """
    return _transform(image, _open(profile), _srgb(), "RGB")


def from_srgb(image: PIL.Image.Image, profile: bytes) -> PIL.Image.Image:
    """Converts an sRGB image to the numbers of an RGB profile.

    Raises:
      PIL.ImageCms.PyCMSError: the profile cannot be converted to.
    """
    return _transform(image, _srgb(), _open(profile), "RGB")


@functools.lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """The bytes of an sRGB profile; they are the same every time."""
    data = bytearray(PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes())
    data[24:36] = bytes((7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))  # The date of making, or no two outputs were equal.
    return bytes(data)


@functools.lru_cache(maxsize=8)
def _is_srgb(profile: bytes) -> bool:
    ramp = np.linspace(0, 255, 16).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(ramp, ramp, ramp, indexing="ij"), -1).reshape(64, 64, 3)
    image = PIL.Image.fromarray(cube)
    try:
        return _distance(image, to_srgb(image, profile)) <= 1
    except PIL.ImageCms.PyCMSError:
        return False


def _distance(a: PIL.Image.Image, b: PIL.Image.Image) -> int:
    first, second = np.asarray(a), np.asarray(b)
    return int((np.maximum(first, second) - np.minimum(first, second)).max())


def _srgb() -> PIL.ImageCms.ImageCmsProfile:
    return _open(srgb_profile())


def _open(profile: bytes) -> PIL.ImageCms.ImageCmsProfile:
    try:
        return PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (OSError, TypeError, ValueError) as error:
        raise PIL.ImageCms.PyCMSError(error) from None


def _transform(image: PIL.Image.Image, source: Any, target: Any, mode: str) -> PIL.Image.Image:
    result = PIL.ImageCms.profileToProfile(image, source, target, _INTENT, mode, flags=_FLAGS)
    assert result is not None  # Only an in-place conversion returns none.
    return result
