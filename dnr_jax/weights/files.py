"""Our weights format, and what counts as a VGG19-shaped network.

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
from dnr_jax.networks.taps import CONV_LAYERS
from dnr_jax.networks.vgg import VGG, Preprocessing

FORMAT = "dnr_jax-1"
STORES: dict[str, Any] = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16}

Layers = dict[str, dict[str, np.ndarray]]


class Provenance(NamedTuple):
    """Where weights come from: a short name, the origin, the origin's SHA-256 and the licence."""

    name: str
    source: str
    sha256: str
    licence: str


def save_weights(
    path: Path, layers: Layers, preprocessing: Preprocessing, provenance: Provenance, *, store: str = "float32"
) -> None:
    """Writes our format atomically: `layers` as safetensors, the rest as metadata.

    Args:
      path: the file to write.
      layers: float32 kernels and biases.
      preprocessing: what the weights were trained to see.
      provenance: where the weights come from.
      store: "float32", or "bfloat16" for half the size (rounded to nearest).

    Raises:
      ValueError: when `layers` is not a VGG19-shaped network from its first layer on, or the store is unknown.
      OSError: as the file system has it.
    """
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
    write_atomically(path, safetensors.numpy.save(arrays, metadata))


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; empty where it has none.

    Raises:
      ValueError: the file is damaged.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{path} is a damaged safetensors file: {error}") from None


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of a safetensors file, floating ones as float32.

    Raises:
      ValueError: the file is damaged.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: np.asarray(file.get_tensor(name), np.float32) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{path} is a damaged safetensors file: {error}") from None


def read_own(path: Path, metadata: dict[str, str]) -> tuple[Layers, Preprocessing, Provenance]:
    """Reads a file of our format, whose metadata has been read.

    Raises:
      ValueError: another format, incomplete metadata, or a damaged file.
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
    """The channels of blocks 1 to 5 (VGG19's for a block that is not there).

    Args:
      layers: kernels and biases by Keras's layer names.
      demanded: where given, all sixteen convolutions with these widths are wanted; else any widths will do, and layers
        may be missing at the deep end.

    Raises:
      ValueError: lists every missing, extra and misshapen array.
    """
    held = [layer for layer in CONV_LAYERS if layer in layers]
    wanted = CONV_LAYERS if demanded else CONV_LAYERS[: len(held) or 1]
    problems = [f"missing {layer}" for layer in wanted if layer not in layers]
    problems += [f"extra {layer}" for layer in layers if layer not in CONV_LAYERS]
    widths = [*(demanded or VGG.widths)]
    channels = 3
    for layer in held:
        block, kernel, bias = int(layer[5]) - 1, layers[layer].get("kernel"), layers[layer].get("bias")
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
