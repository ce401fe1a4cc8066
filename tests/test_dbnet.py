"""The text detector against NumPy and against the authors' ONNX file."""

from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracles_detectors as oracles
import pytest
from detector_files import random_params, source_file
from u2net_files import real_photo, shapes_of

import convert_words
from dnr_jax.networks import dbnet
from dnr_jax.networks.dbnet import BackboneBlock, Block, Enlargement, Gate, TextDetector, has_bias, layer_shapes
from dnr_jax.weights.detectors import WORDS
from dnr_jax.weights.shipped import array_shapes, params_of


@cache
def params() -> dict[str, Any]:
    return random_params(WORDS)


def noise(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "entering", "block"),
    [("block0_0", 32, Block(64, 32, gated=True)), ("block0_1", 32, Block(64, 32)), ("block1_0", 32, Block(64, 48, 2))],
)
def test_a_block_is_the_oracles(name: str, entering: int, block: Block) -> None:
    x = noise(2, 6, 8, entering)
    found = jax.jit(lambda x: BackboneBlock(block).apply({"params": params()[name]}, x, None))(x)
    for one, result in zip(x, np.asarray(found), strict=True):
        expected = oracles.backbone_block(one, params()[name], block.stride, block.gated)
        assert np.ptp(expected) > 0.1
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4)


def test_a_gate_is_the_oracles() -> None:
    x, layers = noise(1, 3, 5, 64), params()["lateral0_gate"]
    found = jax.jit(lambda x: Gate(0.2).apply({"params": layers}, x, None))(x)
    np.testing.assert_allclose(found[0], oracles.gate(x[0], layers, 0.2), rtol=0, atol=1e-5)


def test_an_enlargement_is_the_oracles() -> None:
    x, layer = noise(1, 3, 5, 16), params()["head3"]
    found = jax.jit(lambda x: Enlargement(1).apply({"params": layer}, x))(x)
    np.testing.assert_allclose(found[0], oracles.enlarged(x[0], layer), rtol=0, atol=1e-5)


def test_the_slid_maximum() -> None:
    x = np.abs(noise(1, 4, 5, 2))
    padded = np.pad(x[0], ((0, 1), (0, 1), (0, 0)))
    expected = [[padded[i : i + 2, j : j + 2].max((0, 1)) for j in range(5)] for i in range(4)]
    np.testing.assert_array_equal(dbnet._slid_maximum(jnp.asarray(x), None)[0], expected)


def test_the_shapes_are_those_that_the_module_makes() -> None:
    made = jax.eval_shape(lambda: TextDetector().init(jax.random.key(0), jnp.zeros((1, 32, 32, 3))))["params"]
    assert shapes_of(made) == array_shapes(layer_shapes(), has_bias)


def test_what_lies_outside_does_not_matter() -> None:
    apply = jax.jit(lambda x, size=None: TextDetector().apply({"params": params()}, x, size))
    x = noise(2, 64, 96, 3)
    padded = np.full((2, 96, 160, 3), np.nan, np.float32)
    padded[:, :64, :96] = x
    alone, found = apply(x), apply(padded, (jnp.int32(64), jnp.int32(96)))
    assert float(np.ptp(alone)) > 0.01
    np.testing.assert_allclose(found[:, :64, :96], alone, rtol=0, atol=1e-4)


def test_the_input_is_blue_first() -> None:
    found = dbnet.network_input(jnp.array([[[255.0, 0, 0]]]))
    np.testing.assert_allclose(found[0, 0], (-0.485 / 0.229, -0.456 / 0.224, (1 - 0.406) / 0.225), rtol=1e-5)


def test_the_probability_is_the_authors(shared: Path) -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    path = source_file(shared, convert_words.SOURCE)
    weights = params_of(convert_words.read_onnx(path))
    session = runtime.InferenceSession(path)
    apply = jax.jit(lambda x: TextDetector().apply({"params": weights}, x))
    for name in ("063", "087", "046"):
        x = dbnet.network_input(jax.image.resize(real_photo(shared, name), (320, 416, 3), "linear"))[None]
        expected = session.run(None, {"x": np.asarray(x).transpose(0, 3, 1, 2)})[0][:, 0]
        np.testing.assert_allclose(apply(x), expected, rtol=0, atol=1e-3, err_msg=name)
