"""Weights files: format round trip, stored types, what is refused and how, and where VGG19 is looked for."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import platformdirs
import pytest
import safetensors
import safetensors.numpy
from conftest import random_layers
from weight_files import write_keras

from dnr_jax.networks.vgg import KERAS_PREPROCESSING, TORCHVISION_PREPROCESSING
from dnr_jax.weights import (
    CACHED_VGG19,
    Provenance,
    cache_dir,
    find_vgg19,
    layer_widths,
    load_weights,
    read_weights,
    save_weights,
)
from dnr_jax.weights.cache import is_offline

WIDTHS = (4, 5, 6, 7, 8)
PROVENANCE = Provenance("tiny", "random.h5", "ab" * 32, "none")


@pytest.mark.parametrize("preprocessing", [KERAS_PREPROCESSING, TORCHVISION_PREPROCESSING])
def test_our_format_keeps_everything(tmp_path: Path, preprocessing) -> None:
    layers = random_layers(WIDTHS)
    path = tmp_path / "w.safetensors"
    save_weights(path, layers, preprocessing, PROVENANCE)
    weights = read_weights(path)
    assert weights.provenance == PROVENANCE
    module = weights.network.module
    assert (module.widths, module.preprocessing) == (WIDTHS, preprocessing)  # pyright: ignore[reportAttributeAccessIssue]
    np.testing.assert_array_equal(weights.network.params["block5_conv4"]["kernel"], layers["block5_conv4"]["kernel"])
    with safetensors.safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    assert json.loads(metadata["widths"]) == list(WIDTHS)
    assert metadata["sha256"] == PROVENANCE.sha256
    assert metadata["licence"] == PROVENANCE.licence


def test_partial_weights_serve_shallow_taps_and_name_what_deep_ones_lack(tmp_path: Path) -> None:
    layers = {layer: arrays for layer, arrays in random_layers(WIDTHS).items() if layer < "block4"}
    write_keras(tmp_path / "w.h5", layers, "2")
    network = read_weights(tmp_path / "w.h5").network
    network.check_taps(("block1_conv2", "block3_conv4", "block3_pool"))
    with pytest.raises(ValueError, match=r"block4_conv2 needs .*block4_conv1, block4_conv2.*up to block3_conv4"):
        network.check_taps(("block1_conv2", "block4_conv2"))


def test_every_problem_is_listed() -> None:
    layers = random_layers(WIDTHS)
    del layers["block2_conv1"]
    layers["block3_conv2"]["kernel"] = layers["block3_conv2"]["kernel"][:2]
    layers["block4_conv1"]["bias"] = np.full_like(layers["block4_conv1"]["bias"], np.nan)
    layers["fc1"] = {"kernel": np.zeros((2, 2), np.float32)}
    with pytest.raises(ValueError, match="not a VGG19-shaped") as caught:
        layer_widths(layers)
    for part in ("missing block2_conv1", "block3_conv2 has shapes (2, 3, 6, 6)", "block4_conv1 holds", "extra fc1"):
        assert part in str(caught.value)


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    save_weights(good, random_layers(WIDTHS), KERAS_PREPROCESSING, PROVENANCE)
    write_keras(tmp_path / "good.h5", random_layers(WIDTHS), "1")
    foreign = safetensors.numpy.save({"a": np.zeros(3, np.float32)})
    cases = {
        "empty": b"",
        "pickle": pickle.dumps({"block1_conv1": 1}),
        "text": b"hello, these are no weights",
        "foreign": foreign,
        "truncated": good.read_bytes()[:-40],
        "truncated_h5": (tmp_path / "good.h5").read_bytes()[:3000],
    }
    for name, data in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(ValueError, match=name):
            read_weights(path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_weights(tmp_path / "nowhere")


def test_auto_prefers_vgg19_and_says_when_it_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DNR_JAX_CACHE", str(tmp_path))
    assert load_weights("auto").provenance.name == "embedded"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    for part in ("embedded network", "dnr_jax.weights fetch", "VGG19"):
        assert part in lines[0]
    with pytest.raises(FileNotFoundError, match=r"dnr_jax\.weights fetch"):
        load_weights("vgg19")

    save_weights(tmp_path / CACHED_VGG19, random_layers(WIDTHS), KERAS_PREPROCESSING, PROVENANCE)
    assert load_weights("auto").provenance == PROVENANCE
    assert not capsys.readouterr().err

    named = tmp_path / "named.safetensors"
    save_weights(named, random_layers(WIDTHS), KERAS_PREPROCESSING, PROVENANCE._replace(name="named"))
    monkeypatch.setenv("DNR_JAX_WEIGHTS", str(named))
    assert load_weights("vgg19").provenance.name == "named"
    monkeypatch.setenv("DNR_JAX_WEIGHTS", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match="DNR_JAX_WEIGHTS"):
        find_vgg19()


@pytest.mark.parametrize("store", ["float32", "bfloat16"])
def test_weights_are_stored_as_asked_and_read_as_float32(tmp_path: Path, store: str) -> None:
    layers = random_layers(WIDTHS)
    save_weights(tmp_path / "w", layers, KERAS_PREPROCESSING, PROVENANCE, store=store)
    with safetensors.safe_open(tmp_path / "w", framework="numpy") as file:
        assert file.metadata()["store"] == store
        assert file.get_tensor("block3_conv2/kernel").dtype == (
            np.float32 if store == "float32" else ml_dtypes.bfloat16
        )
    params = read_weights(tmp_path / "w").network.params
    for layer, arrays in layers.items():
        for kind, array in arrays.items():
            assert params[layer][kind].dtype == np.float32
            rounded = array if store == "float32" else array.astype(ml_dtypes.bfloat16).astype(np.float32)
            np.testing.assert_array_equal(params[layer][kind], rounded)
    with pytest.raises(ValueError, match="float32 or bfloat16"):
        save_weights(tmp_path / "w", layers, KERAS_PREPROCESSING, PROVENANCE, store="int8")


def test_the_cache_is_where_it_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNR_JAX_CACHE", str(tmp_path / "env"))
    assert cache_dir(weights_dir=tmp_path / "given") == tmp_path / "given"
    assert cache_dir() == tmp_path / "env"
    monkeypatch.delenv("DNR_JAX_CACHE")
    assert cache_dir() == Path(platformdirs.user_cache_dir("dnr_jax", appauthor=False))
    assert cache_dir().name == "dnr_jax"


@pytest.mark.parametrize(
    ("value", "offline"), [("1", True), ("yes", True), ("0", False), ("", False), ("False", False)]
)
def test_offline_as_the_environment_says(monkeypatch: pytest.MonkeyPatch, value: str, offline: bool) -> None:
    monkeypatch.setenv("DNR_JAX_OFFLINE", value)
    assert is_offline() is offline
    assert is_offline(offline=True)
    assert not is_offline(offline=False)


def test_importing_the_package_imports_neither_jax_nor_pooch() -> None:
    program = (
        "import sys, dnr_jax, dnr_jax.weights; print([m for m in ('jax', 'pooch', 'requests') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    program = "import sys; from dnr_jax import load_weights; load_weights('embedded'); print('pooch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_shared_file_holds_the_first_three_blocks(shared: Path) -> None:
    weights = read_weights(shared / "data/weights/vgg19_keras_blocks123.h5")
    weights.network.check_taps(("block3_pool",))
    with pytest.raises(ValueError, match="block4_conv1"):
        weights.network.check_taps(("block4_conv1",))
    assert weights.network.params["block3_conv4"]["kernel"].shape == (3, 3, 256, 256)
