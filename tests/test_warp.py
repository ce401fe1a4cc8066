"""The grid warp against plain loops: cell widths, their bounds, and the box filter."""

import numpy as np
import oracles
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dnr_jax.planning.warp import Warp, plan_warp, uniform_warp, warp_width

# Positions up to a few hundred, summed from float32 widths.
EDGE = 1e-4


def random_map(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Importance that differs tenfold and more between places."""
    rng = np.random.default_rng(seed)
    return (rng.gamma(0.5, 1.0, shape) * np.repeat(rng.gamma(1.0, 5.0, -(-shape[1] // 5)), 5)[: shape[1]]).astype(
        np.float32
    )


def random_image(shape: tuple[int, int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1, (*shape, 3)).astype(np.float32)


def arrays(warp: Warp) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(warp.old_edges, np.float64), np.asarray(warp.new_edges, np.float64)


@pytest.mark.parametrize("width", [48, 50, 41, 7])
@pytest.mark.parametrize("seed", range(3))
def test_plan_equals_loops(width: int, seed: int) -> None:
    importance = random_map((3, width), seed)
    for target in sorted({1, width // 3 or 1, width // 2, width - 3, width}):
        old, new = arrays(plan_warp(importance, (3, width), target, 8))
        np.testing.assert_array_equal(old, oracles.cell_edges(width, 8))
        expected = np.cumsum([0, *oracles.cell_widths(importance, target, 8)])
        np.testing.assert_allclose(new, expected, rtol=0, atol=EDGE)


def test_plan_clamps_and_shares_out_what_is_left() -> None:
    # Shares of 24: 21.8, 1.1, 1.1; the first stays at 16 and the others have 4 each.
    importance = np.repeat(np.array([20, 1, 1], np.float32), 16)[None]
    np.testing.assert_allclose(plan_warp(importance, (1, 48), 24, 16).new_edges, [0, 16, 20, 24], rtol=0, atol=EDGE)
    # What the first leaves makes the second grow in turn.
    importance = np.repeat(np.array([100, 10, 1], np.float32), 16)[None]
    np.testing.assert_allclose(plan_warp(importance, (1, 48), 36, 16).new_edges, [0, 16, 32, 36], rtol=0, atol=EDGE)


def test_plan_without_clamping_is_proportional_to_importance_and_width() -> None:
    # The last cell has half the width: half a share at the same importance.
    importance = np.concatenate([np.repeat(np.array([1, 2], np.float32), 16), np.full(8, 2, np.float32)])[None]
    np.testing.assert_allclose(plan_warp(importance, (1, 40), 8, 16).new_edges, [0, 2, 6, 8], rtol=0, atol=EDGE)


@pytest.mark.parametrize("width", [48, 41])
def test_without_importance_all_cells_shrink_alike(width: int) -> None:
    for target in (1, 20, width):
        old, new = arrays(plan_warp(np.zeros((3, width), np.float32), (3, width), target, 8))
        np.testing.assert_allclose(new, old * target / width, rtol=0, atol=EDGE)


def test_cells_without_importance_go_first_and_share_what_others_cannot_take() -> None:
    importance = np.repeat(np.array([0, 3, 0, 1], np.float32), 8)[None]
    np.testing.assert_allclose(plan_warp(importance, (1, 32), 8, 8).new_edges, [0, 0, 6, 6, 8], rtol=0, atol=EDGE)
    np.testing.assert_allclose(plan_warp(importance, (1, 32), 20, 8).new_edges, [0, 2, 10, 12, 20], rtol=0, atol=EDGE)


@settings(derandomize=True, deadline=None, max_examples=300, database=None)
@given(
    st.lists(st.sampled_from([0.0, 1e-3, 0.3, 1.0, 1.0, 7.0, 1e4]), min_size=60, max_size=60),
    st.integers(1, 60).flatmap(lambda width: st.tuples(st.just(width), st.integers(1, width))),
)
@example([1.0] * 60, (60, 60))
@example([0.0] * 60, (60, 59))
@example([0.0] * 30 + [1.0] * 30, (60, 59))
def test_widths_sum_to_the_target_and_none_grows(values: list[float], widths: tuple[int, int]) -> None:
    width, target = widths
    importance = np.array(values, np.float32)[None]
    old, new = arrays(plan_warp(importance, (1, width), target, 8))
    assert (new[0], new[-1]) == (0, target)
    assert old[-1] == width
    assert (np.diff(new) >= 0).all()
    assert (np.diff(new) <= np.diff(old) + EDGE).all()
    if target == width:
        np.testing.assert_array_equal(new, old)


def test_every_target_from_one_to_the_width() -> None:
    importance = random_map((3, 50), 9)
    for target in range(1, 51):
        old, new = arrays(plan_warp(importance, (3, 50), target, 8))
        assert (new[0], new[-1]) == (0, target)
        assert (np.diff(new) >= 0).all()
        assert (np.diff(new) <= np.diff(old) + EDGE).all()


@pytest.mark.parametrize("width", [41, 112, 250])
@pytest.mark.parametrize("kind", ["random", "constant", "zero"])
def test_same_width_is_the_identity(width: int, kind: str) -> None:
    importance = random_map((3, width), 5) if kind == "random" else np.full((3, width), kind == "constant", np.float32)
    image = 255 * random_image((3, width), 6)
    warp = plan_warp(importance, (3, width), width, 16)
    np.testing.assert_array_equal(warp.new_edges, warp.old_edges)
    np.testing.assert_array_equal(warp_width(image, warp, width), image)


@pytest.mark.parametrize("valid", [(4, 33), (3, 32), (1, 1)])
@pytest.mark.parametrize("junk", [0.0, 1e6, -1e6])
def test_padding_changes_nothing(valid: tuple[int, int], junk: float) -> None:
    importance, image = random_map(valid, 7), random_image(valid, 8)
    shown = np.full((6, 50), junk, np.float32)
    shown[: valid[0], : valid[1]] = importance
    pixels = np.full((6, 50, 3), junk, np.float32)
    pixels[: valid[0], : valid[1]] = image
    target = (valid[1] + 1) // 2
    padded, plain = plan_warp(shown, valid, target, 8), plan_warp(importance, valid, target, 8)
    cells = len(plain.old_edges)
    np.testing.assert_array_equal(padded.old_edges[:cells], plain.old_edges)
    np.testing.assert_allclose(padded.new_edges[:cells], plain.new_edges, rtol=0, atol=EDGE)
    # Cells past the valid width are empty.
    np.testing.assert_array_equal(padded.old_edges[cells:], valid[1])
    np.testing.assert_array_equal(padded.new_edges[cells:], target)
    found = warp_width(pixels, padded, 50)
    np.testing.assert_allclose(found[: valid[0], :target], warp_width(image, plain, target), rtol=0, atol=EDGE)
    np.testing.assert_array_equal(found[:, target:], 0)


@pytest.mark.parametrize(("width", "target"), [(48, 31), (50, 20), (41, 40), (50, 3), (7, 2)])
def test_box_filter_equals_loops(width: int, target: int) -> None:
    for seed in range(3):
        image = random_image((3, width), seed)
        # Every cell keeps some width.
        warp = plan_warp(random_map((3, width), seed) + 0.1, (3, width), target, 8)
        old, new = arrays(warp)
        expected = oracles.warp_columns(image, old.tolist(), new.tolist(), target)
        np.testing.assert_allclose(warp_width(image, warp, target), expected, rtol=0, atol=EDGE)


@pytest.mark.parametrize(("width", "target"), [(48, 24), (50, 33), (50, 50), (7, 1)])
def test_uniform_warp_is_a_box_filter(width: int, target: int) -> None:
    image = random_image((3, width), 4)
    found = warp_width(image, uniform_warp(width, target), target)
    expected = oracles.warp_columns(image, (0, width), (0, target), target)
    np.testing.assert_allclose(found, expected, rtol=0, atol=EDGE)
    if width == 2 * target:
        np.testing.assert_allclose(found, (image[:, ::2] + image[:, 1::2]) / 2, rtol=1e-6)


def test_a_strongly_shrunk_cell_does_not_alias() -> None:
    # One-pixel stripes: point samples would be black or white.
    stripes = np.broadcast_to(np.where(np.arange(32)[None, :, None] % 2, 255, 0), (2, 32, 3)).astype(np.float32)
    found = np.asarray(warp_width(stripes, uniform_warp(32, 4), 4))
    np.testing.assert_allclose(found, 127.5, rtol=1e-6)


@pytest.mark.parametrize("target", [1, 17, 40, 50])
def test_a_constant_image_stays_constant(target: int) -> None:
    image = np.full((3, 50, 3), 200.7, np.float32)
    warp = plan_warp(random_map((3, 50), target), (3, 50), target, 8)
    np.testing.assert_allclose(warp_width(image, warp, target), 200.7, rtol=1e-6)


@pytest.mark.parametrize("empty", [(0,), (1,), (3,), (2, 3), (0, 3)])
def test_nothing_lies_past_the_target_where_a_cell_vanishes(empty: tuple[int, ...]) -> None:
    importance = np.ones((1, 32), np.float32)
    for cell in empty:
        importance[:, 8 * cell : 8 * cell + 8] = 0
    warp = plan_warp(importance, (1, 32), 10, 8)
    found = np.asarray(warp_width(np.full((1, 32, 3), 5.0, np.float32), warp, 16))
    np.testing.assert_allclose(found[:, :10], 5, rtol=1e-6)
    np.testing.assert_array_equal(found[:, 10:], 0)
