"""Reads VGG19's weights in any of the layouts in which they are published, which their content tells apart:

  Keras HDF5     Keras 1 (`block1_conv1_W_1:0`), Keras 2 (`block1_conv1/kernel:0`) and Keras 3 (`block1_conv1/kernel`,
                 or `layers/conv2d/vars/0` in a .weights.h5), with or without the classifier
  torchvision    a state dict (`features.0.weight`, [out, in, 3, 3]) as .pth or safetensors
  MatConvNet     imagenet-vgg-verydeep-19.mat (`conv1_1`)
  our own        safetensors, for storing it anew

Preprocessing comes with the layout: Keras and Caffe's other descendants hold the original network (0..255, mean
subtracted), torchvision one trained anew (0..1, mean and standard deviation). Classifiers are left out.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import scipy.io

from dnr_jax.networks.taps import CONV_LAYERS, CONVS_PER_BLOCK
from dnr_jax.networks.vgg import KERAS_PREPROCESSING, TORCHVISION_PREPROCESSING, Preprocessing
from dnr_jax.weights import torch_file
from dnr_jax.weights.cache import file_sha256
from dnr_jax.weights.files import Layers, Provenance, read_arrays, read_metadata, read_own

VGG_LICENCE = "CC BY 4.0, Karen Simonyan and Andrew Zisserman (VGG, University of Oxford); converted"
TORCHVISION_LICENCE = "BSD 3-Clause, torchvision contributors (VGG19 trained anew on ImageNet); converted"
MATCONVNET_PREPROCESSING = Preprocessing("rgb", 1.0, (123.68, 116.779, 103.939), (1.0, 1.0, 1.0))
_TOP_PREFIXES = ("classifier.", "pre_logits.", "head.")


class Found(NamedTuple):
    """What a weights file holds: its layout in words, the convolutions, their preprocessing, and where they come from.

    Layers that do not belong in VGG19 are kept, under the names that they have in the file, so that errors can name
    them.
    """

    layout: str
    layers: Layers
    preprocessing: Preprocessing
    provenance: Provenance


def read_layout(path: Path) -> Found:
    """Reads a weights file in any of the layouts above; whether it is VGG19 is for `layer_widths` to say.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file has none of the layouts, or is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {path}")
    with path.open("rb") as file:
        head = file.read(20)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        layout, layers = _read_keras(path)
        return Found(layout, layers, KERAS_PREPROCESSING, _provenance(path, VGG_LICENCE))
    if head[8:9] == b"{":
        metadata = read_metadata(path)
        if "format" in metadata and metadata["format"] != "pt":
            return Found("dnr_jax safetensors", *read_own(path, metadata))
        arrays = read_arrays(path)
        layers, top = _torch_layers(arrays, lambda name: arrays[name])
        layout = f"torchvision safetensors {_with(top)} the classifier"
        return Found(layout, layers, TORCHVISION_PREPROCESSING, _provenance(path, TORCHVISION_LICENCE))
    if head.startswith((b"PK\x03\x04", torch_file.LEGACY_HEAD)):
        tensors = torch_file.read_state_dict(path)
        try:
            layers, top = _torch_layers(tensors, lambda name: tensors[name].read())
        except ValueError as error:
            raise ValueError(f"{path} cannot be read as PyTorch weights: {error}") from None
        layout = f"torchvision state dict {_with(top)} the classifier"
        return Found(layout, layers, TORCHVISION_PREPROCESSING, _provenance(path, TORCHVISION_LICENCE))
    if head.startswith(b"MATLAB "):
        layers, preprocessing, top = _read_matconvnet(path)
        return Found(f"MatConvNet {_with(top)} the classifier", layers, preprocessing, _provenance(path, VGG_LICENCE))
    raise ValueError(
        f"{path} is no weights file: give a safetensors file of ours, Keras's VGG19 .h5, torchvision's .pth or"
        " .safetensors, or MatConvNet's .mat"
    )


def _provenance(path: Path, licence: str) -> Provenance:
    return Provenance(path.stem, path.name, file_sha256(path), licence)


def _with(top: bool) -> str:
    return "with" if top else "without"


def _read_keras(path: Path) -> tuple[str, Layers]:
    try:
        with h5py.File(path, "r") as file:
            saved = next((file[name] for name in ("layers", "_layer_checkpoint_dependencies") if name in file), None)
            if isinstance(saved, h5py.Group):
                style, groups = "Keras 3 weights HDF5", _numbered_layers(saved)
            else:
                root = file.get("model_weights", file)
                if not isinstance(root, h5py.Group):
                    raise ValueError("its model_weights is no group")
                style, groups = _named_layers(root)
            layers: Layers = {}
            top = False
            for name, arrays in groups.items():
                shapes = [array.ndim for array in arrays]
                if name not in CONV_LAYERS and 2 in shapes:
                    top = True
                elif sorted(shapes) == [1, 4]:
                    kernel, bias = sorted(arrays, key=lambda array: -array.ndim)
                    layers[name] = {"kernel": np.asarray(kernel, np.float32), "bias": np.asarray(bias, np.float32)}
                elif arrays:
                    layers[name] = {f"array {i}": np.asarray(array) for i, array in enumerate(arrays)}
                elif name in CONV_LAYERS:
                    raise ValueError(f"layer {name} holds no kernel and bias by its weight_names")
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{path} is a damaged HDF5 file: {error}") from None
    return f"{style} {_with(top)} the classifier", layers


