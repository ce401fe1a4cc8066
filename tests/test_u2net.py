"""The small U²-Net against NumPy and against the authors' ONNX file."""

from functools import cache
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import oracles_u2net as oracles
import pytest
from u2net_files import onnx_file, random_arrays, real_photo, shapes_of

import convert_u2net
from dnr_jax.networks import u2net
from dnr_jax.networks.u2net import (
    SIDE,
    ResidualUBlock,
    SalienceNetwork,
    Stage,
    U2Net,
    enlarge,
    layer_shapes,
    max_pool,
    network_input,
    salience,
)
from dnr_jax.weights.objects import params_of

SMALL = U2Net(inner=3, channels=4)


@cache
def small_params() -> dict[str, Any]:
    return params_of(random_arrays())


@cache
def full_network() -> SalienceNetwork:
    """Random weights of the full size."""
    return SalienceNetwork(params_of(random_arrays(u2net.INNER_CHANNELS, u2net.STAGE_CHANNELS)))


def noise(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def photo(height: int, width: int, seed: int = 2) -> np.ndarray:
    """Noise around a bright disc, float32."""
    rows, columns = np.mgrid[:height, :width]
    image = np.random.default_rng(seed).normal(100, 25, (height, width, 3))
    image[(rows - height / 2) ** 2 + (columns - width / 3) ** 2 < (height / 4) ** 2] += (80, -40, 20)
    return np.clip(image, 0, 255).astype(np.float32)


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (7, 4), (6, 8)])
def test_pool(shape: tuple[int, int]) -> None:
    x = noise(2, *shape, 3)
    for one, found in zip(x, max_pool(jnp.asarray(x)), strict=True):
        np.testing.assert_array_equal(found, oracles.pool(one))


@pytest.mark.parametrize(("old", "new"), [((3, 4), (6, 8)), ((1, 3), (1, 5)), ((2, 3), (64, 7)), ((4, 4), (4, 4))])
def test_enlarge(old: tuple[int, int], new: tuple[int, int]) -> None:
    x = noise(2, *old, 3)
    for one, found in zip(x, enlarge(jnp.asarray(x), new), strict=True):
        np.testing.assert_allclose(found, oracles.enlarge(one, new), rtol=0, atol=1e-6)


@pytest.mark.parametrize("stage", [Stage("stage3", 5), Stage("stage4d", 4), Stage("stage5", 4, dilated=True)])
def test_a_block_is_the_oracles(stage: Stage) -> None:
    arrays = random_arrays()
    entering = arrays[f"{stage.name}/in/kernel"].shape[2]
    layers, x = params_of(arrays)[stage.name], noise(2, 21, 26, entering)
    found = jax.jit(ResidualUBlock(stage, 3, 4).apply)({"params": layers}, x)
    for one, result in zip(x, np.asarray(found), strict=True):
        blocks = (
            oracles.dilated_block(one, layers) if stage.dilated else oracles.residual_block(one, layers, stage.height)
        )
        assert blocks.max() > 0.1
        np.testing.assert_allclose(result, blocks, rtol=0, atol=1e-5 * blocks.max())


def test_the_network_is_the_oracles() -> None:
    x = noise(2, 45, 70, 3)
    found = jax.jit(SMALL.apply)({"params": small_params()}, x)
    for i, one in enumerate(x):
        expected = oracles.u2net(one, small_params())
        assert len(found) == len(expected) == 7
        for result, wanted in zip(found, expected, strict=True):
            assert (result.shape, result.dtype) == ((2, 45, 70), jnp.float32)
            assert np.ptp(wanted) > 0.01
            np.testing.assert_allclose(result[i], wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_module_is_the_same_eager_compiled_and_mapped(whole: bool) -> None:
    """One block of it, or the whole."""
    module = SMALL if whole else ResidualUBlock(Stage("stage5", 4, dilated=True), 3, 4)
    params = small_params() if whole else small_params()["stage5"]
    x = jnp.asarray(noise(2, 4, 4, 3 if whole else params["in"]["kernel"].shape[2]))  # Small: all is compiled anew.

    def maps(x: jax.Array) -> jax.Array:
        found = cast("jax.Array | tuple[jax.Array, ...]", module.apply({"params": params}, x))
        return jnp.stack(found) if isinstance(found, tuple) else found[None]

    compiled = jax.jit(maps)(x)
    np.testing.assert_allclose(maps(x), compiled, rtol=0, atol=1e-5)
    mapped = jax.jit(jax.vmap(lambda one: maps(one[None])[:, 0], out_axes=1))(x)
    np.testing.assert_allclose(mapped, compiled, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("inner", "channels"), [(3, 4), (16, 64)])
def test_the_shapes_are_those_that_the_module_makes(inner: int, channels: int) -> None:
    module = U2Net(inner, channels)
    made = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3))))["params"]
    kernels = layer_shapes(inner=inner, channels=channels)
    biases = {f"{layer}/bias": shape[-1:] for layer, shape in kernels.items()}
    assert shapes_of(made) == biases | {f"{layer}/kernel": shape for layer, shape in kernels.items()}


