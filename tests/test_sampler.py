"""The bilinear grid sampler against a pixel-by-pixel oracle, and its gradients against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles_networks as oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnr_jax.rendering.sampler import sample


def draw(seed: int, *shape: int, scale: float = 1.0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(0, scale, shape), jnp.float32)


def away_from_cell_borders(seed: int, height: int, width: int, reach: float) -> np.ndarray:
    """Random displacements of up to about `reach` pixels whose targets lie at least .1 from any whole coordinate."""
    rng = np.random.default_rng(seed)
    whole = rng.integers(-int(reach), int(reach) + 1, (height, width, 2))
    return whole + rng.uniform(0.1, 0.9, (height, width, 2))


@given(
    shape=st.sampled_from([(1, 1), (1, 6), (5, 1), (2, 2), (5, 6)]),
    scale=st.sampled_from([0.1, 1.0, 5.0, 100.0]),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_values_are_the_oracles(shape: tuple[int, int], scale: float, seed: int) -> None:
    image, displacement = draw(seed, *shape, 3), draw(seed + 1, *shape, 2, scale=scale)
    expected = oracles.sample(np.asarray(image, np.float64), np.asarray(displacement))
    np.testing.assert_allclose(jax.jit(sample)(image, displacement), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 7, 3), (6, 1, 3), (1, 1, 1)])
def test_no_displacement_is_the_image_to_the_bit(shape: tuple[int, int, int]) -> None:
    image = jnp.asarray(np.random.default_rng(0).uniform(0, 255, shape), jnp.float32)
    np.testing.assert_array_equal(sample(image, jnp.zeros((*shape[:2], 2))), image)


def test_whole_displacements_move_pixels() -> None:
    image = draw(1, 4, 5, 2)
    displacement = jnp.broadcast_to(jnp.asarray([1.0, -2.0]), (4, 5, 2))
    expected = np.asarray(image)[[1, 2, 3, 3]][:, [0, 0, 0, 1, 2]]
    np.testing.assert_array_equal(sample(image, displacement), expected)


@pytest.mark.parametrize("shape", [(5, 6), (1, 6), (5, 1)])
@pytest.mark.parametrize("reach", [1, 8])
def test_gradients_agree_with_finite_differences(shape: tuple[int, int], reach: float) -> None:
    with jax.enable_x64(True):
        rng = np.random.default_rng(2)
        image = jnp.asarray(rng.normal(size=(*shape, 2)))
        weights = jnp.asarray(rng.normal(size=(*shape, 2)))
        displacement = jnp.asarray(away_from_cell_borders(3, *shape, reach))

        def loss(image: jax.Array, displacement: jax.Array) -> jax.Array:
            return jnp.sum(weights * sample(image, displacement))

        evaluate = jax.jit(jax.vmap(loss))
        gradients = jax.jit(jax.grad(loss, (0, 1)))(image, displacement)
        for argument, gradient in enumerate(gradients):
            moved = [image, displacement]
            offsets = 1e-6 * jnp.eye(gradient.size).reshape(gradient.size, *gradient.shape)
            ends = []
            for sign in (1, -1):
                stacks = [jnp.broadcast_to(a, (gradient.size, *a.shape)) for a in moved]
                stacks[argument] = stacks[argument] + sign * offsets
                ends.append(evaluate(*stacks))
            numeric = np.asarray((ends[0] - ends[1]) / 2e-6).reshape(gradient.shape)
            np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8)


def test_outside_the_image_a_displacement_has_no_gradient() -> None:
    image = draw(4, 5, 6, 3)
    outwards = np.zeros((5, 6, 2), np.float32)
    outwards[0, :, 0], outwards[-1, :, 0] = -0.5, 0.5
    outwards[:, 0, 1], outwards[:, -1, 1] = -0.5, 0.5
    slopes = np.asarray(jax.grad(lambda d: jnp.sum(sample(image, d) * draw(5, 5, 6, 3)))(jnp.asarray(outwards)))
    assert not slopes[[0, -1], :, 0].any()
    assert not slopes[:, [0, -1], 1].any()
    assert slopes[1:-1, :, 0].all()
    assert slopes[:, 1:-1, 1].all()


def test_on_whole_coordinates_the_slope_is_that_of_the_next_cell_or_of_the_last() -> None:
    image = draw(6, 5, 6, 1)
    slopes = np.asarray(jax.grad(lambda d: jnp.sum(sample(image, d)))(jnp.zeros((5, 6, 2))))
    plane = np.asarray(image)[..., 0]
    down, right = np.diff(plane, axis=0), np.diff(plane, axis=1)
    np.testing.assert_allclose(slopes[..., 0], np.concatenate([down, down[-1:]]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slopes[..., 1], np.concatenate([right, right[:, -1:]], 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [(4, 5), (4, 1), (1, 5), (6, 8), (1, 1)])
def test_size_clamps_at_the_valid_borders(size: tuple[int, int]) -> None:
    image, displacement = np.asarray(draw(7, 6, 8, 3)).copy(), draw(8, 6, 8, 2, scale=3.0)
    expected = oracles.sample(image[: size[0], : size[1]].astype(np.float64), np.asarray(displacement))
    image[size[0] :], image[:, size[1] :] = np.nan, np.nan  # What lies beyond must not be read, not even times 0.
    sampled = jax.jit(sample)(jnp.asarray(image), displacement, size=(jnp.int32(size[0]), jnp.int32(size[1])))
    np.testing.assert_allclose(sampled, expected, rtol=1e-5, atol=1e-5)


def test_size_clamps_gradients_too() -> None:
    image = draw(9, 6, 8, 3)
    displacement = jnp.full((6, 8, 2), 0.5)
    size = (jnp.int32(4), jnp.int32(5))

    def loss(image: jax.Array, displacement: jax.Array) -> jax.Array:
        return jnp.sum(sample(image, displacement, size=size)[:4, :5] * draw(10, 4, 5, 3))

    to_image, slopes = (np.asarray(g) for g in jax.grad(loss, (0, 1))(image, displacement))
    assert not to_image[4:].any()
    assert not to_image[:, 5:].any()
    assert to_image[:4, :5].all()
    assert not slopes[3, :, 0].any()
    assert not slopes[:, 4, 1].any()
    assert slopes[:3, :5, 0].all()
    assert slopes[:4, :4, 1].all()


def test_jit_and_vmap_agree() -> None:
    images, displacements = draw(11, 3, 5, 6, 2), draw(12, 3, 5, 6, 2, scale=2.0)
    sizes = (jnp.asarray([5, 3, 4]), jnp.asarray([6, 6, 2]))
    batched = jax.vmap(sample)(images, displacements, size=sizes)
    compiled = jax.jit(sample)
    for i in range(3):
        size = (sizes[0][i], sizes[1][i])
        plain = sample(images[i], displacements[i], size=size)
        np.testing.assert_allclose(compiled(images[i], displacements[i], size=size), plain, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(batched[i], plain, rtol=1e-6, atol=1e-6)
