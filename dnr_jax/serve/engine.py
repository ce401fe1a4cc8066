"""What a server does with a photo, in a worker's thread: bytes in, bytes out, with networks that stay loaded."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from dnr_jax import compilation_cache
from dnr_jax.baselines import METHODS, Context
from dnr_jax.photos.decode import decode
from dnr_jax.photos.encode import check_output, encode_animation, encode_photo
from dnr_jax.photos.files import output_format, take_mask, take_objects
from dnr_jax.photos.kinds import Photo, PhotoError, frame_arrays, stored_pictures
from dnr_jax.pipeline import retarget_frames_to_all
from dnr_jax.planning.masks import Masks
from dnr_jax.progress import Progress
from dnr_jax.record import environment, run_record
from dnr_jax.serve.answers import Output, media_type, name_output
from dnr_jax.serve.fields import Asked
from dnr_jax.serve.settings import Settings
from dnr_jax.serve.uploads import Form
from dnr_jax.shell.sizes import parse_target
from dnr_jax.weights.detectors import read_faces, read_words
from dnr_jax.weights.load import load_chosen
from dnr_jax.weights.objects import read_u2netp

T = TypeVar("T")
# Decoding silences Pillow for the whole process meanwhile: one thread at a time.
_pillow = threading.Lock()


class Engine:
    """The networks, loaded, and the work that requests ask for; for any number of threads.

    Args:
      settings: which network, and how large a photo may be.

    Raises:
      ValueError, OSError: the network cannot be loaded.
    """

    def __init__(self, settings: Settings):
        compilation_cache.enable()
        self.most_megapixels = settings.max_megapixels
        self.weights = load_chosen(settings.network)
        for read in (read_u2netp, read_faces, read_words):
            read()

    def retarget(self, form: Form, asked: Asked, report: Progress) -> list[Output]:
        """Retargets a request's photo to each of its targets.

        Args:
          form: with the file "photo", and masks.
          asked: the other fields, parsed.
          report: called as the work advances; what it raises ends the work.

        Raises:
          ValueError: what cannot be served, as the command line says it.
        """
        photo, masks = self.read(form, asked)
        targets = [parse_target(photo.size, **asked.sizes)]
        sizes = [(target.height, target.width) for target in targets]
        name = form.files["photo"].name
        file_format = asked.file_format or output_format("-", photo.kind)
        for size in sizes:
            _named(name, lambda size=size: check_output(photo.kind, file_format, asked.background, size))
        report("reading", 1, 1)
        outputs = []
        for target, (images, record) in zip(targets, self._run(photo, masks, sizes, asked, report), strict=True):
            record["notes"] = [*photo.notes, *([target.note] if target.note else []), *record.get("notes", [])]
            data = self._encode(images, photo, asked, file_format, name)
            named = name_output(name, (target.height, target.width), file_format)
            outputs.append(Output(named, media_type(file_format), data, record))
        return outputs

    def read(self, form: Form, asked: Asked) -> tuple[Photo, Masks]:
        """The photo and the masks of a request.

        Raises:
          PhotoError: one of them cannot be used.
        """
        photo = self._decode(form, "photo", asked.frames)
        masks: dict[str, np.ndarray] = {}
        for name in form.files:
            if name != "photo":
                take = take_objects if name == "objects" else take_mask
                masks[name] = take(self._decode(form, name, "refuse"), form.files[name].name, photo.size)
        return photo, Masks(**masks)

    def _decode(self, form: Form, name: str, frames: Any) -> Photo:
        file = form.files[name]
        with _pillow:
            return decode(file.data, file.name, max_megapixels=self.most_megapixels, frames=frames)

    def _run(
        self, photo: Photo, masks: Masks, sizes: list[tuple[int, int]], asked: Asked, report: Progress
    ) -> list[tuple[list[np.ndarray], dict[str, Any]]]:
        """The images of each target, one for every frame, and what happened."""
        frames = frame_arrays(photo)
        if asked.method == "dnr":
            found = retarget_frames_to_all(frames, sizes, asked.config, self.weights, masks=masks, progress=report)
            return [
                ([result.image for result in results], run_record(results[0], asked.config, self.weights))
                for results in found
            ]
        method = METHODS[asked.method]
        context = Context(network=self.weights.network, config=asked.config, progress=report)
        done = []
        for size in sizes:
            start = time.perf_counter()
            image = method(frames[0], size, context)
            seconds = {method.name: round(time.perf_counter() - start, 4)}
            record = {"method": method.name, "size": photo.size, "target_size": size, "seconds": seconds}
            done.append(([image], {**record, **environment()}))
        return done

    def _encode(self, images: list[np.ndarray], photo: Photo, asked: Asked, file_format: str, name: str) -> bytes:
        pictures = stored_pictures(images)
        with _pillow:
            if photo.kind.animation is not None:
                return _named(name, lambda: encode_animation(pictures, photo.kind, file_format, asked.background))
            return _named(name, lambda: encode_photo(*pictures[0], photo.kind, file_format, asked.background))


def _named(name: str, body: Callable[[], T]) -> T:
    try:
        return body()
    except PhotoError as error:
        raise PhotoError(f"{name}: {error}") from None
