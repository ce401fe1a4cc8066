"""Weights files: layouts read, format round trip, what is refused and how."""

import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from conftest import random_layers

from dnr_jax.taps import CONV_LAYERS
from dnr_jax.vgg import KERAS_PREPROCESSING, TORCHVISION_PREPROCESSING
from dnr_jax.weights import (
    CACHED_VGG19,
    Layers,
    Provenance,
    find_vgg19,
    layer_widths,
    load_weights,
    read_keras_h5,
    read_weights,
    save_weights,
)
from scripts.convert_vgg19 import main as convert

WIDTHS = (4, 5, 6, 7, 8)
PROVENANCE = Provenance("tiny", "random.h5", "ab" * 32, "none")


def write_keras(path: Path, layers: Layers, names: str, *, nested: bool = False) -> None:
    """Writes Keras's layout with old (`_W_1:0`) or new (`/kernel:0`) weight names, with a layer that has no weights."""
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if nested else file
        root.create_group("input_1").attrs["weight_names"] = np.array([], dtype="S1")
        for layer, arrays in layers.items():
            group = root.create_group(layer)
            old = [f"{layer}_W_1:0", f"{layer}_b_1:0"]
            written = old if names == "old" else [f"{layer}/kernel:0", f"{layer}/bias:0"]
            group.attrs["weight_names"] = np.array([name.encode() for name in written])
            for name, kind in zip(written, ("kernel", "bias"), strict=True):
                group.create_dataset(name, data=arrays[kind])


@pytest.mark.parametrize("names", ["old", "new"])
@pytest.mark.parametrize("nested", [False, True])
def test_keras_layouts_are_read(tmp_path: Path, names: str, nested: bool) -> None:
    layers = random_layers(WIDTHS)
    write_keras(tmp_path / "w.h5", layers, names, nested=nested)
    read = read_keras_h5(tmp_path / "w.h5")
    assert list(read) == list(CONV_LAYERS)
    for layer in CONV_LAYERS:
        np.testing.assert_array_equal(read[layer]["kernel"], layers[layer]["kernel"])
        np.testing.assert_array_equal(read[layer]["bias"], layers[layer]["bias"])


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
    write_keras(tmp_path / "w.h5", layers, "new")
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
    write_keras(tmp_path / "good.h5", random_layers(WIDTHS), "old")
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
    monkeypatch.delenv("DNR_JAX_WEIGHTS", raising=False)
    monkeypatch.setenv("DNR_JAX_CACHE", str(tmp_path))
    assert load_weights("auto").provenance.name == "embedded"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "embedded" in lines[0]
    assert "convert_vgg19" in lines[0]
    with pytest.raises(FileNotFoundError, match="no VGG19 weights"):
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


def test_the_converter_writes_what_vgg19_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DNR_JAX_WEIGHTS", raising=False)
    monkeypatch.setenv("DNR_JAX_CACHE", str(tmp_path / "cache"))
    write_keras(tmp_path / "keras.h5", random_layers(WIDTHS), "old")
    assert convert(["convert", f"--input={tmp_path / 'keras.h5'}"]) == 0
    assert "16 convolutions" in capsys.readouterr().out
    weights = load_weights("vgg19")
    assert weights.provenance.source == "keras.h5"
    assert len(weights.provenance.sha256) == 64
    assert convert(["convert", f"--input={tmp_path / 'none.h5'}"]) == 2
    assert "none.h5" in capsys.readouterr().err


def test_the_shared_file_holds_the_first_three_blocks(shared: Path) -> None:
    weights = read_weights(shared / "data/weights/vgg19_keras_blocks123.h5")
    weights.network.check_taps(("block3_pool",))
    with pytest.raises(ValueError, match="block4_conv1"):
        weights.network.check_taps(("block4_conv1",))
    assert weights.network.params["block3_conv4"]["kernel"].shape == (3, 3, 256, 256)
