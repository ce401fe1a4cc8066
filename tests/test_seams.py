"""Every seam finder against plain loops: same seams, in the same order, at the same costs."""

from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seam_checks import check

from dnr_jax.planning import seams, seams_pallas
from dnr_jax.planning.seams import Seams

FINDERS = {
    "scan": seams.find_seams,
    "pallas": seams_pallas.find_seams,
    "pallas-global-memory": partial(seams_pallas.find_seams, shared_bytes=0),
}
COMPILED = {name: jax.jit(finder) for name, finder in FINDERS.items()}
find_seams = FINDERS["scan"]
compiled = COMPILED["scan"]


@pytest.fixture(
    scope="module",
    params=["scan", "pallas", pytest.param("pallas-global-memory", marks=pytest.mark.slow)],
    autouse=True,
)
def finder(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test of this module runs once with each implementation as `find_seams`."""
    global find_seams, compiled
    before = find_seams, compiled
    find_seams, compiled = FINDERS[request.param], COMPILED[request.param]
    yield request.param
    find_seams, compiled = before


def random_map(shape: tuple[int, int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, 10.0, shape).astype(np.float32)


def tied_map(shape: tuple[int, int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3, shape).astype(np.float32)


def constant_map(shape: tuple[int, int], seed: int) -> np.ndarray:
    return np.full(shape, seed + 0.5, np.float32)


def signed_map(shape: tuple[int, int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 100.0, shape).astype(np.float32)


def jitted(cost: np.ndarray, count: int, *, threshold: float = np.inf, size: tuple[int, int] | None = None) -> Seams:
    """`find_seams` with the same argument types from everywhere, so that tests share its compilations."""
    return compiled(cost, jnp.asarray(count, jnp.int32), threshold=jnp.asarray(threshold, jnp.float32), size=size)


MAPS = [random_map, tied_map, constant_map, signed_map]
SHAPES = [(7, 9), (6, 1), (1, 6), (1, 1)]


@pytest.mark.parametrize("make", MAPS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("part", ["none", "one", "some", "all"])
def test_equals_loops(make: Callable, shape: tuple[int, int], part: str) -> None:
    count = {"none": 0, "one": 1, "some": (shape[1] + 1) // 2, "all": shape[1]}[part]
    for seed in range(3):
        cost = make(shape, seed)
        found = jitted(cost, count)
        check(found, oracles.find_seams(cost, count))
        assert int(found.removed) == count


@settings(derandomize=True, deadline=None, max_examples=60, database=None)
@given(st.data())
def test_equals_loops_on_any_small_integers(data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(-2, 2), min_size=25, max_size=25))
    count, threshold = data.draw(st.integers(0, 5)), data.draw(st.sampled_from([-1.0, 0.0, 0.6, np.inf]))
    cost = np.array(values, np.float32).reshape(5, 5)
    check(jitted(cost, count, threshold=threshold), oracles.find_seams(cost, count, threshold))


@pytest.mark.parametrize("seed", range(5))
def test_first_seam_is_the_cheapest_of_all_paths(seed: int) -> None:
    # Integers sum exactly, so that every path's cost can be compared.
    cost = np.random.default_rng(seed).integers(0, 50, (5, 5)).astype(np.float32)
    found = jitted(cost, 1)
    passed = np.asarray(found.order) == 0
    assert cost[passed].sum() == oracles.least_path_cost(cost)
    assert float(found.costs[0]) == np.float32(oracles.least_path_cost(cost)) / np.float32(5)


def test_ties_go_straight_then_left_then_right() -> None:
    constant = jitted(np.ones((2, 5), np.float32), 2)
    np.testing.assert_array_equal(constant.order[:, :3], [[0, 1, 5]] * 2)
    # The one free bottom place has a choice above it: left and right alike, straight dearer.
    forked = jitted(np.array([[9, 1, 9, 1, 9], [9, 9, 0, 9, 9]], np.float32), 1)
    np.testing.assert_array_equal(np.argwhere(np.asarray(forked.order) == 0), [[0, 1], [1, 2]])
    # All three alike: straight.
    alike = jitted(np.array([[9, 1, 1, 1, 9], [9, 9, 0, 9, 9]], np.float32), 1)
    np.testing.assert_array_equal(np.argwhere(np.asarray(alike.order) == 0), [[0, 2], [1, 2]])
    # Two seams of one cost: the one that ends further left.
    twins = jitted(np.array([[9, 1, 9, 1, 9], [9, 9, 1, 1, 9]], np.float32), 1)
    np.testing.assert_array_equal(np.argwhere(np.asarray(twins.order) == 0), [[0, 1], [1, 2]])


@pytest.mark.parametrize("make", MAPS)
def test_threshold_stops_as_loops_do(make: Callable) -> None:
    stops = set()
    for seed in range(3):
        cost = make((7, 9), seed)
        for threshold in np.percentile(cost, [0, 10, 20, 30, 50, 100]).astype(np.float32):
            expected = oracles.find_seams(cost, 8, threshold)
            check(jitted(cost, 8, threshold=threshold), expected)
            stops.add(expected.removed)
    # Both a stop at the first seam and no stop were among the cases (a constant map never stops).
    assert 8 in stops
    assert 1 in stops or make is constant_map


@pytest.mark.parametrize("threshold", [-np.inf, -1.0, 0.0])
def test_first_seam_goes_whatever_the_threshold(threshold: float) -> None:
    found = jitted(random_map((7, 9), 0), 5, threshold=threshold)
    assert (int(found.removed), int(found.width)) == (1, 8)
    assert int(jitted(random_map((7, 9), 0), 0, threshold=threshold).removed) == 0


def test_a_mean_equal_to_the_threshold_goes() -> None:
    # Column j costs (9 - j) / 2 all the way, and walls of 99 keep the seams in their columns.
    cost = np.full((7, 9), 99, np.float32)
    cost[:, ::2] = (9 - np.arange(0, 9, 2)) / 2
    for k, mean in enumerate((0.5, 1.5, 2.5, 3.5, 4.5)):
        assert float(jitted(cost, 9).costs[k]) == mean
        assert int(jitted(cost, 9, threshold=mean).removed) == k + 1
        assert int(jitted(cost, 9, threshold=np.nextafter(np.float32(mean), np.float32(0))).removed) == max(k, 1)


@pytest.mark.parametrize("junk", [0.0, -1e30, 1e30, -1.0])
@pytest.mark.parametrize("make", MAPS)
def test_padding_changes_nothing(make: Callable, junk: float) -> None:
    for seed, valid in enumerate([(5, 6), (8, 10), (1, 4), (5, 1), (8, 3), (3, 10)]):
        cost = make(valid, seed)
        padded = np.full((8, 10), junk, np.float32)
        padded[: valid[0], : valid[1]] = cost
        for count, threshold in ((3, np.inf), (valid[1], np.inf), (4, float(np.percentile(cost, 30)))):
            found = jitted(padded, count, threshold=threshold, size=valid)
            check(found, oracles.find_seams(cost, count, threshold), valid)


def test_a_count_beyond_the_valid_width_removes_it_all_and_no_more() -> None:
    padded = np.zeros((8, 10), np.float32)
    padded[:5, :6] = random_map((5, 6), 3)
    found = jitted(padded, 9, size=(5, 6))
    check(found, oracles.find_seams(padded[:5, :6], 6), (5, 6))


def test_eager_jit_and_vmap_agree() -> None:
    costs = np.stack([random_map((8, 10), 0), tied_map((8, 10), 1), constant_map((8, 10), 2), signed_map((8, 10), 3)])
    counts = np.array([0, 4, 7, 10], np.int32)
    sizes = np.array([[8, 10], [5, 6], [8, 7], [3, 10]], np.int32)
    # The second stops before its count, the others do not.
    thresholds = np.array([np.inf, 0.3, 2.5, np.inf], np.float32)
    batch = jax.jit(jax.vmap(find_seams))(costs, counts, threshold=thresholds, size=(sizes[:, 0], sizes[:, 1]))
    removed = []
    for i in range(len(costs)):
        height, width = (int(n) for n in sizes[i])
        expected = oracles.find_seams(costs[i, :height, :width], int(counts[i]), float(thresholds[i]))
        removed.append(expected.removed)
        one = jax.tree.map(lambda leaf, i=i: leaf[i], batch)
        options = {"threshold": float(thresholds[i]), "size": (height, width)}
        for found in (one, jitted(costs[i], int(counts[i]), **options)):
            check(found, expected, (height, width))
        # An eager call compiles its loop anew each time: one, with a stop, is enough.
        if i == 1:
            options["size"] = (jnp.asarray(height), jnp.asarray(width))
            check(find_seams(jnp.asarray(costs[i]), int(counts[i]), **options), expected, (height, width))
    assert removed[1] < counts[1]
    assert removed[2] == counts[2]


def test_one_compilation_serves_all_counts_thresholds_and_sizes() -> None:
    traced = []

    def counted(cost: jax.Array, count: jax.Array, threshold: jax.Array, size: tuple[jax.Array, jax.Array]) -> Seams:
        traced.append(cost.shape)
        return find_seams(cost, count, threshold=threshold, size=size)

    run = jax.jit(counted)
    cost = random_map((8, 10), 5)
    for count, threshold, size in ((0, 1.0, (8, 10)), (3, 9.0, (8, 10)), (10, np.inf, (5, 7)), (2, 0.0, (1, 1))):
        check(
            run(cost, count, threshold, size),
            oracles.find_seams(cost[: size[0], : size[1]], count, threshold),
            size,
        )
    assert traced == [(8, 10)]


@pytest.mark.parametrize("make", MAPS)
def test_seams_nest(make: Callable) -> None:
    cost = make((7, 9), 4)
    most = jitted(cost, 9)
    for k in range(9):
        fewer = jitted(cost, k)
        np.testing.assert_array_equal(fewer.order, np.where(np.asarray(most.order) < k, most.order, 9))
        np.testing.assert_array_equal(fewer.costs[:k], most.costs[:k])


@pytest.mark.parametrize("make", MAPS)
def test_kept_rises_and_is_what_no_seam_passed(make: Callable) -> None:
    cost = make((7, 9), 6)
    for count in range(9):
        found = jitted(cost, count)
        kept = np.asarray(found.kept)[:, : int(found.width)]
        assert (np.diff(kept, axis=1) > 0).all()
        for row, order in zip(kept, np.asarray(found.order), strict=True):
            np.testing.assert_array_equal(row, np.flatnonzero(order == 9))


@pytest.mark.parametrize("make", MAPS)
def test_seams_are_connected_in_the_closed_up_map(make: Callable) -> None:
    cost = make((7, 9), 7)
    order = np.asarray(jitted(cost, 9).order)
    expected = oracles.find_seams(cost, 9).seams
    for k in range(9):
        positions = oracles.closed_up(order, k)
        assert np.abs(np.diff(positions)).max() <= 1
        assert positions == expected[k]


def test_the_whole_map_is_the_default_size() -> None:
    cost = random_map((7, 9), 8)
    for default, given_size in zip(
        jitted(cost, 5, threshold=12.0), jitted(cost, 5, threshold=12.0, size=(7, 9)), strict=True
    ):
        np.testing.assert_array_equal(default, given_size)


def test_result_types() -> None:
    found = jitted(random_map((7, 9), 0), 2)
    assert [leaf.dtype for leaf in found] == [jnp.int32, jnp.int32, jnp.float32, jnp.int32, jnp.int32]
    assert [leaf.shape for leaf in found] == [(7, 9), (7, 9), (9,), (), ()]
