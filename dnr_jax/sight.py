"""What the networks see in a photo: importance by the feature network, objects, faces and words by three small ones."""

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
from jaxtyping import Float, Float32

from dnr_jax.arrays import Image, Maps
from dnr_jax.config import RetargetConfig
from dnr_jax.networks.faces import find_faces
from dnr_jax.networks.network import Network
from dnr_jax.networks.u2net import SIDE, salience
from dnr_jax.networks.words import find_words
from dnr_jax.padding import Size, traced_size
from dnr_jax.planning.importance import analyse, make_overview
from dnr_jax.planning.masks import Masks
from dnr_jax.planning.people_and_words import draw_faces, draw_words
from dnr_jax.programs import run_together
from dnr_jax.progress import Progress, timed
from dnr_jax.weights.detectors import read_faces, read_words
from dnr_jax.weights.objects import read_u2netp

ANALYSES = 3
"""Steps of progress before a target counts: objects, features, and the maps that seams are found on."""


class Sight(NamedTuple):
    """What stands out in a photo.

    Attributes:
      salience: what all of it counts, float32 [SIDE, SIDE] in [0, 2], which spans the photo; above 1 on faces.
      objects: what the salience network sees, or the user gave, float32 [SIDE, SIDE] in [0, 1]; None for neither.
      face_map: float32 [SIDE, SIDE] in [0, 1]; None likewise.
      word_map: float32 [SIDE, SIDE] in [0, 1]; None likewise.
      faces: float32 [n, 4], boxes (top, left, bottom, right) in pixels.
      face_scores: float32 [n] in [0, 1], falling.
      words: float32 [m, 4, 2], corners (row, column) in pixels of turned rectangles around lines of text.
      word_scores: float32 [m] in [0, 1], falling.
    """

    salience: Float32[np.ndarray, "320 320"]
    objects: Float32[np.ndarray, "320 320"] | None = None
    face_map: Float32[np.ndarray, "320 320"] | None = None
    word_map: Float32[np.ndarray, "320 320"] | None = None
    faces: Float32[np.ndarray, "n 4"] = np.zeros((0, 4), np.float32)
    face_scores: Float32[np.ndarray, " n"] = np.zeros(0, np.float32)
    words: Float32[np.ndarray, "m 4 2"] = np.zeros((0, 4, 2), np.float32)
    word_scores: Float32[np.ndarray, " m"] = np.zeros(0, np.float32)

    def describe(self) -> dict[str, Any]:
        """Boxes and scores of what was looked for, ready for JSON."""
        found: dict[str, Any] = {}
        if self.face_map is not None:
            found["faces"] = [
                {"box": np.round(box, 1).tolist(), "score": round(float(score), 3)}
                for box, score in zip(self.faces, self.face_scores, strict=True)
            ]
        if self.word_map is not None:
            found["words"] = [
                {"corners": np.round(line, 1).tolist(), "score": round(float(score), 3)}
                for line, score in zip(self.words, self.word_scores, strict=True)
            ]
        return found


def see(photo: Image, size: Size, config: RetargetConfig) -> Sight:
    """Looks for what `config.keep` names: objects, faces, words. The paper has no such prior (`objects=none`).

    Runs compiled programs and reads their results: it cannot be traced itself.

    Args:
      photo: float32 [H, W, 3] in [0, 255], the photo in the corner of its padded array.
      size: the valid (height, width) of the photo in pixels, int32.
      config: the options, of which `keep` and the three weights count.
    """
    lengths = int(size[0]), int(size[1])

    def look_for_objects() -> dict[str, Any]:
        return {"objects": np.asarray(salience(read_u2netp()[0], photo, size=size))}

    def look_for_faces() -> dict[str, Any]:
        boxes, scores = find_faces(read_faces()[0], photo, size=size)
        return {"faces": boxes, "face_scores": scores, "face_map": draw_faces(boxes, lengths)}

    def look_for_words() -> dict[str, Any]:
        lines, scores = find_words(read_words()[0], photo, size=size)
        return {"words": lines, "word_scores": scores, "word_map": draw_words(lines, lengths)}

    kinds = {"objects": look_for_objects, "faces": look_for_faces, "words": look_for_words}
    sight = Sight(np.zeros((SIDE, SIDE), np.float32))
    for seen in run_together(*(look for kind, look in kinds.items() if kind in config.keep)):
        sight = sight._replace(**seen)
    return sight._replace(salience=join(sight, config))


