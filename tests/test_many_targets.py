"""Many targets from one analysis: the same results as one by one, and nothing computed twice."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest
from drawn_photos import QUICK, textured_photo

from dnr_jax import pipeline, sight
from dnr_jax.config import RetargetConfig
from dnr_jax.pipeline import retarget, retarget_frames, retarget_frames_to_all, retarget_to_all
from dnr_jax.planning.masks import Masks
from dnr_jax.result import Result
from dnr_jax.weights import Weights

DEFAULT = RetargetConfig(reconstruct_steps=4, refine_steps=2)


def assert_identical(one: Result, other: Result) -> None:
    """Bit for bit, all but how long it took."""
    apart = [result._replace(record={**result.record, "seconds": None}) for result in (one, other)]
    leaves, structure = jax.tree.flatten([apart[0]])
    others, other_structure = jax.tree.flatten([apart[1]])
    assert structure == other_structure
    for value, same in zip(leaves, others, strict=True):
        np.testing.assert_array_equal(value, same)


@pytest.mark.parametrize(
    "config", [pytest.param(DEFAULT, marks=pytest.mark.slow), QUICK], ids=["default", "paper's geometry"]
)
def test_results_are_those_of_separate_calls(embedded: Weights, config: RetargetConfig) -> None:
    photo, targets = textured_photo(64, 96), [(64, 72), (60, 66), (64, 72), (64, 96)]
    results = retarget_to_all(photo, targets, config, embedded)
    assert [result.image.shape[:2] for result in results] == targets
    assert len({result.image.tobytes() for result in results}) == 3
    for target, result in zip(targets, results, strict=True):
        assert_identical(result, retarget(photo, target, config, embedded))


@pytest.mark.slow
def test_masks_opacity_and_grey_go_along(embedded: Weights) -> None:
    photo, targets = textured_photo(64, 96), [(64, 72), (64, 66)]
    remove, protect = np.zeros((2, 64, 96), bool)
    remove[20:30, 10:20], protect[40:60, 60:80] = True, True
    opaque = np.dstack([photo, np.full((64, 96), 255, np.uint8)])
    opaque[:32, :, 3] = 100
    for image, masks in ((photo, Masks(protect=protect, remove=remove)), (opaque, Masks()), (photo[..., 0], Masks())):
        for target, result in zip(targets, retarget_to_all(image, targets, QUICK, embedded, masks=masks), strict=True):
            assert result.image.ndim == image.ndim
            assert_identical(result, retarget(image, target, QUICK, embedded, masks=masks))


def test_frames_to_several_targets(embedded: Weights) -> None:
    photo, targets = textured_photo(64, 96), [(64, 72), (64, 66)]
    frames = [photo, np.roll(photo, 3, axis=1)]
    seen: list[str] = []
    found = retarget_frames_to_all(frames, targets, QUICK, embedded, progress=lambda stage, *_: seen.append(stage))
    for target, results in zip(targets, found, strict=True):
        for one, other in zip(results, retarget_frames(frames, target, QUICK, embedded), strict=True):
            assert_identical(one, other)
    assert seen[:4] == ["analysis"] * 3 + ["72x64 frame 1/2 reconstruction"]
    assert seen[-1] == "66x64 frame 2/2 refinement"


def test_what_no_target_changes_is_computed_once(embedded: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("lay_groundwork", "loss_features", "plan_target", "render")
    homes: dict[str, Any] = {**dict.fromkeys(names, pipeline), "see_frames": sight, "analyse": sight}
    counts: dict[str, int] = dict.fromkeys(homes, 0)

    def count(name: str) -> None:
        whole = getattr(homes[name], name)

        def counted(*args: Any, **options: Any) -> Any:
            counts[name] += 1
            return whole(*args, **options)

        monkeypatch.setattr(homes[name], name, counted)

    for name in homes:
        count(name)
    config = dataclasses.replace(QUICK, objects="auto", keep=("objects",))
    results = retarget_to_all(textured_photo(64, 96), [(64, 72), (64, 70), (64, 72), (64, 66)], config, embedded)
    assert counts == {
        "see_frames": 1,
        "analyse": 1,
        "lay_groundwork": 1,
        "loss_features": 1,
        "plan_target": 3,
        "render": 3,
    }
    assert "objects" in results[0].record["seconds"]
    assert "objects" not in results[1].record["seconds"]


def test_results_come_one_by_one(embedded: Weights) -> None:
    planned = retarget_frames_to_all([textured_photo(64, 96)], [(64, 72), (64, 66)], QUICK, embedded)
    (first,) = next(planned)
    assert first.image.shape == (64, 72, 3)
    assert [results[0].image.shape for results in planned] == [(64, 66, 3)]


def test_bad_targets_are_refused_before_any_work(embedded: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sight, "analyse", lambda *_, **__: pytest.fail("there was work"))
    with pytest.raises(ValueError, match="no target: give at least one"):
        retarget_to_all(textured_photo(64, 96), [], QUICK, embedded)
    with pytest.raises(ValueError, match="target width is 1000"):
        retarget_frames_to_all([textured_photo(64, 96)], [(64, 72), (64, 1000)], QUICK, embedded)
