"""Colour profiles: into sRGB and back without loss, and what broken ones do, which is nothing."""

import numpy as np
import PIL.Image
import pytest
from photo_files import ink_profile, noise, picture, wide_profile

from dnr_jax.photos.colour_profiles import from_srgb, profile_space, srgb_profile, take_inks, take_rgb, to_srgb


def difference(a: PIL.Image.Image, b: PIL.Image.Image) -> int:
    return int(abs(np.asarray(a).astype(int) - np.asarray(b)).max())


def test_a_wide_profile_goes_to_srgb_and_back() -> None:
    muted = PIL.Image.fromarray((80 + picture() * 0.35).astype(np.uint8))
    wide = from_srgb(muted, wide_profile())
    assert difference(wide, muted) > 5
    taken = take_rgb(wide, wide_profile())
    assert (taken.converted, taken.profile, taken.note) == (True, wide_profile(), "")
    assert difference(taken.image, muted) <= 2
    assert difference(from_srgb(taken.image, wide_profile()), wide) <= 2


def test_colours_outside_srgb_are_not_clipped() -> None:
    vivid = PIL.Image.new("RGB", (4, 4), (255, 0, 0))
    taken = take_rgb(vivid, wide_profile())
    assert not taken.converted
    assert "outside sRGB" in taken.note
    assert difference(taken.image, vivid) == 0
    assert taken.profile == wide_profile()


@pytest.mark.parametrize("profile", [None, srgb_profile()])
def test_srgb_is_left_as_it_is(profile: bytes | None) -> None:
    image = PIL.Image.fromarray(noise((8, 8, 3)))
    taken = take_rgb(image, profile)
    assert (taken.profile, taken.converted, taken.note) == (profile, False, "")
    assert taken.image is image


@pytest.mark.parametrize(
    "profile", [b"", b"x", srgb_profile()[:200], ink_profile(), srgb_profile()[:128] + bytes(3000), bytes(128)]
)
def test_broken_and_foreign_profiles_are_ignored_with_a_note(profile: bytes) -> None:
    image = PIL.Image.fromarray(picture())
    taken = take_rgb(image, profile)
    assert taken.image is image
    assert taken.profile is None
    assert "ignored" in taken.note


def test_spaces() -> None:
    assert [profile_space(p) for p in (srgb_profile(), ink_profile(), b"", None)] == ["RGB", "CMYK", "", ""]


def test_inks_become_srgb_through_their_profile() -> None:
    inks = PIL.Image.new("CMYK", (4, 4), (0, 0, 0, 0))
    assert difference(take_inks(inks, ink_profile()).image, PIL.Image.new("RGB", (4, 4), "white")) <= 1
    inks = PIL.Image.new("CMYK", (4, 4), (0, 255, 0, 0))
    with_profile, plain = take_inks(inks, ink_profile()), take_inks(inks, None)
    assert difference(with_profile.image, to_srgb(inks, ink_profile())) == 0
    assert np.asarray(plain.image)[0, 0].tolist() == [255, 0, 255]
    assert difference(with_profile.image, plain.image) > 20
    assert "plain formula" in plain.note
    assert "plain formula" not in with_profile.note
    assert with_profile.profile == plain.profile == srgb_profile()


def test_lab_becomes_srgb() -> None:
    taken = take_inks(PIL.Image.new("LAB", (2, 2), (255, 128, 128)), None)
    assert np.asarray(taken.image).min() >= 254
