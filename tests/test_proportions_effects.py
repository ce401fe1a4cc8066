"""What people expect of the proportional warp: identity, symmetry, bounds, and what becomes of objects."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles_planning as oracles
import pytest
from grids import (
    CELL,
    close_up,
    grid_of,
    mapped,
    nothing,
    plan,
    planned,
    random_objects,
    scales,
    window,
)

from dnr_jax.padding import traced_size
from dnr_jax.planning.cells import CELLS, Grid
from dnr_jax.planning.proportions import plan_proportions
from dnr_jax.planning.warp import warp_width


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


def test_rows_that_hold_next_to_nothing_keep_their_height() -> None:
    objects = np.zeros((CELLS, CELLS))
    objects[:15], objects[15:25, 15:25] = 0.01, 1
    for edges in planned(grid_of(objects), (192, 256), (96, 128)):
        np.testing.assert_allclose(edges[1], edges[0] / 2, rtol=0, atol=1e-3)


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
        least, most = (bound[:, None] for bound in follow_bounds(np.asarray(grid.objects)))
        assert (found >= np.minimum(0.5, least * ratio) - 0.01).all()
        kept = widths.sum(1, keepdims=True) / sizes[:, side, None]
        assert (found <= np.maximum(most, np.maximum(2 * ratio - 1, ratio / kept)) + 0.01).all()


def follow_bounds(objects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the most scale of the side that follows, which are wider where there is a face, [...]."""
    face = np.maximum(objects - 1, 0).max((-2, -1))
    return 0.72 - 0.07 * face, 1.2 + 0.05 * face


@pytest.mark.parametrize("faces", [False, True])
def test_the_side_that_changes_most_keeps_its_bounds(faces: bool) -> None:
    reached = []
    for seed in range(4):
        objects = random_objects(seed) if faces else np.minimum(random_objects(seed), 1)
        grid, (least, most) = grid_of(objects), follow_bounds(objects)
        for target in (40, 100, 200, 300, 450, 600, 900):
            ratio = target / 500
            width, height = planned(grid, (300, 500), (300, target))
            first, second = scales(width), scales(height)
            kept = np.isfinite(first).sum() / CELLS
            assert np.nanmin(first) >= min(0.5, 0.75 * ratio / kept, ratio) - CELL
            assert np.nanmax(first) <= max(1.0, 2 * ratio - 1) + CELL
            assert second.min() >= least - CELL
            assert second.max() <= most + CELL
            reached.append(second.min() < 0.72 - CELL or second.max() > 1.2 + CELL)
    assert any(reached) == faces, "only a face takes rows beyond the bounds of others"


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


# Faces.


@pytest.mark.parametrize("share", [0.75, 0.5])
def test_a_face_keeps_its_proportions_before_anything_else(share: float) -> None:
    objects = np.full((CELLS, CELLS), 0.9, np.float32)  # A group that fills the photo: everyone has to get narrower.
    face = objects.copy()
    face[8:14, 10:15] = 2
    size = (400, 400)
    aspects = []
    for grid in (objects, face):
        width, height = planned(grid_of(grid), size, (400, round(400 * share)), 0.0)
        aspects.append(float(np.nanmean(scales(width)[10:15]) / np.nanmean(scales(height)[8:14])))
    assert abs(np.log(aspects[1])) < 0.35 * abs(np.log(aspects[0]))


def test_a_face_that_fills_the_picture_keeps_its_width_before_what_is_around_it_stays() -> None:
    size, target = (300, 500), (300, 220)

    def face_scale(objects: np.ndarray, most_crop: float = 0.7) -> tuple[float, int]:
        width, _ = planned(grid_of(objects), size, target, most_crop)
        left, right = window(width[0])
        columns = (objects.max(0) > 1.5).nonzero()[0]
        assert left < columns[0], "a cell beside the face stays"
        assert right > columns[-1] + 1
        return float(np.mean(scales(width)[columns])), CELLS - (right - left)

    objects = close_up()
    kept, cropped = face_scale(objects)
    whole, none = face_scale(objects, 0.0)
    assert none == 0
    assert cropped >= 10
    assert kept > whole + 0.1
    # A face whose rows can follow takes nothing from what is around it, and neither does one that is hardly squeezed.
    assert face_scale(close_up(rows=12))[1] == 0
    width, _ = planned(grid_of(objects), size, (300, 460))
    assert window(width[0]) == (0, CELLS)
    # What is protected stays in any case.
    protected = nothing()
    protected[:, [0, CELLS - 1]] = True
    assert window(planned(grid_of(objects, protected), size, target)[0][0]) == (0, CELLS)


def test_a_face_at_the_border_is_not_cropped() -> None:
    objects = np.zeros((CELLS, CELLS), np.float32)
    objects[10:30, 18:24] = 1
    small = objects.copy()
    small[4:6, 1:3] = 2  # Two cells high: too little of a column to count as an object there.
    kept = [window(planned(grid_of(grid), (400, 400), (400, 260))[0][0]) for grid in (objects, small)]
    assert kept[0][0] > 1
    assert kept[1][0] <= 1