@pytest.mark.parametrize("shape", [(1, 1), (40, 500), (700, 333)])
def test_the_input_is_the_oracles(shape: tuple[int, int]) -> None:
    image = photo(*shape)
    found = network_input(jnp.asarray(image))
    assert (found.shape, found.dtype) == ((SIDE, SIDE, 3), jnp.float32)
    np.testing.assert_allclose(found, oracles.network_input(image), rtol=0, atol=1e-5)


def test_a_black_photo_has_an_input() -> None:
    found = network_input(jnp.zeros((5, 6, 3)))
    np.testing.assert_allclose(found, oracles.network_input(np.zeros((5, 6, 3))), rtol=0, atol=1e-6)


@pytest.mark.parametrize("junk", [255.0, np.inf, np.nan])
def test_padding_does_not_matter(junk: float) -> None:
    image = photo(53, 71)
    padded = np.full((64, 128, 3), junk, np.float32)
    padded[:53, :71] = image
    size = jnp.int32(53), jnp.int32(71)
    alone = network_input(jnp.asarray(image))
    np.testing.assert_allclose(network_input(jnp.asarray(padded), size=size), alone, rtol=0, atol=1e-5)


def test_salience_is_the_same_one_by_one_and_mapped() -> None:
    sizes, padded = ((53, 71), (64, 40)), np.full((2, 64, 80, 3), np.nan, np.float32)
    for i, (height, width) in enumerate(sizes):
        padded[i, :height, :width] = photo(height, width, seed=i)
    traced = tuple(jnp.asarray(lengths, jnp.int32) for lengths in zip(*sizes, strict=True))
    mapped = jax.jit(jax.vmap(salience, in_axes=(None, 0)))(full_network(), padded, size=traced)
    for i, (height, width) in enumerate(sizes):
        alone = salience(full_network(), jnp.asarray(padded[i, :height, :width]))
        assert (alone.shape, alone.dtype) == ((SIDE, SIDE), jnp.float32)
        assert 0 <= float(alone.min()) < float(alone.max()) <= 1
        np.testing.assert_allclose(mapped[i], alone, rtol=0, atol=1e-4)


def test_the_input_is_the_same_eager_and_compiled() -> None:
    image, size = jnp.asarray(photo(30, 40)), (jnp.int32(25), jnp.int32(40))
    with jax.disable_jit():
        eager = network_input(image, size=size)
    np.testing.assert_allclose(eager, network_input(image, size=size), rtol=0, atol=1e-5)


def test_another_size_does_not_compile_the_network_again() -> None:
    cache_size = getattr(u2net._mean_output, "_cache_size")  # noqa: B009
    salience(full_network(), jnp.zeros((8, 9, 3)))
    held = cache_size()
    salience(full_network(), jnp.zeros((9, 8, 3)))
    assert cache_size() == held


def test_every_output_is_the_authors(shared: Path) -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    path = onnx_file(shared)
    params = params_of(convert_u2net.read_onnx(path))
    session = runtime.InferenceSession(path)
    x = np.stack([network_input(real_photo(shared, "046")), noise(SIDE, SIDE, 3)])
    found = jax.jit(U2Net().apply)({"params": params}, x)
    for i, one in enumerate(x):
        expected = session.run(None, {session.get_inputs()[0].name: one.transpose(2, 0, 1)[None]})
        assert len(found) == len(expected) == 7
        for n, (result, wanted) in enumerate(zip(found, expected, strict=True)):
            np.testing.assert_allclose(result[i], wanted[0, 0], rtol=0, atol=1e-4, err_msg=f"d{n}")
