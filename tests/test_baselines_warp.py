"""Non-homogeneous warping: by hand, against a dense least-squares solution, and against what was published."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import oracles_baselines as oracle
import pytest
from drawn_photos import disc_aspect, disc_photo
from published import difference, photo, result, target

from dnr_jax.baselines import METHODS, wolf_warp
from dnr_jax.baselines.wolf_warp import saliency, warp_edges, warp_rows
from dnr_jax.planning.warp import Warp, warp_width


def test_two_pixels_by_hand() -> None:
    # a^2 (x - 1)^2 + b^2 (1.5 - x - 1)^2 is least at x = (a^2 + b^2 / 2) / (a^2 + b^2).
    edges = warp_edges(np.array([[2.0, 1.0]]), 1)
    np.testing.assert_allclose(edges, [[0, 4 / 5, 1]])
    edges = warp_edges(np.array([[2.0, 1.0]]), 3)
    np.testing.assert_allclose(edges, [[0, 6 / 5, 3]])


def test_even_saliency_scales_evenly() -> None:
    edges = warp_edges(np.ones((3, 8)), 6)
    np.testing.assert_allclose(edges, np.broadcast_to(np.linspace(0, 6, 9), (3, 9)), atol=1e-9)


@pytest.mark.parametrize("alignment", [0.5, 3.0])
@pytest.mark.parametrize("width", [7, 5, 12])
def test_against_the_dense_system(width: int, alignment: float) -> None:
    strength = np.random.default_rng(5).uniform(0.8, 1.2, (5, 8))
    np.testing.assert_allclose(
        warp_edges(strength, width, alignment=alignment), oracle.warp_edges(strength, width, alignment), atol=1e-6
    )


def test_places_never_run_backwards() -> None:
    strength = np.full((6, 20), 0.01)
    strength[:, 4:12] = 1.0
    edges = warp_edges(strength, 5)
    assert (np.diff(edges, axis=1) >= 0).all()
    assert edges.min() == 0
    assert edges.max() == 5


def test_saliency_is_the_gradients_length_and_a_floor() -> None:
    image = np.zeros((5, 6, 3), np.float32)
    image[:, 3:] = 90
    image[3:] += 30
    grey = oracle.luma(image)
    expected = np.zeros(grey.shape)
    for i, j in np.ndindex(*grey.shape):
        dx = oracle.clamped(grey, i, j + 1) - oracle.clamped(grey, i, j - 1)
        dy = oracle.clamped(grey, i + 1, j) - oracle.clamped(grey, i - 1, j)
        expected[i, j] = np.hypot(dx, dy)
    np.testing.assert_allclose(saliency(image), expected / expected.max() + wolf_warp.FLOOR, atol=1e-6)


def test_cells_of_several_pixels_come_near_to_single_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    image = disc_photo(97, 131, (48, 66), 24).astype(np.float32)
    fine = warp_edges(saliency(image), 98)
    monkeypatch.setattr(wolf_warp, "LARGEST_SIDE", 50)
    coarse = warp_edges(saliency(image), 98)
    assert coarse.shape == fine.shape
    assert np.abs(coarse - fine).mean() < 1
    assert not np.array_equal(coarse, fine)


def test_rows_are_box_filtered() -> None:
    image = np.random.default_rng(6).uniform(0, 255, (3, 8, 4)).astype(np.float32)
    same = np.broadcast_to(np.arange(9.0), (3, 9))
    np.testing.assert_allclose(warp_rows(image, same), image, atol=1e-3)
    halved = np.broadcast_to(np.linspace(0, 4, 9), (3, 9))
    np.testing.assert_allclose(warp_rows(image, halved), (image[:, ::2] + image[:, 1::2]) / 2, atol=1e-3)
    uneven = np.array([0, 0.2, 0.5, 1.6, 2.6, 2.7, 3.9, 4.5, 6.0])
    expected = warp_width(image, Warp(jnp.arange(9, dtype=jnp.float32), jnp.asarray(uneven, jnp.float32)), 6)
    np.testing.assert_allclose(warp_rows(image, np.broadcast_to(uneven, (3, 9))), expected, atol=1e-2)


def test_a_disc_stays_rounder_than_by_scaling_on_either_side() -> None:
    image = disc_photo(96, 128, (48, 60), 20)
    assert abs(disc_aspect(METHODS["warp"](image, (96, 96))) - 1) < 0.5 * (1 - 96 / 128)
    turned = np.ascontiguousarray(image.swapaxes(0, 1))
    np.testing.assert_array_equal(METHODS["warp"](turned, (96, 96)), METHODS["warp"](image, (96, 96)).swapaxes(0, 1))


def test_nearer_to_the_published_warp_than_scaling_is(shared: Path) -> None:
    for name in ("046", "063", "023"):
        image, size, published = photo(shared, name), target(shared, name), result(shared, name, "warp")
        scaled = difference(METHODS["scl"](image, size), published)
        assert difference(METHODS["warp"](image, size), published) < 0.5 * scaled
