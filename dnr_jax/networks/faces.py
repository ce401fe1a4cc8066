"""Faces of a photo, from a thirtieth of its longer side up to all of it.

The network (`blazeface`) was trained on 192 pixels. It is run on the whole photo at three resolutions, 768, 384 and 192
pixels on the longer side: it consists of convolutions alone, so that one run on the finest one sees what overlapping
tiles of 192 pixels would, without tiles' seams and at 0.7 of their cost. The middle resolution is looked at in the
mirror too, because the network does not score a face and its mirror image alike. Boxes found at several places,
resolutions and in the mirror are merged.
"""

from functools import partial
from typing import Any, NamedTuple, cast

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float32

from dnr_jax.arrays import Image
from dnr_jax.networks.blazeface import COARSEST, BlazeFace, centres, valid_places
from dnr_jax.networks.letterbox import LONGER, Letterbox, boxed, fit_letterbox, halved, rounded_up
from dnr_jax.networks.mobile import Size
from dnr_jax.programs import program, run_together

LEVELS, MIRRORED = 3, 1
"""Resolutions, each half the one before, and the one that is looked at in the mirror too."""
MOST_FACES = 64
"""So many faces of a photo at most; the likeliest ones."""
MOST_CANDIDATES = 256
"""Boxes of each resolution that are merged; the likeliest ones."""
LEAST_SCORE, LEAST_VOTE = 0.6, 0.2
"""The score that a face has at least, and boxes that are averaged with it."""
LEAST_SIDE = 12.0
"""Pixels of the network's resolution that the root of a box's area has at least; smaller ones are mostly noise."""
OVERLAP, CONTAINED = 0.3, 0.7
"""Two boxes are of one face where what they share is so much of their union, or of the smaller one."""


class FaceNetwork(flax.struct.PyTreeNode):
    """BlazeFace ready to run.

    Attributes:
      params: {layer or block: ...} with float32 kernels and biases; see `blazeface.layer_shapes`.
    """

    params: dict[str, Any]


class Faces(NamedTuple):
    """What was found, in arrays of a fixed length.

    Attributes:
      boxes: float32 [n, 4], (top, left, bottom, right) in pixels.
      scores: float32 [n], falling; 0 where there is no face.
    """

    boxes: Float32[Array, "n 4"]
    scores: Float32[Array, " n"]


def find_faces(
    network: FaceNetwork, image: Image, *, size: Size | None = None
) -> tuple[Float32[np.ndarray, "n 4"], Float32[np.ndarray, " n"]]:
    """The faces of a photo and how sure they are.

    A handful of compiled programs: three of the network (one of them for each of eleven shapes), and small ones.

    Args:
      network: BlazeFace.
      image: float32 [H, W, 3], RGB in [0, 255].
      size: int32 (height, width), at least 1: only the top-left part of that size is a photo, and what lies outside
        (not finite values included) changes nothing; None for all of `image`.

    Returns:
      Boxes from the brows to the chin, float32 [n, 4], (top, left, bottom, right) in pixels, not beyond the photo's
      borders; and scores, float32 [n], from LEAST_SCORE to 1, falling. n is at most MOST_FACES.
    """
    box = boxed(image, size=size)
    levels = pyramid(box)
    found = run_together(*(partial(candidates, network, level) for level in levels))
    views = [(faces.boxes * 2**n, faces.scores) for n, faces in enumerate(found)]
    turned = candidates(network, mirrored(levels[MIRRORED]))
    views.append((mirrored_boxes(turned.boxes, levels[MIRRORED].size) * 2**MIRRORED, turned.scores))
    boxes, scores = (jnp.concatenate(parts) for parts in zip(*views, strict=True))
    faces = merge(boxes, scores)
    boxes, scores = np.asarray(faces.boxes), np.asarray(faces.scores)
    lengths = np.array([int(n) for n in (image.shape[:2] if size is None else size)] * 2, np.float32)
    scale = lengths / np.array([int(n) for n in box.size] * 2, np.float32)
    return np.clip(boxes * scale, 0, lengths)[scores > 0], scores[scores > 0]


