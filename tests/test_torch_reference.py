# pyright: reportMissingImports=false
"""The PyTorch reference: each of its parts against plain loops, the whole against dnr_jax, and what parity refuses."""

import dataclasses
import inspect
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import oracles_networks
import PIL.Image
import pytest
from configs import paper_config
from conftest import random_layers
from drawn_photos import textured_photo

from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import TAPS, Level
from dnr_jax.networks.vgg import TORCHVISION_PREPROCESSING, VGG
from dnr_jax.weights import Weights, read_weights

torch = pytest.importorskip("torch")

import run_benchmark  # noqa: E402
from benchmark import stages  # noqa: E402
from torch_reference.parity import (  # noqa: E402
    TOLERANCES,
    Outputs,
    dnr_jax_outputs,
    equal_share,
    parity,
    reference_options,
    reference_outputs,
)
from torch_reference.reference import Reference  # noqa: E402
from torch_reference.seams import find_seams, jump_up, stride, walk_up  # noqa: E402
from torch_reference.stages import DEFAULT_TAPS  # noqa: E402

CONFIG = paper_config()
TARGETS = [(70, 90), (96, 90), (70, 128)]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two pools of threads on few cores wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_reference(weights: Weights, taps: tuple[str, ...] = DEFAULT_TAPS, **options: Any) -> Reference:
    module = weights.network.module
    assert isinstance(module, VGG)
    return Reference(weights.network.params, preprocessing=module.preprocessing, taps=taps, **options)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return textured_photo(96, 128, 2)


@pytest.fixture(scope="module")
def both_sides(small_vgg: Weights, photo: np.ndarray) -> tuple[Outputs, Outputs]:
    """dnr_jax's and the reference's outputs for one photo narrowed and lowered."""
    ours, importance = dnr_jax_outputs(photo, TARGETS[0], CONFIG, small_vgg)
    return ours, reference_outputs(make_reference(small_vgg), photo, TARGETS[0], CONFIG, importance)


