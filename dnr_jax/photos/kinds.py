"""The data of a photo: its frames as arrays, and the kind of file that they came from and are written as.

The contract of all modules that touch photo files: sizes are (height, width); colours are float32 [H, W, 3] RGB in
[0, 255], whole numbers for 8-bit files and multiples of 1/257 for 16-bit ones; alpha is float32 [H, W] in [0, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import PIL.ImageColor

GROUND = 128.0
"""The neutral grey on which features see a transparent photo."""
_TRUSTED = np.float32(1 / 16)
"""The opacity from which on a colour is taken as it is seen through it."""

Mode = Literal["grey", "palette", "rgb"]
Depth = Literal[8, 16]
Colour = tuple[int, int, int]


class PhotoError(ValueError):
    """Raised for a photo file that cannot be used as asked; the message is one line that says why, and the remedy."""


@dataclass(frozen=True)
class Animation:
    """The timing of a moving picture.

    How frames dispose of each other is not kept: frames are read composited, so whatever writes them decides.

    Attributes:
      durations: how long each frame is shown, in milliseconds.
      plays: how often the animation runs; 0 for ever.
    """

    durations: tuple[int, ...]
    plays: int = 0


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a photo's file was, so that the result can be written as the same.

    Attributes:
      format: Pillow's name: "JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF" or another that can be read.
      mode: how colours are stored: "grey", "palette" or "rgb".
      depth: bits a channel; `dataclasses.replace(kind, depth=8)` is the explicit choice to lose the lower ones.
      lossless: whether the file held its pixels exactly.
      transparent: whether any pixel is not opaque.
      profile: the ICC profile that the output is to carry; None for none.
      converted: whether the pixels were taken from that profile into sRGB, and are to be taken back. If not, they are
        the file's own numbers.
      exif: the EXIF block without orientation and pixel size, "Exif\\0\\0" first; None for none.
      dpi: the resolution of the upright photo in pixels an inch, across and down; None where the file has none.
      palettes: for palette photos the colours that each frame uses, uint8 RGBA quadruples; None for a frame of more
        than 256.
      animation: the timing of a moving picture; None for a still one.
    """

    format: str = "PNG"
    mode: Mode = "rgb"
    depth: Depth = 8
    lossless: bool = True
    transparent: bool = False
    profile: bytes | None = None
    converted: bool = False
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    palettes: tuple[bytes | None, ...] = ()
    animation: Animation | None = None

    @property
    def colours(self) -> int | None:
        """How many colours a still palette photo uses; None for any other."""
        return len(self.palettes[0]) // 4 if len(self.palettes) == 1 and self.palettes[0] else None


@dataclass(frozen=True)
class Frame:
    """One upright picture.

    Attributes:
      pixels: float32 [H, W, 3], what features see: the colours on neutral grey where they are transparent.
      alpha: float32 [H, W], or None for an opaque photo.
      straight: float32 [H, W, 3], the colours as stored, also where they are hidden; `pixels` itself if opaque.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    straight: np.ndarray


@dataclass(frozen=True)
class Photo:
    """A photo file's content: one frame, or those of an animation, all of one size.

    Attributes:
      frames: at least one frame; either all have an alpha or none has.
      kind: what the file was.
      notes: lines that a person should read, for instance that a broken profile was ignored.
    """

    frames: tuple[Frame, ...]
    kind: Kind
    notes: tuple[str, ...] = ()

    @property
    def pixels(self) -> np.ndarray:
        """The first frame's pixels, float32 [H, W, 3]."""
        return self.frames[0].pixels

    @property
    def alpha(self) -> np.ndarray | None:
        """The first frame's alpha, float32 [H, W], or None."""
        return self.frames[0].alpha

    @property
    def straight(self) -> np.ndarray:
        """The first frame's colours as stored, float32 [H, W, 3]."""
        return self.frames[0].straight

    @property
    def size(self) -> tuple[int, int]:
        """The (height, width) of the photo."""
        return self.pixels.shape[0], self.pixels.shape[1]


def make_frame(straight: np.ndarray, alpha: np.ndarray | None) -> Frame:
    """Makes a frame of its stored colours and its alpha.

    Args:
      straight: float32 [H, W, 3] in [0, 255].
      alpha: float32 [H, W] in [0, 1]; None for an opaque photo.
    """
    if alpha is None:
        return Frame(straight, None, straight)
    return Frame(composite(straight, alpha, (GROUND, GROUND, GROUND)), alpha, straight)


