"""What a server does with a photo, from bytes to bytes, in a worker's thread and with networks that stay loaded."""

import io
import math
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import PIL.Image

from dnr_jax import compilation_cache
from dnr_jax.inspection.drawing import to_picture
from dnr_jax.methods import run_loaded
from dnr_jax.photos.decode import decode
from dnr_jax.photos.encode import check_output, encode_animation, encode_photo
from dnr_jax.photos.files import output_format, take_mask, take_objects
from dnr_jax.photos.kinds import Photo, PhotoError, frame_arrays, stored_pictures
from dnr_jax.photos.scaling import scale_pixels
from dnr_jax.progress import Progress
from dnr_jax.serve.answers import Output, media_type, name_output
from dnr_jax.serve.fields import Order
from dnr_jax.serve.problems import ProblemError
from dnr_jax.serve.settings import Settings
from dnr_jax.serve.uploads import Form
from dnr_jax.shell.sizes import Target
from dnr_jax.weights.detectors import read_faces, read_words
from dnr_jax.weights.load import load_chosen
from dnr_jax.weights.objects import read_u2netp

T = TypeVar("T")
# Decoding silences Pillow for the whole process meanwhile: one thread at a time.
_pillow = threading.Lock()
_SECONDS_A_PICTURE = 0.5
_LARGEST_PICTURE = (1280, 1280)
_MOST_GROWTH = 4
"""How many times the megapixels that a photo may have its result may have, all frames together."""


class Engine:
    """Loads the networks and does the work that requests ask for; any number of threads may call it.

    Args:
      settings: says which network to load, and how large a photo may be.

    Attributes:
      most_megapixels: how many millions of pixels a photo may have.
      arguments: the arguments of a command that uses the same network and limit.
      weights: the network, and where it comes from.

    Raises:
      ValueError, OSError: the network cannot be loaded.
    """

    def __init__(self, settings: Settings):
        compilation_cache.enable(programs=True)
        self.most_megapixels = settings.max_megapixels
        self.arguments = settings.arguments
        self.weights = load_chosen(settings.network)
        for read in (read_u2netp, read_faces, read_words):
            read()

    def retarget(
        self, form: Form, order: Order, report: Progress, *, show: Callable[[bytes], None] | None = None
    ) -> list[Output]:
        """Retargets a request's photo to each of its targets.

        Args:
          form: the form of the request, with the file "photo" and perhaps masks.
          order: what its text fields ask for.
          report: called as the work advances; what it raises ends the work.
          show: called with the image as it forms, as the bytes of a JPEG no larger than a screen, at most every half a
            second; None for nobody.

        Returns:
          A file for each target, in order.

        Raises:
          ValueError: the photo, a mask or a target cannot be used; the message is the command line's.
          ProblemError: a target is too large for the server.
          FloatingPointError: an optimisation diverged.
        """
        photo, masks = self.read(form, order)
        name = form.files["photo"].name
        file_format = order.file_format or output_format("-", kind=photo.kind)
        targets = [target.target(photo.size) for target in order.targets]
        for target in targets:
            self._check_size(target, len(photo.frames))
            _named(
                name,
                lambda size=target.written: check_output(
                    photo.kind, file_format, background=order.background, size=size
                ),
            )
        report("reading", 1, 1)
        sizes = [target.retargeted for target in targets]
        frames, watch = frame_arrays(photo), None if show is None else _Painter(show)
        found = run_loaded(order.method, frames, sizes, order.config, masks, self.weights, report, watch=watch)
        outputs = []
        for asked, target, outcome in zip(order.targets, targets, found, strict=True):
            images = [scale_pixels(image, target.written) for image in outcome.images]
            data = self._encode(images, photo, order, file_format, name)
            label = asked.name if len(targets) > 1 else f"{target.written[1]}x{target.written[0]}"
            notes = [*photo.notes, *([target.note] if target.note else []), *outcome.notes]
            record = {"target": asked.name, **outcome.record, "output_size": target.written, "notes": notes}
            outputs.append(Output(name_output(name, label, file_format), media_type(file_format), data, record))
        return outputs

    def read(self, form: Form, order: Order) -> tuple[Photo, dict[str, np.ndarray]]:
        """Decodes the photo and the masks of a request.

        Returns:
          The photo, and its masks by name: "protect" and "remove" are bool [H, W], "objects" is float32 [H, W] in
          [0, 1].

        Raises:
          PhotoError: one of them cannot be used.
        """
        photo = self._decode(form, "photo", order.frames)
        masks: dict[str, np.ndarray] = {}
        for name in form.files:
            if name != "photo":
                take = take_objects if name == "objects" else take_mask
                masks[name] = take(self._decode(form, name, "refuse"), form.files[name].name, photo.size)
        return photo, masks

    def _check_size(self, target: Target, frames: int) -> None:
        """Raises ProblemError for a target of so many frames that is too large to make."""
        most = _MOST_GROWTH * self.most_megapixels
        height, width = max(target.retargeted, target.written, key=math.prod)
        made = frames * height * width / 1e6
        if made > most:
            several = f" in {frames} frames" if frames > 1 else ""
            raise ProblemError(
                "too-large",
                f"the target is {width}x{height}{several}, which is {made:.4g} megapixels, and the server makes"
                f" {most:g} at most: ask for a smaller one, or start the server with a larger --max_megapixels",
            )

    def _decode(self, form: Form, name: str, frames: Any) -> Photo:
        """Decodes one file of a form."""
        file = form.files[name]
        with _pillow:
            return decode(file.data, file.name, max_megapixels=self.most_megapixels, frames=frames)

    def _encode(self, images: list[np.ndarray], photo: Photo, order: Order, file_format: str, name: str) -> bytes:
        """The bytes of a result's file; errors begin with the photo's name."""
        pictures = stored_pictures(images)
        with _pillow:
            if photo.kind.animation is not None:
                return _named(
                    name, lambda: encode_animation(pictures, photo.kind, file_format, background=order.background)
                )
            return _named(
                name, lambda: encode_photo(*pictures[0], photo.kind, file_format, background=order.background)
            )


class _Painter:
    """Draws an image as it forms, no more often than a person can follow; a `progress.Watch`."""

    def __init__(self, show: Callable[[bytes], None]):
        self._show = show
        self._last = 0.0

    def __call__(self, draw: Callable[[], np.ndarray]) -> None:
        """Draws the image and shows it, where the last time was long enough ago."""
        if time.monotonic() - self._last < _SECONDS_A_PICTURE:
            return
        image = PIL.Image.fromarray(to_picture(draw()))
        image.thumbnail(_LARGEST_PICTURE)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=85)
        self._show(buffer.getvalue())
        self._last = time.monotonic()


def _named(name: str, body: Callable[[], T]) -> T:
    """Returns what `body` returns; a PhotoError that it raises gets a name before its message."""
    try:
        return body()
    except PhotoError as error:
        raise PhotoError(f"{name}: {error}") from None
