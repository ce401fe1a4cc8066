"""Joints are where the photo was cut, and active tiles are those that hold or adjoin one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tile_cases import ONE, SHAPE, TWO, cut_seams, draw_joints, pair

from dnr_jax.networks.taps import receptive_footprint
from dnr_jax.rendering.joints import active_tiles, cut_tiles, find_joints, worthwhile
from dnr_jax.weights import Weights


def oracle_joints(sources: np.ndarray, photo: tuple[int, int]) -> np.ndarray:
    """Joints of an unpadded image, pixel by pixel."""
    height, width = sources.shape[:2]
    joints = np.zeros((height, width), bool)
    for i in range(height):
        for j in range(width):
            here = tuple(sources[i, j])
            for di, dj in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                there = (here[0] + di, here[1] + dj)
                in_image = 0 <= i + di < height and 0 <= j + dj < width
                in_photo = 0 <= there[0] < photo[0] and 0 <= there[1] < photo[1]
                joints[i, j] |= in_image != in_photo or (in_image and tuple(sources[i + di, j + dj]) != there)
    return joints


def coordinates(kept: np.ndarray) -> np.ndarray:
    """(row, column) in the photo of what is kept, int32 [h, w, 2]."""
    rows = np.broadcast_to(np.arange(len(kept))[:, None], kept.shape)
    return np.stack([rows, kept], -1).astype(np.int32)


def pad_junk(array: np.ndarray, seed: int, rows: int = 5, columns: int = 9) -> jax.Array:
    junk = np.random.default_rng(seed).integers(0, 50, (array.shape[0] + rows, array.shape[1] + columns, 2))
    junk[: array.shape[0], : array.shape[1]] = array
    return jnp.asarray(junk, jnp.int32)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("count", [0, 1, 3, 9])
def test_joints_are_the_oracles(count: int, turned: bool) -> None:
    sources = coordinates(cut_seams(count, 23, 31, count))
    photo = (23, 31)
    if turned:
        sources, photo = sources.transpose(1, 0, 2)[..., ::-1], (31, 23)
    expected = oracle_joints(sources, photo)
    size = sources.shape[:2]
    found = np.asarray(find_joints(pad_junk(sources, 1), pair((size[0], size[1])), pair(photo)))
    np.testing.assert_array_equal(found[: size[0], : size[1]], expected)
    assert not found[size[0] :].any()
    assert not found[:, size[1] :].any()
    assert expected.any() == (count > 0)


def test_a_pixel_that_was_made_is_a_joint() -> None:
    sources = coordinates(np.tile(np.arange(12), (8, 1))).astype(np.float32)
    grown = np.insert(sources, 5, (sources[:, 4] + sources[:, 5]) / 2, 1)
    found = np.asarray(find_joints(jnp.asarray(grown), pair((8, 13)), pair((8, 12))))
    np.testing.assert_array_equal(np.flatnonzero(found.any(0)), [4, 5, 6])
    assert found[:, 4:7].all()


@pytest.mark.parametrize("taps", [ONE, TWO])
@pytest.mark.parametrize("margin", [0, 5])
@pytest.mark.parametrize("name", ["one", "corners", "borders"])
def test_active_tiles_adjoin_a_joint_and_free_pixels_are_theirs_alone(
    name: str, margin: int, taps: tuple[str, ...]
) -> None:
    joints = draw_joints(name)
    found, grid = active_tiles(jnp.asarray(joints), taps, margin=margin), cut_tiles(SHAPE, taps)
    footprint = receptive_footprint(None, taps[-1])
    assert grid.halo >= max(footprint.before, footprint.after)
    reach, tile = grid.halo + margin, grid.tile
    active = np.zeros((grid.rows, grid.columns), bool)
    for row in range(grid.rows):
        for column in range(grid.columns):
            top, left = row * tile, column * tile
            near = joints[max(0, top - reach) : top + tile + reach, max(0, left - reach) : left + tile + reach]
            active[row, column] = near.any()
    numbers = np.flatnonzero(active)
    np.testing.assert_array_equal(found.order[: len(numbers)], numbers)
    np.testing.assert_array_equal(np.sort(found.order), np.arange(active.size))
    free = np.asarray(found.free)
    assert int(found.active) == len(numbers)
    for i in range(SHAPE[0]):
        for j in range(SHAPE[1]):
            rows = slice(max(0, i - grid.halo) // tile, (i + grid.halo) // tile + 1)
            columns = slice(max(0, j - grid.halo) // tile, (j + grid.halo) // tile + 1)
            assert bool(free[i, j, 0]) == active[rows, columns].all()


def test_where_tiles_serve(small_vgg: Weights, embedded: Weights) -> None:
    assert small_vgg.network.is_local(("block1_conv2", "block5_conv1"))
    assert embedded.network.is_local(TWO)
    assert not embedded.network.is_local(("block1_conv2", "block4_conv4"))
    few = active_tiles(jnp.asarray(draw_joints("one")), ONE)
    assert bool(worthwhile(few))
    assert not bool(worthwhile(few._replace(active=jnp.int32(few.order.size))))
