"""Importance maps: the feature norm, interpolation between sizes, and the sum over levels."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from dnr_jax.planning.importance import aggregate, feature_norm, resample

resampled = jax.jit(resample, static_argnums=(1, 2))
aggregated = jax.jit(aggregate, static_argnames=("taps", "shape"))


def assert_close(found: jax.Array, expected: np.ndarray) -> None:
    """As close as float32 sums come to the loops' float64."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def random_map(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, 1.0, shape).astype(np.float32)


def padded_with(junk: float, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    result = np.full(shape, junk, np.float32)
    result[: values.shape[0], : values.shape[1]] = values
    return result


def int32(*numbers: int) -> tuple[jax.Array, jax.Array]:
    height, width = (jnp.asarray(n, jnp.int32) for n in numbers)
    return height, width


def test_feature_norm_equals_loops() -> None:
    features = np.random.default_rng(0).normal(0, 100, (5, 7, 11)).astype(np.float32)
    features[2, 3] = 0
    found = feature_norm(jnp.asarray(features))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, oracles.feature_norm(features), rtol=1e-6)
    assert float(found[2, 3]) == 0
    assert float(feature_norm(jnp.asarray([[[3.0, 4.0]]]))[0, 0]) == 5


@pytest.mark.parametrize(
    ("shape", "steps"),
    [
        ((10, 14), (0.5, 0.5)),  # Twice the size.
        ((11, 15), (0.5, 0.5)),  # The last row and column lie past the last neuron's centre.
        ((40, 29), (0.125, 0.25)),
        ((5, 7), (1.0, 1.0)),
        ((3, 4), (1.6, 1.7)),  # Smaller than the map.
        ((1, 1), (5.0, 7.0)),
    ],
)
def test_resample_equals_loops(shape: tuple[int, int], steps: tuple[float, float]) -> None:
    values = random_map((5, 7), 1)
    found = resample(jnp.asarray(values), shape, steps)
    assert found.dtype == jnp.float32
    assert_close(found, oracles.resample(values, shape, steps))


def test_resample_at_the_same_size_is_exact() -> None:
    values = random_map((5, 7), 2)
    np.testing.assert_array_equal(resample(jnp.asarray(values), (5, 7), (1.0, 1.0)), values)


@pytest.mark.parametrize("junk", [0.0, -1e30, np.nan, np.inf])
@pytest.mark.parametrize("valid", [(5, 7), (3, 7), (4, 2), (1, 1)])
def test_resample_reads_the_valid_part_alone(valid: tuple[int, int], junk: float) -> None:
    values = random_map(valid, 3)
    found = resampled(padded_with(junk, values, (6, 8)), (13, 17), (0.5, 0.5), size=int32(*valid))
    assert_close(found, oracles.resample(values, (13, 17), (0.5, 0.5)))


SIZE, TAPS, STRIDES = (19, 27), ("block1_conv1", "block1_pool", "block4_conv2"), (1, 2, 8)


def levels(seed: int, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """Maps whose levels differ a hundredfold in scale, as the levels of a network do."""
    scales = (1.0, 10.0, 100.0)
    return [
        scale * random_map((size[0] // stride, size[1] // stride), seed + stride)
        for scale, stride in zip(scales, STRIDES, strict=True)
    ]


def test_aggregate_equals_loops() -> None:
    maps = levels(0)
    found = aggregated(tuple(jnp.asarray(values) for values in maps), int32(*SIZE), taps=TAPS, shape=SIZE)
    assert (found.dtype, found.shape) == (jnp.float32, SIZE)
    assert_close(found, oracles.aggregate(maps, STRIDES, SIZE))


def test_aggregate_does_not_depend_on_a_levels_scale() -> None:
    maps = levels(1)
    plain = aggregated(tuple(jnp.asarray(values) for values in maps), int32(*SIZE), taps=TAPS, shape=SIZE)
    scaled = aggregated(
        tuple(jnp.asarray(values) * 2.0**k for k, values in enumerate(maps)), int32(*SIZE), taps=TAPS, shape=SIZE
    )
    # Powers of two change no digit.
    np.testing.assert_array_equal(scaled, plain)


@pytest.mark.parametrize("junk", [0.0, -1e20, np.nan])
def test_aggregate_reads_the_valid_part_alone(junk: float) -> None:
    valid = (17, 22)
    maps = levels(2, valid)
    padded = tuple(
        jnp.asarray(padded_with(junk, values, (24 // stride, 32 // stride)))
        for values, stride in zip(maps, STRIDES, strict=True)
    )
    found = aggregated(padded, int32(*valid), taps=TAPS, shape=(24, 32))
    assert_close(found[:17, :22], oracles.aggregate(maps, STRIDES, valid))


def test_aggregate_of_a_level_of_zeros_adds_nothing() -> None:
    maps = levels(3)
    with_zeros = (jnp.asarray(maps[0]), jnp.zeros(maps[1].shape), jnp.asarray(maps[2]))
    found = aggregated(with_zeros, int32(*SIZE), taps=TAPS, shape=SIZE)
    assert_close(found, oracles.aggregate([maps[0], maps[2]], (1, 8), SIZE))
