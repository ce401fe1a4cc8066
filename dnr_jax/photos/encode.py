"""Encodes arrays as the bytes of a photo file, of the kind that the photo came from."""

import contextlib
import dataclasses
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageCms

from dnr_jax.photos.animation import MOVING_FORMATS, Picture, encode_frames, palette_image
from dnr_jax.photos.colour_profiles import from_srgb, profile_space, to_srgb
from dnr_jax.photos.deep_pixels import encode_png16
from dnr_jax.photos.kinds import Colour, Kind, PhotoError, composite
from dnr_jax.photos.luma import luma
from dnr_jax.photos.metadata import with_resolution

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
}
"""Pillow's names of the output formats, by file extension."""

_WITH_ALPHA = ("PNG", "WEBP", "TIFF", "GIF")
_WITH_METADATA = ("PNG", "JPEG", "WEBP", "TIFF")
_WITH_DPI = ("PNG", "JPEG", "TIFF", "BMP")
"""Formats that hold the resolution themselves; others hold it in their EXIF block, if they have one."""
_MOST_PIXELS_A_SIDE = {"JPEG": 65500, "WEBP": 16383, "GIF": 65535}
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 92},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}


def check_output(
    kind: Kind, file_format: str, *, background: Colour | None = None, size: tuple[int, int] | None = None
) -> None:
    """Refuses an output that could not hold what the photo holds, before anything is computed.

    Args:
      kind: what the photo's file was.
      file_format: the format of the output, as Pillow calls it.
      background: the colour that transparent parts are to be laid on; None to keep them transparent.
      size: the (height, width) of the output; None where it is not known.

    Raises:
      PhotoError: the output could not; the message says why, and what to do.
    """
    clear = kind.transparent and background is None
    if file_format not in FORMATS.values():
        raise PhotoError(f"cannot write {file_format}: choose {', '.join(sorted(set(FORMATS.values())))}")
    if clear and (file_format not in _WITH_ALPHA or (file_format == "GIF" and kind.mode == "grey")):
        raise PhotoError(
            f"{file_format} cannot hold this photo's transparency: give --background=white (or another colour),"
            " or write a .png or .webp"
        )
    if kind.depth == 16 and not (file_format == "PNG" or _is_grey_tiff(kind, file_format, clear)):
        raise PhotoError(f"{file_format} would cut this photo's 16 bits a channel: write a .png")
    if kind.animation is not None and file_format not in MOVING_FORMATS:
        raise PhotoError(f"{file_format} cannot hold an animation: write a .gif, .webp or .png")
    if file_format == "GIF":
        if kind.mode == "rgb" or kind.depth == 16:
            raise PhotoError("GIF holds 256 colours, and this photo may have more: write a .png or .webp")
        if clear and any(_half_clear(palette) for palette in kind.palettes):
            raise PhotoError("GIF cannot hold half transparent pixels: give --background=white, or write a .png")
    most = _MOST_PIXELS_A_SIDE.get(file_format)
    if most is not None and size is not None and max(size) > most:
        raise PhotoError(f"{file_format} sides have at most {most} pixels, not {max(size)}: write a .png")


def encode_photo(
    pixels: np.ndarray, alpha: np.ndarray | None, kind: Kind, file_format: str, *, background: Colour | None = None
) -> bytes:
    """The bytes of a still photo: a grey photo stays grey, a palette is kept, and 16 bits stay 16 bits.

    Args:
      pixels: float or uint8 [H, W, 3] in [0, 255], the colours to store (`straighten` takes the ground out of them).
      alpha: float [H, W] in [0, 1]; None for an opaque photo.
      kind: what the photo's file was; its animation, if any, is not used.
      file_format: one of the values of `FORMATS`.
      background: a colour that transparent parts are laid on, so that the result is opaque; None to keep them
        transparent.

    Raises:
      PhotoError: the format cannot hold the photo without loss.
    """
    return _encode([(pixels, alpha)], dataclasses.replace(kind, animation=None), file_format, background)


def encode_animation(
    frames: Sequence[Picture], kind: Kind, file_format: str, *, background: Colour | None = None
) -> bytes:
    """The bytes of an animation, with the timing of its kind.

    Equal neighbours become one frame that lasts as long as both, so that there may be fewer frames than were given; the
    whole takes as long, and shows the same at every moment. Where all are equal, a still picture is left. PNG is
    written in true colour.

    Args:
      frames: the pixels and the alpha of each frame, as `encode_photo` takes them.
      kind: what the photo's file was.
      file_format: one of the values of `FORMATS`.
      background: a colour that transparent parts are laid on; None to keep them transparent.

    Raises:
      PhotoError: the format cannot hold the animation without loss.
      ValueError: there are not as many frames as the timing has.
    """
    if kind.animation is None or len(frames) != len(kind.animation.durations):
        raise ValueError(f"{len(frames)} frames do not fit the timing {kind.animation}: give one frame each")
    return _encode(frames, kind, file_format, background)


