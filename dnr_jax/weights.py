"""Find, verify, convert, load and save network weights.

Our own format is safetensors: `<layer>/kernel` float32 [3, 3, in, out] and `<layer>/bias` float32 [out], with text
metadata for what a user must know (source, its SHA-256, preprocessing, widths, licence). Nothing is ever unpickled.
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import h5py
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from dnr_jax.atomic import write_atomically
from dnr_jax.embedded import Embedded
from dnr_jax.network import Network
from dnr_jax.taps import CONV_LAYERS
from dnr_jax.vgg import KERAS_PREPROCESSING, VGG, Preprocessing

FORMAT = "dnr_jax-1"
CACHED_VGG19 = "vgg19.safetensors"
EMBEDDED_IMPORTANCE_SIDE = 384
KERAS_LICENCE = "CC BY 4.0, Karen Simonyan and Andrew Zisserman (VGG, University of Oxford); converted"

Layers = dict[str, dict[str, np.ndarray]]


class Provenance(NamedTuple):
    """Where weights come from: a short name, the origin, the origin's SHA-256 and the licence."""

    name: str
    source: str
    sha256: str
    licence: str


class Weights(NamedTuple):
    """A network and where it comes from."""

    network: Network
    provenance: Provenance


def load_weights(name: str = "auto", weights_dir: str | os.PathLike[str] | None = None) -> Weights:
    """Loads the network called `name`.

    Args:
      name: "embedded" for the built-in network; "vgg19" for the file at $DNR_JAX_WEIGHTS or, failing that, in the
        cache; "auto" for VGG19 where it is found and the embedded network, with a line on stderr, where it is not;
        anything else is the path of a safetensors file of ours or of a Keras VGG19 h5 file.
      weights_dir: where to look for VGG19 instead of `cache_dir()`.

    Raises:
      ValueError: when the file is not what it should be; the message lists what is missing, extra or misshapen.
      FileNotFoundError: when there is no such file.
    """
    if name == "embedded":
        provenance = Provenance("embedded", "dnr_jax.embedded (analytic)", "", "as the package")
        return Weights(Network({}, Embedded(), EMBEDDED_IMPORTANCE_SIDE), provenance)
    if name not in ("auto", "vgg19"):
        return read_weights(Path(name))
    path = find_vgg19(weights_dir)
    if path is not None:
        return read_weights(path)
    cached = cache_dir(weights_dir) / CACHED_VGG19
    advice = (
        f"convert Keras's VGG19 file once with scripts/convert_vgg19.py (writes {cached}) or set DNR_JAX_WEIGHTS to a"
        " weights file"
    )
    if name == "vgg19":
        raise FileNotFoundError(f"no VGG19 weights found: {advice}")
    print(f"weights: VGG19 not found, using the embedded network; for the paper's features {advice}", file=sys.stderr)
    return load_weights("embedded")


def cache_dir(weights_dir: str | os.PathLike[str] | None = None) -> Path:
    """The directory that holds converted weights: `weights_dir`, $DNR_JAX_CACHE, or the user's cache directory."""
    if weights_dir or os.environ.get("DNR_JAX_CACHE"):
        return Path(weights_dir or os.environ["DNR_JAX_CACHE"])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "dnr_jax"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/dnr_jax"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dnr_jax"


