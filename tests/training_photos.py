"""A recipe that trains in seconds, and drawn photos whose object is known, for tests of training."""

import numpy as np

from training.data import Dataset, Example
from training.recipe import Recipe

SIDE = 64
RECIPE = Recipe(
    widths=(4, 6, 8, 8),
    sides=(SIDE,),
    batches=(8,),
    chances=(1.0,),
    steps=24,
    warm_up=4,
    average=0.9,
    rate=1e-2,
    statistics_batches=4,
)


def disc_photo(seed: int, shape: tuple[int, int] = (72, 96)) -> tuple[np.ndarray, np.ndarray]:
    """A coloured disc somewhere on a ramp with noise, uint8, and its place in [0, 1]."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    photo = 110 + 0.3 * columns[..., None] + rng.normal(0, 3, (*shape, 3))
    inside = (rows - rng.uniform(25, 45)) ** 2 + (columns - rng.uniform(30, 66)) ** 2 < rng.uniform(12, 20) ** 2
    photo[inside] += rng.choice([-1, 1]) * np.array((80, 20, -60))
    return np.clip(photo, 0, 255).astype(np.uint8), inside.astype(float)


def generated_dataset() -> Dataset:
    """Sixteen discs to train on and eight held out, each with its place as the target."""
    examples = [Example(photo, (255 * place).astype(np.uint8), 1.0) for photo, place in map(disc_photo, range(24))]
    return Dataset(examples[:16], examples[16:], "generated", 24)
