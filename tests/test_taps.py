"""The taps' strides, sizes and receptive fields."""

from collections.abc import Callable
from itertools import pairwise

import jax
import numpy as np
import oracles
import pytest

from dnr_jax.config import DEFAULT_TAPS
from dnr_jax.networks.taps import (
    CONV_LAYERS,
    TAPS,
    AutomaticTaps,
    Level,
    check_tap,
    conv_layers_below,
    levels_of,
    projected_footprint,
    receptive_footprint,
    tap_depth,
)

PAIRS = [*pairwise(DEFAULT_TAPS), ("block1_conv2", "block5_pool"), ("block1_pool", "block3_conv1")]


def test_taps_are_all_layers_in_order() -> None:
    assert list(TAPS) == oracles.layers()
    assert [tap_depth(tap) for tap in TAPS] == list(range(21))
    assert DEFAULT_TAPS == oracles.DEFAULT_TAPS


@pytest.mark.parametrize(
    ("tap", "stride"),
    [
        *((f"block{block}_conv2", 2 ** (block - 1)) for block in range(1, 6)),
        *((f"block{block}_pool", 2**block) for block in range(1, 6)),
    ],
)
def test_stride_of_blocks_and_pools(tap: str, stride: int) -> None:
    assert Level(tap).stride == stride


@pytest.mark.parametrize("tap", oracles.layers())
@pytest.mark.parametrize("shape", [(64, 96), (63, 97), (33, 31)])
def test_size_follows_the_pools(tap: str, shape: tuple[int, int]) -> None:
    assert Level(tap).stride == oracles.stride(tap)
    assert Level(tap).size(shape) == oracles.size(tap, shape)


@pytest.mark.parametrize("shape", [(64, 96), (63, 97), (33, 31)])
def test_size_of_traced_and_of_numpy_lengths(shape: tuple[int, int]) -> None:
    traced = jax.jit(lambda size: [level.size(size) for level in levels_of(TAPS)])(shape)
    sizes = [level.size((np.int32(shape[0]), np.int32(shape[1]))) for level in levels_of(TAPS)]
    for tap, found, held in zip(TAPS, traced, sizes, strict=True):
        assert tuple(map(int, found)) == tuple(map(int, held)) == oracles.size(tap, shape)


def test_levels_are_their_taps_in_order() -> None:
    assert [level.tap for level in levels_of(TAPS)] == list(TAPS)
    assert [level.number for level in levels_of(TAPS)] == list(range(21))
    assert [f"block{level.block}_{level.layer}" for level in levels_of(TAPS)] == list(TAPS)
    assert levels_of(AutomaticTaps(DEFAULT_TAPS)) == levels_of(DEFAULT_TAPS)
    assert len(set(levels_of(TAPS))) == 21


@pytest.mark.parametrize(("shallow", "deep"), [*PAIRS, *pairwise(TAPS)])
@pytest.mark.parametrize("index", [0, 3])
def test_receptive_footprint_matches_propagated_indices(shallow: str, deep: str, index: int) -> None:
    footprint = receptive_footprint(shallow, deep)
    first = index * footprint.stride
    field = range(first - footprint.before, first + footprint.stride + footprint.after)
    assert set(field) == oracles.receptive_indices(shallow, deep, index)
    assert footprint.stride == oracles.stride(deep) // oracles.stride(shallow)


@pytest.mark.parametrize("tap", DEFAULT_TAPS)
def test_a_tap_sees_itself_alone(tap: str) -> None:
    assert receptive_footprint(tap, tap) == (1, 0, 0)


@pytest.mark.parametrize(("shallow", "deep"), PAIRS)
def test_projected_footprint_is_one_block(shallow: str, deep: str) -> None:
    assert projected_footprint(shallow, deep) == (oracles.stride(deep) // oracles.stride(shallow), 0, 0)


@pytest.mark.parametrize("footprint", [receptive_footprint, projected_footprint])
def test_footprint_of_taps_in_the_wrong_order_fails(footprint: Callable) -> None:
    with pytest.raises(ValueError, match="block3_conv4 is deeper than block2_conv2"):
        footprint("block3_conv4", "block2_conv2")


@pytest.mark.parametrize("tap", ["block_4_conv_5", "block4_conv5", "block2_conv3", "block6_pool", "Block1_conv1", ""])
def test_unknown_tap_is_named_with_the_known_ones(tap: str) -> None:
    for function in (check_tap, tap_depth, Level, conv_layers_below, lambda name: levels_of((name,))):
        with pytest.raises(ValueError, match="unknown tap") as error:
            function(tap)
        assert repr(tap) in str(error.value)
        assert all(known in str(error.value) for known in TAPS)


def test_known_taps_pass() -> None:
    assert [check_tap(tap) for tap in TAPS] == list(TAPS)


@pytest.mark.parametrize("tap", oracles.layers())
def test_conv_layers_below_reach_the_tap_and_no_further(tap: str) -> None:
    names = oracles.layers()
    expected = [name for name in names[: names.index(tap) + 1] if "conv" in name]
    assert list(conv_layers_below(tap)) == expected
    assert conv_layers_below("block5_pool") == CONV_LAYERS
