"""Reads, checks and writes the learned network's file, which ships with the package.

`learned.safetensors`, which the training script writes, holds `<layer>/kernel` and `<layer>/bias` as float16, and as
text the arguments of the Flax module; `learned.json` beside it says where it comes from and what its SHA-256 must be.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from dnr_jax.atomic import write_atomically
from dnr_jax.networks.learned import BLOCK1_CHANNELS, CONTRAST_CHANNELS, Learned
from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import CONV_LAYERS, conv_layers_below, levels_of
from dnr_jax.weights.files import Layers, Provenance, read_arrays, read_metadata
from dnr_jax.weights.registry import shipped_path

FORMAT = "dnr_jax-learned-1"
FILE = "learned.safetensors"
MOST_BYTES = 2_000_000
CONSTANT_LAYERS = conv_layers_below("block1_conv2")


def write_learned(path: Path, layers: Layers, module: Learned, importance_side: int, details: dict[str, Any]) -> None:
    """Writes a network and, beside it as .json, its record.

    Args:
      path: the file to write.
      layers: float32 kernels and biases, by layer.
      module: the Flax module that they belong to.
      importance_side: the side in pixels of the overview that the network sees.
      details: what the record says besides the file's SHA-256 and size.

    Raises:
      ValueError: the file would have more than `MOST_BYTES`, or float16 cannot hold a value.
      OSError: the file cannot be written.
    """
    built = {key: getattr(module, key) for key in ("widths", "dilations", "contrast", "contrast_gain")}
    metadata = {"format": FORMAT, "module": json.dumps(built), "importance_side": str(importance_side)}
    with np.errstate(over="ignore"):  # What does not fit is found below.
        arrays = {
            f"{layer}/{kind}": np.ascontiguousarray(array, np.float16)
            for layer, parts in sorted(layers.items())
            for kind, array in sorted(parts.items())
        }
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError(f"{path}: a weight is too large for float16")
    data = safetensors.numpy.save(arrays, metadata)
    if len(data) > MOST_BYTES:
        raise ValueError(f"{path} would have {len(data)} bytes, more than {MOST_BYTES}: choose smaller widths")
    record = {"file": path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), **details}
    write_atomically(path, data)
    write_atomically(path.with_suffix(".json"), (json.dumps(record, indent=1) + "\n").encode())


def read_learned(*, path: Path | None = None) -> tuple[Network, Provenance]:
    """Reads the learned network, and where it comes from.

    Args:
      path: a file that `write_learned` wrote; None for the one that ships with the package.

    Raises:
      FileNotFoundError: the file, or the record beside it, is not there.
      ValueError: the file is not the one that its record describes, or holds other arrays than its network has.
    """
    path = shipped_path(FILE) if path is None else path
    beside = path.with_suffix(".json")
    for part in (path, beside):
        if not part.is_file():
            raise FileNotFoundError(f"{part} is missing: install the package again, or use --weights=analytic")
    record = _read_record(beside)
    if hashlib.sha256(path.read_bytes()).hexdigest() != record["sha256"]:
        raise ValueError(f"{path} is not the file that {beside.name} describes: install the package again")
    module, side = _module(path)
    layers: Layers = {}
    for name, array in read_arrays(path).items():
        layer, _, kind = name.partition("/")
        layers.setdefault(layer, {})[kind] = array
    _check_arrays(path, layers, module)
    params = jax.tree.map(jnp.asarray, layers)
    provenance = Provenance("learned", str(record["script"]), str(record["sha256"]), str(record["licence"]))
    return Network(params, module, CONSTANT_LAYERS, side), provenance


def _read_record(path: Path) -> dict[str, Any]:
    """Reads the record of a network; raises ValueError where it is damaged."""
    try:
        record = json.loads(path.read_text("utf-8"))
        return {key: record[key] for key in ("sha256", "script", "licence")}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no record of a learned network ({error}): install the package again") from None


def _module(path: Path) -> tuple[Learned, int]:
    """The Flax module that a file's metadata describe, and the side in pixels of the overview that it sees."""
    metadata = read_metadata(path)
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} has format {metadata.get('format')!r}, not {FORMAT!r}: train it again")
    built = json.loads(metadata["module"])
    dilations = tuple(tuple(block) for block in built["dilations"])
    module = Learned(tuple(built["widths"]), dilations, built["contrast"], float(built["contrast_gain"]))
    return module, int(metadata["importance_side"])


def _check_arrays(path: Path, layers: Layers, module: Learned) -> None:
    """Raises ValueError naming every array that is missing, extra or of another shape than the module's."""
    shapes = wanted_shapes(module)
    held = {f"{layer}/{kind}": a.shape for layer, parts in layers.items() for kind, a in parts.items()}
    amiss = sorted(name for name in shapes.keys() | held.keys() if shapes.get(name) != held.get(name))
    if amiss:
        differences = ", ".join(
            f"{name} is {held.get(name, 'missing')}, not {shapes.get(name, 'there')}" for name in amiss
        )
        raise ValueError(f"{path} does not fit its network: {differences}")


def wanted_shapes(module: Learned) -> dict[str, tuple[int, ...]]:
    """The shape of every array of a module, by "layer/kind"; it is worked out here, because tracing takes long."""
    shapes: dict[str, tuple[int, ...]] = {}
    channels = BLOCK1_CHANNELS
    for level in levels_of(CONV_LAYERS):
        layer, block = level.tap, level.block
        if block == 1:
            continue
        if block >= 4 and level.layer == "conv1":
            channels = 2 * channels + (CONTRAST_CHANNELS if module.contrast else 0)
        width = module.widths[block - 2]
        shapes[f"{layer}/kernel"], shapes[f"{layer}/bias"] = (3, 3, channels, width), (width,)
        channels = width
    return shapes
