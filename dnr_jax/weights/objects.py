"""The small U²-Net's file, which ships with the package: written by `scripts/convert_u2net.py`, checked when read.

`data/u2netp.safetensors` holds `<stage>/<layer>/kernel` and `<stage>/<layer>/bias`, most kernels stored as float16 and
all computed with as float32; its text metadata says where the weights come from, under which licence, and what was
changed.
"""

from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnr_jax.networks.u2net import SalienceNetwork, layer_shapes
from dnr_jax.weights.files import Provenance, read_arrays, read_metadata
from dnr_jax.weights.registry import shipped_path

FORMAT = "dnr_jax-u2net-1"
FILE = "u2netp.safetensors"
MOST_BYTES = 3_000_000
SOURCE_SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
"""Of the authors' network as u2netp.onnx."""


@cache
def read_u2netp() -> tuple[SalienceNetwork, Provenance]:
    """The package's small U²-Net and where it comes from; read once in a process.

    Raises:
      FileNotFoundError: the file is not there.
      ValueError: see `read_salience_network`.
    """
    return read_salience_network(shipped_path(FILE))


def read_salience_network(path: Path) -> tuple[SalienceNetwork, Provenance]:
    """Reads a file that `scripts/convert_u2net.py` wrote.

    Raises:
      FileNotFoundError: the file is not there.
      ValueError: it is damaged or of another format, or some of its arrays are missing, extra, of another shape, or
        not finite; the message names them all.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: install the package again")
    metadata = read_metadata(path)
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} has format {metadata.get('format')!r}, not {FORMAT!r}: convert its source again")
    absent = [field for field in Provenance._fields if not metadata.get(field)]
    if absent:
        raise ValueError(f"{path} has metadata without {', '.join(absent)}: convert its source again")
    arrays = read_arrays(path)
    check_arrays(path, arrays)
    provenance = Provenance(*(metadata[field] for field in Provenance._fields))
    return SalienceNetwork(params_of(arrays)), provenance


def wanted_shapes() -> dict[str, tuple[int, ...]]:
    """The shape of every array of the small U²-Net, by its name in the file."""
    kernels = layer_shapes()
    return {f"{layer}/kernel": shape for layer, shape in kernels.items()} | {
        f"{layer}/bias": shape[-1:] for layer, shape in kernels.items()
    }


def check_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Raises ValueError naming every array that is missing, extra, misshapen or not finite."""
    wanted = wanted_shapes()
    problems = [f"missing {name}" for name in wanted if name not in arrays]
    problems += [f"extra {name}" for name in sorted(arrays) if name not in wanted]
    for name, shape in wanted.items():
        if name in arrays and arrays[name].shape != shape:
            problems.append(f"{name} has shape {arrays[name].shape}, not {shape}")
        elif name in arrays and not np.isfinite(arrays[name]).all():
            problems.append(f"{name} holds values that are not finite")
    if problems:
        raise ValueError(f"{path} does not hold the small U²-Net: {'; '.join(problems)}")


def params_of(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Arrays by their names in the file, as the tree of parameters that `SalienceNetwork` holds."""
    params: dict[str, Any] = {}
    with jax.ensure_compile_time_eval():  # What is kept must not be a tracer of the program that asked first.
        for name, array in arrays.items():
            *folders, last = name.split("/")
            place = params
            for folder in folders:
                place = place.setdefault(folder, {})
            place[last] = jnp.asarray(array, jnp.float32)
    return params
