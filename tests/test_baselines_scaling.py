"""Crop and uniform scaling, and the signature that all baselines share."""

from pathlib import Path

import numpy as np
import pytest
from configs import paper_config
from drawn_photos import disc_photo, textured_photo
from published import difference, photo, result, target

from dnr_jax.baselines import METHODS, Context
from dnr_jax.baselines.scaling import best_window, window_size
from dnr_jax.config import DEFAULT_TAPS, RetargetConfig
from dnr_jax.weights import Weights


def test_the_best_window_holds_the_bright_spot_and_leans_to_the_middle() -> None:
    importance = np.zeros((4, 6))
    importance[1, 4] = 1
    # Columns 2..4 and 3..5 hold it; the former's centre is nearer to the photo's.
    assert best_window(importance, (4, 3)) == (0, 2)
    assert best_window(importance, (2, 6)) == (1, 0)
    importance[1, 5] = 0.1
    assert best_window(importance, (4, 3)) == (0, 3)
    assert best_window(np.ones((5, 9)), (5, 3)) == (0, 3)


def test_the_best_window_is_what_trying_all_finds() -> None:
    importance = np.random.default_rng(0).uniform(size=(9, 11))
    for window in ((9, 4), (3, 11), (4, 5), (1, 1), (9, 11)):
        sums = {
            (y, x): importance[y : y + window[0], x : x + window[1]].sum()
            for y in range(10 - window[0])
            for x in range(12 - window[1])
        }
        assert best_window(importance, window) == max(sums, key=sums.__getitem__)


def test_windows_have_the_targets_aspect() -> None:
    assert window_size((60, 80), (60, 40)) == (60, 40)
    assert window_size((60, 80), (120, 80)) == (60, 40)
    assert window_size((60, 80), (120, 160)) == (60, 80)


def test_a_crop_keeps_the_disc_and_copies_its_pixels(embedded: Weights) -> None:
    image = disc_photo(64, 96, (32, 72), 15)
    cropped = METHODS["cr"](image, (64, 48), Context(network=embedded.network))
    lefts = [left for left in range(49) if np.array_equal(cropped, image[:, left : left + 48])]
    assert lefts
    assert lefts[0] + 48 >= 72 + 15
    grown = METHODS["cr"](image, (96, 96), Context(network=embedded.network))
    assert grown.shape == (96, 96, 3)


def test_taps_decide_where_a_crop_looks(small_vgg: Weights) -> None:
    image = textured_photo(64, 128, seed=4)
    shallow, deep = [
        METHODS["cr"](image, (16, 16), Context(network=small_vgg.network, config=paper_config(taps=taps)))
        for taps in (("block1_conv1",), ("block1_conv1", "block5_pool"))
    ]
    assert not np.array_equal(shallow, deep)


def test_scaling_keeps_flat_ground_and_does_not_alias() -> None:
    scl = METHODS["scl"]
    flat = np.full((6, 8, 3), 77, np.uint8)
    assert (scl(flat, (9, 5)) == 77).all()
    stripes = np.zeros((8, 64, 3), np.float32)
    stripes[:, ::2] = 200
    assert np.abs(scl(stripes, (8, 16))[:, 2:-2] - 100).max() < 4
    ramp = np.repeat(np.arange(0, 240, 10, dtype=np.float32)[None, :, None], 4, 0).repeat(3, -1)
    # Halved, each pixel is the mean of two: 5, 25, 45, ...
    np.testing.assert_allclose(
        scl(ramp, (4, 12))[:, 2:-2], np.broadcast_to(ramp[:, :24:2] + 5, (4, 12, 3))[:, 2:-2], atol=0.5
    )


@pytest.mark.parametrize("name", ["scl", "sc", "sc_forward", "warp", "multiop"])
def test_one_signature(name: str) -> None:
    height, width = (8, 12) if name == "multiop" else (24, 32)  # It searches for long.
    method, image, narrow = METHODS[name], textured_photo(height, width), (height, width - width // 5)
    np.testing.assert_array_equal(method(image, (height, width)), image)
    sizes = [narrow, (height - height // 6, width), (height + height // 8, width + width // 8)]
    for size in sizes[:1] if name == "multiop" else sizes:
        out = method(image, size)
        assert (out.shape, out.dtype) == ((*size, 3), np.uint8)
    floats = method(image.astype(np.float32), narrow)
    assert floats.dtype == np.float32
    assert np.abs(floats - method(image, narrow)).max() <= 0.5
    grey = method(image[..., 0], narrow)
    assert (grey.shape, grey.dtype) == (narrow, np.uint8)
    # Opacity follows the pixels: where it is one of the channels, it comes out as that channel does.
    both = method(np.concatenate([image, image[..., :1]], -1), narrow)
    assert both.shape == (*narrow, 4)
    np.testing.assert_array_equal(both[..., 3], both[..., 0])


def test_bad_input_is_refused(embedded: Weights) -> None:
    image, named = textured_photo(24, 40), RetargetConfig(taps=DEFAULT_TAPS)
    for bad, message in ((image[..., :2], "uint8 or float"), (np.full((4, 4, 3), 300.0), r"outside \[0, 255\]")):
        with pytest.raises(ValueError, match=message):
            METHODS["scl"](bad, (4, 4))
    with pytest.raises(ValueError, match="the target width is 0"):
        METHODS["sc"](image, (24, 0))
    for name in ("cr", "deep_sc", "deepir"):
        with pytest.raises(ValueError, match="looks through a network"):
            METHODS[name](image, (24, 30))
        with pytest.raises(ValueError, match="needs at least"):
            METHODS[name](image[:10], (10, 30), Context(network=embedded.network, config=named))


def test_published_scaling_is_ours_to_a_few_grey_levels(shared: Path) -> None:
    for name in ("046", "083"):
        ours = METHODS["scl"](photo(shared, name), target(shared, name))
        assert difference(ours, result(shared, name, "scl")) < 5


def test_a_published_crop_is_a_window_and_so_is_ours(shared: Path, embedded: Weights) -> None:
    """RetargetMe's crops were chosen by hand: where ours lies is its own choice, that it copies pixels is not."""
    image, size = photo(shared, "046"), target(shared, "046")
    room = image.shape[1] - size[1]
    misses = [difference(image[:, left : left + size[1]], result(shared, "046", "cr")) for left in range(room + 1)]
    assert min(misses) < 3, "the published crop is a window of the photo"
    few = paper_config(taps=("block1_conv2", "block3_conv4"))
    ours = METHODS["cr"](image, size, Context(network=embedded.network, config=few))
    assert any(np.array_equal(ours, image[:, left : left + size[1]]) for left in range(room + 1))
