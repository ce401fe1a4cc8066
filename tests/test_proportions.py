"""The proportional warp against loops and SciPy: cells, columns, crop, rows, strain."""

import jax.numpy as jnp
import numpy as np
import oracles_planning as oracles
import pytest
from grids import (
    CELL,
    close_up,
    grid_of,
    gridded,
    nothing,
    plan,
    planned,
    random_objects,
    scales,
    share_out,
    strained,
    window,
)

from dnr_jax.padding import traced_size
from dnr_jax.planning.cells import CELLS
from dnr_jax.planning.warp import Warp

# The grid.


@pytest.mark.parametrize("size", [(80, 120), (57, 101), (23, 61), (7, 3), (1, 1)])
def test_the_grid_equals_loops(size: tuple[int, int]) -> None:
    objects = np.random.default_rng(0).random(size).astype(np.float32)
    marked = np.random.default_rng(1).random(size) < 0.03
    found = gridded(jnp.asarray(objects), jnp.asarray(marked), traced_size(size))
    assert (found.objects.shape, found.objects.dtype, found.protected.dtype) == ((40, 40), jnp.float32, jnp.bool)
    np.testing.assert_allclose(found.objects, oracles.cell_means(objects), rtol=0, atol=2e-5)
    np.testing.assert_array_equal(found.protected, oracles.cell_means(marked) > 0)
    without = gridded(jnp.asarray(objects), None, traced_size(size))
    np.testing.assert_array_equal(without.objects, found.objects)
    assert not np.asarray(without.protected).any()


