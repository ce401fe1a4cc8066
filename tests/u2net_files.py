"""Weights of the small U²-Net for tests: random ones, and where the authors' file is."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

from dnr_jax.networks.u2net import layer_shapes


def random_arrays(inner: int = 3, channels: int = 4) -> dict[str, np.ndarray]:
    """Seeded variance-preserving kernels, and biases that let something through, by their names in the file."""
    rng = np.random.default_rng(0)
    arrays = {}
    for layer, shape in layer_shapes(inner=inner, channels=channels).items():
        arrays[f"{layer}/kernel"] = rng.normal(0, (2 / np.prod(shape[:3])) ** 0.5, shape).astype(np.float32)
        arrays[f"{layer}/bias"] = rng.normal(0.05, 0.05, shape[-1:]).astype(np.float32)
    return arrays


def shapes_of(params: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of every array of a tree of parameters, by its name in the file."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in leaves}


def onnx_file(shared: Path) -> Path:
    """The authors' file; skips where it is not there."""
    path = shared / "data" / "u2netp" / "u2netp.onnx"
    if not path.is_file():
        pytest.skip(f"no file at {path}")
    return path


def real_photo(shared: Path, name: str) -> jax.Array:
    """A photo, float32 [h, w, 3]; skips where it is not there."""
    path = shared / "data" / "retargetme" / name / "src.jpg"
    if not path.is_file():
        pytest.skip(f"no photo at {path}")
    return jax.numpy.asarray(np.asarray(Image.open(path).convert("RGB")), jax.numpy.float32)
