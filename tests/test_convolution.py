"""The convolution and its hand-written gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles_networks as oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from dnr_jax.networks.convolution import convolve


def draw(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def plain(x: jax.Array, kernel: jax.Array, dilation: int = 1) -> jax.Array:
    """JAX's own convolution, whose gradients JAX derives."""
    layout, spread = ("NHWC", "HWIO", "NHWC"), (dilation, dilation)
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", rhs_dilation=spread, dimension_numbers=layout, precision=lax.Precision.HIGHEST
    )


@given(
    shape=st.sampled_from([(1, 1, 1), (1, 6, 2), (5, 1, 3), (2, 2, 1), (6, 7, 3)]),
    kernel_shape=st.sampled_from([(3, 3), (1, 3), (5, 1)]),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_values_are_those_of_scipy(shape: tuple[int, int, int], kernel_shape: tuple[int, int], seed: int) -> None:
    x, kernel = draw(seed, *shape), draw(seed + 1, *kernel_shape, shape[2], 2)
    padded = np.pad(np.asarray(x), ((4, 4), (4, 4), (0, 0)))  # SciPy's "same" needs the array larger than the kernel.
    expected = oracles.correlate_loop(padded, np.asarray(kernel))[4:-4, 4:-4]
    np.testing.assert_allclose(convolve(x[None], kernel)[0], expected, rtol=1e-5, atol=1e-5)


def test_the_two_oracles_agree() -> None:
    x, kernel = np.asarray(draw(0, 6, 5, 3)), np.asarray(draw(1, 3, 3, 3, 4))
    np.testing.assert_allclose(oracles.correlate_matmul(x, kernel), oracles.correlate_loop(x, kernel), rtol=1e-12)


@pytest.mark.parametrize("kernel_shape", [(3, 3, 3, 4), (1, 3, 3, 2), (5, 1, 3, 3)])
def test_gradients_are_those_jax_derives(kernel_shape: tuple[int, int, int, int]) -> None:
    x, kernel = draw(2, 2, 6, 5, 3), draw(3, *kernel_shape)
    cotangent = draw(4, 2, 6, 5, kernel_shape[-1])
    value, pull = jax.vjp(convolve, x, kernel)
    expected_value, expected_pull = jax.vjp(plain, x, kernel)
    np.testing.assert_array_equal(value, expected_value)
    for gradient, expected in zip(pull(cotangent), expected_pull(cotangent), strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dilation", [2, 4])
def test_dilation_reaches_further(dilation: int) -> None:
    x, kernel, cotangent = draw(6, 1, 7, 6, 2), draw(7, 3, 3, 2, 3), draw(8, 1, 7, 6, 3)
    spread = np.zeros((2 * dilation + 1, 2 * dilation + 1, 2, 3))
    spread[::dilation, ::dilation] = kernel
    padded = np.pad(np.asarray(x[0]), ((9, 9), (9, 9), (0, 0)))
    value, pull = jax.vjp(lambda x, kernel: convolve(x, kernel, dilation=dilation), x, kernel)
    np.testing.assert_allclose(value[0], oracles.correlate_loop(padded, spread)[9:-9, 9:-9], rtol=1e-5, atol=1e-5)
    expected_pull = jax.vjp(lambda x, kernel: plain(x, kernel, dilation), x, kernel)[1]
    for gradient, expected in zip(pull(cotangent), expected_pull(cotangent), strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5)


def test_gradients_agree_with_finite_differences() -> None:
    with jax.enable_x64(True):
        rng = np.random.default_rng(5)
        x, kernel = jnp.asarray(rng.normal(size=(1, 4, 5, 2))), jnp.asarray(rng.normal(size=(3, 3, 2, 3)))
        weights = jnp.asarray(rng.normal(size=(1, 4, 5, 3)))

        def loss(x: jax.Array, kernel: jax.Array) -> jax.Array:
            return jnp.sum(weights * jnp.tanh(convolve(x, kernel)))

        gradients = jax.grad(loss, (0, 1))(x, kernel)
        for argument, gradient in enumerate(gradients):
            direction = jnp.asarray(rng.normal(size=gradient.shape))
            ends = []
            for sign in (1, -1):
                moved = [x, kernel]
                moved[argument] = moved[argument] + sign * 1e-6 * direction
                ends.append(float(loss(*moved)))
            np.testing.assert_allclose((ends[0] - ends[1]) / 2e-6, float(jnp.sum(gradient * direction)), rtol=1e-7)


def test_a_compiled_loop_descends_as_step_by_step() -> None:
    x, kernel, target = draw(6, 1, 6, 7, 3), draw(7, 3, 3, 3, 4) / 5, draw(8, 1, 6, 7, 4)

    def step(function, x: jax.Array) -> jax.Array:
        return x - 0.1 * jax.grad(lambda x: jnp.sum(jnp.square(function(x, kernel) - target)))(x)

    looped = jax.jit(lambda x: lax.fori_loop(0, 5, lambda _, x: step(convolve, x), x))(x)
    stepped = x
    for _ in range(5):
        stepped = step(plain, stepped)
    assert float(jnp.abs(looped - x).max()) > 0.1
    np.testing.assert_allclose(looped, stepped, rtol=1e-5, atol=1e-5)


def test_vmap_over_images_and_over_kernels() -> None:
    x, kernels = draw(9, 3, 1, 5, 6, 2), draw(10, 3, 3, 3, 2, 4)

    def loss(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.sum(jnp.square(convolve(x, kernel)))

    both = jax.vmap(jax.value_and_grad(loss, (0, 1)))(x, kernels)
    shared = jax.vmap(jax.value_and_grad(loss, (0, 1)), (0, None))(x, kernels[0])
    for i in range(3):
        for batched, kernel in ((both, kernels[i]), (shared, kernels[0])):
            value, gradients = jax.value_and_grad(loss, (0, 1))(x[i], kernel)
            np.testing.assert_allclose(batched[0][i], value, rtol=1e-5)
            for got, expected in zip(batched[1], gradients, strict=True):
                np.testing.assert_allclose(got[i], expected, rtol=1e-4, atol=1e-4)
