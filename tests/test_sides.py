"""Turning arrays and sizes, so that what is written for the width serves the height."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnr_jax.padding import traced_size
from dnr_jax.planning.seam_maps import SeamMaps
from dnr_jax.planning.sides import AXES, SIDES, turned, turned_size


def over_the_diagonal(array: np.ndarray) -> np.ndarray:
    """Element by element."""
    result = np.zeros((array.shape[1], array.shape[0], *array.shape[2:]), array.dtype)
    for row in range(array.shape[0]):
        for column in range(array.shape[1]):
            result[column, row] = array[row, column]
    return result


def arrays(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "map": rng.random((5, 7)).astype(np.float32),
        "mask": rng.random((3, 4)) < 0.5,
        "image": rng.random((2, 6, 3)).astype(np.float32),
        "column": np.arange(4, dtype=np.int32).reshape(4, 1),
    }


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_the_height_is_where_the_width_was(kind: Any) -> None:
    tree = {name: kind(array) for name, array in arrays(0).items()}
    for name, found in turned(tree, "height").items():
        assert type(found) is type(tree[name])
        assert found.dtype == tree[name].dtype
        np.testing.assert_array_equal(found, over_the_diagonal(np.asarray(tree[name])))


@pytest.mark.parametrize("side", SIDES)
def test_turned_twice_is_as_it_was(side: str) -> None:
    tree, traced = arrays(1), jax.jit(lambda tree: turned(turned(tree, side), side))
    for found in (turned(turned(tree, side), side), traced(tree)):
        for name, array in tree.items():
            np.testing.assert_array_equal(found[name], array)


def test_the_width_stays_where_it_is() -> None:
    tree = arrays(2)
    assert turned(tree, "width") is tree


class Pair(NamedTuple):
    first: np.ndarray
    second: np.ndarray | None


def test_tuples_keep_their_type_and_what_is_missing_stays_missing() -> None:
    values = arrays(3)["map"]
    found = turned(Pair(values, None), "height")
    assert (type(found), found.second) == (Pair, None)
    np.testing.assert_array_equal(found.first, over_the_diagonal(values))
    maps = turned(SeamMaps((jnp.asarray(values), jnp.asarray(values[:2]))), "height")
    assert isinstance(maps, SeamMaps)
    assert [level.shape for level in maps.maps] == [(7, 5), (7, 2)]
    assert (maps.bias, maps.objects, maps.look) == (None, None, None)


@pytest.mark.parametrize("side", SIDES)
def test_sizes_are_those_of_turned_arrays(side: str) -> None:
    for array in arrays(4).values():
        size = (array.shape[0], array.shape[1])
        lying = turned(array, side)
        assert turned_size(size, side) == lying.shape[:2]
        assert turned_size(size, side)[1] == size[AXES[side]]
        assert tuple(map(int, turned_size(traced_size(size), side))) == lying.shape[:2]
