"""The default on synthetic photos: objects keep their shape, and only what seams have joined is made anew."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from configs import paper_config
from drawn_photos import QUICK, disc_aspect, disc_photo, textured_photo

from dnr_jax.config import RetargetConfig
from dnr_jax.pipeline import retarget, retarget_frames, retarget_to_all
from dnr_jax.planning.masks import Masks
from dnr_jax.weights import Weights, load_weights


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


def test_joints_are_judged_where_something_shows(embedded: Weights) -> None:
    config = RetargetConfig(taps=QUICK.taps, importance_percentile="auto", most_crop=0.0, keep=("objects",))
    config = dataclasses.replace(config, reconstruct_steps=1, refine_steps=1)
    photo, black = textured_photo(64, 96), np.zeros((64, 96, 3), np.uint8)
    fading_in, fading_out = (
        retarget_frames(frames, (64, 72), config, embedded)[0] for frames in ([black, photo], [photo, black])
    )
    assert fading_in.record["passes"] == fading_out.record["passes"]
    assert any(step.damage for step in fading_in.passes)


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
    for module in ("inputs", "planning.plan"):
        monkeypatch.setattr(f"dnr_jax.{module}.bucket_shape", lambda size: (size[0], size[1]))
    exact = retarget(photo, target, config, embedded)
    assert np.abs(padded.image.astype(float) - exact.image).mean() < 0.02
    for one, other in zip(padded.importance, exact.importance, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * float(other.max()))


@pytest.mark.slow
@pytest.mark.parametrize("size", [(131, 83), (70, 157)])
@pytest.mark.parametrize("name", ["analytic", "learned", "vgg"])
def test_results_of_every_network_do_not_depend_on_the_padding(
    name: str, size: tuple[int, int], small_vgg: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = small_vgg if name == "vgg" else load_weights(name)
    photo = textured_photo(*size)
    targets = [(size[0] - 9, round(size[1] * 0.6)), (round(size[0] * 0.7), size[1] + 11)]
    configs = [
        RetargetConfig(importance_percentile=percentile, reconstruct_steps=3, refine_steps=2, keep=("objects",))
        for percentile in ("auto", 40.0)
    ]
    padded = [result for config in configs for result in retarget_to_all(photo, targets, config, weights)]
    for module in ("inputs", "planning.plan"):
        monkeypatch.setattr(f"dnr_jax.{module}.bucket_shape", lambda size: (size[0], size[1]))
    exact = [result for config in configs for result in retarget_to_all(photo, targets, config, weights)]
    assert any(result.passes for result in padded)
    for one, other in zip(padded, exact, strict=True):
        assert one.record["intermediate_size"] == other.record["intermediate_size"]
        assert np.abs(one.image.astype(float) - other.image).mean() < 0.02
