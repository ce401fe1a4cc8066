"""The learned network against NumPy, tap by tap, and the file that it ships in."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import oracles_networks as oracles
import pytest

from dnr_jax.networks.learned import Learned, border_score
from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import TAPS
from dnr_jax.weights import Layers, load_weights
from dnr_jax.weights.packaged import CONSTANT_LAYERS, MOST_BYTES, read_learned, wanted_shapes, write_learned
from dnr_jax.weights.registry import shipped_path

SHAPE = (75, 101)
MODULE = Learned((3, 4, 5, 6), contrast_gain=0.5)
DETAILS = {"script": "test", "licence": "none"}


def photo(seed: int = 0, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Noise around a bright disc, float32."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = rng.normal(100, 25, (*shape, 3))
    image[(rows - 35) ** 2 + (columns - 50) ** 2 < 18**2] += (80, -40, 20)
    return np.clip(image, 0, 255).astype(np.float32)


@cache
def layers(contrast: bool = True) -> Layers:
    """Random parameters whose biases let something through."""
    module = Learned(MODULE.widths, contrast=contrast)
    rng, found = np.random.default_rng(1), {}
    for name, shape in wanted_shapes(module).items():
        layer, kind = name.split("/")
        mean, deviation = (0.05, 0.05) if kind == "bias" else (0, (2 / np.prod(shape[:3])) ** 0.5)
        found.setdefault(layer, {})[kind] = rng.normal(mean, deviation, shape).astype("f")
    return found


@cache
def network(contrast: bool = True) -> Network:
    with jax.ensure_compile_time_eval():  # What is cached must not be a tracer of the program that asked first.
        params = jax.tree.map(jnp.asarray, layers(contrast))
    return Network(
        params,
        Learned(MODULE.widths, contrast=contrast, contrast_gain=MODULE.contrast_gain),
    )


@jax.jit
def all_taps(network: Network, image: jax.Array, size: tuple[jax.Array, jax.Array] | None = None):
    return network.features(image, TAPS, size=size)


@pytest.mark.parametrize(
    ("contrast", "gain"),
    [(True, 0.5), (False, 0.0), *(pytest.param(*c, marks=pytest.mark.slow) for c in ((True, 0.0), (False, 0.5)))],
)
def test_every_tap_is_the_oracles(contrast: bool, gain: float) -> None:
    image = photo()
    module = Learned(MODULE.widths, contrast=contrast, contrast_gain=gain)
    found = all_taps(network(contrast).replace(module=module), jnp.asarray(image))
    expected = oracles.learned(image, layers(contrast), MODULE.dilations, contrast, gain)
    assert sorted(found) == sorted(TAPS) == sorted(expected)
    for tap in TAPS:
        stride = oracles.STRIDES[tap]
        assert found[tap].shape == (SHAPE[0] // stride, SHAPE[1] // stride, expected[tap].shape[2])
        assert expected[tap].max() > 0.01
        np.testing.assert_allclose(found[tap], expected[tap], rtol=0, atol=2e-4 * expected[tap].max(), err_msg=tap)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (26, 13)])
def test_border_score(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(2).exponential(1.0, (*shape, 3)).astype(np.float32)
    x[..., 2] *= np.random.default_rng(3).uniform(size=shape) > 0.9  # Rare: some scores are clipped.
    np.testing.assert_allclose(border_score(jnp.asarray(x)), oracles.border_score(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padded_shape", [(76, 103), pytest.param((128, 128), marks=pytest.mark.slow)])
def test_padding_changes_nothing_inside_and_is_zero_outside(padded_shape: tuple[int, int]) -> None:
    image = photo()
    junk = np.random.default_rng(1).uniform(0, 255, (*padded_shape, 3)).astype(np.float32)
    junk[: SHAPE[0], : SHAPE[1]] = image
    alone = all_taps(network(), jnp.asarray(image))
    padded = all_taps(network(), jnp.asarray(junk), (jnp.int32(SHAPE[0]), jnp.int32(SHAPE[1])))
    for tap in TAPS:
        height, width = alone[tap].shape[:2]
        np.testing.assert_allclose(padded[tap][:height, :width], alone[tap], rtol=1e-4, atol=1e-5, err_msg=tap)
        outside = np.asarray(padded[tap]).copy()
        outside[:height, :width] = 0
        assert not outside.any(), tap


def test_a_batch_is_its_photos_one_by_one() -> None:
    images = np.stack([photo(seed) for seed in (0, 4)])
    taps = ("block1_conv2", "block5_pool")
    net = network()
    batched = jax.jit(lambda images: net.features(images, taps))(images)
    for i, image in enumerate(images):
        alone = all_taps(network(), jnp.asarray(image))
        for tap in taps:
            np.testing.assert_allclose(batched[tap][i], alone[tap], rtol=1e-4, atol=1e-5)


def test_block1_is_the_analytic_networks() -> None:
    image = jnp.asarray(photo())
    analytic = load_weights("analytic").network.features(image, ("block1_conv2",))["block1_conv2"]
    np.testing.assert_array_equal(network().features(image, ("block1_conv2",))["block1_conv2"], analytic)
    shallow = jax.make_jaxpr(lambda image: network().features(image, ("block1_conv2",)))(image)
    deep = jax.make_jaxpr(lambda image: network().features(image, ("block2_conv1",)))(image)
    assert len(shallow.eqns) < len(deep.eqns)  # Nothing deeper is evaluated.


def test_a_written_network_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    write_learned(path, layers(), MODULE, 384, {**DETAILS, "seed": 7})
    found, provenance = read_learned(path=path)
    assert found.module == MODULE
    assert (found.importance_side, found.constant_layers) == (384, CONSTANT_LAYERS)
    for layer, parts in layers().items():
        for kind, array in parts.items():
            np.testing.assert_allclose(found.params[layer][kind], array, rtol=1e-3, atol=1e-6)
    record = json.loads(path.with_suffix(".json").read_text())
    assert (record["seed"], record["file"], record["bytes"]) == (7, path.name, path.stat().st_size)
    assert provenance.sha256 == record["sha256"]


def test_a_file_that_is_not_its_records_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    write_learned(path, layers(), MODULE, 384, DETAILS)
    good, record = path.read_bytes(), path.with_suffix(".json").read_text()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"net\.safetensors is not the file that net\.json describes"):
        read_learned(path=path)
    path.write_bytes(good)
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(ValueError, match="no record"):
        read_learned(path=path)
    path.with_suffix(".json").unlink()
    with pytest.raises(FileNotFoundError, match="analytic"):
        read_learned(path=path)
    path.with_suffix(".json").write_text(record)
    read_learned(path=path)


def test_arrays_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    wrong = {layer: dict(parts) for layer, parts in layers().items() if layer != "block3_conv2"}
    wrong["block2_conv1"]["bias"] = np.zeros(9, np.float32)
    write_learned(path, wrong, MODULE, 384, DETAILS)
    with pytest.raises(ValueError, match=r"block2_conv1/bias is \(9,\), not \(3,\).*block3_conv2/kernel is missing"):
        read_learned(path=path)


@pytest.mark.parametrize("module", [MODULE, Learned(), Learned((3, 4, 5, 6), contrast=False, contrast_gain=0.5)])
def test_wanted_shapes_are_those_that_the_module_makes(module: Learned) -> None:
    made = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros((32, 32, 3)), TAPS))["params"]
    shapes = {f"{layer}/{kind}": array.shape for layer, parts in made.items() for kind, array in parts.items()}
    assert wanted_shapes(module) == shapes


def test_what_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    for wrong, message in ((np.full(3, 1e6, "f"), "float16"), (np.zeros(1_100_000, "f"), "2000000")):
        with pytest.raises(ValueError, match=message):
            write_learned(path, {"block2_conv1": {"bias": wrong}}, MODULE, 384, DETAILS)
    assert list(tmp_path.iterdir()) == []


def test_the_packaged_file_says_where_it_comes_from() -> None:
    path = shipped_path("learned.safetensors")
    record = json.loads(path.with_suffix(".json").read_text())
    assert path.stat().st_size == record["bytes"] <= MOST_BYTES
    for part in ("script", "seed", "recipe", "photos", "versions", "licence"):
        assert record[part] not in ("", None, {}), part
    assert record["photos"]["origin"]
    learned = load_weights("learned")
    assert learned.provenance == learned.provenance._replace(name="learned", sha256=record["sha256"])
    assert load_weights("embedded").provenance == learned.provenance._replace(name="embedded")
    assert load_weights("analytic").provenance.name == "analytic"
    learned.network.check_taps(TAPS)


def test_the_file_is_read_only_when_asked_for() -> None:
    program = (
        "import builtins, pathlib, dnr_jax.weights.load as load\n"
        "opened = []\n"
        "read = pathlib.Path.read_bytes\n"
        "pathlib.Path.read_bytes = lambda path: opened.append(path.name) or read(path)\n"
        "load.load_weights('analytic'); print(opened); load.load_weights('learned'); print(opened)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['learned.safetensors']"]
