"""What a photo is of against plain loops: the map of objects, and importance under its priors."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import oracles_planning
import pytest

from dnr_jax.config import DEFAULT_TAPS, RetargetConfig
from dnr_jax.padding import traced_size
from dnr_jax.pipeline import retarget
from dnr_jax.planning.objects import centre_weight, object_level, object_map, weigh_importance
from dnr_jax.weights import Weights

TAPS = ("block1_conv2", "block2_conv2", "block3_conv4", "block5_pool")
STRIDES = (1, 2, 4, 32)
SIZE, SHAPE = (70, 101), (96, 128)


def pyramid(seed: int, size: tuple[int, int] = SIZE, taps: tuple[str, ...] = TAPS) -> list[np.ndarray]:
    """Maps whose levels differ a hundredfold in scale."""
    rng = np.random.default_rng(seed)
    return [
        rng.gamma(0.5, 10.0 ** (level % 3), oracles.size(tap, size)).astype(np.float32)
        for level, tap in enumerate(taps)
    ]


def padded_with(junk: float, maps: list[np.ndarray], taps: tuple[str, ...] = TAPS) -> tuple[jax.Array, ...]:
    """The maps in the corner of a larger photo's."""
    result = []
    for values, tap in zip(maps, taps, strict=True):
        larger = np.full(oracles.size(tap, SHAPE), junk, np.float32)
        larger[: values.shape[0], : values.shape[1]] = values
        result.append(jnp.asarray(larger))
    return tuple(result)


def arrays(maps: list[np.ndarray]) -> tuple[jax.Array, ...]:
    return tuple(jnp.asarray(values) for values in maps)


@pytest.mark.parametrize(
    ("taps", "level"),
    [
        (DEFAULT_TAPS, 3),
        (TAPS, 2),
        (("block1_conv2",), 0),
        (("block1_conv2", "block4_conv4", "block5_pool"), 1),
        (("block1_conv2", "block3_pool", "block4_conv1"), 2),
        (("block1_conv2", "block5_conv1"), 0),
        (("block5_conv1", "block5_pool"), 0),
    ],
)
def test_objects_have_the_deepest_level_of_stride_8_or_less(taps: tuple[str, ...], level: int) -> None:
    assert object_level(taps).number == level
    strides = [oracles.stride(tap) for tap in taps]
    assert strides[level] <= 8 or level == 0
    assert all(stride > 8 for stride in strides[level + 1 :])


# The map.


@pytest.mark.parametrize("shape", [(32, 32), (9, 7), (200, 150), None])
def test_the_map_equals_loops(shape: tuple[int, int] | None) -> None:
    maps = pyramid(0)
    # Beyond both bounds, too: a network's last layer is no promise.
    salience = None if shape is None else np.random.default_rng(1).uniform(-0.3, 2.3, shape).astype(np.float32)
    given = None if salience is None else jnp.asarray(salience)
    found = object_map(arrays(maps), given, traced_size(SIZE), taps=TAPS)
    assert (found.dtype, found.shape) == (jnp.float32, (17, 25))
    np.testing.assert_allclose(found, oracles_planning.object_map(maps[2], salience, SIZE, 4), rtol=0, atol=1e-5)
    assert 0 <= float(found.min()) <= float(found.max()) <= 2


@pytest.mark.parametrize("junk", [0.0, 1e30, -1e30])
@pytest.mark.parametrize("seen", [True, False])
def test_the_map_reads_the_valid_part_alone(seen: bool, junk: float) -> None:
    maps = pyramid(2)
    salience = np.random.default_rng(3).random((32, 32)).astype(np.float32) if seen else None
    given = None if salience is None else jnp.asarray(salience)
    found = object_map(padded_with(junk, maps), given, traced_size(SIZE), taps=TAPS)
    expected = oracles_planning.object_map(maps[2], salience, SIZE, 4)
    np.testing.assert_allclose(found[:17, :25], expected, rtol=0, atol=1e-5)


def test_second_objects_count_beside_salience_and_alone() -> None:
    maps = [np.ones(oracles.size(tap, SIZE), np.float32) for tap in TAPS]
    maps[2][5:8, 3:7] = 50
    salience = np.zeros((32, 32), np.float32)
    salience[8:24, 20:28] = 1
    both = np.asarray(object_map(arrays(maps), jnp.asarray(salience), traced_size(SIZE), taps=TAPS))
    assert both[8, 18] == pytest.approx(1)
    np.testing.assert_allclose(both[5:8, 3:7], 0.35)
    alone = np.asarray(object_map(arrays(maps), None, traced_size(SIZE), taps=TAPS))
    np.testing.assert_allclose(alone[5:8, 3:7], 1)


def test_a_photo_of_nothing_has_no_objects() -> None:
    maps = [np.zeros(oracles.size(tap, SIZE), np.float32) for tap in TAPS]
    np.testing.assert_array_equal(object_map(arrays(maps), None, traced_size(SIZE), taps=TAPS), 0)


# Priors.


