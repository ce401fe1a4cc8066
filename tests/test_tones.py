"""Tones on both sides of what was removed: the field against a dense solution, and the method from mask to picture."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from configs import paper_config
from drawn_photos import QUICK

from dnr_jax.config import preset_config
from dnr_jax.pipeline import retarget
from dnr_jax.planning.masks import Masks
from dnr_jax.planning.passes import Pass
from dnr_jax.planning.plan import lay_groundwork
from dnr_jax.rendering.tones import LARGEST_STEP, joint_steps, match_tones, smooth_field
from dnr_jax.weights import Weights

TAPS = ("block1_conv2", "block3_conv4")


def solved(steps: list[np.ndarray], fade: float) -> np.ndarray:
    """The same minimum by dense least squares, one row for each pair of neighbours and one for each pixel."""
    height, width, channels = steps[0].shape
    rows, wanted = [], []
    for i in range(height):
        for j in range(width):
            for axis, (k, m) in enumerate([(i + 1, j), (i, j + 1)]):
                if k < height and m < width:
                    row = np.zeros((height, width))
                    row[k, m], row[i, j] = 1, -1
                    rows.append(row.ravel())
                    wanted.append(-steps[axis][i, j])
            row = np.zeros((height, width))
            row[i, j] = 1 / fade
            rows.append(row.ravel())
            wanted.append(np.zeros(channels))
    return np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0].reshape(height, width, channels)


def slope(height: int, width: int) -> np.ndarray:
    """A sky that darkens to the right, with a little grain, float32 [H, W, 3]."""
    grain = np.random.default_rng(0).normal(0, 0.5, (height, width, 3))
    return (np.linspace(170, 110, width)[None, :, None] * (1.0, 0.9, 0.8) + grain).astype(np.float32)


def without(width: int, first: int, last: int, height: int = 40) -> np.ndarray:
    """The sources of what remains where the columns from `first` to before `last` are gone, int [H, W', 2]."""
    columns = np.r_[:first, last:width]
    return np.stack(np.meshgrid(np.arange(height), columns, indexing="ij"), -1)


def removed(height: int, width: int, first: int, last: int) -> list[Pass]:
    """The passes that take the columns from `first` to before `last` out of a photo."""
    mask = np.zeros((height, width), bool)
    mask[:, first:last] = True
    config = paper_config(taps=TAPS).resolve((height, width))
    maps = tuple(jnp.ones(level.size((height, width))) for level in config.levels)
    ground = lay_groundwork(maps, (height, width), config, masks=Masks(remove=mask))
    assert ground.removals
    return ground.removals


@pytest.mark.parametrize("fade", [1.0, 6.0])
def test_the_field_is_the_least_squares_solution(fade: float) -> None:
    rng = np.random.default_rng(1)
    steps = [rng.normal(0, 5, (7, 9, 3)) * (rng.uniform(size=(7, 9, 1)) < 0.2) for _ in range(2)]
    steps[0][-1] = 0
    steps[1][:, -1] = 0
    np.testing.assert_allclose(smooth_field(steps, fade), solved(steps, fade), atol=1e-10)
    assert not smooth_field([np.zeros((4, 5, 3))] * 2, fade).any()


@pytest.mark.parametrize("axis", [0, 1])
def test_steps_are_what_the_slope_does_not_explain(axis: int) -> None:
    photo, sources = slope(40, 120), without(120, 50, 80)
    if axis == 0:
        photo, sources = photo.swapaxes(0, 1), sources.swapaxes(0, 1)[..., ::-1]
    steps = joint_steps(photo, sources, axis)
    across = steps if axis == 1 else steps.swapaxes(0, 1)
    expected = -30 * 60 / 119 * np.array([1.0, 0.9, 0.8])
    np.testing.assert_allclose(across[:, 49], np.broadcast_to(expected, (40, 3)), atol=0.6)
    across[:, 49] = 0
    assert not across.any()
    assert not joint_steps(photo, sources, 1 - axis).any()


def test_a_star_is_no_step_and_another_thing_is_none() -> None:
    photo, sources = slope(40, 120), without(120, 50, 80)
    starry = photo.copy()
    starry[20, 80] = 250
    steps, same = joint_steps(photo, sources, 1), joint_steps(starry, sources, 1)
    assert np.abs(steps - same).max() < 0.1
    other = photo.copy()
    other[:, 80:] += LARGEST_STEP + 25
    assert not joint_steps(other, sources, 1).any()


def test_a_seam_that_bends_is_no_joint() -> None:
    photo, sources = slope(40, 120), without(120, 50, 51)
    sources[20:, 49, 1] = 50
    assert not any(joint_steps(photo, sources, axis).any() for axis in (0, 1))


@pytest.mark.parametrize("side", ["width", pytest.param("height", marks=pytest.mark.slow)])
def test_no_step_is_left_where_an_object_was_removed(small_vgg: Weights, side: str) -> None:
    photo, mask = slope(64, 160), np.zeros((64, 160), bool)
    mask[:, 70:100] = True
    photo[:, 70:100] = (250, 40, 40)
    if side == "height":
        photo, mask = photo.swapaxes(0, 1), mask.swapaxes(0, 1)
    config = paper_config(taps=TAPS, init="seam", reconstruct_steps=2, refine_steps=1)
    target = (64, 126) if side == "width" else (126, 64)
    means = {}
    for tones in ("match", "keep"):
        kept = dataclasses.replace(config, tones=tones)
        image = retarget(photo, target, kept, small_vgg, masks=Masks(remove=mask)).image
        image = image if side == "width" else image.swapaxes(0, 1)
        means[tones] = image[..., 0].mean(0)
        assert image.max() < 200, "it is gone"
    steps = {
        tones: np.abs(np.diff(np.convolve(mean, np.ones(4) / 4, "valid")[:-4:4])).max() for tones, mean in means.items()
    }
    assert steps["keep"] > 10
    assert steps["match"] < 0.45 * steps["keep"]
    # Far away from the joint the photo is nearly what it was.
    assert abs(means["match"][:8].mean() - means["keep"][:8].mean()) < 1.5


def test_the_frames_of_an_animation_get_one_change() -> None:
    frames, removals = [slope(64, 96), 200 - slope(64, 96)[:, ::-1] / 2], removed(64, 96, 40, 60)
    config = paper_config(taps=TAPS).resolve((64, 96))
    both = [np.asarray(frame) for frame in match_tones([jnp.asarray(each) for each in frames], removals, config)]
    alone = [np.asarray(match_tones([jnp.asarray(each)], removals, config)[0]) for each in frames]
    changes = [now - frame for now, frame in zip(both, frames, strict=True)]
    assert np.abs(changes[0]).max() > 2
    np.testing.assert_allclose(changes[0], changes[1], atol=1e-4)
    own = [now - frame for now, frame in zip(alone, frames, strict=True)]
    assert np.abs(own[0] - own[1]).max() > 2
    np.testing.assert_allclose(changes[0], (own[0] + own[1]) / 2, atol=1e-3)


def test_the_papers_preset_keeps_every_tone() -> None:
    config, removals = preset_config(preset="paper", taps=TAPS).resolve((64, 96)), removed(64, 96, 40, 60)
    photo = jnp.asarray(slope(64, 96))
    assert match_tones([photo], removals, config)[0] is photo
    assert match_tones([photo], removals, dataclasses.replace(config, tones="match"))[0] is not photo
    assert match_tones([photo], [], dataclasses.replace(config, tones="match"))[0] is photo


def test_without_removals_nothing_is_changed(small_vgg: Weights) -> None:
    photo = slope(64, 96)
    match, keep = [
        retarget(photo, (64, 80), dataclasses.replace(QUICK, taps=TAPS, tones=tones), small_vgg).image
        for tones in ("match", "keep")
    ]
    np.testing.assert_array_equal(match, keep)
