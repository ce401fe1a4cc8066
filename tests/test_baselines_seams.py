"""Seam carving on pixels: by hand, against plain loops, and against what was published."""

from pathlib import Path

import numpy as np
import oracles_baselines as oracle
import pytest
from configs import paper_config
from drawn_photos import QUICK, disc_photo, textured_photo
from published import difference, photo, result, target

from dnr_jax.baselines import METHODS, Context
from dnr_jax.baselines.seam_carving import carve_photo, find_pixel_seams
from dnr_jax.photos.luma import luma
from dnr_jax.pipeline import retarget
from dnr_jax.weights import Weights

NAMES = {"gradient": "sc", "forward": "sc_forward"}


def columns(*levels: int) -> np.ndarray:
    """A photo of six equal rows."""
    return np.broadcast_to(np.array(levels, np.uint8)[None, :, None], (6, len(levels), 3)).copy()


@pytest.mark.parametrize("name", ["sc", "sc_forward"])
def test_by_hand(name: str) -> None:
    method = METHODS[name]
    # Flat ground goes first, the edge stays; and it is where there is flat ground that columns are added.
    np.testing.assert_array_equal(method(columns(10, 10, 10, 10, 200), (6, 3)), columns(10, 10, 200))
    np.testing.assert_array_equal(method(columns(10, 10, 10, 200), (6, 5)), columns(10, 10, 10, 10, 200))
    # On both sides of the bright line is the same grey: its removal is cheapest.
    np.testing.assert_array_equal(method(columns(0, 40, 80, 255, 80, 40, 0), (6, 6)), columns(0, 40, 80, 80, 40, 0))
    # Enlarged, the line is followed by the mean of it and its right neighbour.
    np.testing.assert_array_equal(
        method(columns(0, 40, 80, 250, 80, 40, 0), (6, 8)), columns(0, 40, 80, 250, 165, 80, 40, 0)
    )


def test_forward_energy_sees_what_a_removal_brings_together() -> None:
    # A diagonal edge: following it costs nothing once it is closed up, though the gradient is largest there.
    grey = np.array([[0, 0, 0, 90], [0, 0, 90, 90], [0, 90, 90, 90]], np.float32)
    for energy in NAMES:
        found = find_pixel_seams(grey, 4, 1, energy, Context())
        seam = oracle.seam(grey, energy)
        np.testing.assert_array_equal(np.argmax(np.asarray(found.order) == 0, 1), seam)


@pytest.mark.parametrize("energy", ["gradient", "forward"])
def test_the_energy_is_computed_anew_after_each_removal(energy: str) -> None:
    image = np.random.default_rng(1).uniform(0, 255, (9, 14, 3)).astype(np.float32)
    for width in (13, 8, 2):
        np.testing.assert_allclose(
            carve_photo(image, width, energy, Context()), oracle.carve(image, width, energy), atol=1e-4
        )
    both = METHODS[NAMES[energy]](image, (6, 9))
    width_first = oracle.carve(image, 9, energy)
    np.testing.assert_allclose(both, oracle.carve(width_first.swapaxes(0, 1), 6, energy).swapaxes(0, 1), atol=1e-4)


def test_what_lies_past_the_valid_width_counts_nothing() -> None:
    grey = np.random.default_rng(2).uniform(0, 255, (9, 14)).astype(np.float32)
    for energy in NAMES:
        seams = find_pixel_seams(grey, 10, 4, energy, Context())
        order = np.asarray(seams.order)
        assert (order[:, 10:] == 14).all()
        expected = oracle.carve(np.repeat(grey[:, :10, None], 3, -1), 6, energy)[..., 0]
        np.testing.assert_allclose(np.take_along_axis(grey, np.asarray(seams.kept), 1)[:, :6], expected, atol=1e-4)
        assert (int(seams.removed), int(seams.width)) == (4, 6)


def test_progress_changes_nothing() -> None:
    image, heard = textured_photo(24, 32), []
    carved = METHODS["sc"](image, (24, 26), Context(progress=lambda *args: heard.append(args)))
    np.testing.assert_array_equal(carved, METHODS["sc"](image, (24, 26)))
    assert heard[-1] == ("seams", 6, 6)


def test_grey_is_rec_601_luma() -> None:
    image = np.random.default_rng(3).uniform(0, 255, (4, 5, 4)).astype(np.float32)
    np.testing.assert_allclose(luma(image), oracle.luma(image), rtol=1e-5)


def test_a_round_may_not_use_a_seam_twice() -> None:
    assert METHODS["sc_forward"](columns(9, 7, 80, 3), (6, 7)).shape == (6, 7, 3)


def test_deep_seams_are_what_dnr_starts_from(small_vgg: Weights) -> None:
    image = textured_photo(64, 96)
    config = paper_config(taps=QUICK.taps, importance_percentile=100, reconstruct_steps=0, refine_steps=0)
    ours = METHODS["deep_sc"](image, (60, 66), Context(network=small_vgg.network, config=config))
    np.testing.assert_allclose(ours, retarget(image, (60, 66), config, small_vgg).start, atol=0.51)
    coarse = paper_config(taps=("block2_conv2",), init="linear")
    with pytest.raises(ValueError, match="full-resolution tap first"):
        METHODS["deep_sc"](image, (64, 70), Context(network=small_vgg.network, config=coarse))


def test_seams_keep_a_disc_on_smooth_ground() -> None:
    image = disc_photo(96, 128, (48, 60), 20)
    for name in NAMES.values():
        out = METHODS[name](image, (96, 96))
        red = (out[..., 0].astype(int) - out[..., 1] > 100).any(0).sum()
        assert abs(red - 40) <= 2


def test_nearer_to_the_published_seam_carving_than_scaling_is(shared: Path) -> None:
    """RetargetMe's results are by forward energy."""
    for name in ("046", "087"):
        image, size, published = photo(shared, name), target(shared, name), result(shared, name, "sc")
        scaled = difference(METHODS["scl"](image, size), published)
        assert difference(METHODS["sc_forward"](image, size), published) < 0.5 * scaled