@pytest.mark.parametrize("junk", [None, 0.0, 1e30, np.nan])
@pytest.mark.parametrize("prior", [0.0, 0.4])
@pytest.mark.parametrize("seen", [True, False])
def test_weighted_importance_equals_loops(seen: bool, prior: float, junk: float | None) -> None:
    maps = pyramid(4)
    objects = np.random.default_rng(5).random((17, 25)).astype(np.float32) if seen else None
    given = None if objects is None else jnp.asarray(objects)
    shown = arrays(maps)
    if junk is not None:
        shown = padded_with(junk, maps)
        if objects is not None:
            given = padded_with(junk, [objects], TAPS[2:3])[0]
    found = weigh_importance(shown, given, jnp.float32(prior), traced_size(SIZE), taps=TAPS)
    expected = oracles_planning.weigh_importance(maps, objects, prior, SIZE, STRIDES, 4)
    for values, wanted, given_map in zip(found, expected, shown, strict=True):
        assert (values.dtype, values.shape) == (jnp.float32, given_map.shape)
        height, width = wanted.shape
        np.testing.assert_allclose(values[:height, :width], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("taps", [TAPS, ("block1_conv2", "block5_pool"), ("block1_conv2", "block3_pool")])
def test_weighted_importance_of_other_taps_equals_loops(taps: tuple[str, ...]) -> None:
    maps = pyramid(6, taps=taps)
    level = object_level(taps).number
    objects = np.random.default_rng(7).random(maps[level].shape).astype(np.float32)
    found = weigh_importance(arrays(maps), jnp.asarray(objects), jnp.float32(0), traced_size(SIZE), taps=taps)
    strides = [oracles.stride(tap) for tap in taps]
    expected = oracles_planning.weigh_importance(maps, objects, 0, SIZE, strides, strides[level])
    for values, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-5)


def test_without_either_prior_the_maps_come_back_unchanged() -> None:
    for shown in (arrays(pyramid(8)), padded_with(-3.7e20, pyramid(8))):
        found = weigh_importance(shown, None, 0.0, traced_size(SIZE), taps=TAPS)
        jax.tree.map(np.testing.assert_array_equal, found, shown)


def test_objects_make_a_level_s_scale_irrelevant_and_ground_keeps_a_tenth() -> None:
    maps = pyramid(9)
    objects = np.zeros((17, 25), np.float32)
    objects[:, 12:] = 1
    size = traced_size(SIZE)
    plain = weigh_importance(arrays(maps), jnp.asarray(objects), 0.0, size, taps=TAPS)
    scaled = weigh_importance(
        arrays([2.0**k * m for k, m in enumerate(maps)]), jnp.asarray(objects), 0.0, size, taps=TAPS
    )
    jax.tree.map(np.testing.assert_array_equal, plain, scaled)
    for values, given in zip(plain, maps, strict=True):
        third = given.shape[1] // 3
        share = given / given.mean()
        np.testing.assert_allclose(values[:, :third], 0.1 * share[:, :third], rtol=1e-4)
        np.testing.assert_allclose(values[:, -third:], 1.1 * share[:, -third:], rtol=1e-4)


def test_a_level_of_zeros_stays_finite() -> None:
    maps = arrays([np.zeros(oracles.size(tap, SIZE), np.float32) for tap in TAPS])
    for values in weigh_importance(maps, jnp.ones((17, 25)), 0.5, traced_size(SIZE), taps=TAPS):
        np.testing.assert_array_equal(values, 0)


# The centre.


def test_the_centre_prior_is_a_gaussian_mixed_with_one() -> None:
    weight = np.asarray(centre_weight((6, 10), 0.25))
    for i in range(6):
        for j in range(10):
            y, x = (i + 0.5) / 6 - 0.5, (j + 0.5) / 10 - 0.5
            assert weight[i, j] == pytest.approx(0.75 + 0.25 * np.exp(-(y**2 + x**2) / 0.18), rel=1e-5)
    np.testing.assert_array_equal(centre_weight((6, 10), 0.0), np.ones((6, 10)))


@pytest.mark.parametrize("stride", [1, 4])
def test_the_centre_is_that_of_the_valid_part(stride: int) -> None:
    shape = (SHAPE[0] // stride, SHAPE[1] // stride)
    found = centre_weight(shape, 0.6, stride=stride, size=traced_size(SIZE))
    np.testing.assert_allclose(found, oracles_planning.centre_weight(shape, 0.6, stride, SIZE), rtol=1e-5, atol=1e-6)


def test_the_centre_prior_weights_every_map_and_moves_seams_outwards(small_vgg: Weights) -> None:
    image = np.random.default_rng(0).uniform(0, 255, (32, 48, 3)).astype(np.float32)
    taps = ("block1_conv2", "block2_conv2")

    def run(prior: float) -> tuple[tuple[np.ndarray, ...], float]:
        """The maps, and how far from the centre what is kept lies in the mean."""
        config = RetargetConfig(
            taps=taps,
            importance_percentile=100,
            reconstruct_steps=0,
            refine_steps=0,
            centre_prior=prior,
            objects="none",
            warp="grid",
        )
        result = retarget(image, (32, 24), config, small_vgg)
        kept = np.asarray(result.passes[0].carving.levels[0].kept)
        return result.importance, float(np.abs(kept[:32, :24] - 23.5).mean())

    (plain, away), (centred, near) = run(0.0), run(0.95)
    for before, after in zip(plain, centred, strict=True):
        np.testing.assert_allclose(after, before * centre_weight(before.shape, 0.95), rtol=1e-5)
    assert near < away - 1
    with pytest.raises(ValueError, match="centre_prior is 1"):
        RetargetConfig(centre_prior=1.0)
