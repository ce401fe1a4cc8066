"""The proportional warp against loops and SciPy: cells, columns, crop, rows, and what people expect of them."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles_planning as oracles
import pytest

from dnr_jax.padding import traced_size
from dnr_jax.planning.proportions import CELLS, Grid, _share_out, make_grid, plan_proportions, strain
from dnr_jax.planning.warp import Warp, warp_width

CELL = 1e-3
"""How near a plan comes to the exact one, in cells."""
plan = jax.jit(plan_proportions)
share_out = jax.jit(_share_out)
gridded = jax.jit(make_grid)
strained = jax.jit(strain)
mapped = jax.jit(jax.vmap(plan_proportions, (0, 0, 0, None)))


def random_objects(seed: int, *, heavy: float = 0.3) -> np.ndarray:
    """Blobs that thin out towards the borders, float32 [40, 40] in [0, 1]."""
    rng = np.random.default_rng(seed)
    fall = np.exp(-(((np.arange(CELLS) - rng.uniform(12, 28)) / 9) ** 2))
    return np.clip(rng.gamma(heavy, 0.3, (CELLS, CELLS)) * fall[None, :], 0, 1).astype(np.float32)


def nothing() -> np.ndarray:
    return np.zeros((CELLS, CELLS), bool)


def grid_of(objects: np.ndarray, protected: np.ndarray | None = None) -> Grid:
    return Grid(jnp.asarray(objects, jnp.float32), jnp.asarray(nothing() if protected is None else protected))


def planned(
    grid: Grid, size: tuple[int, int], target: tuple[int, int], most_crop: float = 0.7
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Old and new edges of the width and of the height, in cells of the photo."""
    sides = []
    for warp, length in zip(
        plan(grid, traced_size(size), traced_size(target), jnp.float32(most_crop)), size[::-1], strict=True
    ):
        old, new = (np.asarray(edges, np.float64) * CELLS / length for edges in warp)
        sides.append((old, new))
    return sides[0], sides[1]


def window(old: np.ndarray) -> tuple[int, int]:
    """The cells that stay: the first, and the one after the last."""
    left, right = round(old[0]), round(old[-1])
    np.testing.assert_allclose([old[0], old[-1]], [left, right], rtol=0, atol=CELL)
    return left, right


