"""Training the learned network on generated photos: the loss, folding, resuming."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("skimage")

from training_photos import RECIPE, SIDE, generated_dataset

from dnr_jax.networks.learned import Learned
from training.data import Dataset, draw_batch, whole_photo
from training.loop import State, held_out_correlation, settle_statistics, train
from training.model import TAP_WEIGHTS, TAPS, fold, forward, loss_of, normalised
from training.recipe import RECIPES, Recipe, named_recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return generated_dataset()


@pytest.fixture(scope="module")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[State, list, Path]:
    checkpoint = tmp_path_factory.mktemp("run") / "state.npz"
    state, history = train(dataset, RECIPE, 3, checkpoint, save_every=8)
    return state, history, checkpoint


def test_the_loss_falls(trained: tuple[State, list, Path]) -> None:
    history = trained[1]
    assert [record.step for record in history] == [8, 16, 24]
    assert history[-1].loss < 0.8 * history[0].loss
    assert all(-1 <= record.correlation <= 1 for record in history)


def test_held_out_correlation_of_a_map_that_is_the_target(dataset: Dataset) -> None:
    def brightest(images: np.ndarray) -> jax.Array:
        """The targets of the held-out photos, which come in their order."""
        targets = [whole_photo(example, 256)[1] for example in dataset.validation]
        return jnp.asarray(np.stack(targets).reshape(len(images), 8, 32, 8, 32).mean((2, 4)))

    assert held_out_correlation(dataset, brightest) == pytest.approx(1, abs=1e-5)
    assert held_out_correlation(dataset, lambda images: -brightest(images)) == pytest.approx(-1, abs=1e-5)
    assert held_out_correlation(dataset, lambda images: jnp.ones((8, 8, 8))) == 0
    assert np.isnan(held_out_correlation(dataset._replace(validation=[]), brightest))


def test_an_interrupted_run_ends_like_one_that_was_not(
    dataset: Dataset, trained: tuple[State, list, Path], tmp_path: Path
) -> None:
    checkpoint = tmp_path / "state.npz"
    train(dataset, RECIPE, 3, checkpoint, save_every=8, stop_after=16)
    state, history = train(dataset, RECIPE, 3, checkpoint, save_every=8)
    assert history == trained[1]
    for one, other in zip(jax.tree.leaves(state), jax.tree.leaves(trained[0]), strict=True):
        np.testing.assert_array_equal(one, other)
    again, _ = train(dataset, RECIPE, 3, checkpoint)  # Nothing is left to do.
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("recipe", "seed", "digest"),
    [(dataclasses.replace(RECIPE, rate=1e-3), 3, "generated"), (RECIPE, 4, "generated"), (RECIPE, 3, "others")],
)
def test_a_checkpoint_of_another_run_is_refused(
    dataset: Dataset, trained: tuple[State, list, Path], recipe: Recipe, seed: int, digest: str
) -> None:
    with pytest.raises(ValueError, match="another recipe, seed or photos"):
        train(dataset._replace(digest=digest), recipe, seed, trained[2])


def test_folding_keeps_what_the_network_sees(dataset: Dataset, trained: tuple[State, list, Path]) -> None:
    params = trained[0].average
    images = draw_batch(dataset.training, 8, SIDE, 0.4, np.random.default_rng(5)).images
    maps, statistics = jax.jit(lambda params, images: forward(normalised(RECIPE), params, images))(params, images)
    layers = fold(params, statistics)
    plain = Learned(RECIPE.widths, RECIPE.dilations, RECIPE.contrast)
    found = jax.jit(lambda layers, images: plain.apply({"params": layers}, images, TAPS))(layers, images)
    assert isinstance(found, dict)
    for tap, expected in zip(TAPS, maps, strict=True):
        norm = np.sqrt(np.square(np.asarray(found[tap])).sum(-1) + 1e-8)
        assert norm.max() > 0.05
        np.testing.assert_allclose(norm, expected, rtol=1e-3, atol=1e-3, err_msg=tap)


def test_settled_statistics_are_means_over_batches(dataset: Dataset, trained: tuple[State, list, Path]) -> None:
    few, many = (dataclasses.replace(RECIPE, statistics_batches=n) for n in (1, 2))
    first, both = (settle_statistics(trained[0], dataset, recipe, 3) for recipe in (few, many))
    second = settle_statistics(trained[0], dataset, dataclasses.replace(few, steps=RECIPE.steps + 1), 3)
    for one, two, mean in zip(*(jax.tree.leaves(x) for x in (first, second, both)), strict=True):
        np.testing.assert_allclose((one + two) / 2, mean, rtol=1e-5, atol=1e-6)


def test_the_loss_is_the_recipes() -> None:
    rng = np.random.default_rng(0)
    shapes = [(16, 24), (8, 12), (4, 6), (2, 3), (1, 1)]
    maps = [rng.uniform(0, 1, (2, *shape)) for shape in shapes]
    target, weight = rng.uniform(0, 1, (2, 32, 48)), np.array([0.5, 1.0])
    expected = 0.0
    for tap_weight, values in zip(TAP_WEIGHTS[:4], maps, strict=False):
        for b in range(2):
            n = values[b]
            stride = 32 // n.shape[0]
            t = np.array([[target[b, i : i + stride, j : j + stride].mean() for j in range(0, 48, stride)]
                          for i in range(0, 32, stride)])  # fmt: skip
            correlation = np.corrcoef(n.ravel(), t.ravel())[0, 1]
            overlap = np.minimum(n, t).sum() / np.maximum(n, t).sum()
            error = 2 * ((n - t) ** 2).mean() + 0.5 * (1 - correlation) + 0.5 * (1 - overlap)
            expected += tap_weight * weight[b] / weight.sum() * error
    last = np.full((2, 1, 1), 0.25)  # Without variance: correlation 0.
    for b in range(2):
        t = target[b, :32, :32].mean()
        error = 2 * (0.25 - t) ** 2 + 0.5 + 0.5 * (1 - min(0.25, t) / max(0.25, t))
        expected += TAP_WEIGHTS[4] * weight[b] / weight.sum() * error
    found = loss_of(
        [*(jnp.asarray(m, jnp.float32) for m in maps[:4]), jnp.asarray(last)], jnp.asarray(target), jnp.asarray(weight)
    )
    assert float(found) == pytest.approx(expected, rel=1e-3)


def test_recipes_by_name() -> None:
    assert named_recipe("plain") == RECIPES["plain"]
    assert not named_recipe("plain").contrast
    assert named_recipe("default", 7).steps == 7
    with pytest.raises(ValueError, match="default"):
        named_recipe("other")
