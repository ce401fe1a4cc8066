"""Registration, aspect-ratio similarity and seam discontinuity: against loops and images with a known history."""

import math
from pathlib import Path

import numpy as np
import oracles_metrics as oracles
import PIL.Image
import pytest
from configs import paper_config
from scipy.ndimage import uniform_filter

from dnr_jax import retarget
from dnr_jax.metrics import Registration, aspect_ratio_similarity, register, scaling_map, seam_discontinuity
from dnr_jax.metrics import registration as module
from dnr_jax.metrics.pairs import area_scale
from dnr_jax.weights import Weights

SHAPE = (90, 160)
PENALTY = module._SMOOTHNESS


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return oracles.textured(SHAPE, 1)


def in_place(columns: np.ndarray) -> Registration:
    """The registration of a result whose rows stayed where they were."""
    rows = np.broadcast_to(np.arange(len(columns), dtype=np.float32)[:, None], columns.shape)
    return Registration(rows, columns.astype(np.float32))


def cropped(width: int) -> np.ndarray:
    return np.broadcast_to(np.arange(width) + 32.0, (SHAPE[0], width))


def scaled(width: int) -> np.ndarray:
    return np.broadcast_to((np.arange(width) + 0.5) * SHAPE[1] / width - 0.5, (SHAPE[0], width))


def carved(width: int) -> np.ndarray:
    return oracles.carved_columns(SHAPE, SHAPE[1] - width, 2)


HISTORIES = {"crop": cropped, "scale": scaled, "carve": carved}


def made(photo: np.ndarray, history: str, columns: np.ndarray) -> np.ndarray:
    if history == "scale":
        return area_scale(photo, (SHAPE[0], columns.shape[1]))
    return np.take_along_axis(photo, columns.astype(int)[..., None], 1)


@pytest.mark.parametrize("width", [120, 80])
@pytest.mark.parametrize("history", HISTORIES)
def test_registration_finds_where_pixels_come_from(photo: np.ndarray, history: str, width: int) -> None:
    columns = HISTORIES[history](width)
    found = register(photo, made(photo, history, columns))
    assert found.rows.shape == found.columns.shape == columns.shape
    assert np.abs(found.columns - columns).mean() < 1
    assert np.abs(found.rows - np.arange(SHAPE[0])[:, None]).mean() < 0.5
    assert (np.diff(found.columns, axis=1) > -1e-3).all()  # Never backwards.


def test_registration_of_the_photo_itself_and_of_one_that_was_lowered(photo: np.ndarray) -> None:
    same = register(photo, photo)
    np.testing.assert_allclose(same.columns, np.broadcast_to(np.arange(SHAPE[1]), SHAPE), atol=1e-3)
    np.testing.assert_allclose(same.rows, np.broadcast_to(np.arange(SHAPE[0])[:, None], SHAPE), atol=1e-3)
    # The transpose of a narrowed photo is registered as its transpose.
    narrow = photo[:, 20:130]
    upright, lying = register(photo, narrow), register(photo.swapaxes(0, 1), narrow.swapaxes(0, 1))
    np.testing.assert_array_equal(upright.columns, lying.rows.T)