@pytest.mark.parametrize("channels_last", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("target", [TARGETS[0], *(pytest.param(n, marks=pytest.mark.slow) for n in TARGETS[1:])])
def test_every_stage_agrees(
    small_vgg: Weights, photo: np.ndarray, target: tuple[int, int], channels_last: bool
) -> None:
    ours, importance = dnr_jax_outputs(photo, target, CONFIG, small_vgg)
    reference = make_reference(small_vgg, channels_last=channels_last)
    report = parity(ours, reference_outputs(reference, photo, target, CONFIG, importance))
    assert report["ok"], report
    assert report["own_seams_equal"] > 0.99
    assert ours.seams[0].shape != ours.features["block1_conv2"].shape[:2]


def test_every_stage_agrees_on_a_real_photo_with_real_weights(shared: Path) -> None:
    taps = DEFAULT_TAPS[:3]
    weights = read_weights(shared / "data/weights/vgg19_keras_blocks123.h5")
    with PIL.Image.open(shared / "data/retargetme/036/src.jpg") as file:
        image = np.asarray(file.convert("RGB").resize((128, 96), PIL.Image.Resampling.BOX))
    config = paper_config(taps=taps, reconstruct_steps=20, refine_steps=10)
    ours, importance = dnr_jax_outputs(image, (96, 96), config, weights)
    report = parity(ours, reference_outputs(make_reference(weights, taps), image, (96, 96), config, importance))
    assert report["ok"], report
    assert report["own_seams_equal"] > 0.99


@pytest.mark.slow
def test_other_options_agree_as_well(small_vgg: Weights, photo: np.ndarray) -> None:
    config = paper_config(
        importance_percentile=60.0,
        alpha=0.2,
        region="receptive",
        loss="squared",
        loss_weights=(1.0, 0.0, 0.5),
        rate_schedule="constant",
        reconstruct_steps=6,
        reconstruct_rate=1.0,
        refine_steps=3,
        refine_rate=0.05,
        warp_cell=10,
    )
    ours, importance = dnr_jax_outputs(photo, TARGETS[0], config, small_vgg)
    reference = make_reference(small_vgg)
    report = parity(ours, reference_outputs(reference, photo, TARGETS[0], config, importance))
    assert report["ok"], report
    plain = reference_outputs(reference, photo, TARGETS[0], CONFIG, importance)
    assert not parity(ours, plain)["ok"]


@pytest.mark.parametrize("field", [name for name in Outputs._fields if name != "own_seams"])
def test_parity_refuses_what_differs(both_sides: tuple[Outputs, Outputs], field: str) -> None:
    ours, reference = both_sides
    assert parity(ours, reference)["ok"]
    value = getattr(ours, field)
    if field == "features":
        worse = value | {"block4_conv4": value["block4_conv4"] + 2e-4 * np.abs(value["block4_conv4"]).max()}
        missing = {tap: values for tap, values in value.items() if tap != "block1_conv2"}
        assert not parity(ours._replace(features=missing), reference)["ok"]
    elif field == "seams":
        worse = [value[0].copy(), *value[1:]]
        worse[0][5, 7] += 1
        assert not parity(ours._replace(seams=value[:-1]), reference)["ok"]
    else:
        worse = value + 1.5 if field in ("image", "start", "warp") else value * 1.002
        assert not parity(ours._replace(**{field: value * math.nan}), reference)["ok"]
    report = parity(ours._replace(**{field: worse}), reference)
    assert not report["ok"]
    assert [stage for stage in TOLERANCES if not report[stage]["ok"]] == [field]


def test_parity_reports_seams_of_own_features_without_judging_them(both_sides: tuple[Outputs, Outputs]) -> None:
    ours, reference = both_sides
    report = parity(ours._replace(own_seams=[seams + 1 for seams in ours.own_seams]), reference)
    assert report["ok"]
    assert report["own_seams_equal"] == 0
    assert equal_share([np.zeros((2, 3))], [np.zeros((2, 4))]) == 0


@pytest.mark.slow
def test_early_stopping_takes_the_same_steps(small_vgg: Weights, photo: np.ndarray) -> None:
    from dnr_jax.pipeline import retarget

    config = dataclasses.replace(CONFIG, tolerance=0.02)
    result = retarget(photo, TARGETS[0], config, small_vgg)
    whole = make_reference(small_vgg).retarget(photo, TARGETS[0], **reference_options(config))
    losses = result.record["reconstruction"]["losses"]
    assert 10 < len(losses) - 1 < config.reconstruct_steps
    assert len(losses) == len(whole.losses)
    np.testing.assert_allclose(whole.losses, losses, rtol=1e-2)
    assert len(whole.refinement_losses) == len(result.record["refinement"]["losses"])
    assert isinstance(whole.image, np.ndarray)
    assert whole.image.dtype == np.uint8
    assert np.abs(whole.image.astype(float) - result.image).mean() < 1


@pytest.mark.slow
def test_a_start_from_the_scaled_photo_agrees(small_vgg: Weights, photo: np.ndarray) -> None:
    from dnr_jax.pipeline import retarget

    config = dataclasses.replace(CONFIG, init="linear", reconstruct_steps=0, refine_steps=0)
    whole = make_reference(small_vgg).retarget(photo, TARGETS[0], **reference_options(config))
    np.testing.assert_allclose(whole.start, retarget(photo, TARGETS[0], config, small_vgg).start, atol=0.02)


def test_options_have_the_products_defaults() -> None:
    options = inspect.signature(Reference.retarget).parameters
    defaults = {name: p.default for name, p in options.items() if p.default is not inspect.Parameter.empty}
    assert defaults == reference_options(CONFIG)
    assert CONFIG.taps == DEFAULT_TAPS
    assert {tap: stride(tap) for tap in TAPS} == {tap: Level(tap).stride for tap in TAPS}


def test_features_are_the_oracles_with_rgb_weights(small_vgg: Weights, photo: np.ndarray) -> None:
    params = {
        layer: {k: np.asarray(v) for k, v in arrays.items()} for layer, arrays in small_vgg.network.params.items()
    }
    reference = Reference(params, preprocessing=TORCHVISION_PREPROCESSING, taps=("block1_conv2", "block3_pool"))
    mean, std = (np.array(x) for x in (TORCHVISION_PREPROCESSING.mean, TORCHVISION_PREPROCESSING.std))
    expected = oracles_networks.vgg((photo[:32, :40] / 255 - mean) / std, params, "block3_pool")
    features = reference.features(photo[:32, :40])
    assert list(features) == ["block1_conv2", "block3_pool"]
    for tap, values in features.items():
        np.testing.assert_allclose(values[0].permute(1, 2, 0), expected[tap], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_seams_and_both_ways_back_up_are_the_oracles(seed: int) -> None:
    """Whole numbers, so that ties abound."""
    rng = np.random.default_rng(seed)
    cost = rng.integers(0, 4, (int(rng.integers(1, 12)), int(rng.integers(2, 12)))).astype(np.float32)
    totals = torch.full((cost.shape[0], cost.shape[1] + 2), math.inf)
    totals[:, 1:-1] = torch.from_numpy(rng.integers(0, 3, cost.shape).astype(np.float32))
    assert torch.equal(walk_up(totals), jump_up(totals))
    count = cost.shape[1] - 1
    expected = oracles.find_seams(cost, count)
    np.testing.assert_array_equal(find_seams(torch.from_numpy(cost), count).numpy(), expected.kept)


def test_what_the_reference_cannot_do_is_said(small_vgg: Weights) -> None:
    reference, photo = make_reference(small_vgg), textured_photo(96, 128)
    with pytest.raises(ValueError, match="must lie between"):
        reference.retarget(photo, (96, 140))
    with pytest.raises(ValueError, match="must lie between"):
        reference.retarget(photo, (96, 20))
    with pytest.raises(ValueError, match="choose linear"):
        reference.retarget(photo, (96, 90), init="noise")
    with pytest.raises(ValueError, match="choose projected or receptive"):
        reference.retarget(photo, (96, 90), region="whole")
    with pytest.raises(FloatingPointError, match="reconstruction is nan at step 0"):
        reference.reconstruct(np.full(photo.shape, np.nan, np.float32), reference.features(photo, DEFAULT_TAPS[:1]))


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_compiled_loss_and_features_are_the_eager_ones(small_vgg: Weights) -> None:
    photo, taps = textured_photo(32, 48), ("block1_conv2", "block2_conv2")
    runs = []
    for compiled in (False, True):
        reference = make_reference(small_vgg, taps, compile=compiled)
        result = reference.retarget(photo, (32, 36), reconstruct_steps=3, refine_steps=2, tolerance=0.0)
        runs.append((reference.features(photo)["block2_conv2"], *reference.loss_gradient(result.start, result.targets)))
        runs[-1] += (result.losses[0], result.refinement_losses)
    for eager, other in zip(*runs, strict=True):
        np.testing.assert_allclose(other, eager, rtol=1e-3, atol=1e-4 * float(np.abs(eager).max()))


def test_options_that_the_reference_lacks_are_refused() -> None:
    with pytest.raises(ValueError, match="no centre_prior: leave it at"):
        reference_options(dataclasses.replace(CONFIG, centre_prior=0.3))
    with pytest.raises(ValueError, match="no objects: leave it at none"):
        reference_options(dataclasses.replace(CONFIG, objects="auto"))


def test_the_benchmark_gives_ratios_with_parity(
    small_vgg: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    widths = (16,) * 5  # With the four of small_vgg many gradients are 0, and Adam makes full steps of rounding.
    network = Network(jax.tree.map(jnp.asarray, random_layers(widths)), VGG(widths))
    monkeypatch.setattr(stages, "random_vgg19", lambda: Weights(network, small_vgg.provenance))
    written = tmp_path / "figures.json"
    assert run_benchmark.main(["benchmark", "--compare=torch", "--size=96x64", "--repeats=1", f"--json={written}"]) == 0
    figures = json.loads(written.read_text())
    assert figures["parity"]["torch"]["ok"]
    for values in figures["stages"].values():
        assert values["ratio"]["torch"] == pytest.approx(values["dnr_jax"] / values["torch"])
    assert "parity with torch: passed" in capsys.readouterr().out


@pytest.mark.slow
def test_what_is_near_joints_is_timed_beside_all_pixels(
    small_vgg: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    widths = (16,) * 5
    network = Network(jax.tree.map(jnp.asarray, random_layers(widths)), VGG(widths))
    monkeypatch.setattr(stages, "random_vgg19", lambda: Weights(network, small_vgg.provenance))
    for name, photo in {"a.png": textured_photo(120, 160), "b.png": textured_photo(160, 120)}.items():
        PIL.Image.fromarray(photo.astype(np.uint8)).save(tmp_path / name)
    paths = f"{tmp_path / 'a.png'},{tmp_path / 'b.png'}"
    written = tmp_path / "figures.json"
    flags = ["benchmark", f"--near_joints={paths}", "--size=128x96", "--repeats=1", f"--json={written}"]
    assert run_benchmark.main(flags) == 0
    figures = json.loads(written.read_text())
    assert list(figures["photos"]) == ["a.png", "b.png"]
    for values in figures["photos"].values():
        assert values["parity"] <= 1
        assert values["difference"] <= 1
    for part, ratios in figures["ratio"].items():
        found = [values[part]["near joints"] / values[part]["torch"] for values in figures["photos"].values()]
        assert ratios["torch"] == pytest.approx(sum(found) / 2)
    assert "near joints over everywhere" in capsys.readouterr().out
