"""Words of whole photos: from a map of probability to rectangles, and lettering that is really there."""

import jax.numpy as jnp
import numpy as np
import pytest
from drawn_photos import sign

from dnr_jax.networks import words as module
from dnr_jax.networks.words import find_words, lines, smallest_rectangle
from dnr_jax.weights.detectors import read_words


def turned(shape: tuple[int, int], centre: tuple[float, float], half: tuple[float, float], angle: float) -> np.ndarray:
    """A map that is 0.9 in a turned rectangle, whose centre is (x, y)."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    u = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    v = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
    return np.where((np.abs(u) <= half[0]) & (np.abs(v) <= half[1]), 0.9, 0.05).astype(np.float32)


@pytest.mark.parametrize("angle", [0.0, np.deg2rad(30), np.deg2rad(75)])
def test_a_line_is_widened_on_all_sides(angle: float) -> None:
    centre, half = (100.0, 90.0), (50.0, 6.0)
    corners, scores = lines(turned((180, 200), centre, half, angle))
    assert (corners.shape, corners.dtype, scores.dtype) == ((1, 4, 2), np.float32, np.float32)
    assert scores[0] == pytest.approx(0.9, abs=1e-3)
    np.testing.assert_allclose(corners[0].mean(0), centre[::-1], atol=1)
    sides = sorted(float(np.hypot(*(corners[0][n + 1] - corners[0][n]))) for n in (0, 1))
    widened = 1.5 * 100 * 12 / (2 * (100 + 12))
    np.testing.assert_allclose(sides, (12 + 2 * widened, 100 + 2 * widened), atol=4)


def test_what_is_unlikely_small_or_ragged_is_no_line() -> None:
    probability = np.zeros((60, 200), np.float32)
    probability[5:8, 5:90] = 0.9  # Too thin.
    probability[20:40, 5:60] = 0.4  # Unlikely.
    probability[10:50, 120:125] = probability[10:15, 120:180] = 0.9  # An angle fills little of its rectangle.
    corners, scores = lines(probability)
    assert (corners.shape, scores.shape) == ((0, 4, 2), (0,))


def test_what_covers_the_photo_is_no_line() -> None:
    assert len(lines(np.full((100, 150), 0.9, np.float32))[1]) == 0
    probability = np.zeros((100, 150), np.float32)
    probability[40:52, 5:145] = 0.9
    assert len(lines(probability)[1]) == 1


def test_lines_come_with_the_surest_first() -> None:
    probability = np.zeros((100, 100), np.float32)
    probability[10:20, 10:80], probability[50:60, 10:80] = 0.7, 0.95
    corners, scores = lines(probability)
    np.testing.assert_allclose(scores, (0.95, 0.7), atol=1e-5)
    assert corners[0].mean(0)[0] > 50 > corners[1].mean(0)[0]


def test_the_smallest_rectangle_holds_every_pixel() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 50, 40), rng.integers(0, 20, 40)
    rectangle = smallest_rectangle(x, y)
    cos, sin = np.cos(rectangle.angle), np.sin(rectangle.angle)
    along, across = np.stack([x, y], -1) + 0.5 - rectangle.centre, np.array([[cos, sin], [-sin, cos]])
    assert np.all(np.abs(across @ along.T).max(1) <= rectangle.half)


@pytest.mark.parametrize("height", [12, 60])
def test_lettering_is_found(height: int) -> None:
    corners, scores = find_words(read_words()[0], jnp.asarray(sign("BOOKSHOP", (200, 150), height)))
    assert len(scores) == 1
    middle = corners[0].mean(0)
    assert abs(middle[0] - 200 - height / 2) < height / 3
    assert corners[0][:, 0].min() < 200 + height / 4
    assert corners[0][:, 0].max() > 200 + 3 * height / 4


def test_padding_does_not_matter_and_sizes_share_programs() -> None:
    photo = sign("FOREST", (60, 100), 40, (390, 490))
    padded = np.full((416, 512, 3), np.nan, np.float32)
    padded[:390, :490] = photo
    network, _ = read_words()
    alone = find_words(network, jnp.asarray(photo))
    found = find_words(network, jnp.asarray(padded), size=(jnp.int32(390), jnp.int32(490)))
    assert len(alone[1]) == 1
    for expected, result in zip(alone, found, strict=True):
        np.testing.assert_allclose(result, expected, rtol=0, atol=0.05)
    cache_size = getattr(module._probability, "_cache_size")  # noqa: B009
    held = cache_size()
    find_words(network, jnp.asarray(padded), size=(jnp.int32(381), jnp.int32(490)))
    assert cache_size() == held


def test_a_photo_without_words() -> None:
    corners, scores = find_words(read_words()[0], jnp.full((390, 490, 3), 90.0))
    assert (corners.shape, scores.shape) == ((0, 4, 2), (0,))