@program()
def pyramid(box: Letterbox) -> tuple[Letterbox, ...]:
    """The letterbox at LEVELS resolutions; all but the finest are square, so that they compile once for all photos."""
    levels = [box]
    for n in range(1, LEVELS):
        levels.append(fit_letterbox(halved(levels[-1]), (LONGER >> n, LONGER >> n)))
    return tuple(levels)


@program()
def mirrored(box: Letterbox) -> Letterbox:
    """The letterbox with left and right of its photo exchanged; what lies outside the photo stays outside."""
    width = box.image.shape[1]
    return Letterbox(jnp.roll(box.image[:, ::-1], box.size[1] - width, axis=1), box.size)


@program()
def mirrored_boxes(boxes: Float32[Array, "n 4"], size: Size) -> Float32[Array, "n 4"]:
    """Boxes of a mirrored photo of (height, width) `size` where they are in the photo itself."""
    top, left, bottom, right = boxes.T
    width = size[1].astype(jnp.float32)
    return jnp.stack([top, width - right, bottom, width - left], 1)


@program()
def candidates(network: FaceNetwork, box: Letterbox) -> Faces:
    """The likeliest boxes at one resolution in pixels of `box`, MOST_CANDIDATES at most."""
    size = rounded_up(box.size, COARSEST)
    outputs = BlazeFace().apply({"params": network.params}, box.image[None] / 127.5 - 1, size)
    logits, values = cast("tuple[jax.Array, jax.Array]", outputs)
    places = valid_places(logits.shape[1:], box.size)
    logits = jnp.where(places, logits[0], -jnp.inf).reshape(-1)
    best, chosen = lax.top_k(logits, min(MOST_CANDIDATES, logits.size))
    values = values[0].reshape(logits.size, -1)[chosen]
    middle = jnp.asarray(centres((places.shape[0], places.shape[1]))).reshape(-1, 2)[chosen] + values[:, :2]
    half = values[:, 2:4] / 2
    boxes = jnp.concatenate([middle - half, middle + half], -1)[:, jnp.array([1, 0, 3, 2])]
    large = jnp.all(half > 0, -1) & (jnp.prod(2 * half, -1) >= LEAST_SIDE**2)
    return Faces(boxes, jnp.where(large, jax.nn.sigmoid(best), 0))


@program(static_argnames=("most",))
def merge(boxes: Float32[Array, "n 4"], scores: Float32[Array, " n"], *, most: int = MOST_FACES) -> Faces:
    """One box for each face: the likeliest one and those that share its face, averaged with scores as weights.

    Args:
      boxes: float32 [n, 4], (top, left, bottom, right).
      scores: float32 [n]; boxes below LEAST_VOTE count nothing.
      most: boxes to return; the likeliest come first.
    """

    def step(n: jax.Array, state: tuple[jax.Array, Faces]) -> tuple[jax.Array, Faces]:
        left, found = state
        best = jnp.argmax(left)
        sure = left[best] >= LEAST_SCORE
        weights = jnp.where(sure & same_face(boxes[best], boxes), left, 0)
        mean = jnp.sum(weights[:, None] * boxes, 0) / jnp.maximum(jnp.sum(weights), jnp.finfo(jnp.float32).tiny)
        faces = Faces(found.boxes.at[n].set(mean), found.scores.at[n].set(jnp.where(sure, left[best], 0)))
        return jnp.where(weights > 0, 0, left), faces

    left = jnp.where(scores >= LEAST_VOTE, scores, 0)
    nothing = Faces(jnp.zeros((most, 4), jnp.float32), jnp.zeros(most, jnp.float32))
    return lax.fori_loop(0, most, step, (left, nothing))[1]


def same_face(box: Float32[Array, "4"], boxes: Float32[Array, "n 4"]) -> Bool[Array, " n"]:
    """Which of `boxes` [n, 4] are of the same face as `box` [4], bool [n]."""
    shared = jnp.minimum(box[None, 2:], boxes[:, 2:]) - jnp.maximum(box[None, :2], boxes[:, :2])
    common = jnp.prod(jnp.maximum(shared, 0), -1)
    areas, area = jnp.prod(boxes[:, 2:] - boxes[:, :2], -1), jnp.prod(box[2:] - box[:2])
    return (common > OVERLAP * (area + areas - common)) | (common > CONTAINED * jnp.minimum(area, areas))
