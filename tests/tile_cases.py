"""What the tests of joints and of tiles work on: places of joints, seams that wander, targets of a small network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import Level
from dnr_jax.rendering.joints import Tiles, active_tiles
from dnr_jax.rendering.reconstruct import FeatureTargets

ONE = ("block1_conv2",)
TWO = ("block1_conv2", "block2_conv2")
SHAPE, SIZE = (80, 112), (71, 99)
JOINTS = {
    "none": [],
    "one": [(30, 40)],
    "corners": [(0, 0), (70, 98), (0, 98)],
    "borders": [*((row, 0) for row in range(20, 40)), (0, 50), (70, 30), (45, 98)],
    "all": [(row, column) for row in range(71) for column in range(0, 99, 7)],
}


class Case(NamedTuple):
    """A network and the taps of a loss on it."""

    network: Network
    taps: tuple[str, ...]


features_of = jax.jit(
    lambda network, image, taps, size=None: network.features(image, taps, size=size), static_argnums=2
)
"""The network's features of an image, compiled once a process."""


def random_image(seed: int, height: int = SHAPE[0], width: int = SHAPE[1]) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)


def pair(size: tuple[int, int]) -> tuple[jax.Array, jax.Array]:
    return jnp.int32(size[0]), jnp.int32(size[1])


def draw_joints(name: str, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    joints = np.zeros(shape, bool)
    for row, column in JOINTS[name]:
        joints[row, column] = True
    return joints


def make_case(
    network: Network, taps: tuple[str, ...], joints: np.ndarray, size: tuple[int, int] = SIZE
) -> tuple[jax.Array, FeatureTargets, Tiles]:
    """A start near its goal, with junk in the padding of both images and of the features."""
    shape = joints.shape
    goal = random_image(1, *shape)
    start = np.clip(goal + np.random.default_rng(2).normal(0, 20, goal.shape), 0, 255).astype(np.float32)
    goal[size[0] :], start[:, size[1] :] = 1e4, -1e4
    features = []
    for tap, array in features_of(network, jnp.asarray(goal), taps, pair(size)).items():
        junk = np.full(array.shape, 1e5, np.float32)
        rows, columns = (n // Level(tap).stride for n in size)
        junk[:rows, :columns] = np.asarray(array)[:rows, :columns]
        features.append(jnp.asarray(junk))
    targets = FeatureTargets(network, tuple(features), pair(size), (1.0, 0.3)[: len(taps)])
    return jnp.asarray(start), targets, active_tiles(jnp.asarray(joints), taps)


def crop(array: jax.Array, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.asarray(array)[: size[0], : size[1]]


def cut_seams(seed: int, height: int, width: int, count: int) -> np.ndarray:
    """Kept columns, int [height, width - count], of seams that wander down from random places, the borders too."""
    rng = np.random.default_rng(seed)
    kept = np.tile(np.arange(width), (height, 1))
    for number in range(count):
        columns = kept.shape[1]
        at = (0, columns - 1, rng.integers(columns))[min(number, 2)]
        left = []
        for row in kept:
            left.append(np.delete(row, at))
            at = int(np.clip(at + rng.integers(-1, 2), 0, columns - 1))
        kept = np.stack(left)
    return kept