def _encode(pictures: Sequence[Picture], kind: Kind, file_format: str, background: Colour | None) -> bytes:
    """The bytes of a file that holds one picture, or several as an animation."""
    for pixels, alpha in pictures:
        _check_arrays(pixels, alpha)
    transparent = any(alpha is not None for _, alpha in pictures)
    kind = dataclasses.replace(kind, transparent=transparent)
    check_output(kind, file_format, background=background, size=pictures[0][0].shape[:2])
    if transparent:
        pictures = [(c, np.ones(c.shape[:2], np.float32) if alpha is None else alpha) for c, alpha in pictures]
    if transparent and background is not None:
        pictures, kind = _lay_on(pictures, kind, background)
    if kind.depth == 16:
        return _encode_deep(*pictures[0], kind, file_format)
    palettes = kind.palettes if len(kind.palettes) == len(pictures) else (None,) * len(pictures)
    images = [
        _image(pixels, alpha, kind, palette, file_format)
        for (pixels, alpha), palette in zip(pictures, palettes, strict=True)
    ]
    options = dict(_OPTIONS.get(file_format, {}))
    if file_format == "WEBP" and kind.lossless and (kind.format == "WEBP" or kind.mode == "palette"):
        options = {"lossless": True, "exact": True}
    images, profile = _profiled(images, kind, file_format)
    return _save(images, kind, file_format, options, profile)


def _check_arrays(pixels: np.ndarray, alpha: np.ndarray | None) -> None:
    """Raises ValueError for arrays that are no picture."""
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or not pixels.size or not np.isfinite(pixels).all():
        raise ValueError(f"pixels are {pixels.dtype} {pixels.shape}: give finite [height, width, 3]")
    if alpha is not None and (alpha.shape != pixels.shape[:2] or not np.isfinite(alpha).all()):
        raise ValueError(f"alpha is {alpha.dtype} {alpha.shape}: give finite {pixels.shape[:2]}")


def _lay_on(pictures: Sequence[Picture], kind: Kind, background: Colour) -> tuple[list[Picture], Kind]:
    """The pictures laid on a background colour (sRGB), and their kind without transparency."""
    colour: Sequence[int] = background
    if kind.profile is not None and not kind.converted and kind.mode != "grey":
        with contextlib.suppress(PIL.ImageCms.PyCMSError):
            swatch = PIL.Image.new("RGB", (1, 1), background)
            colour = np.asarray(from_srgb(swatch, kind.profile)).ravel().tolist()
    ground = (float(colour[0]), float(colour[1]), float(colour[2]))
    flat: list[Picture] = [
        (composite(pixels.astype(np.float32), np.clip(alpha, 0, 1), ground), None)
        for pixels, alpha in pictures
        if alpha is not None
    ]
    mode = "rgb" if kind.mode == "grey" and len(set(background)) > 1 else kind.mode
    palettes = tuple(None if palette is None else _flat_palette(palette, ground) for palette in kind.palettes)
    return flat, dataclasses.replace(kind, transparent=False, mode=mode, palettes=palettes)


def _flat_palette(palette: bytes, ground: tuple[float, float, float]) -> bytes:
    entries = np.frombuffer(palette, np.uint8).reshape(-1, 1, 4).astype(np.float32)
    colours = np.rint(composite(entries[..., :3], entries[..., 3] / 255, ground))
    opaque = np.concatenate([colours, np.full_like(colours[..., :1], 255)], -1)
    return np.unique(opaque.reshape(-1, 4), axis=0).astype(np.uint8).tobytes()


def _encode_deep(pixels: np.ndarray, alpha: np.ndarray | None, kind: Kind, file_format: str) -> bytes:
    """The bytes of a picture of 16 bits a channel."""
    colours = luma(pixels)[..., None] if kind.mode == "grey" else pixels
    values = np.rint(np.clip(colours, 0, 255).astype(np.float64) * 257)
    if alpha is not None:
        values = np.concatenate([values, np.rint(np.clip(alpha, 0, 1)[..., None] * 65535.0)], -1)
    values = values.astype(np.uint16)
    if file_format == "TIFF":
        options = dict(_OPTIONS["TIFF"])
        return _save([PIL.Image.fromarray(values[..., 0])], kind, "TIFF", options, kind.profile)
    profile = kind.profile
    if profile is not None and profile_space(profile) != ("GRAY" if values.shape[-1] <= 2 else "RGB"):
        profile = None
    return encode_png16(values, profile=profile, exif=kind.exif, dpi=kind.dpi)