def see_frames(frames: Sequence[Image], size: Size, config: RetargetConfig) -> Sight:
    """Looks for what stands out in any frame of an animation, of which all frames have one size; see `see`.

    Each map holds the most of all frames; boxes and scores are those of the first frame.
    """
    sights = [see(frame, size, config) for frame in frames]
    names = ("objects", "face_map", "word_map", "salience")
    maps = {name: [getattr(sight, name) for sight in sights] for name in names}
    most = {name: reduce(np.maximum, seen) for name, seen in maps.items() if seen[0] is not None}
    return sights[0]._replace(**most)


def given_objects(objects: Float[np.ndarray, "h w"]) -> Sight:
    """Puts what the user says is an object, float [H, W] in [0, 1], in place of all that the networks see."""
    given = PIL.Image.fromarray(objects.astype(np.float32))
    reduced = np.asarray(given.resize((SIDE, SIDE), PIL.Image.Resampling.BOX))
    return Sight(reduced, objects=reduced)


def join(sight: Sight, config: RetargetConfig) -> Float32[np.ndarray, "320 320"]:
    """Joins the maps as salience, float32 [SIDE, SIDE] in [0, 2]: the largest at each place, each times its weight.

    Faces count once more on top of that, times `config.face_weight`.
    """
    # A face is an object in full, and what it counts beyond that lies above 1.
    as_object = 1.0 if config.face_weight > 0 else 0.0
    maps = (
        (sight.objects, config.object_weight),
        (sight.face_map, as_object),
        (sight.word_map, config.word_weight),
    )
    most = reduce(np.maximum, (np.float32(weight) * values for values, weight in maps if values is not None))
    faces = 0 if sight.face_map is None else np.float32(config.face_weight) * sight.face_map
    return np.clip(most + faces, 0, 2).astype(np.float32)


class Seen(NamedTuple):
    """What the networks see in a photo, or in all frames together.

    Attributes:
      sight: objects, faces and words; None with objects=none.
      importance: S_l of each tap, float32 [h_l, w_l], without priors, padded.
    """

    sight: Sight | None
    importance: Maps


def look_at(
    photos: Sequence[Image],
    size: tuple[int, int],
    config: RetargetConfig,
    network: Network,
    masks: Masks,
    *,
    progress: Progress | None = None,
    seconds: dict[str, float] | None = None,
) -> Seen:
    """Runs the networks, importance (Eq. 1) among them: all that is known of a photo whatever its target.

    Args:
      photos: the photo, or each frame, float32 [H, W, 3] in [0, 255], in the corner of its padded array, from
        `check_image`.
      size: the (height, width) of the photo in pixels.
      config: the options, resolved for that size.
      network: the network whose importance counts.
      masks: what the user marked, of which the map of objects alone counts here.
      progress: called between the networks.
      seconds: filled with the seconds of each stage.
    """
    seconds = {} if seconds is None else seconds
    sight = None
    with timed(seconds, "objects"):
        if masks.objects is not None:
            sight = given_objects(masks.objects)
        elif config.objects == "auto":
            sight = see_frames(photos, traced_size(size), config)
    if progress is not None:
        progress("analysis", 1, ANALYSES)
    with timed(seconds, "features"):
        overview, small_shape = make_overview(size, network.importance_side)
        importance = None
        for photo in photos:
            maps = analyse(network, photo, config.taps, (), overview=overview, small_shape=small_shape).importance
            importance = maps if importance is None else jax.tree.map(jnp.maximum, importance, maps)
        jax.block_until_ready(importance)
    assert importance is not None
    if progress is not None:
        progress("analysis", 2, ANALYSES)
    return Seen(sight, importance)
