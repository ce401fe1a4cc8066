"""BlazeFace against NumPy and against the authors' TFLite file."""

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

import convert_faces
from dnr_jax.networks.blazeface import BlazeBlock, BlazeFace, Block, centres, layer_shapes, twice
from dnr_jax.weights.detectors import FACES
from dnr_jax.weights.shipped import array_shapes, params_of


@cache
def params() -> dict[str, Any]:
    return random_params(FACES)


@cache
def compiled() -> Any:
    return jax.jit(lambda x, size=None: BlazeFace().apply({"params": params()}, x, size))


def noise(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "entering", "block"), [("down0_0", 32, Block(32, 8)), ("down1_0", 32, Block(48, 12, 2))]
)
def test_a_block_is_the_oracles(name: str, entering: int, block: Block) -> None:
    x = noise(2, 6, 8, entering)
    found = jax.jit(lambda x: BlazeBlock(block).apply({"params": params()[name]}, x, None))(x)
    for one, result in zip(x, np.asarray(found), strict=True):
        expected = oracles.blaze_block(one, params()[name], block.stride)
        assert expected.max() > 0.1
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4)


def test_twice() -> None:
    x = noise(1, 3, 4, 2)
    np.testing.assert_allclose(twice(jnp.asarray(x), None)[0], oracles.twice(x[0]), rtol=0, atol=1e-6)
    junk = np.full((1, 5, 6, 2), 1e3, np.float32)
    junk[:, :3, :4] = x
    found = twice(jnp.asarray(junk), (jnp.int32(3), jnp.int32(4)))[0, :6, :8]
    np.testing.assert_allclose(found, oracles.twice(x[0]), rtol=0, atol=1e-6)


def test_the_shapes_are_those_that_the_module_makes() -> None:
    made = jax.eval_shape(lambda: BlazeFace().init(jax.random.key(0), jnp.zeros((1, 32, 32, 3))))["params"]
    assert shapes_of(made) == array_shapes(layer_shapes(), lambda _: True)


def test_what_lies_outside_does_not_matter() -> None:
    x = noise(2, 64, 96, 3)
    padded = np.full((2, 96, 160, 3), 7, np.float32)
    padded[:, :64, :96] = x
    alone, found = compiled()(x), compiled()(padded, (jnp.int32(64), jnp.int32(96)))
    for expected, result in zip(alone, found, strict=True):
        np.testing.assert_allclose(result[:, :16, :24], expected, rtol=0, atol=1e-4 * float(jnp.abs(expected).max()))


def test_centres() -> None:
    found = centres((2, 3))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[1, 2], (10, 6))
    np.testing.assert_array_equal(found[0, 0], (2, 2))


def test_every_output_is_the_authors(shared: Path) -> None:
    pytest.importorskip("tflite")
    runtime = pytest.importorskip("ai_edge_litert.interpreter")
    path = source_file(shared, convert_faces.SOURCE)
    weights = params_of(convert_faces.read_tflite(path))
    photo = jax.image.resize(real_photo(shared, "046"), (192, 192, 3), "linear") / 127.5 - 1
    interpreter = runtime.Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    for x in (np.asarray(photo)[None], np.clip(noise(1, 192, 192, 3), -1, 1)):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        outputs = [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]
        boxes, logits = sorted(outputs, key=lambda output: -output.shape[-1])
        found = jax.jit(BlazeFace().apply)({"params": weights}, x)
        scores = jax.nn.sigmoid(found[0])
        np.testing.assert_allclose(scores.reshape(-1), jax.nn.sigmoid(logits).reshape(-1), rtol=0, atol=1e-3)
        np.testing.assert_allclose(found[1].reshape(-1, 16), boxes[0], rtol=0, atol=1e-2)
