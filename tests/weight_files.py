"""Writers of the layouts in which VGG19 is published, independent of the package's readers, for small networks."""

from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.numpy

from dnr_jax.weights import Layers

VGG19_FEATURES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)


def write_keras(path: Path, layers: Layers, names: str, *, nested: bool = False, top: bool = False) -> None:
    """Writes Keras's layout with the weight names of Keras 1, 2 or 3, with a layer that has no weights.

    Args:
      path: the file.
      layers: the convolutions.
      names: "1" (`x_W_1:0`), "2" (`x/kernel:0`) or "3" (`x/kernel`).
      nested: a whole model, whose weights lie under `model_weights`.
      top: with a classifier.
    """
    rng = np.random.default_rng(1)
    dense = {name: {"kernel": rng.random((6, 5)), "bias": rng.random(5)} for name in ("fc1", "predictions")}
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if nested else file
        root.create_group("input_1").attrs["weight_names"] = np.array([], dtype="S1")
        for layer, arrays in {**layers, **(dense if top else {})}.items():
            group = root.create_group(layer)
            written = {
                "1": [f"{layer}_W_1:0", f"{layer}_b_1:0"],
                "2": [f"{layer}/kernel:0", f"{layer}/bias:0"],
                "3": [f"{layer}/kernel", f"{layer}/bias"],
            }[names]
            group.attrs["weight_names"] = np.array([name.encode() for name in written])
            for name, kind in zip(written, ("kernel", "bias"), strict=True):
                group.create_dataset(name, data=arrays[kind])


def write_keras3_weights(path: Path, layers: Layers, *, top: bool = False) -> None:
    """Writes Keras 3's .weights.h5: layers numbered by class, in whatever order HDF5 lists them."""
    with h5py.File(path, "w") as file:
        saved = file.create_group("layers")
        saved.create_group("max_pooling2d/vars")
        for place, arrays in enumerate(layers.values()):
            values = saved.create_group(f"conv2d_{place}/vars" if place else "conv2d/vars")
            values["0"], values["1"] = arrays["kernel"], arrays["bias"]
        if top:
            values = saved.create_group("dense/vars")
            values["0"], values["1"] = np.ones((4, 3), np.float32), np.ones(3, np.float32)


def torchvision_arrays(layers: Layers, *, top: bool = False) -> dict[str, np.ndarray]:
    """The state dict that torchvision would have for these convolutions, its own conventions for kernels applied."""
    arrays = {}
    for place, parts in zip(VGG19_FEATURES, layers.values(), strict=False):
        arrays[f"features.{place}.weight"] = np.ascontiguousarray(np.moveaxis(parts["kernel"], (3, 2), (0, 1)))
        arrays[f"features.{place}.bias"] = parts["bias"]
    if top:
        arrays["classifier.0.weight"] = np.ones((4, 3), np.float32)
        arrays["classifier.0.bias"] = np.ones(4, np.float32)
    return arrays


def write_torch(path: Path, layers: Layers, *, top: bool = False, zipped: bool = True) -> None:
    """Writes torchvision's state dict with PyTorch, as an archive or as before there were any."""
    torch = pytest.importorskip("torch")
    arrays = torchvision_arrays(layers, top=top)
    state = OrderedDict((name, torch.nn.Parameter(torch.from_numpy(a.copy()))) for name, a in arrays.items())
    torch.save(state, path, _use_new_zipfile_serialization=zipped)


def write_matconvnet(path: Path, layers: Layers, *, old: bool = False, top: bool = False) -> None:
    """Writes MatConvNet's .mat, with `weights` cells or the older `filters` and `biases`."""
    import scipy.io

    entries = []
    for name, parts in layers.items():
        entry = {"type": "conv", "name": name.replace("block", "conv").replace("_conv", "_")}
        kernel, bias = parts["kernel"], parts["bias"].reshape(1, -1)
        if old:
            entry |= {"filters": kernel, "biases": bias}
        else:
            cell = np.empty((1, 2), object)
            cell[0, 0], cell[0, 1] = kernel, bias
            entry |= {"weights": cell}
        entries += [entry, {"type": "relu", "name": f"relu{name[5]}_{name[-1]}"}]
    if top:
        cell = np.empty((1, 2), object)
        cell[0, 0], cell[0, 1] = np.ones((7, 7, 2, 3), np.float32), np.ones((1, 3), np.float32)
        entries.append({"type": "conv", "name": "fc6", "weights": cell})
    listed = np.empty((1, len(entries)), object)
    listed[0, :] = entries
    mean = np.array([123.68, 116.779, 103.939])
    normalization = {"averageImage": np.broadcast_to(mean, (4, 4, 3)) if old else mean.reshape(1, 1, 3)}
    content = {
        "layers": listed,
        **({"normalization": normalization} if old else {"meta": {"normalization": normalization}}),
    }
    scipy.io.savemat(path, content)


def assert_same_arrays(written: Path, shipped: Path) -> None:
    """Both safetensors files hold the same arrays, to the bit."""
    found, expected = (safetensors.numpy.load_file(path) for path in (written, shipped))
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert array.dtype == expected[name].dtype
        np.testing.assert_array_equal(array, expected[name])
