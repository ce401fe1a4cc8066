"""What a photo holds in 40 x 40 cells, whatever its size: what the proportional warp goes by."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32

from dnr_jax.arrays import Whole
from dnr_jax.padding import AnySize

CELLS = 40
"""Cells along each side."""


class Grid(NamedTuple):
    """What a photo holds, cell by cell.

    Attributes:
      objects: float32 [40, 40] in [0, 2], rows first; what is above 1 is a face.
      protected: bool [40, 40], what the user marked; it is never cropped, and outweighs everything else.
    """

    objects: Float32[Array, "40 40"]
    protected: Bool[Array, "40 40"]

    @property
    def things(self) -> Float32[Array, "40 40"]:
        """Objects, float32 [40, 40] in [0, 1]."""
        return jnp.minimum(self.objects, 1)

    @property
    def faces(self) -> Float32[Array, "40 40"]:
        """How much of a face each cell holds, float32 [40, 40] in [0, 1]."""
        return jnp.maximum(self.objects - 1, 0)


def make_grid(objects: Float32[Array, "h w"], protected: Bool[Array, "h w"] | None, size: AnySize) -> Grid:
    """Means over cells of a map of objects, float32 [h, w] in [0, 2], and what is `protected`, bool [h, w].

    `size` is the valid (height, width) of both.
    """
    rows, columns = (_cell_means(n, valid) for n, valid in zip(objects.shape, size, strict=True))

    def means(values: jax.Array) -> jax.Array:
        return jnp.matmul(jnp.matmul(rows, values, precision="highest"), columns.T, precision="highest")

    inside = (jnp.arange(objects.shape[0])[:, None] < size[0]) & (jnp.arange(objects.shape[1])[None, :] < size[1])
    held = means(jnp.where(inside, objects, 0))
    if protected is None:
        return Grid(held, jnp.zeros(held.shape, bool))
    return Grid(held, means((protected & inside).astype(jnp.float32)) > 0)


def _cell_means(length: int, valid: Whole) -> Float32[Array, "40 _"]:
    """Weights of each cell's mean, float32 [40, length], over the first `valid` of `length` places."""
    edges = jnp.arange(CELLS + 1, dtype=jnp.float32)[:, None] * (jnp.asarray(valid, jnp.float32) / CELLS)
    places = jnp.arange(length, dtype=jnp.float32)[None, :]
    overlap = jnp.maximum(0, jnp.minimum(edges[1:], places + 1) - jnp.maximum(edges[:-1], places))
    return overlap / jnp.maximum(jnp.sum(overlap, 1, keepdims=True), 1e-6)
