"""Convolutions on rounded inputs: how much they round, that only they do, and that the option reaches them."""

import dataclasses

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import oracles_networks as oracles
import pytest
from drawn_photos import QUICK, textured_photo

from dnr_jax.config import RetargetConfig
from dnr_jax.networks.convolution import convolve, round_to
from dnr_jax.networks.taps import CONV_LAYERS
from dnr_jax.pipeline import retarget
from dnr_jax.planning.importance import analyse
from dnr_jax.weights import Weights

PRECISIONS = {"float32": 24, "tensorfloat32": 11, "bfloat16": 8}
"""Significant bits, the leading one included."""
ROUNDED = ["tensorfloat32", "bfloat16"]
compiled = jax.jit(lambda x, kernel, precision: convolve(x, kernel, precision=precision), static_argnums=2)


def draw(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def round_bits(x: np.ndarray, bits: int) -> np.ndarray:
    """Rounded to so many significant bits, halves to even, by way of integers."""
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_numbers_keep_so_many_significant_bits(precision: str) -> None:
    x = np.concatenate([draw(0, 1000) * 300, [0, -0.0, 1, 1 + 2**-11, 1 + 3 * 2**-11, 1 + 2**-8, 1e-30, -255]])
    x = x.astype(np.float32)
    rounded = np.asarray(jax.jit(round_to, static_argnums=1)(x, precision))
    np.testing.assert_array_equal(rounded, round_bits(x, PRECISIONS[precision]))
    if precision == "bfloat16":
        np.testing.assert_array_equal(rounded, x.astype(ml_dtypes.bfloat16).astype(np.float32))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_inputs_are_rounded_and_sums_are_not(precision: str) -> None:
    x, kernel = draw(1, 9, 8, 16), draw(2, 3, 3, 16, 4)
    found = compiled(x[None], kernel, precision)
    assert found.dtype == jnp.float32
    expected = oracles.correlate_matmul(*(round_bits(a, PRECISIONS[precision]) for a in (x, kernel)))
    # Sums of 144 products: rounding them to 8 or 11 bits as well would show at 1e-3 or 1e-4 of the values.
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_gradients_are_those_of_rounded_inputs(precision: str) -> None:
    x, kernel, cotangent = draw(3, 1, 9, 8, 3), draw(4, 3, 3, 3, 4), draw(5, 1, 9, 8, 4)

    def pull(x: np.ndarray, kernel: np.ndarray, cotangent: np.ndarray, precision: str) -> tuple[jax.Array, ...]:
        return jax.vjp(lambda x, kernel: convolve(x, kernel, precision=precision), jnp.asarray(x), jnp.asarray(kernel))[
            1
        ](jnp.asarray(cotangent))

    a, b, c = (round_bits(values, PRECISIONS[precision]).astype(np.float32) for values in (x, kernel, cotangent))
    for found, expected in zip(pull(x, kernel, cotangent, precision), pull(a, b, c, "float32"), strict=True):
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("precision", ROUNDED)
def test_the_gradient_points_where_the_loss_falls(precision: str) -> None:
    """Steps along it lower the loss inside a compiled loop as far as full precision does."""
    x, kernel, target = draw(6, 1, 9, 8, 3), draw(7, 3, 3, 3, 4) / 5, draw(8, 1, 9, 8, 4)

    @jax.jit
    def descend(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        def loss(x: jax.Array, precision: str) -> jax.Array:
            return jnp.sum(jnp.square(convolve(x, jnp.asarray(kernel), precision=precision) - target))

        def run(precision: str) -> jax.Array:
            end = jax.lax.fori_loop(0, 20, lambda _, x: x - 0.1 * jax.grad(loss)(x, precision), x)
            return loss(end, "float32")

        return jnp.stack([loss(x, "float32"), run("float32")]), run(precision)

    (before, exact), rounded = descend(jnp.asarray(x))
    assert exact < 0.5 * before
    assert float(rounded) == pytest.approx(float(exact), rel=2.0 ** (2 - PRECISIONS[precision]))


@pytest.mark.parametrize(("precision", "least", "most"), [("tensorfloat32", 1e-4, 2e-3), ("bfloat16", 8e-4, 1.6e-2)])
@pytest.mark.parametrize("kind", ["small_vgg", "embedded"])
def test_features_err_as_their_bits_allow(
    kind: str, precision: str, least: float, most: float, request: pytest.FixtureRequest
) -> None:
    """Relative errors of block 1's features: some thousandths for 8 bits, an eighth of that for 11."""
    network = request.getfixturevalue(kind).network
    image = jnp.asarray(textured_photo(24, 40), jnp.float32)

    def features(precision: str | None) -> np.ndarray:
        chosen = network if precision is None else network.at_precision(precision)
        return np.asarray(analyse(chosen, image, ("block1_conv2",), ("block1_conv2",)).features["block1_conv2"])

    plain = features(None)
    np.testing.assert_array_equal(features("float32"), plain)
    error = np.linalg.norm(features(precision) - plain) / np.linalg.norm(plain)
    assert least < error < most


def test_every_convolution_of_vgg_rounds(small_vgg: Weights) -> None:
    """A photo and weights of few bits pass the first layer unharmed, and only it."""
    params = jax.tree.map(lambda a: round_to(a, "bfloat16"), small_vgg.network.params)
    network = small_vgg.network.replace(params=params, module=small_vgg.network.module.clone(precision="float32"))
    image = jnp.asarray(textured_photo(32, 32), jnp.float32)
    exact = network.features(image, CONV_LAYERS)
    rounded = network.at_precision("bfloat16").features(image, CONV_LAYERS)
    errors = [float(jnp.linalg.norm(rounded[tap] - exact[tap]) / jnp.linalg.norm(exact[tap])) for tap in CONV_LAYERS]
    assert all(error > 5e-4 for error in errors)
    assert max(errors) < 0.05


@pytest.mark.parametrize("kind", ["small_vgg", pytest.param("embedded", marks=pytest.mark.slow)])
def test_the_option_reaches_the_network(kind: str, request: pytest.FixtureRequest) -> None:
    """Features, losses and image change a little, more with fewer bits, and stay in float32."""
    weights = request.getfixturevalue(kind)
    photo = textured_photo(24, 40).astype(np.float32)
    base = dataclasses.replace(QUICK, taps=("block1_conv2",), importance_percentile=100)

    def run(config: RetargetConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        result = retarget(photo, (24, 33), config, weights)
        assert result.image.dtype == result.importance[0].dtype == np.float32
        return result.importance[0], np.array(result.record["reconstruction"]["losses"]), result.image

    plain = run(base)
    for same, expected in zip(run(dataclasses.replace(base, precision="float32")), plain, strict=True):
        np.testing.assert_array_equal(same, expected)
    importance = []
    for precision in ROUNDED:
        found = run(dataclasses.replace(base, precision=precision))
        importance.append(np.abs(found[0] - plain[0]).mean() / plain[0].mean())
        assert (found[1] != plain[1]).all()
        assert np.abs(found[2] - plain[2]).mean() > 0
    assert 0 < 3 * importance[0] < importance[1] < 0.02