def scales(edges: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Each cell's scale, [40]; not a number where it was cropped."""
    old, new = (np.diff(part) for part in edges)
    return np.where(old > CELL, new / np.maximum(old, CELL), np.nan)


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
    left, right, first = oracles.plan_first(objects, protected, CELLS * changed, 0.7)
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
                assert CELLS - (right - left) <= most_crop * lost + 0.5
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


# What people expect.


def test_the_identity_is_exact() -> None:
    grid = grid_of(random_objects(0), np.random.default_rng(0).random((CELLS, CELLS)) < 0.01)
    lengths = jnp.arange(1, 2001)
    sizes = (lengths, lengths[::-1])
    width, height = jax.jit(jax.vmap(plan_proportions, (None, 0, 0, None)))(grid, sizes, sizes, jnp.float32(0.7))
    for warp, sides in ((width, lengths[::-1]), (height, lengths)):
        np.testing.assert_array_equal(warp.old_edges, warp.new_edges)
        np.testing.assert_array_equal(warp.old_edges[:, 0], 0)
        np.testing.assert_array_equal(warp.old_edges[:, -1], sides)


@pytest.mark.parametrize("length", [33, 40, 125, 211, 384])
def test_the_identity_leaves_every_pixel_as_it_is(length: int) -> None:
    image = np.random.default_rng(length).uniform(0, 255, (3, length, 3)).astype(np.float32)
    warp, _ = plan(grid_of(random_objects(1)), traced_size((50, length)), traced_size((50, length)), jnp.float32(0.7))
    np.testing.assert_array_equal(warp_width(jnp.asarray(image), warp, length), image)
    padded = np.asarray(warp_width(jnp.asarray(image), warp, length + 7))
    np.testing.assert_array_equal(padded[:, :length], image)
    np.testing.assert_array_equal(padded[:, length:], 0)


@pytest.mark.parametrize(
    ("size", "target"), [((300, 600), (150, 300)), ((300, 601), (99, 198)), ((90, 120), (270, 360))]
)
def test_the_same_ratio_is_plain_scaling(size: tuple[int, int], target: tuple[int, int]) -> None:
    for edges, length, wanted in zip(
        planned(grid_of(random_objects(2)), size, target), size[::-1], target[::-1], strict=True
    ):
        np.testing.assert_allclose(edges[0], np.arange(CELLS + 1), rtol=0, atol=CELL)
        # Of 601 to 198 a hundredth of a cell is left that both do not share.
        np.testing.assert_allclose(edges[1], edges[0] * wanted / length, rtol=0, atol=0.03)


@pytest.mark.parametrize("target", [(300, 250), (420, 500), (150, 200), (330, 400)])
def test_height_is_width_turned(target: tuple[int, int]) -> None:
    objects, protected = random_objects(3), nothing()
    protected[7, 5] = True
    across = planned(grid_of(objects, protected), (300, 500), target)
    down = planned(grid_of(objects.T, protected.T), (500, 300), (target[1], target[0]))
    for wide, high in zip(across, down[::-1], strict=True):
        for one, other in zip(wide, high, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("most_crop", [0.0, 0.7, 1.0])
def test_edges_are_monotone_finite_and_end_at_the_target(most_crop: float) -> None:
    rng = np.random.default_rng(4)
    count = 400
    sizes = rng.integers(40, 2000, (count, 2))
    # Each side from a fifth to four times; also photos of 21:9 brought to 9:16 and back.
    targets = np.maximum(1, sizes * np.exp(rng.uniform(np.log(0.2), np.log(4), (count, 2)))).astype(int)
    sizes[:2], targets[:2] = [(900, 2100), (1600, 900)], [(1600, 900), (900, 2100)]
    grid = Grid(
        jnp.stack([jnp.asarray(random_objects(seed % 20)) for seed in range(count)]),
        jnp.asarray(rng.random((count, CELLS, CELLS)) < rng.choice([0, 0.001], (count, 1, 1))),
    )
    sides = [tuple(jnp.asarray(n, jnp.int32) for n in pair.T) for pair in (sizes, targets)]
    both = mapped(grid, *sides, jnp.float32(most_crop))
    scale, other = np.ones(count), np.ones((count, 2))
    for i in range(count):
        scale[i], other[i], _ = oracles.relative(sizes[i].tolist(), targets[i].tolist())
    for warp, side in zip(both, (1, 0), strict=True):
        old, new = np.asarray(warp.old_edges), np.asarray(warp.new_edges)
        assert np.isfinite(old).all()
        assert np.isfinite(new).all()
        np.testing.assert_array_equal(new[:, 0], 0)
        np.testing.assert_array_equal(new[:, -1], targets[:, side])
        assert (np.diff(old) >= 0).all()
        assert (np.diff(new) >= 0).all()
        assert (old[:, 0] >= 0).all()
        assert (old[:, -1] <= sizes[:, side]).all()
        # Relative to what both sides share, no cell falls below 3/4 of the mean or of the bounds, nor rises above
        # what the mean asks for; rounding apart, and half a cell that the window may be too narrow by.
        widths = np.diff(old)
        ratio = other[:, side, None]
        found = np.divide(np.diff(new), widths * scale[:, None], out=np.ones_like(widths), where=widths > 1e-3)
        assert (found >= np.minimum(0.5, 0.72 * ratio) - 0.01).all()
        kept = widths.sum(1, keepdims=True) / sizes[:, side, None]
        assert (found <= np.maximum(1.2, np.maximum(2 * ratio - 1, ratio / kept)) + 0.01).all()


def test_the_side_that_changes_most_keeps_its_bounds() -> None:
    for seed in range(4):
        grid = grid_of(random_objects(seed))
        for target in (40, 100, 200, 300, 450, 600, 900):
            ratio = target / 500
            width, height = planned(grid, (300, 500), (300, target))
            first, second = scales(width), scales(height)
            kept = np.isfinite(first).sum() / CELLS
            assert np.nanmin(first) >= min(0.5, 0.75 * ratio / kept, ratio) - CELL
            assert np.nanmax(first) <= max(1.0, 2 * ratio - 1) + CELL
            assert second.min() >= 0.72 - CELL
            assert second.max() <= 1.2 + CELL


@pytest.mark.parametrize(
    ("size", "target"), [((400, 400), (400, 700)), ((400, 400), (300, 700)), ((400, 400), (500, 900))]
)
def test_enlarging_stretches_ground_and_leaves_objects(size: tuple[int, int], target: tuple[int, int]) -> None:
    objects = np.zeros((CELLS, CELLS))
    objects[10:34, 15:25] = 1
    width, height = planned(grid_of(objects), size, target)
    scale, _, first_is_height = oracles.relative(size, target)
    changed = scales(height if first_is_height else width) / scale
    inside = changed[10:34] if first_is_height else changed[15:25]
    outside = np.concatenate([changed[:9], changed[35:]] if first_is_height else [changed[:14], changed[26:]])
    assert np.abs(inside - 1).max() < np.nanmin(np.abs(outside - 1))


def test_a_narrow_object_under_much_sky_keeps_its_width() -> None:
    # A person of 4 x 10 cells: a quarter of the columns' mean, but more than their strongest eighth.
    objects = np.full((CELLS, CELLS), 0.02)
    objects[28:38, 30:34] = 0.95
    for target in (250, 300, 400):
        width, _ = planned(grid_of(objects), (300, 500), (300, target), 0.0)
        person, ground = scales(width)[30:34], np.delete(scales(width), np.arange(29, 35))
        assert person.min() > 0.93
        assert person.min() > ground.max() + 0.05


def test_an_object_wider_than_the_target_keeps_its_proportions_better_than_uniform_scaling() -> None:
    objects = np.full((CELLS, CELLS), 0.02)
    objects[12:28, 5:35] = 1
    for target in (200, 250, 300):
        width, height = planned(grid_of(objects), (300, 500), (300, target))
        columns, rows = scales(width)[7:33].mean(), scales(height)[14:26].mean()
        uniform = target / 500
        assert columns < 0.95  # It does not fit.
        assert rows < 1 - CELL  # Its rows follow.
        assert columns / rows > uniform + 0.1
        # The rows of the ground make up for it.
        assert scales(height)[:10].mean() > 1


def test_eager_jit_and_vmap_agree() -> None:
    cases = [((300, 500), (300, 250)), ((300, 500), (400, 350)), ((500, 300), (333, 299)), ((120, 90), (240, 100))]
    grids = [grid_of(random_objects(seed), np.random.default_rng(seed).random((40, 40)) < 0.001) for seed in range(4)]
    stacked = jax.tree.map(lambda *parts: jnp.stack(parts), *grids)
    sizes, targets = (tuple(jnp.asarray(n, jnp.int32).T) for n in zip(*cases, strict=True))
    together = mapped(stacked, sizes, targets, jnp.float32(0.7))
    for i, (size, target) in enumerate(cases):
        jitted = plan(grids[i], traced_size(size), traced_size(target), jnp.float32(0.7))
        plain = plan_proportions(grids[i], size, target, 0.7) if i == 0 else jitted
        for found in (jitted, jax.tree.map(lambda array, i=i: array[i], together)):
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=2e-3), found, plain)


def test_another_size_or_target_compiles_nothing() -> None:
    traced = []

    def counted(*arguments):
        traced.append(1)
        return plan_proportions(*arguments)

    jitted = jax.jit(counted)
    for seed, (size, target) in enumerate([((300, 500), (300, 250)), ((90, 70), (200, 20)), ((64, 64), (64, 64))]):
        jitted(grid_of(random_objects(seed)), traced_size(size), traced_size(target), jnp.float32(0.1 * seed))
    assert len(traced) == 1


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