def _image(
    pixels: np.ndarray, alpha: np.ndarray | None, kind: Kind, palette: bytes | None, file_format: str
) -> PIL.Image.Image:
    """A picture as an 8-bit image, in the mode that suits both its kind and the format."""
    moving = kind.animation is not None
    holds_palette = file_format == "GIF" or (file_format == "PNG" and not moving)
    holds_palette |= file_format in ("TIFF", "BMP") and alpha is None
    if kind.mode == "palette":
        image = palette_image(pixels, alpha, palette)
        if holds_palette:
            return image
        return image.convert("RGB" if alpha is None else "RGBA")
    if kind.mode == "grey" and file_format != "WEBP":
        channels = [luma(pixels)]
    elif kind.mode == "grey":
        channels = [luma(pixels)] * 3
    else:
        channels = [pixels[..., channel] for channel in range(3)]
    if alpha is not None:
        channels.append(255 * alpha)
    values = np.rint(np.clip(np.stack(channels, -1), 0, 255)).astype(np.uint8)
    return PIL.Image.fromarray(values[..., 0] if len(channels) == 1 else values)


def _profiled(
    images: list[PIL.Image.Image], kind: Kind, file_format: str
) -> tuple[list[PIL.Image.Image], bytes | None]:
    """The images in the numbers of the profile that the file will carry, and that profile."""
    profile = kind.profile
    if profile is None:
        return images, None
    space = "GRAY" if images[0].mode in ("L", "LA") else "RGB"
    carried = file_format in _WITH_METADATA and profile_space(profile) == space
    try:
        if carried and kind.converted:
            return [_converted(image, from_srgb, profile) for image in images], profile
        if not carried and not kind.converted:
            return [_converted(image, to_srgb, profile) for image in images], None
    except PIL.ImageCms.PyCMSError:
        return images, None
    return images, profile if carried else None


def _converted(image: PIL.Image.Image, convert: Any, profile: bytes) -> PIL.Image.Image:
    """An image converted, its alpha or palette kept as it is."""
    if image.mode == "P":
        entries = np.asarray(image.getpalette(), np.uint8).reshape(1, -1, 3)
        entries = np.asarray(convert(PIL.Image.fromarray(entries), profile))
        result = image.copy()
        result.putpalette(entries.tobytes())
        return result
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    grey = image.mode in ("L", "LA") or (image.mode.startswith("RGB") and profile_space(profile) == "GRAY")
    result = convert(image.convert("L" if grey else "RGB"), profile)
    if alpha is not None:
        result.putalpha(alpha)
    return result


def _save(
    images: list[PIL.Image.Image], kind: Kind, file_format: str, options: dict[str, Any], profile: bytes | None
) -> bytes:
    """The bytes of a file; metadata that the format's writer refuses are left out rather than the photo lost."""
    exif = kind.exif
    if file_format in _WITH_METADATA and profile is not None:
        options = {**options, "icc_profile": profile}
    if file_format in _WITH_DPI and kind.dpi is not None:
        options = {**options, "dpi": kind.dpi}
    elif file_format in _WITH_METADATA and kind.dpi is not None:
        exif = with_resolution(exif, kind.dpi)
    carried = [options]
    if file_format in _WITH_METADATA and exif is not None:
        carried = [{**options, "exif": exif}, options]
        if file_format == "TIFF":  # Pillow writes EXIF's inner blocks into uncompressed files only.
            del carried[0]["compression"]
    for index, chosen in enumerate(carried):
        try:
            if kind.animation is not None:
                return encode_frames(images, kind, file_format, chosen)
            buffer = io.BytesIO()
            images[0].save(buffer, file_format, **chosen)
            return buffer.getvalue()
        except Exception as error:  # Writers fail in as many ways as readers.
            if index == len(carried) - 1:
                reason = " ".join(str(error).split())
                raise PhotoError(f"cannot be written as {file_format} ({reason}): write a .png") from None
    raise AssertionError


def _is_grey_tiff(kind: Kind, file_format: str, clear: bool) -> bool:
    """Whether the output is an opaque grey TIFF, which can hold 16 bits; `clear` says that it would be transparent."""
    return file_format == "TIFF" and kind.mode == "grey" and not clear


def _half_clear(palette: bytes | None) -> bool:
    """Whether a palette, uint8 RGBA quadruples, has a colour that is neither opaque nor fully transparent."""
    alphas = b"" if palette is None else palette[3::4]
    return any(0 < alpha < 255 for alpha in alphas)