@pytest.mark.parametrize("junk", [0.0, 1e30, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("size", [(57, 101), (40, 64), (23, 1)])
def test_the_grid_reads_the_valid_part_alone(size: tuple[int, int], junk: float) -> None:
    objects = np.random.default_rng(2).random(size).astype(np.float32)
    marked = np.random.default_rng(3).random(size) < 0.03
    padded, marks = np.full((64, 128), junk, np.float32), np.ones((64, 128), bool)
    padded[: size[0], : size[1]], marks[: size[0], : size[1]] = objects, marked
    found = gridded(jnp.asarray(padded), jnp.asarray(marks), traced_size(size))
    np.testing.assert_allclose(found.objects, oracles.cell_means(objects), rtol=0, atol=2e-5)
    np.testing.assert_array_equal(found.protected, oracles.cell_means(marked) > 0)


# Columns and rows.


@pytest.mark.parametrize("seed", range(6))
def test_scales_are_what_scipy_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for protects in (False, True):
        weights = rng.gamma(0.7, 1, CELLS) + 0.05 + 50 * (protects & (rng.random(CELLS) < 0.2))
        for wanted, total, low, high in (
            (np.ones(CELLS), rng.uniform(4, 38), 0.5, 1.0),
            (np.ones(CELLS), rng.uniform(42, 160), 0.5, None),
            (rng.uniform(0.5, 1, CELLS), 40.0, 0.72, 1.2),
            (rng.uniform(1, 4, CELLS), 40.0, 0.72, 1.2),
            (rng.uniform(0.5, 1, CELLS), 130.0, 0.72, 5.5),
        ):
            low, high = min(low, 0.75 * total / CELLS), high or 2 * total / CELLS - 1
            expected = oracles.share_out(wanted, weights, total, low, high)
            numbers = (jnp.asarray(x, jnp.float32) for x in (wanted, weights, total, low, high))
            found, _ = share_out(*numbers, jnp.ones(CELLS, bool))
            np.testing.assert_allclose(found, expected, rtol=0, atol=CELL)


def test_wanted_scales_far_beyond_the_bounds_are_shared_out_within_them() -> None:
    # 39 heavy cells want 4 times their size, within a sum that has no room for it.
    wanted, weights = np.full(CELLS, 4.0), np.full(CELLS, 0.75)
    wanted[-1], weights[-1] = 1, 0.05
    numbers = (jnp.asarray(x, jnp.float32) for x in (wanted, weights, 40.0, 0.72, 1.2))
    found, _ = share_out(*numbers, jnp.ones(CELLS, bool))
    np.testing.assert_allclose(found, oracles.share_out(wanted, weights, 40, 0.72, 1.2), rtol=0, atol=CELL)
    objects = np.ones((CELLS, CELLS))
    objects[-1] = 0
    _, height = planned(grid_of(objects), (400, 400), (400, 1600))
    assert scales(height).min() > 0.72 - CELL


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("most_crop", [0.7, 0.3])
def test_columns_crop_and_rows_equal_the_oracle(seed: int, most_crop: float) -> None:
    objects, protected = random_objects(seed), nothing()
    if seed % 2:
        protected[3:5, 29 + seed] = True
    size, target = (300, 500), (300, (250, 300, 375, 420, 180, 330, 120, 460)[seed])
    width, height = planned(grid_of(objects, protected), size, target, most_crop)
    left, right, first = oracles.plan_first(objects, protected, CELLS * target[1] / size[1], most_crop)
    assert window(width[0]) == (left, right)
    np.testing.assert_allclose(width[1], [0, *np.cumsum(first)], rtol=0, atol=CELL)
    second = oracles.plan_second(objects, protected, first, CELLS)
    np.testing.assert_allclose(height[0], np.arange(CELLS + 1), rtol=0, atol=CELL)
    np.testing.assert_allclose(height[1], [0, *np.cumsum(second)], rtol=0, atol=CELL)


@pytest.mark.parametrize("size", [(300, 500), (500, 300)])
@pytest.mark.parametrize("share", [0.4, 0.5, 0.6, 0.75, 0.9])
@pytest.mark.parametrize("rows", [14, 20, 28])
def test_close_ups_equal_the_oracle(size: tuple[int, int], share: float, rows: int) -> None:
    objects, protected = close_up(rows, rows=rows), nothing()
    protected[20, 3] = rows == 20
    # The other side gets shorter too, so that what its rows can take is less than 40 cells in all.
    for other in (1.0, 0.95):
        target = (round(300 * other), round(500 * share))
        if size[0] > size[1]:
            sides = planned(grid_of(objects.T, protected.T), size, (target[1], target[0]))[::-1]
        else:
            sides = planned(grid_of(objects, protected), size, target)
        scale, (down, across), _ = oracles.relative((300, 500), target)
        left, right, first = oracles.plan_first(objects, protected, CELLS * across, 0.7, CELLS * down)
        assert window(sides[0][0]) == (left, right)
        np.testing.assert_allclose(sides[0][1], [0, *np.cumsum(first * scale)], rtol=0, atol=CELL * scale)


@pytest.mark.parametrize("case", range(12))
def test_what_both_sides_share_is_left_out_of_the_sums(case: int) -> None:
    # Whether both shrink or both grow, by whatever factors: compiled divisions round in their own ways.
    rng = np.random.default_rng(case)
    height, width = (int(n) for n in rng.integers(60, 1500, 2))
    factors = rng.uniform(0.5, 0.95, 2) if case % 3 == 0 else rng.uniform(1.05, 2.5, 2)
    size, target = (height, width), (round(height * factors[0]), round(width * factors[1]))
    if case == 1:
        size, target = (120, 90), (240, 100)
    objects, protected = random_objects(20 + case), nothing()
    sides = planned(grid_of(objects, protected), size, target)
    scale, ratios, first_is_height = oracles.relative(size, target)
    if first_is_height:
        objects, sides, ratios = objects.T, sides[::-1], ratios[::-1]
    other, changed = ratios
    left, right, first = oracles.plan_first(objects, protected, CELLS * changed, 0.7, CELLS * other)
    assert window(sides[0][0]) == (left, right)
    np.testing.assert_allclose(sides[0][1], [0, *np.cumsum(first * scale)], rtol=0, atol=CELL * scale)
    second = oracles.plan_second(objects, protected, first, CELLS * other)
    np.testing.assert_allclose(sides[1][1], [0, *np.cumsum(second * scale)], rtol=0, atol=CELL * scale)


# Crop.


def test_most_crop_0_forbids_it_and_the_limit_holds() -> None:
    for seed in range(3):
        grid = grid_of(random_objects(seed, heavy=0.05))
        for target in (100, 200, 300, 450):
            lost = CELLS * (1 - target / 500)
            for most_crop in (0.0, 0.1, 0.35, 0.7, 1.0):
                left, right = window(planned(grid, (300, 500), (300, target), most_crop)[0][0])
                assert CELLS - (right - left) <= most_crop * lost + 0.1
                assert most_crop > 0 or (left, right) == (0, CELLS)


def test_neither_objects_nor_what_is_protected_are_cropped() -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        objects, protected = np.zeros((CELLS, CELLS), np.float32), nothing()
        first, last = int(rng.integers(2, 8)), int(rng.integers(30, 37))
        objects[30:36, first] = 0.5  # Its strongest eighth is above the bound.
        protected[int(rng.integers(CELLS)), last] = True
        for target in (40, 250, 400):
            left, right = window(planned(grid_of(objects, protected), (300, 500), (300, target), 1.0)[0][0])
            assert left <= first
            assert right > last
    # The same without either.
    left, right = window(planned(grid_of(np.zeros((CELLS, CELLS))), (300, 500), (300, 250), 1.0)[0][0])
    assert right - left < 30


@pytest.mark.parametrize(("strength", "room"), [(1.0, 3), (0.6, 2), (0.4, 0)])
def test_an_object_does_not_touch_the_border_unless_it_did(strength: float, room: int) -> None:
    objects = np.zeros((CELLS, CELLS))
    objects[10:30, 14:26] = strength
    for target in (140, 220, 300):
        left, right = window(planned(grid_of(objects), (300, 500), (300, target), 1.0)[0][0])
        assert left <= 14 - room
        assert right >= 26 + room
        assert (left, right) == (14 - room, 26 + room) or target > 140
    objects[:, :14] = 0.5
    left, _ = window(planned(grid_of(objects), (300, 500), (300, 220), 1.0)[0][0])
    assert left == 0


def test_a_cell_is_cropped_only_where_that_saves_more_than_its_price() -> None:
    # On plain ground a cell of scale s costs c (1 - s)^2 and gives the others 2 c (1 - s) s: together above 0.35 c
    # where 1 - s^2 > 0.35.
    plain = grid_of(np.zeros((CELLS, CELLS)))
    for target in range(150, 500, 25):
        left, right = window(planned(plain, (300, 500), (300, target), 1.0)[0][0])
        count, total = CELLS, CELLS * target / 500
        while 1 - min(1, total / count) ** 2 > 0.35 and count - 1 >= total - 0.5:
            count -= 1
        assert right - left == count
    # Where 9/10 remain, it pays nowhere.
    assert window(planned(plain, (300, 500), (300, 450), 1.0)[0][0]) == (0, CELLS)


def test_the_plainer_border_goes_first() -> None:
    objects = np.zeros((CELLS, CELLS))
    objects[:, 15:25] = 1
    objects[:, 25:] = 0.1
    left, right = window(planned(grid_of(objects), (300, 500), (300, 350))[0][0])
    assert left > CELLS - right


# Strain.


@pytest.mark.parametrize(
    ("size", "target"),
    [
        ((300, 500), (300, 250)),
        ((300, 500), (300, 420)),
        ((500, 300), (300, 290)),
        ((300, 500), (420, 500)),
        ((300, 500), (240, 300)),
        ((300, 500), (360, 900)),
        ((300, 500), (330, 400)),
    ],
)
def test_strain_equals_loops(size: tuple[int, int], target: tuple[int, int]) -> None:
    for seed in range(3):
        objects, protected = random_objects(seed), nothing()
        protected[5, 7] = seed == 1
        grid = grid_of(objects, protected)
        warps = plan(grid, traced_size(size), traced_size(target), jnp.float32(0.7))
        edges = [(np.asarray(warp.old_edges, np.float64), np.asarray(warp.new_edges, np.float64)) for warp in warps]
        found = strained(grid, warps, traced_size(size), traced_size(target))
        assert float(found) == pytest.approx(oracles.strain(objects, protected, edges, size, target), rel=1e-4)


def test_strain_of_one_cell_and_of_a_warp_of_other_edges() -> None:
    objects = random_objects(5)
    grid, size, target = grid_of(objects), (300, 500), (300, 350)
    warps = [
        (np.array([0.0, 500]), np.array([0.0, 350])),  # Uniform.
        (np.array([50.0, 433, 500]), np.array([0.0, 300, 350])),
    ]
    straight = np.array([0.0, 300])
    for old, new in warps:
        pair = (
            Warp(jnp.asarray(old, jnp.float32), jnp.asarray(new, jnp.float32)),
            Warp(jnp.asarray(straight, jnp.float32), jnp.asarray(straight, jnp.float32)),
        )
        found = strained(grid, pair, traced_size(size), traced_size(target))
        expected = oracles.strain(objects, nothing(), [(old, new), (straight, straight)], size, target)
        assert float(found) == pytest.approx(expected, rel=1e-4)


def test_strain_is_0_at_the_identity_and_in_plain_scaling_and_least_for_the_plan() -> None:
    grid = grid_of(random_objects(6))
    for size, target in (((300, 500), (300, 500)), ((300, 500), (150, 250)), ((100, 70), (200, 140))):
        warps = plan(grid, traced_size(size), traced_size(target), jnp.float32(0.7))
        assert float(strained(grid, warps, traced_size(size), traced_size(target))) == pytest.approx(0, abs=1e-8)
    size, target = traced_size((300, 500)), traced_size((300, 300))
    ends = [jnp.asarray([0, n], jnp.float32) for n in (500, 300, 300, 300)]
    uniform = strained(grid, (Warp(ends[0], ends[1]), Warp(ends[2], ends[3])), size, target)
    squeezed = strained(grid, plan(grid, size, target, jnp.float32(0)), size, target)
    cropped = strained(grid, plan(grid, size, target, jnp.float32(0.7)), size, target)
    assert float(cropped) < float(squeezed) < float(uniform)
