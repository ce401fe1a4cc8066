"""Pseudo-labels: each part against plain loops or a case worked out by hand."""

import numpy as np
import pytest

pytest.importorskip("skimage")

from training.pseudo_labels import (
    agreement,
    background_detection,
    background_probability,
    barrier_distance,
    border_unlikeness,
    find_saliency,
    sharpen,
    unit_range,
)


def disc_photo(height: int = 60, width: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """A red disc off the centre of a green ramp, RGB in [0, 1], and where it is."""
    rows, columns = np.mgrid[:height, :width]
    photo = np.full((height, width, 3), (0.3, 0.5, 0.3)) + 0.001 * columns[..., None]
    inside = (rows - 0.4 * height) ** 2 + (columns - 0.65 * width) ** 2 < (0.2 * height) ** 2
    photo[inside] = (0.8, 0.2, 0.1)
    return photo, inside


def barrier_loop(image: np.ndarray, passes: int) -> np.ndarray:
    """The raster scans one pixel at a time."""
    height, width = image.shape
    distance = np.full(image.shape, np.inf)
    distance[[0, -1]] = distance[:, [0, -1]] = 0
    high, low = image.copy(), image.copy()
    for number in range(passes):
        step = -1 if number % 2 else 1
        for y in range(1, height - 1)[::step]:
            for x in range(1, width - 1)[::step]:
                for near in ((y - step, x), (y, x - step)):
                    if not np.isfinite(distance[near]):
                        continue
                    top, bottom = max(high[near], image[y, x]), min(low[near], image[y, x])
                    if top - bottom < distance[y, x]:
                        distance[y, x], high[y, x], low[y, x] = top - bottom, top, bottom
    return distance


@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize("shape", [(3, 3), (7, 12), (12, 7)])
def test_barrier_distance_equals_loops(passes: int, shape: tuple[int, int]) -> None:
    channels = np.random.default_rng(0).uniform(0, 100, (2, *shape))
    expected = np.stack([barrier_loop(channel, passes) for channel in channels])
    np.testing.assert_array_equal(barrier_distance(channels, passes), expected)


def test_a_wall_keeps_the_barrier_distance_up() -> None:
    image = np.zeros((7, 7))
    image[2:5, 2:5] = 3.0
    image[3, 3] = 1.0
    found = barrier_distance(image[None])[0]
    assert found[3, 3] == 3  # Every path out climbs the wall.
    assert found[2, 3] == 3
    assert found[1, 3] == 0


def test_background_is_what_reaches_the_border() -> None:
    # A chain of five superpixels; the outer two are border; the middle one differs from all others.
    colours = np.array([0.0, 0.0, 30.0, 0.0, 0.0])
    distance = np.abs(colours[:, None] - colours[None])
    on_border = np.array([True, False, False, False, True])
    linked = np.abs(np.subtract.outer(np.arange(5), np.arange(5))) == 1
    linked |= on_border[:, None] & on_border[None]
    np.fill_diagonal(linked, False)
    slack = 30 / 5  # The nearest neighbour's distance, on average: four times 0 and once 30.
    near = np.exp(-((30 - slack) ** 2) / (2 * 7**2))
    found = background_probability(linked, distance, on_border)
    alike, odd = 2 / np.sqrt(4 + near), 2 * near / np.sqrt(1 + 4 * near)
    expected = 1 - np.exp(-np.square([alike, alike, odd, alike, alike]) / 2)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_border_unlikeness_is_high_off_the_borders_colours() -> None:
    rng = np.random.default_rng(1)
    lab = rng.normal(50, 1, (40, 50, 3))
    lab[15:25, 20:30] += 20
    found = border_unlikeness(lab)
    inside = np.zeros((40, 50), bool)
    inside[15:25, 20:30] = True
    assert found[inside].min() > 3 * found[~inside].max()


def test_every_method_finds_the_disc() -> None:
    photo, inside = disc_photo()
    found = find_saliency(photo)
    for name, values in found._asdict().items():
        assert values.shape == inside.shape
        assert 0 <= values.min() <= values.max() <= 1, name
        assert np.median(values[inside]) > 0.8, name
        assert np.median(values[~inside]) < 0.2, name
    assert agreement(found.background, found.barrier) > 0.9


def test_centring_favours_the_centre() -> None:
    photo = np.full((60, 80, 3), 0.4)
    photo[25:35, 35:45] = photo[25:35, 4:14] = (0.9, 0.3, 0.2)
    found = find_saliency(photo)
    centre, side = (slice(27, 33), slice(37, 43)), (slice(27, 33), slice(6, 12))
    assert found.centred[side].mean() < 0.9 * found.centred[centre].mean()
    assert found.barrier[side].mean() > 0.95 * found.barrier[centre].mean()


def test_a_photo_of_nothing_has_no_saliency() -> None:
    photo = np.full((40, 50, 3), 0.5)
    assert not background_detection(photo, 60).any()
    found = find_saliency(photo)
    assert all(np.isfinite(values).all() for values in found)
    assert agreement(found.background, found.barrier) == 0


def test_ranges() -> None:
    np.testing.assert_allclose(unit_range(np.array([2.0, 4.0, 6.0])), [0, 0.5, 1])
    assert not unit_range(np.full(3, 7.0)).any()
    values = np.array([[0.0, 0.1, 0.2, 0.8, 0.9, 1.0]])
    sharp = sharpen(values)
    assert (sharp[0, 0], sharp[0, -1]) == (0, 1)
    assert (np.diff(sharp[0]) > 0).all()
    assert sharp[0, 3] - sharp[0, 2] > 0.5