def _named_layers(root: h5py.Group) -> tuple[str, dict[str, list[h5py.Dataset]]]:
    """The arrays of each layer where the attribute `weight_names` lists them: Keras 1, 2 and whole models of 3."""
    groups: dict[str, list[h5py.Dataset]] = {}
    style = "Keras 3 HDF5"
    for layer, group in root.items():
        if not isinstance(group, h5py.Group) or (layer not in CONV_LAYERS and "weight_names" not in group.attrs):
            continue
        names = [n.decode() if isinstance(n, bytes) else str(n) for n in group.attrs.get("weight_names", ())]
        groups[layer] = [_dataset(group[name]) for name in names]
        if any(re.search(r"_W(_\d+)?(:\d+)?$", name) for name in names):
            style = "Keras 1 HDF5"
        elif any(name.endswith(":0") for name in names) and style != "Keras 1 HDF5":
            style = "Keras 2 HDF5"
    return style, groups


def _numbered_layers(saved: h5py.Group) -> dict[str, list[h5py.Dataset]]:
    """The arrays of each layer where Keras 3 numbers layers by class: the n-th `conv2d` is the n-th convolution."""
    groups: dict[str, list[h5py.Dataset]] = {}
    for name, group in saved.items():
        values = group.get("vars") if isinstance(group, h5py.Group) else None
        if not isinstance(values, h5py.Group) or not len(values):
            continue
        number = re.fullmatch(r"conv2d(?:_(\d+))?", name)
        place = int(number[1] or 0) if number else len(CONV_LAYERS)
        layer = CONV_LAYERS[place] if place < len(CONV_LAYERS) else name
        groups[layer] = [_dataset(values[key]) for key in sorted(values, key=int)]
    return {name: groups[name] for name in (*CONV_LAYERS, *groups) if name in groups}


def _dataset(item: Any) -> h5py.Dataset:
    if not isinstance(item, h5py.Dataset):
        raise ValueError(f"{item.name} is no array")
    return item


def _torch_names() -> dict[str, str]:
    """Keras's names of layers by torchvision's ("features.0"), which count two for a convolution and one for a pool."""
    names: dict[str, str] = {}
    place = 0
    for block, convs in enumerate(CONVS_PER_BLOCK, 1):
        for conv in range(1, convs + 1):
            names[f"features.{place}"] = f"block{block}_conv{conv}"
            place += 2
        place += 1
    return names


def _torch_layers(tensors: Mapping[str, Any], read: Callable[[str], np.ndarray]) -> tuple[Layers, bool]:
    """The convolutions of a torchvision state dict, and whether it has a classifier, which is not read."""
    known, layers, top = _torch_names(), {}, False
    for name in tensors:
        if name.startswith(_TOP_PREFIXES):
            top = True
            continue
        place, _, kind = name.rpartition(".")
        layer = known.get(place)
        if layer is None:
            layers.setdefault(place or name, {})[kind] = np.zeros(0, np.float32)
            continue
        array = np.asarray(read(name), np.float32)
        if kind == "weight" and array.ndim == 4:
            layers.setdefault(layer, {})["kernel"] = array.transpose(2, 3, 1, 0)
        else:
            layers.setdefault(layer, {})[kind] = array
    return {name: layers[name] for name in (*CONV_LAYERS, *layers) if name in layers}, top


def _read_matconvnet(path: Path) -> tuple[Layers, Preprocessing, bool]:
    """The convolutions of a MatConvNet file, their preprocessing, and whether it has a classifier, which is not read.

    MatConvNet's filters are [height, width, in, out], and its images are RGB, as its own examples feed them.
    """
    try:
        content = scipy.io.loadmat(path, simplify_cells=True)
        layers: Layers = {}
        top = False
        for entry in content["layers"]:
            arrays = entry.get("weights", [entry[key] for key in ("filters", "biases") if key in entry])
            if len(arrays) != 2:
                continue
            name, kernel, bias = str(entry["name"]), np.asarray(arrays[0]), np.asarray(arrays[1]).reshape(-1)
            if name.startswith("fc") or kernel.ndim == 2:
                top = True
                continue
            layer = re.sub(r"^conv(\d)_(\d)$", r"block\1_conv\2", name)
            layers[layer] = {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)}
        normalization = content.get("meta", content).get("normalization", {})
        preprocessing = MATCONVNET_PREPROCESSING
        if "averageImage" in normalization:
            mean = np.asarray(normalization["averageImage"], np.float64).reshape(-1, 3).mean(0)
            preprocessing = preprocessing._replace(mean=tuple(float(value) for value in mean))
    except (OSError, KeyError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise ValueError(f"{path} cannot be read as MatConvNet's VGG19: {error!r}") from None
    return layers, preprocessing, top
