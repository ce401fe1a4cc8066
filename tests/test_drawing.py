"""Pictures of arrays on cases made by hand: what is drawn is where it belongs."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from dnr_jax.inspection.curve import HEIGHT, WIDTH, curve_svg, draw_curve, place_curve
from dnr_jax.inspection.drawing import (
    colour_map,
    draw_bars,
    draw_cells,
    draw_displacement,
    draw_seams,
    draw_wheel,
    most_moved,
    spread,
    to_picture,
)

YELLOW, BLUE, WHITE = [253, 231, 37], [68, 1, 84], [255, 255, 255]


def test_images_become_pictures() -> None:
    image = np.array([[[-3, 0.4, 0.6], [254.6, 255, 400]]])
    np.testing.assert_array_equal(to_picture(image), [[[0, 0, 1], [255, 255, 255]]])
    assert to_picture(np.zeros((2, 3, 4), np.uint8)).shape == (2, 3, 4)
    np.testing.assert_array_equal(to_picture(np.array([[7, 300]])), [[[7, 7, 7], [255, 255, 255]]])


def test_the_colour_map_grows_lighter_all_the_way() -> None:
    colours = colour_map(np.linspace(-2, 5, 256)[None])[0].astype(float)
    lightness = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(np.convolve(lightness, np.ones(5), "valid")) > 0).all()
    assert (colours[0] == BLUE).all()
    assert (colours[-1] == YELLOW).all()
    assert (colour_map(np.full((2, 2), 3.0)) == BLUE).all()


def test_left_over_pixels_belong_to_the_last_neuron() -> None:
    drawn = spread(np.array([[1, 2], [3, 4]]), 2, (5, 4))
    np.testing.assert_array_equal(drawn, [[1, 1, 2, 2]] * 2 + [[3, 3, 4, 4]] * 3)
    np.testing.assert_array_equal(spread(np.array([[[1, 9]]]), 8, (2, 1)), [[[1, 9]], [[1, 9]]])


def test_seams_are_drawn_where_they_pass_and_nowhere_else() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (4, 7, 3), dtype=np.uint8)
    ranks = np.array([[0, -1, 1], [-1, 0, 1]])
    drawn = draw_seams(picture, ranks, 2)
    first = np.zeros((4, 7), bool)
    first[:2, :2] = first[2:, 2:4] = True
    last = np.zeros((4, 7), bool)
    last[:, 4:] = True
    np.testing.assert_array_equal(drawn[~(first | last)], picture[~(first | last)])
    for where, tint in ((first, [255, 30, 0]), (last, [255, 225, 60])):
        np.testing.assert_allclose(drawn[where], 0.25 * picture[where] + 0.75 * np.array(tint), atol=0.51)
    np.testing.assert_array_equal(draw_seams(picture, np.full((2, 3), -1), 2), picture)


def test_displacements_have_the_hue_of_their_direction() -> None:
    field = np.array([[[0, 2], [0, -2], [0, 1], [0, 0]]], np.float32)
    drawn, scale = draw_displacement(field)
    assert scale == 2
    np.testing.assert_array_equal(drawn[0, 0], [255, 0, 0])
    np.testing.assert_array_equal(drawn[0, 1], [0, 255, 255])
    np.testing.assert_allclose(drawn[0, 2], [255, 127.5, 127.5], atol=0.6)
    np.testing.assert_array_equal(drawn[0, 3], WHITE)
    still, scale = draw_displacement(np.zeros((2, 2, 2)))
    assert (still == 255).all()
    assert scale == 0
    down, up = draw_displacement(np.array([[[1, 0], [-1, 0]]]))[0][0].astype(int)
    assert down.argmin() == 2  # Yellow-green from below,
    assert up.argmin() == 1  # violet from above.


def test_the_wheel_is_the_key() -> None:
    wheel = draw_wheel(31)
    assert wheel.shape == (31, 31, 3)
    assert (wheel[15, 15] == WHITE).all()
    assert (wheel[0, 0] == WHITE).all()
    assert (wheel[15, 30].astype(int) - [255, 0, 0]).max() <= 10
    assert wheel[15, 0, 0] <= 10


def test_the_patch_is_where_most_moved() -> None:
    field = np.zeros((20, 30, 2))
    field[12:15, 22:25] = [3, -4]
    rows, columns = most_moved(field, 3)
    assert (rows, columns) == (slice(12, 15), slice(22, 25))
    rows, columns = most_moved(field, 25)
    assert rows == slice(0, 20)
    assert columns.stop - columns.start == 25


def test_bars_lead_from_the_old_edges_to_the_new_and_add_up() -> None:
    old, new = np.array([0, 16, 32, 40]), np.array([0, 16, 20, 20])
    bars = draw_bars(old, new, 9, 44)
    covered = (bars != 255).any(-1).sum(1)
    assert (covered[0], covered[-1]) == (40, 20)
    assert (np.diff(covered) <= 0).all()
    black = [np.flatnonzero((row == 0).all(-1)).tolist() for row in bars]
    assert black[0] == [16, 32]
    assert black[-1] == [16, 19]  # The last edge stays within the cells.
    np.testing.assert_array_equal(bars[0, 5], YELLOW)  # The first cell keeps all of its width,
    np.testing.assert_array_equal(bars[0, 36], BLUE)  # the last one none.


def test_cells_over_the_image_before_and_after() -> None:
    rng = np.random.default_rng(1)
    before, after = (rng.integers(0, 200, (24, width, 3), dtype=np.uint8) for width in (40, 28))
    # Two cells past the image's width are empty.
    old, new = np.array([0, 16, 32, 40, 40, 40.0]), np.array([0, 10, 22, 28, 28, 28.0])
    drawn = draw_cells(before, after, old, new)
    assert drawn.shape == (60, 40, 3)
    for part, image, edges in ((drawn[:24], before, [16, 32]), (drawn[36:, :28], after, [10, 22])):
        changed = (part != image).any(-1)
        assert changed[:, edges].all()
        assert not np.delete(changed, edges, 1).any()
    assert (drawn[36:, 28:] == 255).all()


def test_what_is_cropped_is_faded() -> None:
    before, after = np.full((24, 40, 3), 90, np.uint8), np.full((24, 20, 3), 90, np.uint8)
    drawn = draw_cells(before, after, np.array([6, 22, 34.0]), np.array([0, 12, 20.0]))
    top = drawn[:24].astype(int)
    assert (top[:, :6] == 200).all()
    assert (top[:, 34:] == 200).all()
    assert (np.delete(top[:, 6:34], 22 - 6, 1) == 90).all()
    assert (drawn[24, :6] == 255).all()  # No bar begins there.


@pytest.mark.parametrize("losses", [[9.0, 3.0, 1.0], [5.0], [2.0, 2.0], [4.0, 0.0, 2.0], [1e6, 0.1]])
def test_curves(losses: list[float]) -> None:
    curve = place_curve(losses)
    xs, ys = zip(*curve.points, strict=True)
    assert len(xs) == len(losses)
    assert list(xs) == sorted(set(xs))
    np.testing.assert_array_equal(np.argsort(ys, stable=True), np.argsort(np.negative(losses), stable=True))
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in curve.points)
    svg = ET.fromstring(curve_svg(losses, 'Loss & "more"'))
    assert svg.get("aria-label") == 'Loss & "more"'
    assert len(svg.findall("circle")) == len(losses)
    picture = draw_curve(losses)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    for x, y in curve.points:
        np.testing.assert_array_equal(picture[round(y), round(x)], [214, 39, 40])


def test_a_curve_is_logarithmic_where_it_can_be() -> None:
    first, middle, last = (y for _, y in place_curve([100.0, 10.0, 1.0]).points)
    assert middle == pytest.approx((first + last) / 2, abs=0.01)
    first, middle, last = (y for _, y in place_curve([100.0, 50.0, 0.0]).points)
    assert middle == pytest.approx((first + last) / 2, abs=0.01)
