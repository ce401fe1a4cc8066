"""What callers give, checked and made into what the method takes, and its results made like what was given."""

import contextlib
import operator
from typing import Any

import jax.numpy as jnp
import numpy as np
import PIL.Image
import PIL.ImageOps
from jaxtyping import Array, Float32

from dnr_jax.config import RetargetConfig
from dnr_jax.padding import pad
from dnr_jax.photos.kinds import GROUND, composite, straighten
from dnr_jax.shapes import LARGEST_GROWTH, bucket_shape


def given_pixels(image: np.ndarray | PIL.Image.Image) -> np.ndarray:
    """An array as it is; a PIL image as uint8, upright: [H, W] where it is grey and opaque, else [H, W, 3 or 4].

    Raises:
      ValueError: a PIL image has more than 8 bits, which that would cut.
    """
    if isinstance(image, np.ndarray):
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        raise ValueError(
            f"image is a PIL image of mode {image.mode}, whose values 8 bits would cut: read its file with"
            " dnr_jax.photos.files.read_photo and give the photo's pixels, or give an array of floats in [0, 255]"
        )
    if image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())
    image.load()
    # A broken EXIF block, on which Pillow fails in many ways, says nothing.
    with contextlib.suppress(Exception):
        image = PIL.ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        return np.asarray(image.convert("RGBA"))
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def seen_pixels(given: np.ndarray) -> np.ndarray:
    """What the method takes of an array: grey [H, W] in three channels, and transparent colours laid on neutral grey.

    Files are read so, too: what opacity hides would otherwise come in sight at edges, and be looked at by networks.
    """
    if given.ndim == 2:
        return np.repeat(given[..., None], 3, -1)
    if not _is_transparent(given):
        return given
    pixels = np.asarray(given, np.float32)
    laid = composite(pixels[..., :3], pixels[..., 3] / 255, (GROUND, GROUND, GROUND))
    return np.concatenate([laid, pixels[..., 3:]], -1)


def like_given(image: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The method's image, [H', W', 3 or 4], in the channels and the dtype of what was given."""
    if given.ndim == 2:
        image = image.mean(-1, dtype=np.float32)
    elif _is_transparent(given):
        straight = straighten(image[..., :3], image[..., 3] / 255)
        image = np.concatenate([straight, image[..., 3:]], -1)
    else:
        return image
    return np.rint(image).astype(np.uint8) if given.dtype == np.uint8 else image


def _is_transparent(given: np.ndarray) -> bool:
    return given.ndim == 3 and given.shape[-1] == 4 and bool((given[..., 3] < 255).any())


def check_image(
    image: np.ndarray, config: RetargetConfig
) -> tuple[Float32[Array, "h w 3"], Float32[Array, "h w"] | None]:
    """Checks a photo, uint8 or float [H, W, 3 or 4] in [0, 255], and pads it to its bucket's shape.

    Returns:
      The pixels, float32 [H', W', 3] in [0, 255], and the opacity, float32 [H', W'] in [0, 1], None without a fourth
      channel.

    Raises:
      ValueError: the photo has another type, shape or range, or is too small for the taps of a resolved config.
    """
    if image.ndim != 3 or image.shape[-1] not in (3, 4) or not (image.dtype == np.uint8 or image.dtype.kind == "f"):
        raise ValueError(f"image is {image.dtype} {image.shape}: give uint8 or float [height, width, 3 or 4]")
    smallest = config.levels[-1].stride
    for side, pixels in zip(("height", "width"), image.shape, strict=False):
        if pixels < smallest:
            raise ValueError(
                f"the photo's {side} is {pixels} pixels: tap {config.taps[-1]} needs at least {smallest} on both sides;"
                " name shallower taps for a smaller photo, or leave the choice to taps=auto"
            )
    photo = np.asarray(image, np.float32)
    if not (np.isfinite(photo).all() and photo.min() >= 0 and photo.max() <= 255):
        raise ValueError("image holds values outside [0, 255]: scale it to that range")
    shape = bucket_shape((photo.shape[0], photo.shape[1]))
    alpha = jnp.asarray(pad(photo[..., 3] / 255, shape)) if photo.shape[-1] == 4 else None
    return jnp.asarray(pad(photo[..., :3], shape)), alpha


def whole_numbers(target: Any) -> tuple[int, int]:
    """A target as two of Python's integers; ValueError for anything else."""
    try:
        height, width = map(operator.index, target)
    except (TypeError, ValueError):
        raise ValueError(f"the target is {target!r}: give a (height, width) in whole pixels") from None
    return height, width


def check_target(target: tuple[int, int], size: tuple[int, int]) -> None:
    """Raises ValueError for a (height, width) that a photo of `size` cannot be brought to."""
    for name, wanted, has in zip(("height", "width"), target, size, strict=True):
        if not 1 <= wanted <= LARGEST_GROWTH * has:
            raise ValueError(
                f"the target {name} is {wanted}: it must be from 1 to {LARGEST_GROWTH} times the photo's {has} pixels"
            )
