"""Multi-operator retargeting: the similarity against every assignment, the search against every sequence."""

from itertools import product
from pathlib import Path

import numpy as np
import oracles_baselines as oracle
import pytest
from drawn_photos import textured_photo
from published import photo, result, target

from dnr_jax.baselines import METHODS, Context
from dnr_jax.baselines import multi_operator as mo
from dnr_jax.baselines.bidirectional_warping import bidirectional_warping, patch_distances, warping_cost


def test_an_assignment_by_hand() -> None:
    # Pixel 0 may take partner 0 at 1, pixel 1 partner 1 at 2 (partner 0 at 0 would be free: several may share one).
    distance = np.array([[[1.0, 5.0], [0.0, 2.0]]], np.float32)
    assert warping_cost(distance) == [1]
    # The cheap partners 1 and 0 are in the wrong order.
    assert warping_cost(np.array([[[4.0, 0.0], [0.0, 3.0]]], np.float32)) == [3]


def test_similarity_against_every_assignment() -> None:
    rng = np.random.default_rng(0)
    for width, other, patch in ((4, 3, 3), (3, 5, 1), (4, 4, 3)):
        a, b = (rng.uniform(0, 255, (2, n, 3)).astype(np.float32) for n in (width, other))
        expected = oracle.bidirectional_warping(a, b, patch)
        assert bidirectional_warping(a, b, patch=patch) == pytest.approx(expected, rel=1e-4)


def test_similarity_knows_equals_and_what_is_missing() -> None:
    image = textured_photo(12, 16).astype(np.float32)
    assert bidirectional_warping(image, image) == 0
    doubled = image.repeat(2, 1)
    assert bidirectional_warping(image, doubled, patch=1) == 0
    assert bidirectional_warping(image, image[:, :8]) > 0
    assert patch_distances(image, image[:, :8], 3).shape == (12, 16, 8)


def every_sequence(source: np.ndarray, width: int, steps: int) -> dict[tuple[str, ...], float]:
    """The distance that each sequence leads to, carried out on the source itself."""
    operators = ("scale", "seam", "crop_left", "crop_right")
    return {
        names: bidirectional_warping(source, mo.apply_sequence(source, width, names))
        for names in product(operators, repeat=steps)
    }


def test_the_search_finds_the_best_of_every_sequence() -> None:
    # Over two steps no node forgets a sequence but for the crop's side, so the search is exact.
    source = textured_photo(16, 24, seed=1).astype(np.float32)
    found = mo.find_sequence(source, 18, Context(), steps=2)
    assert len(found.operators) == 2
    distances = every_sequence(source, 18, 2)
    # A run of scalings is carried out at once, which the search does step by step.
    del distances["scale", "scale"]
    if found.operators != ("scale", "scale"):
        assert found.distance == pytest.approx(distances[found.operators], rel=1e-3)
    sides = {name for name in found.operators if name.startswith("crop")}
    rivals = [value for names, value in distances.items() if not {*names} & ({"crop_left", "crop_right"} - sides)]
    assert found.distance <= min(rivals) * 1.001


def test_an_empty_margin_is_what_goes() -> None:
    rng = np.random.default_rng(7)
    source = np.full((16, 24, 3), 90, np.float32)
    source[:, :14] = rng.uniform(0, 255, (16, 14, 3))
    # The texture stays as it is; the margin gives way.
    out = METHODS["multiop"](source.astype(np.uint8), (16, 18))
    np.testing.assert_array_equal(out[:, :12], source.astype(np.uint8)[:, :12])


def test_crops_go_where_less_is() -> None:
    source = np.full((20, 30, 3), 50, np.float32)
    source[:, :10] = np.random.default_rng(8).uniform(0, 255, (20, 10, 3))
    for image, expected, left in ((source, "crop_right", 0), (source[:, ::-1], "crop_left", 4)):
        cut, name = mo._small_step(np.ascontiguousarray(image), 30, 26, "crop")
        assert name == expected
        np.testing.assert_array_equal(cut[:, :26], image[:, left : left + 26])


def test_sequences_carry_out_what_they_say() -> None:
    image = textured_photo(16, 24).astype(np.float32)
    np.testing.assert_array_equal(mo.apply_sequence(image, 16, ("crop_left",) * 4), image[:, 8:])
    np.testing.assert_array_equal(mo.apply_sequence(image, 16, ("crop_left", "crop_right") * 2), image[:, 4:20])
    scl, sc = METHODS["scl"], METHODS["sc_forward"]
    np.testing.assert_allclose(mo.apply_sequence(image, 16, ("scale",) * 4), scl(image, (16, 16)))
    np.testing.assert_allclose(mo.apply_sequence(image, 16, ("seam",) * 4), sc(image, (16, 16)))
    mixed = mo.apply_sequence(image, 16, ("seam", "seam", "scale", "scale"))
    np.testing.assert_allclose(mixed, scl(sc(image, (16, 20)), (16, 16)))


def test_enlarging_does_not_crop() -> None:
    source = textured_photo(16, 24).astype(np.float32)
    found = mo.find_sequence(source, 30, Context(), steps=2)
    assert {*found.operators} <= {"scale", "seam"}


def test_the_search_does_not_see_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, ...]] = []

    def note(source: np.ndarray, width: int, _: Context) -> mo.Sequence:
        sizes.append((*source.shape[:2], width))
        return mo.Sequence(("crop_left",) * 4, 0.0)

    monkeypatch.setattr(mo, "find_sequence", note)
    image = textured_photo(64, 128)
    np.testing.assert_array_equal(METHODS["multiop"](image, (64, 96)), image[:, 32:])
    assert sizes == [(32, 64, 48)]


def test_the_search_prefers_its_sequence_to_any_single_operator_on_a_photo(shared: Path) -> None:
    """RetargetMe's multi-operator results come from other patches and steps, so only the size can be held to them."""
    image, size, published = photo(shared, "046"), target(shared, "046"), result(shared, "046", "multiop")
    factor = mo.SEARCH_SIDE / max(image.shape)
    small = mo.scale_pixels(image.astype(np.float32), (round(image.shape[0] * factor), round(image.shape[1] * factor)))
    width = round(size[1] * factor)
    found = mo.find_sequence(small, width, Context())
    for name in ("scale", "crop_left", "crop_right"):
        single = mo.apply_sequence(small, width, (name,) * mo.STEPS)
        assert found.distance <= bidirectional_warping(small, single) * 1.001
    assert mo.apply_sequence(image, size[1], found.operators).shape == published.shape
