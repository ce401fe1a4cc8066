"""What training sees: labels that agree on an object, kept for the same photos, and batches cut from them."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import PIL.Image
import pytest

pytest.importorskip("skimage")

from training_photos import RECIPE, disc_photo, generated_dataset

from training.data import (
    Example,
    Labelled,
    analytic_map,
    draw_batch,
    load_dataset,
    make_example,
    read_labels,
    smoothstep,
    write_labels,
)
from training.pseudo_labels import Saliency

pytestmark = pytest.mark.slow


def test_batches_depend_on_the_generator_alone() -> None:
    training = generated_dataset().training
    one, same, other = (draw_batch(training, 6, 32, 0.4, np.random.default_rng(s)) for s in (1, 1, 2))
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one.images, other.images)
    assert one.images.shape == (6, 32, 32, 3)
    assert one.targets.shape == (6, 32, 32)
    for values, top in ((one.images, 255), (one.targets, 1)):
        assert values.dtype == np.float32
        assert 0 <= values.min() < values.max() <= top


def test_targets_follow_their_photos() -> None:
    photo = np.zeros((60, 80, 3), np.uint8)
    photo[20:50, 10:40] = 255
    example = Example(photo, (photo[..., 0] > 0).astype(np.uint8) * 255, 0.5)  # Too unsure to be pasted.
    batch = draw_batch([example], 40, 32, 0.4, np.random.default_rng(0))
    seen = [
        np.corrcoef(image.mean(-1).ravel(), target.ravel())[0, 1]
        for image, target in zip(batch.images, batch.targets, strict=True)
        if 0.1 < target.mean() < 0.9  # A crop may miss the object.
    ]
    assert len(seen) > 20
    assert min(seen) > 0.9
    assert (batch.weights == 0.5).all()
    greys = np.ptp(batch.images, axis=-1).max((1, 2)) > 1
    assert 0 < greys.sum() < 40  # Balance and saturation colour most; none stays as it was, white on black.


def labelled(background: np.ndarray, barrier: np.ndarray, centred: np.ndarray, analytic: np.ndarray) -> Labelled:
    maps = [(255 * values).astype(np.uint8) for values in (background, barrier, centred, analytic)]
    return Labelled(np.zeros((*background.shape, 3), np.uint8), Saliency(*maps[:3]), maps[3])


def test_only_labels_that_agree_on_an_object_are_learned_from() -> None:
    disc = np.zeros((20, 20))
    disc[5:12, 6:13] = 1
    empty, most, speck = np.zeros((20, 20)), np.ones((20, 20)), np.zeros((20, 20))
    most[0] = 0
    speck[3, 3] = 1
    example = make_example(labelled(disc, disc, disc, disc), RECIPE)
    assert example is not None
    np.testing.assert_array_equal(example.target > 128, disc > 0)
    assert example.weight == 1
    for bad in (labelled(disc, np.roll(disc, 9, 1), disc, disc), labelled(most, most, most, most)):
        assert make_example(bad, RECIPE) is None
    for bad in (labelled(speck, speck, speck, speck), labelled(empty, empty, empty, empty)):
        assert make_example(bad, RECIPE) is None
    # Which barrier map counts, and whether the analytic one does, is the recipe's choice.
    other = labelled(disc, np.roll(disc, 9, 1), disc, empty)
    assert make_example(other, RECIPE) is None
    centred = make_example(other, dataclasses.replace(RECIPE, centred_labels=True, analytic_labels=False))
    assert centred is not None
    np.testing.assert_array_equal(centred.target > 128, disc > 0)
    shifted = np.roll(disc, 3, 1)
    with_analytic = make_example(labelled(disc, disc, disc, shifted), RECIPE)
    without = make_example(labelled(disc, disc, disc, shifted), dataclasses.replace(RECIPE, analytic_labels=False))
    assert with_analytic is not None
    assert without is not None
    assert (with_analytic.target != without.target).any()


def test_smoothstep() -> None:
    np.testing.assert_allclose(smoothstep(np.array([0.0, 0.1, 0.425, 0.75, 1.0])), [0, 0, 0.5, 1, 1], atol=1e-12)


def test_the_analytic_map_finds_the_disc() -> None:
    photo, place = disc_photo(1, (160, 192))
    found = analytic_map(photo, (80, 96))
    assert found.dtype == np.uint8
    assert found.shape == (80, 96)
    inside = place[::2, ::2] > 0
    assert found[inside].mean() > found[~inside].mean() + 50


def test_labels_are_kept_for_the_same_photos(tmp_path: Path) -> None:
    path = tmp_path / "labels.npz"
    assert read_labels(path, "a") is None
    rng = np.random.default_rng(0)
    items = [labelled(*rng.uniform(size=(4, 8, 9))) for _ in range(3)]
    write_labels(path, "a", items)
    assert read_labels(path, "b") is None
    found = read_labels(path, "a")
    assert found is not None
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(items), strict=True):
        np.testing.assert_array_equal(one, other)


def test_photos_without_an_object_are_not_enough(tmp_path: Path) -> None:
    PIL.Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(tmp_path / "grey.png")
    with pytest.raises(ValueError, match="of 1 photos 0 have a label"):
        load_dataset(tmp_path, RECIPE, tmp_path / "labels.npz", 1)
