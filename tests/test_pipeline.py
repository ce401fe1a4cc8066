"""The whole method on synthetic photos, every option's effect, and determinism."""

import dataclasses
from typing import Any

import jax
import numpy as np
import PIL.Image
import pytest
from configs import paper_config
from drawn_photos import QUICK, disc_aspect, disc_photo, textured_photo

from dnr_jax.config import RetargetConfig
from dnr_jax.pipeline import Result, retarget
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


@pytest.mark.parametrize(
    ("share", "options"),
    [
        (0.75, {"taps": QUICK.taps, "keep": ("objects",)}),  # Which compile sooner than all that is looked for.
        *(pytest.param(share, {}, marks=pytest.mark.slow) for share in (0.75, 0.5)),
    ],
)
def test_by_default_a_disc_keeps_its_shape_and_most_of_its_size(
    embedded: Weights, share: float, options: dict[str, Any]
) -> None:
    photo = disc_photo(64, 96, (32, 41), 14)
    config = RetargetConfig(reconstruct_steps=4, refine_steps=2, **options)
    result = retarget(photo, (64, round(96 * share)), config, embedded)
    assert result.image.shape == (64, round(96 * share), 3)
    assert abs(np.log(disc_aspect(result.image))) < 0.03

    def area(image: np.ndarray) -> float:
        return float(np.clip((image[..., 0].astype(float) - image[..., 1] - 50) / 100, 0, 1).sum())

    assert area(result.image) > 0.85 * area(photo)
    assert result.sight is not None
    salience = result.sight.salience
    assert salience[120:200, 100:170].mean() > 0.8 > 0.2 > salience[:, 260:].mean()


@pytest.mark.slow
def test_what_both_sides_shrink_by_is_plain_scaling(embedded: Weights) -> None:
    photo = disc_photo()
    result = retarget(photo, (96, 128), RetargetConfig(), embedded)
    assert not result.passes
    halved = photo.reshape(96, 2, 128, 2, 3).mean((1, 3))
    np.testing.assert_allclose(result.image, halved, atol=0.8)  # Edges are exact to 0.01 pixels.


def test_without_seams_nothing_is_reconstructed(embedded: Weights) -> None:
    seen: list[str] = []
    config = RetargetConfig(taps=QUICK.taps, importance_percentile="auto", most_crop=0.0, keep=("objects",))
    result = retarget(
        textured_photo(64, 96), (64, 90), config, embedded, progress=lambda *update: seen.append(update[0])
    )
    assert not any(step.changes for step in result.passes)
    assert set(seen) == {"analysis"}
    assert result.record["reconstruction"] == {"steps": 0, "stopped_early": True, "losses": [0.0]}
    np.testing.assert_array_equal(result.refined, textured_photo(64, 96))


@pytest.mark.slow
def test_away_from_joints_pixels_stay_the_photos_own_unless_all_are_optimised(embedded: Weights) -> None:
    photo = textured_photo(96, 640)
    config = paper_config(importance_percentile=0.0, reconstruct_steps=4, refine_steps=2)
    images = {}
    for choice in ("joints", "everywhere"):
        result = retarget(photo, (96, 608), dataclasses.replace(config, optimise=choice), embedded)
        images[choice] = (result.refined == result.start).all(-1)
    assert 0.9 < images["joints"].mean() < 1, "joints are changed, and nothing else"
    assert images["everywhere"].mean() < images["joints"].mean()


@pytest.mark.slow
def test_the_grid_warp_with_chosen_seams_never_counts_on_a_crop(embedded: Weights) -> None:
    photo, target = disc_photo(centre=(96, 180)), (192, 150)
    config = RetargetConfig(warp="grid", reconstruct_steps=1, refine_steps=1)
    damages = [
        retarget(photo, target, dataclasses.replace(config, most_crop=share), embedded).record["passes"][0]["damage"]
        for share in (0.0, 0.7)
    ]
    assert damages[0] == damages[1]


def test_objects_crop_and_warp_have_their_effect(embedded: Weights) -> None:
    photo = disc_photo(64, 96, (32, 70), 20)
    taps = ("block1_conv2", "block3_conv4")
    base = RetargetConfig(taps=taps, keep=("objects",), importance_percentile=20.0, reconstruct_steps=2, refine_steps=1)
    images = {
        name: retarget(photo, (64, 50), dataclasses.replace(base, **options), embedded).image
        for name, options in {
            "default": {},
            "no objects": {"objects": "none"},
            "no crop": {"most_crop": 0.0},
            "grid": {"warp": "grid"},
        }.items()
    }
    names = list(images)
    for number, name in enumerate(names):
        for other in names[:number]:
            assert (images[name] != images[other]).any(), (name, other)


def test_given_objects_replace_salience(embedded: Weights) -> None:
    photo = disc_photo(64, 96, (32, 40), 14)
    corner = np.zeros((64, 96), np.float32)
    corner[:, 75:] = 1
    config = RetargetConfig(taps=QUICK.taps, importance_percentile=20.0, reconstruct_steps=2, refine_steps=1)
    result = retarget(photo, (64, 50), config, embedded, masks=Masks(objects=corner))
    assert result.sight is not None
    assert result.sight.salience[:, 260:].min() > 0.9
    assert result.record["warps"]["width"]["cropped"][1] == 0, "what the mask marks is never cropped"
    with pytest.raises(ValueError, match="leave one of them out"):
        retarget(photo, (64, 50), dataclasses.replace(config, objects="none"), embedded, masks=Masks(objects=corner))
    for wrong, message in (
        (corner[:-1], "must be float .64, 96."),
        (2 * corner, r"outside \[0, 1\]"),
        (0 * corner, "is empty"),
    ):
        with pytest.raises(ValueError, match=message):
            retarget(photo, (64, 50), config, embedded, masks=Masks(objects=wrong))


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ((50, 99), {"taps": QUICK.taps, "keep": ("objects",)}),
        ((50, 99), {}),
        ((70, 130), {}),
    ],
)
@pytest.mark.slow
def test_results_do_not_depend_on_the_padding(
    embedded: Weights, target: tuple[int, int], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = textured_photo(70, 99)
    config = RetargetConfig(importance_percentile=50, reconstruct_steps=4, refine_steps=2, **options)
    padded = retarget(photo, target, config, embedded)
    for module in ("pipeline", "planning.plan"):
        monkeypatch.setattr(f"dnr_jax.{module}.bucket_shape", lambda size: (size[0], size[1]))
    exact = retarget(photo, target, config, embedded)
    assert np.abs(padded.image.astype(float) - exact.image).mean() < 0.02
    for one, other in zip(padded.importance, exact.importance, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * float(other.max()))
