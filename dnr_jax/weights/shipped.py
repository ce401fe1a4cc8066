"""Reads and checks the small networks that ship with the package, each in a safetensors file of its own.

A file holds `<layer>/kernel` and `<layer>/bias`, stored as float16 or float32 and computed with as float32; its text
metadata says where the weights come from, under which licence, and what was changed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnr_jax.weights.files import Provenance, read_arrays, read_metadata


class ShippedNetwork(NamedTuple):
    """What the file of one network must be.

    Attributes:
      title: what it is called in errors, as in "the small U²-Net".
      file: the file's name among the package's data.
      format: what the file's metadata call its format.
      most_bytes: how large the file may be.
      sha256: the digest of the file that it was converted from.
      shapes: makes the shape of every array by its name.
    """

    title: str
    file: str
    format: str
    most_bytes: int
    sha256: str
    shapes: Callable[[], dict[str, tuple[int, ...]]]


def read_shipped(path: Path, network: ShippedNetwork) -> tuple[dict[str, Any], Provenance]:
    """Reads the file of a network.

    Args:
      path: the file.
      network: what the file must be.

    Returns:
      The tree of the network's parameters, float32, and where they come from.

    Raises:
      FileNotFoundError: the file is not there.
      ValueError: it is damaged or of another format, or some of its arrays are missing, extra, of another shape, or
        not finite; the message names them all.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: install the package again")
    metadata = read_metadata(path)
    if metadata.get("format") != network.format:
        raise ValueError(
            f"{path} has format {metadata.get('format')!r}, not {network.format!r}: convert its source again"
        )
    absent = [field for field in Provenance._fields if not metadata.get(field)]
    if absent:
        raise ValueError(f"{path} has metadata without {', '.join(absent)}: convert its source again")
    arrays = read_arrays(path)
    check_arrays(path, arrays, network)
    return params_of(arrays), Provenance(*(metadata[field] for field in Provenance._fields))


def check_arrays(path: Path, arrays: dict[str, np.ndarray], network: ShippedNetwork) -> None:
    """Raises ValueError naming every array that is missing, extra, misshapen or not finite."""
    wanted = network.shapes()
    problems = [f"missing {name}" for name in wanted if name not in arrays]
    problems += [f"extra {name}" for name in sorted(arrays) if name not in wanted]
    for name, shape in wanted.items():
        if name in arrays and arrays[name].shape != shape:
            problems.append(f"{name} has shape {arrays[name].shape}, not {shape}")
        elif name in arrays and not np.isfinite(arrays[name]).all():
            problems.append(f"{name} holds values that are not finite")
    if problems:
        raise ValueError(f"{path} does not hold {network.title}: {'; '.join(problems)}")


def array_shapes(kernels: dict[str, tuple[int, ...]], has_bias: Callable[[str], bool]) -> dict[str, tuple[int, ...]]:
    """The shape of every array of a file, by name, from the shapes of the layers' kernels.

    Args:
      kernels: the shape of each layer's kernel, by the layer's name.
      has_bias: whether the layer of a name has a bias.
    """
    shapes = {f"{layer}/kernel": shape for layer, shape in kernels.items()}
    return shapes | {f"{layer}/bias": shape[-1:] for layer, shape in kernels.items() if has_bias(layer)}


def params_of(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Makes a tree of float32 parameters of arrays that have "layer/kind" for names."""
    params: dict[str, Any] = {}
    with jax.ensure_compile_time_eval():  # What is kept must not be a tracer of the program that asked first.
        for name, array in arrays.items():
            *folders, last = name.split("/")
            place = params
            for folder in folders:
                place = place.setdefault(folder, {})
            place[last] = jnp.asarray(array, jnp.float32)
    return params