def test_registration_follows_both_sides_and_enlarging(photo: np.ndarray) -> None:
    both = area_scale(photo[:, 15:140], (70, 125))
    found = register(photo, both)
    assert np.abs(found.columns - (np.arange(125) + 15)).mean() < 1.5
    assert np.abs(found.rows - ((np.arange(70)[:, None] + 0.5) * 90 / 70 - 0.5)).mean() < 1.5
    found = register(photo, np.repeat(photo, 2, 1))
    assert np.abs(found.columns - (np.arange(320) // 2)).mean() < 1.5


def test_registration_follows_a_warp_that_moves_rows_far(photo: np.ndarray) -> None:
    # The width halves; the height stays, but the upper half takes three quarters of it.
    rows = np.interp(np.arange(90) + 0.5, [0, 67.5, 90], [0, 45, 90]) - 0.5
    left = np.clip(np.floor(rows).astype(int), 0, 88)
    share = (np.clip(rows, 0, 89) - left)[:, None, None]
    moved = photo[left] * (1 - share) + photo[left + 1] * share
    found = register(photo, area_scale(moved, (90, 80)))
    assert np.abs(found.rows - rows[:, None]).mean() < 1.5
    assert np.abs(found.columns - ((np.arange(80) + 0.5) * 2 - 0.5)).mean() < 1.5


def test_the_map_of_uniform_scaling_is_exact() -> None:
    exact = scaling_map((4, 6), (2, 9))
    np.testing.assert_allclose(exact.rows, np.broadcast_to([[0.5], [2.5]], (2, 9)))
    np.testing.assert_allclose(exact.columns[1], (np.arange(9) + 0.5) * 6 / 9 - 0.5, atol=1e-6)
    assert exact.rows.dtype == exact.columns.dtype == np.float32


def test_registration_at_a_lower_resolution_keeps_to_the_photos_pixels(photo: np.ndarray) -> None:
    found = register(photo, photo[:, 40:140], side=80)
    assert np.abs(found.columns - (np.arange(100) + 40)).mean() < 1.5
    assert found.columns.max() <= 159
    assert found.columns.min() >= 0


def test_lines_are_the_cheapest_of_all() -> None:
    rng = np.random.default_rng(3)
    cost = rng.uniform(0, 4, (6, 5, 4)).astype(np.float32)
    lines = module._cheapest_lines(cost)
    for row, line in zip(cost, lines, strict=True):
        assert (np.diff(line) >= -1).all()
        assert oracles.line_cost(row, tuple(line), PENALTY) == pytest.approx(oracles.cheapest_line(row, PENALTY))


def test_costs_across_are_those_of_the_best_line_through_each_pixel() -> None:
    cost = np.random.default_rng(4).uniform(0, 4, (4, 3, 5)).astype(np.float32)
    found = module._smooth_across(cost)
    for place in range(4):
        for column in range(3):
            best = [oracles.best_through(cost[:, column], place, shift, PENALTY) for shift in range(5)]
            np.testing.assert_allclose(2 * found[place, column], np.array(best) - min(best), atol=1e-5)


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("block", [16, 8])
def test_aspect_ratio_similarity_equals_loops(photo: np.ndarray, history: str, block: int) -> None:
    columns = HISTORIES[history](96)
    image = made(photo, history, columns)
    weights = np.random.default_rng(5).gamma(1, 1, SHAPE)
    expected = oracles.aspect_ratio(columns, SHAPE[1], block, weights, 0.3)
    known = aspect_ratio_similarity(photo, image, importance=weights, block=block, registration=in_place(columns))
    # Where positions jump at a block's edge, its neighbour takes half the jump.
    assert known == pytest.approx(expected, abs=0.02)
    found = aspect_ratio_similarity(photo, image, importance=weights, block=block)
    assert found == pytest.approx(known, abs=0.03)


def test_aspect_ratio_similarity_by_hand(photo: np.ndarray) -> None:
    assert aspect_ratio_similarity(photo, photo) == pytest.approx(1)
    half = area_scale(photo, (SHAPE[0], 80))
    # r_w = 1/2, r_h = 1: exp(-0.3 / 16) * (2 / 2) / (1 / 4 + 1).
    exact = aspect_ratio_similarity(photo, half, registration=in_place(scaled(80)))
    assert exact == pytest.approx(math.exp(-0.3 / 16) * 0.8, abs=2e-3)
    # Both sides halved: the proportions stay, the size does not.
    rows, columns = np.meshgrid(np.arange(45) * 2 + 0.5, np.arange(80) * 2 + 0.5, indexing="ij")
    small = Registration(rows.astype(np.float32), columns.astype(np.float32))
    both = area_scale(photo, (45, 80))
    assert aspect_ratio_similarity(photo, both, registration=small) == pytest.approx(math.exp(-0.3 / 4), abs=2e-3)
    assert aspect_ratio_similarity(photo, both, registration=small, alpha=0) == pytest.approx(1, abs=2e-3)
    # Nothing of the left half is left, nor of what matters there: exp(-0.3) there, 1 elsewhere.
    right = in_place(np.broadcast_to(np.arange(80) + 80.0, (SHAPE[0], 80)))
    weights = np.zeros(SHAPE)
    weights[:, 100:] = 1
    kept = aspect_ratio_similarity(photo, photo[:, 80:], importance=weights, registration=right)
    assert kept == pytest.approx(1)
    lost = aspect_ratio_similarity(photo, photo[:, 80:], importance=weights[:, ::-1], registration=right)
    assert lost == pytest.approx(math.exp(-0.3), abs=1e-3)
    assert aspect_ratio_similarity(
        photo, photo[:, 80:], importance=np.zeros(SHAPE), registration=right
    ) == pytest.approx((1 + math.exp(-0.3)) / 2, abs=1e-3)


def test_importance_that_does_not_fit_is_refused(photo: np.ndarray) -> None:
    with pytest.raises(ValueError, match="importance is \\(3, 3\\)"):
        aspect_ratio_similarity(photo, photo, importance=np.ones((3, 3)))
    with pytest.raises(ValueError, match="0 or more"):
        aspect_ratio_similarity(photo, photo, importance=-np.ones(SHAPE))


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, -1).astype(np.float32)


def bar(height: int = 40, width: int = 60) -> np.ndarray:
    """A bright bar that runs straight down, grey levels [h, w]."""
    image = np.full((height, width), 60.0)
    image[:, 25:35] = 200
    return image


def shifted_rows(step: int) -> np.ndarray:
    """Kept columns of the bar's image: every other row lost `step` columns left of the bar, the rest right of it."""
    width = 60 - step
    left, right = np.arange(width), np.arange(width)
    left = left + step * (left >= 5)
    right = right + step * (right >= 50)
    return np.array([left if row % 2 else right for row in range(40)])


def test_discontinuity_equals_loops() -> None:
    rng = np.random.default_rng(6)
    original = rng.uniform(0, 255, (12, 14))
    columns = oracles.carved_columns((12, 14), 4, 7)
    image = np.take_along_axis(original, columns, 1)
    for reach in (0, 1, 2):
        expected = oracles.jaggedness(original, image, columns, reach)
        found = seam_discontinuity(grey(original), grey(image), registration=in_place(columns), reach=reach)
        assert found == pytest.approx(expected, rel=1e-3)
        assert (found > 0) == (reach == 0)  # In noise a larger neighbourhood explains everything.


def test_discontinuity_of_a_jagged_edge_by_hand() -> None:
    image = bar()
    columns = shifted_rows(2)
    carved = np.take_along_axis(image, columns, 1)
    # Two columns on each side of the bar differ from both neighbours by 140, along a slant from one of them: from their
    # mean by 70, but for the first and last row.
    expected = 4 * (70 - 1) * 38 / (40 * 58)
    found = seam_discontinuity(grey(image), grey(carved), registration=in_place(columns))
    assert found == pytest.approx(expected, rel=1e-4)
    assert seam_discontinuity(grey(image), grey(carved)) == pytest.approx(expected, rel=0.1)  # Registered by itself.
    # The transpose: height carved, edges that ran along the rows.
    lying = seam_discontinuity(grey(image.T), grey(carved.T))
    assert lying == pytest.approx(seam_discontinuity(grey(image), grey(carved)))


def test_discontinuity_does_not_mind_an_edge_that_is_tilted() -> None:
    tilted = np.array([np.roll(row, number) for number, row in enumerate(bar())])
    for slant in (1, 2, 3):
        image = np.array([np.roll(row, slant * number) for number, row in enumerate(bar())])
        same = in_place(np.broadcast_to(np.arange(60), (40, 60)))
        narrow = seam_discontinuity(
            grey(bar()), grey(image[:, :58]), registration=Registration(*(p[:, :58] for p in same))
        )
        assert narrow < 0.5, slant
    torn = tilted[:, :58].copy()
    torn[::2] = np.roll(torn[::2], 5, 1)
    registration = Registration(*(p[:, :58] for p in in_place(np.broadcast_to(np.arange(60), (40, 60)))))
    assert seam_discontinuity(grey(bar()), grey(torn), registration=registration) > 5


def test_discontinuity_rises_with_the_jags() -> None:
    found = []
    for step in (0, 1, 2, 4):
        columns = shifted_rows(step)
        found.append(seam_discontinuity(grey(bar()), grey(np.take_along_axis(bar(), columns, 1))))
    assert found[0] == 0
    assert found == sorted(found)
    assert len(set(found)) == 4


@pytest.mark.parametrize("width", [120, 80])
def test_discontinuity_is_zero_for_all_that_moves_whole_columns(photo: np.ndarray, width: int) -> None:
    straight = np.sort(np.random.default_rng(8).permutation(SHAPE[1])[:width])
    columns = np.broadcast_to(straight, (SHAPE[0], width))
    results = {
        "crop": (photo[:, 32 : 32 + width], cropped(width)),
        "scale": (area_scale(photo, (SHAPE[0], width)), scaled(width)),
        "straight seams": (photo[:, straight], columns),
    }
    for name, (image, history) in results.items():
        assert seam_discontinuity(photo, image, registration=in_place(history), reach=3) == 0, name
        assert seam_discontinuity(photo, image) < 0.01, name
    blurred = uniform_filter(photo, 3, axes=(0, 1))
    assert seam_discontinuity(photo, blurred) < 0.01
    wandering = made(photo, "carve", carved(width))
    assert seam_discontinuity(photo, wandering) > 0.015


@pytest.mark.slow
def test_reconstruction_mends_what_carving_tore(embedded: Weights) -> None:
    # The paper's Fig. 10: seams of the features removed from the pixels, and the image that has those features.
    with PIL.Image.open(Path(__file__).parents[1] / "scripts/pictures/coffee.jpg") as opened:
        cup = np.asarray(opened.convert("RGB").resize((192, 128), PIL.Image.Resampling.BOX))
    result = retarget(cup, (128, 144), paper_config(importance_percentile=100), embedded)
    carved = np.clip(result.start, 0, 255)
    assert seam_discontinuity(cup, result.image) < 0.7 * seam_discontinuity(cup, carved)


def test_discontinuity_looks_both_ways_where_both_sides_changed() -> None:
    image = grey(bar())
    columns = shifted_rows(2)
    narrow = np.take_along_axis(image, columns[..., None], 1)
    one = seam_discontinuity(image, narrow, registration=in_place(columns))
    both = seam_discontinuity(image, narrow[:-2], registration=Registration(*(p[:-2] for p in in_place(columns))))
    # Along the rows nothing is new; down the columns it is as before, but for the two rows that are gone.
    assert both == pytest.approx(one / 2, rel=0.05)