def find_vgg19(weights_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """The VGG19 weights at $DNR_JAX_WEIGHTS, else in the cache, else None; FileNotFoundError if the former is amiss."""
    named = os.environ.get("DNR_JAX_WEIGHTS")
    if named and not weights_dir:
        if not Path(named).is_file():
            raise FileNotFoundError(f"DNR_JAX_WEIGHTS names {named}, which is no file: correct or unset it")
        return Path(named)
    cached = cache_dir(weights_dir) / CACHED_VGG19
    return cached if cached.is_file() else None


def read_weights(path: Path) -> Weights:
    """Reads a weights file of ours (safetensors) or in Keras's VGG19 layout (HDF5), by content.

    Raises:
      FileNotFoundError: no such file.
      ValueError: it is neither, is damaged, or does not hold a VGG19-shaped network from its first layer on.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {path}")
    with path.open("rb") as file:
        head = file.read(9)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        layers, preprocessing = read_keras_h5(path), KERAS_PREPROCESSING
        provenance = Provenance(path.stem, path.name, file_sha256(path), KERAS_LICENCE)
    elif head[8:9] == b"{":
        layers, preprocessing, provenance = _read_safetensors(path)
    else:
        raise ValueError(f"{path} is no weights file: give a safetensors file of ours or Keras's VGG19 .h5")
    try:
        widths = layer_widths(layers)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    params = {layer: {k: jnp.asarray(v) for k, v in arrays.items()} for layer, arrays in layers.items()}
    return Weights(Network(params, VGG(widths, preprocessing)), provenance)


def read_keras_h5(path: Path) -> Layers:
    """Reads the convolutions of Keras's VGG19 HDF5 file (layers found by their `weight_names` attribute).

    Old weight names (`block1_conv1_W_1:0`) and new ones (`block1_conv1/kernel:0`) are both understood; the classifier,
    where there is one, is left out.

    Raises:
      ValueError: a damaged file, or a convolution without a kernel and bias.
    """
    layers: Layers = {}
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            assert isinstance(root, h5py.Group)
            for layer in CONV_LAYERS:
                group = root.get(layer)
                if not isinstance(group, h5py.Group):
                    continue
                arrays = [np.asarray(group[_text(name)], np.float32) for name in group.attrs.get("weight_names", ())]
                kernels, biases = [a for a in arrays if a.ndim == 4], [a for a in arrays if a.ndim == 1]
                if len(kernels) != 1 or len(biases) != 1:
                    raise ValueError(f"{path}: layer {layer} holds no kernel and bias by its weight_names")
                layers[layer] = {"kernel": kernels[0], "bias": biases[0]}
    except (OSError, KeyError) as error:
        raise ValueError(f"{path} is a damaged HDF5 file: {error}") from None
    return layers


def save_weights(path: Path, layers: Layers, preprocessing: Preprocessing, provenance: Provenance) -> None:
    """Writes our format atomically: `layers` as safetensors, the rest as metadata.

    Raises:
      ValueError: when `layers` is not a VGG19-shaped network from its first layer on.
    """
    metadata = {
        "format": FORMAT,
        **provenance._asdict(),
        "preprocessing": json.dumps(preprocessing._asdict()),
        "widths": json.dumps(layer_widths(layers)),
    }
    arrays = {f"{layer}/{kind}": a for layer, parts in layers.items() for kind, a in parts.items()}
    write_atomically(path, safetensors.numpy.save(arrays, metadata))


def _read_safetensors(path: Path) -> tuple[Layers, Preprocessing, Provenance]:
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{path} is a damaged safetensors file: {error}") from None
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} has format {metadata.get('format')!r}, not {FORMAT!r}: convert it first")
    layers: Layers = {}
    for name, array in arrays.items():
        layer, _, kind = name.partition("/")
        layers.setdefault(layer, {})[kind] = array.astype(np.float32)
    try:
        fields = json.loads(metadata["preprocessing"])
        preprocessing = Preprocessing(fields["order"], fields["scale"], tuple(fields["mean"]), tuple(fields["std"]))
        provenance = Provenance(*(metadata[field] for field in Provenance._fields))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} has incomplete metadata ({error}): convert it again") from None
    return {layer: layers[layer] for layer in (*CONV_LAYERS, *layers) if layer in layers}, preprocessing, provenance


def layer_widths(layers: Layers) -> tuple[int, ...]:
    """The channels of blocks 1 to 5 (VGG19's for a block that is not there).

    Raises:
      ValueError: lists every missing, extra and misshapen array; layers may be missing only at the deep end.
    """
    held = [layer for layer in CONV_LAYERS if layer in layers]
    problems = [f"missing {layer}" for layer in CONV_LAYERS[: len(held) or 1] if layer not in layers]
    problems += [f"extra {layer}" for layer in layers if layer not in CONV_LAYERS]
    widths = [*VGG.widths]
    channels = 3
    for layer in held:
        block, kernel, bias = int(layer[5]) - 1, layers[layer].get("kernel"), layers[layer].get("bias")
        if kernel is None or bias is None or set(layers[layer]) != {"kernel", "bias"}:
            problems.append(f"{layer} holds {sorted(layers[layer])}, not a kernel and a bias")
            continue
        if layer.endswith("conv1") and kernel.ndim == 4:
            widths[block] = kernel.shape[-1]
        if kernel.shape != (3, 3, channels, widths[block]) or bias.shape != (widths[block],):
            expected = f"(3, 3, {channels}, {widths[block]}) and ({widths[block]},)"
            problems.append(f"{layer} has shapes {kernel.shape} and {bias.shape}, not {expected}")
        elif not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            problems.append(f"{layer} holds values that are not finite")
        channels = widths[block]
    if problems:
        raise ValueError("not a VGG19-shaped network: " + "; ".join(problems))
    return tuple(widths)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
