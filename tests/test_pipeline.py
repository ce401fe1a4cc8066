"""The whole method on synthetic photos, every option's effect, and determinism."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import PIL.Image
import pytest
from configs import paper_config
from drawn_photos import QUICK, disc_aspect, disc_photo, textured_photo
from photo_files import exif_block, noise, stored, turned

from dnr_jax.inputs import given_pixels, whole_numbers
from dnr_jax.photos.files import read_photo
from dnr_jax.pipeline import Result, retarget, retarget_frames
from dnr_jax.planning import plan
from dnr_jax.planning.masks import Masks
from dnr_jax.weights import Weights


def assert_same(a: Result, b: Result) -> None:
    np.testing.assert_array_equal(a.image, b.image)
    np.testing.assert_array_equal(a.displacement, b.displacement)
    assert a.record["reconstruction"]["losses"] == b.record["reconstruction"]["losses"]


@pytest.mark.parametrize(
    ("share", "percentile"),
    [
        (0.75, 20.0),
        (0.75, 100.0),
        (0.6, 20.0),
        (0.6, 100.0),
    ],
)
@pytest.mark.slow
def test_a_disc_stays_round_while_its_ground_gives_way(embedded: Weights, share: float, percentile: float) -> None:
    photo = disc_photo()
    width = round(photo.shape[1] * share)
    result = retarget(photo, (192, width), paper_config(importance_percentile=percentile), embedded)
    assert result.image.shape == (192, width, 3)
    assert abs(disc_aspect(photo) - 1) < 0.005
    assert abs(disc_aspect(result.image) - 1) < 0.03
    linear = np.asarray(jax.image.resize(photo.astype(np.float32), (192, width, 3), "linear"))
    assert abs(disc_aspect(linear) - share) < 0.03


@pytest.mark.slow
def test_a_disc_stays_round_when_the_height_shrinks(embedded: Weights) -> None:
    photo = np.ascontiguousarray(disc_photo().swapaxes(0, 1))
    result = retarget(photo, (192, 192), paper_config(), embedded)
    assert result.image.shape == (192, 192, 3)
    assert abs(disc_aspect(result.image) - 1) < 0.03


@pytest.mark.slow
def test_height_is_the_transpose_of_width(small_vgg: Weights) -> None:
    # A kernel that is symmetric under transposition makes the whole method so.
    params = jax.tree.map(
        lambda a: (a + a.swapaxes(0, 1)) / 2 if a.ndim == 4 else a,
        small_vgg.network.params,
    )
    weights = small_vgg._replace(network=small_vgg.network.replace(params=params))
    photo = textured_photo(64, 96)
    config = dataclasses.replace(QUICK, importance_percentile=50, reconstruct_rate=0.5)
    across = retarget(photo, (64, 70), config, weights)
    down = retarget(np.ascontiguousarray(photo.swapaxes(0, 1)), (70, 64), config, weights)
    assert across.record["passes"][0]["seams"] == down.record["passes"][0]["seams"]
    for a, b in zip(across.passes[0].carving.levels, down.passes[0].carving.levels, strict=True):
        np.testing.assert_array_equal(a.order, b.order)
    assert np.abs(across.image.astype(int) - down.image.swapaxes(0, 1)).mean() < 0.1


@pytest.mark.slow
def test_both_sides_at_once(embedded: Weights) -> None:
    result = retarget(disc_photo(), (160, 200), QUICK, embedded)
    assert result.image.shape == (160, 200, 3)
    assert [step.side for step in result.passes] == ["width", "height"]
    assert abs(disc_aspect(result.image) - 1) < 0.04


@pytest.mark.parametrize(
    "target",
    [(64, 33), (70, 90), (40, 96), (1, 1), (70, 1)],
)
@pytest.mark.slow
def test_any_smaller_size_comes_out_exactly(embedded: Weights, target: tuple[int, int]) -> None:
    result = retarget(textured_photo(70, 96), target, QUICK, embedded)
    assert result.image.shape == (*target, 3)
    assert result.record["target_size"] == target


def test_the_full_size_returns_the_photo(embedded: Weights) -> None:
    photo = textured_photo(64, 96)
    result = retarget(photo, (64, 96), QUICK, embedded)
    np.testing.assert_array_equal(result.image, photo)
    assert not result.passes
    assert not result.warps


def test_same_seed_same_bytes_other_noise_other_result(embedded: Weights) -> None:
    photo, config = textured_photo(64, 96), dataclasses.replace(QUICK, init="noise", seed=3)
    first = retarget(photo, (64, 72), config, embedded)
    assert_same(first, retarget(photo, (64, 72), config, embedded))
    other = retarget(photo, (64, 72), dataclasses.replace(config, seed=4), embedded)
    assert (other.start != first.start).any()
    noise = first.start
    assert noise.min() >= 0
    assert noise.max() <= 255
    assert abs(noise.mean() - 127.5) < 2


def test_the_three_starts(embedded: Weights) -> None:
    photo = textured_photo(64, 96)
    config = dataclasses.replace(QUICK, importance_percentile=100)
    seam = retarget(photo, (64, 72), config, embedded)
    kept = np.asarray(seam.passes[0].carving.levels[0].kept)[:, :72]
    np.testing.assert_array_equal(seam.start, np.take_along_axis(photo, kept[..., None], 1))
    plans = getattr(plan._find_moves, "_cache_size")  # noqa: B009
    compiled = plans()
    linear = retarget(photo, (64, 72), dataclasses.replace(config, init="linear"), embedded)
    assert plans() == compiled, "another start is no other plan"
    # 96 / 72 = 4 / 3: the first output column covers one pixel and a third of the next.
    expected = (photo[:, 0] * 1.0 + photo[:, 1] / 3) / (4 / 3)
    np.testing.assert_allclose(linear.start[:, 0], expected, atol=1e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {
            "importance_percentile": 100.0,
            "alpha": 0.0,
            "init": "linear",
            "reconstruct_steps": 8,
            "reconstruct_rate": 0.5,
            "refine_steps": 9,
            "refine_rate": 0.2,
            "rate_schedule": "constant",
            "warp_cell": 40,
        },
        pytest.param(
            {
                "taps": ("block1_conv2", "block2_conv2"),
                "region": "receptive",
                "loss": "squared",
                "loss_weights": (1.0, 1.0),
            },
            marks=pytest.mark.slow,  # Each of these compiles everything.
        ),
    ],
    ids=["quick", "compiling"],
)
def test_options_have_their_effect(small_vgg: Weights, changes: dict[str, Any]) -> None:
    """Every option that shapes the result changes it (the others have tests of their own)."""
    photo = textured_photo(64, 96).astype(np.float32)  # Its result is not rounded.
    base = dataclasses.replace(QUICK, importance_percentile=0, taps=("block1_conv2", "block3_conv4"))
    result = retarget(photo, (64, 66), base, small_vgg)
    assert result.warps
    for name, value in changes.items():
        changed = retarget(photo, (64, 66), dataclasses.replace(base, **{name: value}), small_vgg)
        assert (changed.refined.shape != result.refined.shape) or (changed.image != result.image).any(), name


def test_snapshots_and_progress(embedded: Weights) -> None:
    seen: list[tuple[str, int, int]] = []
    config = dataclasses.replace(QUICK, reconstruct_steps=6, refine_steps=3, snapshot_every=2, tolerance=0)
    result = retarget(textured_photo(64, 96), (64, 72), config, embedded, progress=lambda *update: seen.append(update))
    assert [step for step, _ in result.snapshots] == [2, 4, 6]
    np.testing.assert_array_equal(result.snapshots[-1][1], result.reconstructed)
    assert {stage for stage, _, _ in seen} == {"analysis", "reconstruction", "refinement"}
    assert seen[2] == ("analysis", 3, 3)
    assert ("reconstruction", 6, 6) in seen
    assert len(result.record["reconstruction"]["losses"]) == 7


def test_float_photos_stay_float(embedded: Weights) -> None:
    photo = textured_photo(64, 96)
    eight = retarget(photo, (64, 72), QUICK, embedded).image
    real = retarget(photo.astype(np.float64), (64, 72), QUICK, embedded).image
    assert (eight.dtype, real.dtype) == (np.uint8, np.float32)
    np.testing.assert_array_equal(np.rint(real), eight)


def test_grey_arrays_pil_images_and_opacity(embedded: Weights) -> None:
    photo = textured_photo(64, 96)
    colour = retarget(photo, (64, 72), QUICK, embedded).image
    np.testing.assert_array_equal(retarget(PIL.Image.fromarray(photo), (64, 72), QUICK, embedded).image, colour)
    grey = retarget(photo[..., 0], (64, 72), QUICK, embedded).image
    assert (grey.shape, grey.dtype) == ((64, 72), np.uint8)
    tripled = retarget(np.repeat(photo[..., :1], 3, -1), (64, 72), QUICK, embedded).image
    assert np.abs(grey - tripled.mean(-1)).max() <= 0.5
    opaque = np.dstack([photo, np.full((64, 96), 255, np.uint8)])
    with_opacity = retarget(opaque, (64, 72), QUICK, embedded).image
    np.testing.assert_array_equal(with_opacity[..., :3], colour)
    assert (with_opacity[..., 3] == 255).all()


def test_colours_that_opacity_hides_count_nothing(embedded: Weights) -> None:
    photo = np.zeros((64, 96, 4), np.uint8)
    photo[20:44, 30:66] = (255, 255, 255, 255)
    clear = photo.copy()
    clear[photo[..., 3] == 0, :3] = (0, 200, 30)
    white, green = (retarget(given, (45, 67), QUICK, embedded).image for given in (photo, clear))
    np.testing.assert_array_equal(white, green)
    rim = (white[..., 3] > 0) & (white[..., 3] < 255)
    assert rim.any()
    # Laid on white, the box has no rim: what shows of it is white.
    alpha = white[..., 3:].astype(np.float32) / 255
    assert (255 - (alpha * white[..., :3] + (1 - alpha) * 255))[rim].max() < 3


def test_targets_and_taps_of_any_kind(embedded: Weights) -> None:
    for target in ([np.int64(64), 72], (64, np.uint8(72))):
        assert json.dumps(whole_numbers(target)) == "[64, 72]"
    for target in ((64.0, 72.0), (64,), 64, "64"):
        with pytest.raises(ValueError, match=r"give a \(height, width\) in whole pixels"):
            whole_numbers(target)
    with pytest.raises(ValueError, match="there are no frames"):
        retarget_frames([], (64, 72), QUICK, embedded)
    # Without a full-resolution tap the start is the scaled photo.
    shallow = dataclasses.replace(QUICK, taps=("block2_conv2",), init="linear", objects="none")
    assert retarget(textured_photo(64, 96), (64, 72), shallow, embedded).image.shape == (64, 72, 3)


def test_pil_images_are_set_upright_and_not_cut_to_8_bits(embedded: Weights, tmp_path: Path) -> None:
    photo = noise((16, 24, 4))
    for orientation in range(1, 9):
        path = stored(tmp_path, "a.png", turned(photo, orientation), "PNG", exif=exif_block(orientation))
        with PIL.Image.open(path) as image:
            np.testing.assert_array_equal(given_pixels(image), photo)
    with PIL.Image.open(stored(tmp_path, "b.png", photo, "PNG", exif=b"Exif\0\0nonsense")) as image:
        np.testing.assert_array_equal(given_pixels(image), photo)
    for mode in ("I;16", "I;16B", "I", "F"):
        with pytest.raises(
            ValueError, match=f"a PIL image of mode {mode}, whose values 8 bits would cut: read .*photo"
        ):
            retarget(PIL.Image.new(mode, (24, 16)), (16, 20), QUICK, embedded)
    for mode, shape in (("L", (16, 24)), ("1", (16, 24)), ("LA", (16, 24, 4)), ("P", (16, 24, 3)), ("La", (16, 24, 4))):
        assert given_pixels(PIL.Image.new(mode, (24, 16))).shape == shape
    deep = noise((16, 24), np.uint16)
    pixels = read_photo(stored(tmp_path, "c.png", deep, "PNG")).pixels
    np.testing.assert_array_equal(np.rint(given_pixels(pixels)[..., 0] * 257), deep)


def test_protected_pixels_that_go_are_said(embedded: Weights) -> None:
    remove, protect = np.zeros((64, 96), bool), np.zeros((64, 96), bool)
    remove[20:32, 40:50] = True
    protect[50:53], protect[:, 70:73] = True, True  # On neither side is there a way past.
    result = retarget(textured_photo(64, 96), (64, 96), QUICK, embedded, masks=Masks(protect, remove))
    (note,) = [note for note in result.record["notes"] if "go with what is removed" in note]
    assert note.split()[1:3] == ["protected", "pixels"]
    assert int(note.split()[0]) > 0


def test_bad_input_is_refused(embedded: Weights, small_vgg: Weights) -> None:
    photo = textured_photo(64, 96)
    cases = [
        (photo[..., :2], (64, 72), "uint8 \\(64, 96, 2\\)"),
        (photo.astype(np.int32), (64, 72), "int32"),
        (photo * 2.0, (64, 72), r"outside \[0, 255\]"),
        (np.full((64, 96, 3), np.nan), (64, 72), r"outside \[0, 255\]"),
        (photo, (64, 0), "target width is 0"),
        (photo, (257, 72), "target height is 257"),
    ]
    for image, target, message in cases:
        with pytest.raises(ValueError, match=message):
            retarget(image, target, QUICK, embedded)
    named = dataclasses.replace(QUICK, taps=("block1_conv2", "block5_pool"))
    with pytest.raises(
        ValueError, match=r"height is 20 pixels: tap block5_pool needs at least 32.*shallower.*taps=auto"
    ):
        retarget(photo[:20], (20, 72), named, embedded)
    shallow = {layer: p for layer, p in small_vgg.network.params.items() if layer < "block4"}
    weights = small_vgg._replace(network=small_vgg.network.replace(params=shallow))
    with pytest.raises(ValueError, match="block5_pool needs layers"):
        retarget(photo, (64, 72), named, weights)
