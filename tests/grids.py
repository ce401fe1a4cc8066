"""Grids of objects for the tests of the proportional warp, and what it makes of them in cells."""

import jax
import jax.numpy as jnp
import numpy as np

from dnr_jax.padding import traced_size
from dnr_jax.planning.cells import CELLS, Grid, make_grid
from dnr_jax.planning.proportions import _share_out, plan_proportions, strain

CELL = 1e-3
"""How near a plan comes to the exact one, in cells."""
plan = jax.jit(plan_proportions)
share_out = jax.jit(_share_out)
gridded = jax.jit(make_grid)
strained = jax.jit(strain)
mapped = jax.jit(jax.vmap(plan_proportions, (0, 0, 0, None)))


def random_objects(seed: int, *, heavy: float = 0.3) -> np.ndarray:
    """Blobs that thin out towards the borders, float32 [40, 40] in [0, 1]; every third one holds a face of up to 2."""
    rng = np.random.default_rng(seed)
    fall = np.exp(-(((np.arange(CELLS) - rng.uniform(12, 28)) / 9) ** 2))
    objects = np.clip(rng.gamma(heavy, 0.3, (CELLS, CELLS)) * fall[None, :], 0, 1).astype(np.float32)
    if seed % 3 == 1:
        row, column = rng.integers(2, 34, 2)
        objects[row : row + 4, column : column + 3] = rng.uniform(1.2, 2)
    return objects


def close_up(seed: int = 0, *, rows: int = 28) -> np.ndarray:
    """A face of so many rows with its body around it, as good as the whole picture, float32 [40, 40] in [0, 2]."""
    rng = np.random.default_rng(seed)
    objects = rng.uniform(0.85, 1, (CELLS, CELLS)).astype(np.float32)
    left = int(rng.integers(8, 14))
    objects[5 : 5 + rows, left : left + 16] = rng.uniform(1.7, 2, (rows, 16))
    return objects


def nothing() -> np.ndarray:
    return np.zeros((CELLS, CELLS), bool)


def grid_of(objects: np.ndarray, protected: np.ndarray | None = None) -> Grid:
    return Grid(jnp.asarray(objects, jnp.float32), jnp.asarray(nothing() if protected is None else protected))


def planned(
    grid: Grid, size: tuple[int, int], target: tuple[int, int], most_crop: float = 0.7
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Old and new edges of the width and of the height, in cells of the photo."""
    sides = []
    for warp, length in zip(
        plan(grid, traced_size(size), traced_size(target), jnp.float32(most_crop)), size[::-1], strict=True
    ):
        old, new = (np.asarray(edges, np.float64) * CELLS / length for edges in warp)
        sides.append((old, new))
    return sides[0], sides[1]


def window(old: np.ndarray) -> tuple[int, int]:
    """The cells that stay: the first, and the one after the last."""
    left, right = round(old[0]), round(old[-1])
    np.testing.assert_allclose([old[0], old[-1]], [left, right], rtol=0, atol=CELL)
    return left, right


def scales(edges: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Each cell's scale, [40]; not a number where it was cropped."""
    old, new = (np.diff(part) for part in edges)
    return np.where(old > CELL, new / np.maximum(old, CELL), np.nan)