def composite(straight: np.ndarray, alpha: np.ndarray, background: tuple[float, float, float]) -> np.ndarray:
    """Lays colours c on a background b by their alpha a: a c + (1 - a) b, which is exactly c where a is 1.

    Args:
      straight: float [H, W, 3], the colours.
      alpha: float [H, W] in [0, 1].
      background: the red, green and blue of the background.
    """
    weight = alpha[..., None].astype(np.float32)
    return weight * straight + (1 - weight) * np.asarray(background, np.float32)


def straighten(pixels: np.ndarray, alpha: np.ndarray, *, straight: np.ndarray | None = None) -> np.ndarray:
    """Undoes the neutral ground: the colours to store with `alpha` so that they look like `pixels` over grey.

    They are c = (p - (1 - a) g) / a, clipped to [0, 255]; exactly p where a is 1. Where a is below a sixteenth, this
    says less and less, so other colours come in: those that the photo stores, or else those of the nearest place that
    shows more. Where a is 0, the stored ones stand alone, or the ground.

    Args:
      pixels: float [H, W, 3] in [0, 255], the colours p over `GROUND`, g.
      alpha: float [H, W] in [0, 1], the opacity a.
      straight: float [H, W, 3], the photo's stored colours brought to the same size; None where nobody has them.

    Returns:
      float32 [H, W, 3].
    """
    weight = np.clip(alpha, 0, 1)[..., None].astype(np.float32)
    seen = (pixels - (1 - weight) * GROUND) / np.maximum(weight, np.float32(1 / 1024))
    seen = np.clip(seen, 0, 255).astype(np.float32)
    trust = np.minimum(weight / _TRUSTED, 1)
    hidden = _nearest_seen(seen, trust[..., 0]) if straight is None else straight.astype(np.float32)
    return trust * seen + (1 - trust) * hidden


def _nearest_seen(seen: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """At each place that shows a little, the colour of the nearest that shows enough; elsewhere the ground."""
    hidden = np.full(seen.shape, GROUND, np.float32)
    little = (trust > 0) & (trust < 1)
    if little.any() and (trust == 1).any():
        from scipy import ndimage  # Only transparent photos wait for it to be imported.

        nearest = ndimage.distance_transform_edt(trust < 1, return_distances=False, return_indices=True)
        rows, columns = np.asarray(nearest)
        hidden[little] = seen[rows[little], columns[little]]
    return hidden


def frame_arrays(photo: Photo) -> list[np.ndarray]:
    """Each frame as features see it, float32 [H, W, 3], or [H, W, 4] with opacity in [0, 255]."""
    return [
        frame.pixels if frame.alpha is None else np.concatenate([frame.pixels, 255 * frame.alpha[..., None]], -1)
        for frame in photo.frames
    ]


def stored_pictures(images: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """The pictures to store, from images as `frame_arrays` gives them.

    Args:
      images: float [H, W, 3], or with opacity [H, W, 4], in [0, 255].

    Returns:
      For each image the colours to store, [H, W, 3] in [0, 255], and the alpha, [H, W] in [0, 1], or None for an opaque
      one.
    """
    pictures = []
    for image in images:
        pixels, alpha = image[..., :3], image[..., 3] / 255 if image.shape[-1] == 4 else None
        pictures.append((pixels if alpha is None else straighten(pixels, alpha), alpha))
    return pictures


def parse_background(text: str) -> Colour:
    """Reads a colour, as red, green and blue from 0 to 255, from "#ffffff", "white" or "255,255,255".

    Raises:
      ValueError: the text is no colour.
    """
    parts = text.split(",")
    try:
        if len(parts) == 3 and all(part.strip().isdecimal() for part in parts):
            colour = tuple(int(part) for part in parts)
        else:
            colour = PIL.ImageColor.getrgb(text.strip())
    except ValueError:
        colour = ()
    if len(colour) != 3 or max(colour) > 255:
        raise ValueError(f"background is {text!r}: give a colour, for instance white, #ffffff or 255,255,255")
    return colour[0], colour[1], colour[2]
