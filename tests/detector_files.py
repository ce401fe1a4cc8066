"""Weights of the detectors for tests: random ones, and where the authors' files are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnr_jax.weights.shipped import ShippedNetwork, params_of


def random_arrays(network: ShippedNetwork) -> dict[str, np.ndarray]:
    """Seeded variance-preserving kernels, and biases that let something through, by their names in the file."""
    rng = np.random.default_rng(0)
    arrays = {}
    for name, shape in network.shapes().items():
        if name.endswith("/kernel"):
            entering = np.prod(shape[:2] if len(shape) == 3 else shape[:3])
            arrays[name] = rng.normal(0, (1.5 / entering) ** 0.5, shape).astype(np.float32)
        else:
            arrays[name] = rng.normal(0.05, 0.05, shape).astype(np.float32)
    return arrays


def random_params(network: ShippedNetwork) -> dict[str, Any]:
    """Those arrays as a tree of parameters."""
    return params_of(random_arrays(network))


def source_file(shared: Path, name: str) -> Path:
    """A file that a network was converted from; skips where it is not there."""
    path = shared / "data" / "detectors" / name
    if not path.is_file():
        pytest.skip(f"no file at {path}")
    return path
