"""Transparent colours on the neutral ground and back; background colours."""

import numpy as np
import pytest
from photo_files import noise

from dnr_jax.photos.kinds import GROUND, composite, make_frame, parse_background, straighten


def test_the_ground_goes_in_and_out_again() -> None:
    colours = noise((16, 16, 3)).astype(np.float32)
    alpha = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    frame = make_frame(colours, alpha)
    assert (frame.pixels[0, 0] == GROUND).all()
    np.testing.assert_array_equal(frame.pixels[-1, -1], colours[-1, -1])
    np.testing.assert_allclose(straighten(frame.pixels, alpha, straight=colours), colours, atol=0.05)
    back = straighten(frame.pixels, alpha)
    np.testing.assert_array_equal(back[alpha == 1], colours[alpha == 1])
    assert (back[alpha == 0] == GROUND).all()


def test_what_shows_a_little_keeps_its_colour() -> None:
    colours = np.broadcast_to(np.array([200, 10, 60], np.float32), (12, 20, 3))
    alpha = np.tile(np.linspace(0, 1, 20, dtype=np.float32), (12, 1))
    straight = straighten(make_frame(colours, alpha).pixels, alpha)
    # At every opacity, also where it hides almost all, which a dark or grey rim would show.
    np.testing.assert_allclose(straight[alpha > 0], colours[alpha > 0], atol=0.05)
    assert (straight[alpha == 0] == GROUND).all()
    # One level of noise, seen over any background, is one level of noise.
    noisy = straighten(np.clip(make_frame(colours, alpha).pixels + 1, 0, 255), alpha)
    shown = composite(noisy, alpha, (255, 255, 255)) - composite(colours, alpha, (255, 255, 255))
    assert np.abs(shown).max() < 1.01


def test_opaque_pixels_are_untouched_and_noise_stays_in_range() -> None:
    pixels = noise((8, 8, 3)).astype(np.float32)
    alpha = np.tile(np.array([0, 0.01, 0.5, 1], np.float32), (8, 2))
    result = straighten(pixels, alpha, straight=255 - pixels)
    np.testing.assert_array_equal(result[alpha == 1], pixels[alpha == 1])
    np.testing.assert_array_equal(result[alpha == 0], 255 - pixels[alpha == 0])
    assert result.min() >= 0
    assert result.max() <= 255
    np.testing.assert_array_equal(
        composite(pixels, alpha, (1, 2, 3))[alpha == 0], np.tile(np.array([1, 2, 3], np.float32), (16, 1))
    )


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("#ffffff", (255, 255, 255)),
        ("#f80", (255, 136, 0)),
        ("white", (255, 255, 255)),
        (" Navy ", (0, 0, 128)),
        ("255,255,255", (255, 255, 255)),
        ("1, 2, 3", (1, 2, 3)),
        ("rgb(4,5,6)", (4, 5, 6)),
    ],
)
def test_backgrounds(text: str, colour: tuple[int, int, int]) -> None:
    assert parse_background(text) == colour


@pytest.mark.parametrize("text", ["", "whitish", "1,2", "1,2,3,4", "256,0,0", "-1,2,3", "#ffffff80", "1.5,2,3"])
def test_no_background(text: str) -> None:
    with pytest.raises(ValueError, match=r"background is .*white, #ffffff or 255,255,255"):
        parse_background(text)
