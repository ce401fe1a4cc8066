"""Training the learned network on generated photos: batches, loss, folding, resuming, and the script."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

pytest.importorskip("skimage")

import train_embedded
from dnr_jax.learned import Learned
from dnr_jax.weights.packaged import read_learned
from training.data import (
    Dataset,
    Example,
    Labelled,
    analytic_map,
    draw_batch,
    load_dataset,
    make_example,
    read_labels,
    smoothstep,
    whole_photo,
    write_labels,
)
from training.loop import State, held_out_correlation, settle_statistics, train
from training.model import TAP_WEIGHTS, TAPS, fold, forward, loss_of, normalised
from training.pseudo_labels import Saliency
from training.recipe import RECIPES, Recipe, named_recipe

pytestmark = pytest.mark.slow

SIDE = 64
RECIPE = Recipe(
    widths=(4, 6, 8, 8), sides=(SIDE,), batches=(8,), chances=(1.0,), steps=24, warm_up=4, average=0.9, rate=1e-2
)
RECIPE = dataclasses.replace(RECIPE, statistics_batches=4)


def disc_photo(seed: int, shape: tuple[int, int] = (72, 96)) -> tuple[np.ndarray, np.ndarray]:
    """A coloured disc somewhere on a ramp with noise, uint8, and its place in [0, 1]."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    photo = 110 + 0.3 * columns[..., None] + rng.normal(0, 3, (*shape, 3))
    inside = (rows - rng.uniform(25, 45)) ** 2 + (columns - rng.uniform(30, 66)) ** 2 < rng.uniform(12, 20) ** 2
    photo[inside] += rng.choice([-1, 1]) * np.array((80, 20, -60))
    return np.clip(photo, 0, 255).astype(np.uint8), inside.astype(float)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    examples = [Example(photo, (255 * place).astype(np.uint8), 1.0) for photo, place in map(disc_photo, range(24))]
    return Dataset(examples[:16], examples[16:], "generated", 24)


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


def test_batches_depend_on_the_generator_alone(dataset: Dataset) -> None:
    one, same, other = (draw_batch(dataset.training, 6, 32, 0.4, np.random.default_rng(s)) for s in (1, 1, 2))
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


def test_recipes_by_name() -> None:
    assert named_recipe("plain") == RECIPES["plain"]
    assert not named_recipe("plain").contrast
    assert named_recipe("default", 7).steps == 7
    with pytest.raises(ValueError, match="default"):
        named_recipe("other")


def test_the_script_trains_and_writes_a_network_with_its_record(tmp_path: Path) -> None:
    folder, out = tmp_path / "photos", tmp_path / "net.safetensors"
    folder.mkdir()
    for seed in range(11):
        PIL.Image.fromarray(disc_photo(seed, (48, 64))[0]).save(folder / f"{seed:02}.png")
    script = Path(train_embedded.__file__)
    options = [f"--photos={folder}", f"--out={out}", "--origin=drawn here", "--steps=2", "--processes=1", "--seed=5"]
    command = [sys.executable, str(script), "--recipe=test", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "train_embedded: recipe is 'test': choose plain or default\n"
    RECIPES["test"] = dataclasses.replace(RECIPE, sides=(32,), batches=(2,), contrast_gain=0.25)
    try:
        assert train_embedded.main(["train_embedded", "--recipe=test", "--quiet", *options]) == 0
    finally:
        del RECIPES["test"]
    network, provenance = read_learned(out)
    assert network.module == Learned(RECIPE.widths, contrast_gain=0.25)
    record = json.loads(out.with_suffix(".json").read_text())
    assert provenance.sha256 == record["sha256"]
    assert (record["seed"], record["recipe"]["steps"], record["photos"]["origin"]) == (5, 2, "drawn here")
    assert record["photos"]["found"] == 11
    assert record["photos"]["trained_on"] + record["photos"]["held_out"] <= 11
    assert record["versions"]["jax"] == jax.__version__
    with PIL.Image.open(out.with_suffix(".png")) as plot:
        assert plot.width == 640
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.is_file()) == [".json", ".png", ".safetensors"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--photos=DIR and --out=FILE are needed"),
        (["--photos=.", "--out=x.txt"], "name a .safetensors file"),
        (["--photos=nowhere", "--out=x.safetensors"], "nowhere holds no photos"),
    ],
)
def test_bad_options_are_one_line(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert train_embedded.main(["train_embedded", "--quiet", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_photos_without_an_object_are_not_enough(tmp_path: Path) -> None:
    PIL.Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(tmp_path / "grey.png")
    with pytest.raises(ValueError, match="of 1 photos 0 have a label"):
        load_dataset(tmp_path, RECIPE, tmp_path / "labels.npz", 1)
