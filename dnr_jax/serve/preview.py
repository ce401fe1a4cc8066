"""Analyses a photo, so that a page can show for any size, without asking again, nearly what the server would make.

The analysis holds the order in which seams go and the 40 x 40 cells that the warp follows from, both of which are
small, with the photo at the size of a screen, and pictures of what the networks see.
"""

import base64
import io
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image

from dnr_jax.config import RetargetConfig
from dnr_jax.inputs import check_image
from dnr_jax.inspection.drawing import colour_map, to_picture
from dnr_jax.photos.files import output_format
from dnr_jax.photos.kinds import frame_arrays
from dnr_jax.planning import choice, proportions
from dnr_jax.planning.cells import Grid
from dnr_jax.planning.masks import Masks, check_masks
from dnr_jax.planning.objects import object_level
from dnr_jax.planning.passes import replay
from dnr_jax.planning.plan import Groundwork, lay_groundwork
from dnr_jax.planning.sides import SIDES
from dnr_jax.program_limit import make_room
from dnr_jax.progress import Progress
from dnr_jax.rendering.render import crop
from dnr_jax.rendering.tones import match_tones
from dnr_jax.serve.attempts import photo_grid, try_seams
from dnr_jax.serve.engine import Engine
from dnr_jax.serve.fields import Order
from dnr_jax.serve.recent import Recent
from dnr_jax.serve.uploads import Form
from dnr_jax.sight import Seen, look_at

MOST_SHOWN = 0.6e6
"""How many pixels the photo that is sent may have at most: as many as a browser can warp thirty times a second."""
_MAP_SIDE = 320
_REMEMBERED = 4


