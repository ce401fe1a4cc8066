"""Seams by sums that are kept small, for costs of very different sizes as masks make them."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from dnr_jax.planning.carve import carve_width
from dnr_jax.planning.seams import Seams, cumulative_cost, find_seams

TAPS = ("block1_conv2", "block2_conv2")


def assert_same(found: Seams, wanted: Seams) -> None:
    for this, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(this, other)


@pytest.mark.parametrize("threshold", [np.inf, 1.0])
def test_whole_numbers_have_the_same_seams_either_way(threshold: float) -> None:
    rng = np.random.default_rng(3)
    maps = jnp.asarray(rng.integers(0, 4, (5, 12, 17)).astype(np.float32))
    sizes = jnp.asarray([(12, 17), (9, 17), (12, 11), (1, 5), (7, 2)], jnp.int32)

    def find(cost: jax.Array, size: jax.Array, levelled: bool) -> Seams:
        return find_seams(cost, 9, threshold=jnp.float32(threshold), size=(size[0], size[1]), levelled=levelled)

    for cost, size in zip(maps, sizes, strict=True):
        assert_same(find(cost, size, True), find(cost, size, False))
    together = jax.jit(jax.vmap(find, (0, 0, None)), static_argnums=2)
    assert_same(together(maps, sizes, True), together(maps, sizes, False))


def test_what_is_taken_from_sums_is_what_a_seam_costs() -> None:
    cost = np.random.default_rng(4).gamma(2.0, 10.0, (30, 20)).astype(np.float32)
    totals, taken = cumulative_cost(jnp.asarray(cost), 30, levelled=True)
    plain = oracles.cumulative(cost.astype(np.float64))
    assert float(jnp.max(jnp.min(totals, axis=1))) == 0
    np.testing.assert_allclose(totals, plain - plain.min(1, keepdims=True), atol=1e-3)
    assert float(taken) == pytest.approx(plain[-1].min(), rel=1e-5)


@pytest.mark.parametrize("sign", [-1, 1])
def test_what_masks_add_drowns_no_cost(sign: int) -> None:
    # Many rows are marked for removal, or protected but for a gap; below, the seam may go through a thing or past it.
    height, width = 1800, 48
    cost = np.full((height, width), 0.1, np.float32)
    cost[1000:, :26] = 1.0
    bias = np.zeros_like(cost)
    weight = np.float32(2 * height * cost.max() * 8)
    bias[100:900] = weight if sign > 0 else 0
    bias[100:900, 16:20] = 0 if sign > 0 else -weight
    if sign > 0:
        bias[0] = weight  # And one row where there is no way past.
    column, least = oracles.cheapest_seam((cost + bias).astype(np.float64))
    seams = find_seams(jnp.asarray(cost + bias), 1, levelled=True)
    rows, columns = np.nonzero(np.asarray(seams.order) == 0)
    assert len(rows) == height
    taken = (cost + bias).astype(np.float64)[rows, columns]
    assert taken.sum() - least < 1e-6 * height
    assert (cost[rows, columns] == 1).sum() == (cost[np.arange(height), column] == 1).sum()
    # Summed up plainly, the thing is not told from the ground.
    if sign < 0:
        plain = np.asarray(find_seams(jnp.asarray(cost + bias), 1).order) == 0
        assert (cost[plain] == 1).sum() > 100


def test_carving_with_a_bias_levels_its_sums() -> None:
    height, width = 1800, 48
    cost = np.full((height, width), 0.1, np.float32)
    cost[1000:, :26] = 1.0
    bias = np.zeros_like(cost)
    bias[100:900, 16:20] = -2 * height * 8
    halved = [values.reshape(height // 2, 2, width // 2, 2).mean((1, 3)) for values in (cost, bias)]
    maps, biases = zip((jnp.asarray(cost), jnp.asarray(bias)), map(jnp.asarray, halved), strict=True)
    carving = carve_width(maps, (height, width), width - 2, jnp.float32(jnp.inf), 1.0, taps=TAPS, bias=biases)
    gone = np.asarray(carving.levels[0].order) < 2
    assert (bias[gone] < 0).sum() == 2 * 800
    assert (cost[gone] == 1).sum() == 0
