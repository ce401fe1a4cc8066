"""One currency for crop, seams and squeeze: what a plan does to what a photo holds.

The unit is the strain of the proportional warp (`dnr_jax.planning.proportions`): a column that counts c and gets the
scale s costs `c (s - 1)^2`, a cropped one its price. Beside that, seams cost

- *what they remove*: ground at the price of cropping it, objects in full, each neuron by what it counts itself;
- *what their joints break*: where pixels meet that were no neighbours, the contrast between them beyond what is usual
  nearby, many times as much on an object. In grass or gravel a joint hides; across a post, a roof or the edge of a
  cloud it shows, and across a face nobody forgives it;
- *the room they take*: objects that come to the border, by the square of what then stands there;
- *what they cut off*: the ends of objects that seams along a border take. There no joint betrays them, but a nose or a
  wheel is missing, which a crop never takes either.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from dnr_jax.arrays import Image, Whole
from dnr_jax.padding import AnySize, valid_mask
from dnr_jax.planning.carve import apply_width
from dnr_jax.planning.cells import CELLS, Grid, make_grid
from dnr_jax.planning.proportions import (
    CROP_PRICE,
    FLOOR,
    MEAN,
    OBJECT,
    PLAIN,
    STRONGEST,
    border_objects,
    strongest_of_columns,
)
from dnr_jax.planning.seams import Seams
from dnr_jax.planning.sides import turned
from dnr_jax.programs import program

JOINT_WEIGHT = 240.0
"""The damage of a joint as long as the seam between black and white, where all around is plain."""
JOINT_ON_OBJECT = 20.0
"""How many times as much again a joint counts where salience is 1; elsewhere with its square, so 80 on a face (2)."""
ROOM_PRICE = 2.0
"""What the square of an object costs that seams bring to a border."""
CUT_PRICE = 10.0
"""What the square of an object costs in each column, of 40, that seams take from its end at a border."""
_NEIGHBOURHOOD = 9  # Pixels across which a contrast hides a joint.


@program()
def look_of(photo: Image, size: AnySize) -> Float32[Array, "h w 4"]:
    """What joints are judged by, float32 [H, W, 4]: the smoothed photo in [0, 1], and the largest contrast nearby.

    Args:
      photo: float32 [H, W, 3] in [0, 255].
      size: the valid (height, width) of the photo.
    """
    inside = valid_mask(photo.shape, size)
    smooth = turned(_smooth(turned(_smooth(photo / 255, size[1]), "height"), size[0]), "height")
    across = jnp.where(inside[:, 1:], _contrast(smooth[:, 1:], smooth[:, :-1]), 0)
    down = jnp.where(inside[1:], _contrast(smooth[1:], smooth[:-1]), 0)
    largest = jnp.zeros((*photo.shape[:2], 1), jnp.float32)
    for steps, (rows, columns) in ((across, (0, 1)), (down, (1, 0))):
        before = jnp.pad(steps, ((0, rows), (0, columns), (0, 0)))
        after = jnp.pad(steps, ((rows, 0), (columns, 0), (0, 0)))
        largest = jnp.maximum(largest, jnp.maximum(before, after))
    window = (_NEIGHBOURHOOD, _NEIGHBOURHOOD, 1)
    nearby = jax.lax.reduce_window(largest, -jnp.inf, jax.lax.max, window, (1, 1, 1), "SAME")
    return jnp.concatenate([smooth, nearby], -1)


def joint_damage(
    look: Float32[Array, "h w 4"], objects: Float32[Array, "_ _"], seams: Seams, size: AnySize
) -> Float32[Array, ""]:
    """What the joints of vertical seams break, float32.

    Args:
      look: what `look_of` returned for the image before the seams, [H, W, 4].
      objects: the map of objects after the seams, float32 [h, w] in [0, 2].
      seams: the seams of the full-resolution level.
      size: the valid (height, width) before the seams.
    """
    stride = look.shape[0] // objects.shape[0]
    rows, columns = (
        np.minimum(np.arange(n, dtype=np.int32) // stride, m - 1)
        for n, m in zip(look.shape[:2], objects.shape, strict=True)
    )
    counts = 1 + JOINT_ON_OBJECT * jnp.square(objects[rows[:, None], columns[None, :]])[..., None]

    carved = apply_width(look, seams.kept)
    joined = seams.kept[:, 1:] != seams.kept[:, :-1] + 1
    sheared = seams.kept[1:] != seams.kept[:-1]
    inside = valid_mask(carved.shape, (size[0], seams.width))
    across = _beyond_usual(carved[:, :-1], carved[:, 1:]) * counts[:, 1:]
    down = _beyond_usual(carved[:-1], carved[1:]) * counts[1:]
    total = jnp.sum(jnp.where(joined[..., None] & inside[:, 1:], across, 0))
    total += jnp.sum(jnp.where(sheared[..., None] & inside[1:], down, 0))
    return JOINT_WEIGHT * total / jnp.asarray(size[0], jnp.float32)


def removal_damage(
    before: Float32[Array, "h _"],
    after: Float32[Array, "h _"],
    size: AnySize,
    new_size: AnySize,
    *,
    price: float = CROP_PRICE,
) -> Float32[Array, ""]:
    """What is lost with the neurons that seams removed, or doubled with those that they inserted, float32.

    Args:
      before: the map of objects, float32 [h, w] in [0, 2].
      after: the same map after the seams.
      size: the valid (height, width) of `before`.
      new_size: the valid (height, width) of `after`.
      price: what ground costs as a share of what it counts; 1 for insertions, which are a stretch to twice the width.
    """

    def total(objects: jax.Array, valid: AnySize) -> jax.Array:
        counts = FLOOR + (MEAN + STRONGEST) * objects
        counts = jnp.where(objects < PLAIN, price * counts, counts + OBJECT * jnp.square(objects))
        return jnp.sum(jnp.where(valid_mask(objects.shape, valid)[..., 0], counts, 0))

    neurons = jnp.maximum(1, size[0] * size[1]).astype(jnp.float32)
    return CELLS * jnp.abs(total(before, size) - total(after, new_size)) / neurons


def room_damage(before: Grid, after: Grid) -> Float32[Array, ""]:
    """What it costs that seams bring objects nearer to either border, float32: there a crop leaves them room.

    Args:
      before: what the photo held before the seams, cell by cell.
      after: what it holds after them.
    """
    squares = [jnp.square(border_objects(grid)) for grid in (before, after)]
    return ROOM_PRICE * jnp.sum(jnp.maximum(0, squares[1] - squares[0]))


def cut_damage(objects: Float32[Array, "h w"], seams: Seams, size: AnySize) -> Float32[Array, ""]:
    """What it costs that vertical seams along the left and the right border cut objects off, float32.

    What goes before the first place of a row that stays, or after the last one, counts where a crop would spare it:
    from `PLAIN` on.

    Args:
      objects: the map of objects before the seams, float32 [h, w] in [0, 2].
      seams: the seams of the map's level.
      size: the valid (height, width) of the map before the seams.
    """
    places = jnp.arange(objects.shape[1])[None, :]
    first, last = (jnp.take(seams.kept, place, axis=1)[:, None] for place in (0, seams.width - 1))
    gone = (places < first) | (places > last)
    squares = jnp.square(strongest_of_columns(make_grid(jnp.where(gone, objects, 0), None, size)))
    return CUT_PRICE * jnp.sum(jnp.maximum(0, squares - PLAIN**2))


def _smooth(image: jax.Array, width: Whole) -> jax.Array:
    """[1 2 1] / 4 along the columns of an image, float32 [H, W, C] valid in `width`, edges repeated."""
    columns = jnp.arange(image.shape[1])
    pick = partial(jnp.take, image, axis=1, mode="clip")
    return (pick(jnp.maximum(columns - 1, 0)) + 2 * image + pick(jnp.minimum(columns + 1, width - 1))) / 4


def _contrast(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.mean(jnp.square(a - b), -1, keepdims=True))


def _beyond_usual(a: jax.Array, b: jax.Array) -> jax.Array:
    """The square of the contrast of neighbours beyond the largest one around either."""
    return jnp.square(jnp.maximum(0, _contrast(a[..., :3], b[..., :3]) - jnp.maximum(a[..., 3:], b[..., 3:])))
