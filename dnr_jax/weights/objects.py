"""Reads and checks the small U²-Net's file, which ships with the package; `scripts/convert_u2net.py` wrote it."""

from functools import cache
from pathlib import Path

import numpy as np

from dnr_jax.networks.u2net import SalienceNetwork, layer_shapes
from dnr_jax.weights import shipped
from dnr_jax.weights.files import Provenance
from dnr_jax.weights.registry import shipped_path
from dnr_jax.weights.shipped import ShippedNetwork, array_shapes, params_of, read_metadata, read_shipped

__all__ = ["check_arrays", "params_of", "read_metadata", "read_salience_network", "read_u2netp"]

FORMAT = "dnr_jax-u2net-1"
FILE = "u2netp.safetensors"
MOST_BYTES = 3_000_000
SOURCE_SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
"""The SHA-256 of the authors' file, u2netp.onnx."""


def wanted_shapes() -> dict[str, tuple[int, ...]]:
    """The shape of every array of the small U²-Net, by its name in the file."""
    return array_shapes(layer_shapes(), lambda _: True)


U2NETP = ShippedNetwork("the small U²-Net", FILE, FORMAT, MOST_BYTES, SOURCE_SHA256, wanted_shapes)


@cache
def read_u2netp() -> tuple[SalienceNetwork, Provenance]:
    """The package's small U²-Net, and where it comes from; the file is read once in a process.

    Raises:
      FileNotFoundError: the file is not there.
      ValueError: the file is damaged or holds another network.
    """
    return read_salience_network(shipped_path(FILE))


def read_salience_network(path: Path) -> tuple[SalienceNetwork, Provenance]:
    """Reads a file that `scripts/convert_u2net.py` wrote; raises what `shipped.read_shipped` does."""
    params, provenance = read_shipped(path, U2NETP)
    return SalienceNetwork(params), provenance


def check_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Raises ValueError naming every array that is missing, extra, misshapen or not finite."""
    shipped.check_arrays(path, arrays, U2NETP)
