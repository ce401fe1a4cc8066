"""Reads and writes the package's own weights format, and says what counts as a VGG19-shaped network.

The format is safetensors: `<layer>/kernel` [3, 3, in, out] and `<layer>/bias` [out], stored as float32 or bfloat16 and
always read as float32, with text metadata for what a user must know (source, its SHA-256, preprocessing, widths,
licence).
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from dnr_jax.atomic import write_atomically
from dnr_jax.networks.taps import CONV_LAYERS, Level
from dnr_jax.networks.vgg import VGG, Preprocessing

FORMAT = "dnr_jax-1"
STORES: dict[str, Any] = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16}

Layers = dict[str, dict[str, np.ndarray]]


class Provenance(NamedTuple):
    """Where weights come from.

    Attributes:
      name: a short name, for instance "vgg19".
      source: the file or module that they come from.
      sha256: the SHA-256 of that file, in hexadecimal; empty where it is no file.
      licence: the licence of the weights.
    """

    name: str
    source: str
    sha256: str
    licence: str


def save_weights(
    path: Path, layers: Layers, preprocessing: Preprocessing, provenance: Provenance, *, store: str = "float32"
) -> None:
    """Writes weights in the package's own format, whole or not at all.

    Args:
      path: the file to write.
      layers: float32 kernels and biases, by Keras's layer names.
      preprocessing: how an image is prepared for the network.
      provenance: where the weights come from.
      store: "float32", or "bfloat16" for half the size, with values rounded to nearest.

    Raises:
      ValueError: `layers` is not a VGG19-shaped network from its first layer on, or the store is unknown.
      OSError: the file cannot be written.
    """
    write_atomically(path, encode_weights(layers, preprocessing, provenance, store=store))


def encode_weights(
    layers: Layers, preprocessing: Preprocessing, provenance: Provenance, *, store: str = "float32"
) -> bytes:
    """The content of the file that `save_weights` writes; takes and raises the same."""
    if store not in STORES:
        raise ValueError(f"store is {store!r}: choose {' or '.join(STORES)}")
    metadata = {
        "format": FORMAT,
        **provenance._asdict(),
        "preprocessing": json.dumps(preprocessing._asdict()),
        "widths": json.dumps(layer_widths(layers)),
        "store": store,
    }
    # safetensors writes an array's memory as it lies: a transposed view must be copied into order first.
    arrays = {
        f"{layer}/{kind}": np.ascontiguousarray(array, STORES[store])
        for layer, parts in layers.items()
        for kind, array in parts.items()
    }
    return safetensors.numpy.save(arrays, metadata)


def read_metadata(path: Path) -> dict[str, str]:
    """Reads the metadata of a safetensors file; they are empty where it has none.

    Raises:
      ValueError: the file is damaged.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{path} is a damaged safetensors file: {error}") from None


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads every array of a safetensors file, by name; floating ones become float32.

    Raises:
      ValueError: the file is damaged.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: np.asarray(file.get_tensor(name), np.float32) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{path} is a damaged safetensors file: {error}") from None


def read_own(path: Path, metadata: dict[str, str]) -> tuple[Layers, Preprocessing, Provenance]:
    """Reads a file of the package's own format.

    Args:
      path: the file.
      metadata: its metadata, as `read_metadata` gives them.

    Raises:
      ValueError: the file has another format or incomplete metadata, or is damaged.
    """
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} has format {metadata.get('format')!r}, not {FORMAT!r}: convert its source again")
    layers: Layers = {}
    for name, array in read_arrays(path).items():
        layer, _, kind = name.partition("/")
        layers.setdefault(layer, {})[kind] = array
    try:
        fields = json.loads(metadata["preprocessing"])
        preprocessing = Preprocessing(fields["order"], fields["scale"], tuple(fields["mean"]), tuple(fields["std"]))
        provenance = Provenance(*(metadata[field] for field in Provenance._fields))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} has incomplete metadata ({error}): convert it again") from None
    return {layer: layers[layer] for layer in (*CONV_LAYERS, *layers) if layer in layers}, preprocessing, provenance


def layer_widths(layers: Layers, *, demanded: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """The number of channels of each of the blocks 1 to 5; for a block that is not there, VGG19's.

    Args:
      layers: kernels and biases, by Keras's layer names.
      demanded: the widths that all sixteen convolutions must have; None where any widths will do, and layers may be
        missing at the deep end.

    Raises:
      ValueError: arrays are missing, extra or misshapen; the message lists them all.
    """
    held = [layer for layer in CONV_LAYERS if layer in layers]
    wanted = CONV_LAYERS if demanded else CONV_LAYERS[: len(held) or 1]
    problems = [f"missing {layer}" for layer in wanted if layer not in layers]
    problems += [f"extra {layer}" for layer in layers if layer not in CONV_LAYERS]
    widths = [*(demanded or VGG.widths)]
    channels = 3
    for layer in held:
        block, kernel, bias = Level(layer).block - 1, layers[layer].get("kernel"), layers[layer].get("bias")
        if layer.endswith("conv1") and block and (demanded or f"block{block}_conv1" not in layers):
            channels = widths[block - 1]
        if kernel is None or bias is None or set(layers[layer]) != {"kernel", "bias"}:
            problems.append(f"{layer} holds {sorted(layers[layer])}, not a kernel and a bias")
            continue
        if layer.endswith("conv1") and kernel.ndim == 4 and not demanded:
            widths[block] = kernel.shape[-1]
        if kernel.shape != (3, 3, channels, widths[block]) or bias.shape != (widths[block],):
            expected = f"(3, 3, {channels}, {widths[block]}) and ({widths[block]},)"
            problems.append(f"{layer} has shapes {kernel.shape} and {bias.shape}, not {expected}")
        elif not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            problems.append(f"{layer} holds values that are not finite")
        channels = widths[block]
    if problems:
        raise ValueError(f"not a VGG19{'' if demanded else '-shaped'} network: " + "; ".join(problems))
    return tuple(widths)