class Analyst:
    """Analyses photos, and remembers what the networks saw in the last few, so that a new mask does not run them again.

    Args:
      engine: reads the photos and holds the networks.

    Any number of threads may call `analyse`.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._seen: Recent[Seen] = Recent(_REMEMBERED)

    def analyse(self, form: Form, order: Order, report: Progress) -> dict[str, Any]:
        """The analysis of a request's photo, ready for JSON (see docs/pages/how-to/server.md).

        Args:
          form: the form of the request, with the file "photo" and perhaps masks.
          order: what its text fields ask for; its targets are not used.
          report: called as the work advances; what it raises ends the work.

        Raises:
          ValueError: the photo or a mask cannot be used; the message is the command line's.
        """
        photo, marked = self._engine.read(form, order)
        masks = Masks(**marked)
        config = order.config.resolve(photo.size)
        if not config.full_resolution:
            raise ValueError(f"an analysis needs a full-resolution tap first, not {config.taps[0]}: add block1_conv2")
        check_masks(masks, photo.size)
        pixels, _ = check_image(frame_arrays(photo)[0], config)
        make_room()
        seen = self._look(form, pixels, photo.size, config, masks, report)
        ground = lay_groundwork(
            seen.importance,
            photo.size,
            config,
            masks=masks,
            photo=pixels,
            salience=None if seen.sight is None else jnp.asarray(seen.sight.salience),
        )
        report("analysis", 3, 5)
        size = ground.left_size
        (matched,) = match_tones([pixels], ground.removals, config)
        shown = crop(replay(ground.removals, matched, 0, config), size)
        sides = {}
        for number, side in enumerate(SIDES, 4):
            found = [try_seams(ground.left, size, ground.threshold, config, side, grow=grow) for grow in (False, True)]
            report("analysis", number, 5)
            removed, inserted = (list(map(_describe, attempts)) for attempts in found)
            auto = config.importance_percentile == "auto"
            sides[side] = {"auto": auto, "attempts": removed, "growth": inserted}
        return {
            "name": form.files["photo"].name,
            "format": output_format("-", kind=photo.kind),
            "arguments": self._engine.arguments,
            "photo_size": photo.size,
            "size": size,
            "most_crop": config.crop_share,
            "deepest_stride": config.levels[-1].stride,
            "grid": _describe_grid(photo_grid(ground.left, size, config)),
            "sides": sides,
            "rules": rules(),
            "seen": None if seen.sight is None else seen.sight.describe(),
            "pictures": {"photo": _shrink(to_picture(shown), MOST_SHOWN), **_draw_maps(ground, config)},
            "notes": [*photo.notes, *config.tap_notes],
        }

    def _look(
        self,
        form: Form,
        pixels: jax.Array,
        size: tuple[int, int],
        config: RetargetConfig,
        masks: Masks,
        report: Progress,
    ) -> Seen:
        seers = (config.taps, config.objects, config.keep, config.precision)
        weights = (config.object_weight, config.face_weight, config.word_weight)
        objects = form.files.get("objects")
        key = (form.files["photo"].data, objects and objects.data, seers, weights)

        def look() -> Seen:
            network = self._engine.weights.network.at_precision(config.precision)
            network.check_taps(config.taps)
            return look_at([pixels], size, config, network, masks, progress=report)

        return self._seen.get(key, look)


def rules() -> dict[str, float | list[float]]:
    """The constants of the proportional warp and of the choice of seams, by which the page computes both."""
    return {
        "cells": proportions.CELLS,
        "floor": proportions.FLOOR,
        "mean": proportions.MEAN,
        "strongest": proportions.STRONGEST,
        "object": proportions.OBJECT,
        "face": proportions.FACE,
        "face_shape": proportions.FACE_SHAPE,
        "crop_price": proportions.CROP_PRICE,
        "second_price": proportions.SECOND_PRICE,
        "balance": proportions.BALANCE,
        "plain": proportions.PLAIN,
        "room": list(proportions.ROOM),
        "is_face": proportions.IS_FACE,
        "face_tight": proportions.FACE_TIGHT,
        "face_room": list(proportions.FACE_ROOM),
        "least_scale": proportions.LEAST_SCALE,
        "slack": proportions.SLACK,
        "stiffness": proportions.STIFFNESS,
        "shape": proportions.SHAPE,
        "least_follow": proportions.LEAST_FOLLOW,
        "most_follow": proportions.MOST_FOLLOW,
        "face_least_follow": proportions.FACE_LEAST_FOLLOW,
        "face_most_follow": proportions.FACE_MOST_FOLLOW,
        "protected": proportions.PROTECTED,
        "worth": choice.WORTH,
        "hope": choice.HOPE,
    }


def _describe(attempt: Any) -> dict[str, Any]:
    """An attempt, ready for JSON; its seams are little-endian uint16."""
    return {
        "deep": attempt.deep,
        "length": attempt.length,
        "damage": attempt.damage,
        "grid": _describe_grid(attempt.grid),
        "seams": _encode(attempt.seams.astype("<u2")),
    }


def _describe_grid(grid: Grid) -> dict[str, str]:
    """A grid, ready for JSON: its objects are little-endian float32, what it protects is uint8."""
    return {
        "objects": _encode(np.asarray(grid.objects, "<f4")),
        "protected": _encode(np.asarray(grid.protected, np.uint8)),
    }


def _draw_maps(ground: Groundwork, config: RetargetConfig) -> dict[str, str]:
    """Importance and objects as pictures as large as the photo, by name; lighter colours stand for higher values."""
    size, levels = ground.left_size, zip(config.levels, ground.left.maps, strict=True)
    scale = min(1, _MAP_SIDE / max(size))
    shape = (max(1, round(size[1] * scale)), max(1, round(size[0] * scale)))
    total = np.zeros(shape[::-1], np.float32)
    for level, values in levels:
        held = crop(values, level.size(size))
        total += _resize(held / max(float(held.mean()), 1e-6), shape)
    assert ground.left.objects is not None
    objects = _resize(crop(ground.left.objects, object_level(config.taps).size(size)), shape)
    return {"importance": _png(colour_map(total)), "objects": _png(colour_map(objects))}


def _resize(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map scaled to (width, height) `shape`, float32."""
    return np.asarray(PIL.Image.fromarray(values.astype(np.float32)).resize(shape, PIL.Image.Resampling.BILINEAR))


def _shrink(picture: np.ndarray, most: float) -> str:
    """A picture, uint8 [H, W, 3], shrunk to at most `most` pixels, as a data address."""
    height, width = picture.shape[:2]
    scale = min(1.0, (most / (height * width)) ** 0.5)
    if scale < 1:
        shape = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = np.asarray(PIL.Image.fromarray(picture).resize(shape, PIL.Image.Resampling.BOX))
    return _png(picture)


def _png(picture: np.ndarray) -> str:
    """A picture, uint8 [H, W, 3], as a data address that holds a PNG."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _encode(array: np.ndarray) -> str:
    """The bytes of an array in base64."""
    return base64.b64encode(array.tobytes()).decode()
