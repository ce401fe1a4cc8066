"""Each stage refuses arrays of a wrong shape or dtype, as far as the tests check its annotations."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from dnr_jax.photos.luma import luma
from dnr_jax.planning.importance import analyse, feature_norm
from dnr_jax.planning.seams import find_seams
from dnr_jax.planning.warp import uniform_warp, warp_width
from dnr_jax.rendering.optimise import Schedule
from dnr_jax.rendering.reconstruct import FeatureLoss, FeatureTargets, reconstruct
from dnr_jax.rendering.sampler import sample
from dnr_jax.weights import Weights

TAPS = ("block1_conv2",)


def zeros(*shape: int, dtype: type = jnp.float32) -> jax.Array:
    return jnp.zeros(shape, dtype)


def rebuild(weights: Weights, start: jax.Array) -> object:
    targets = FeatureTargets(weights.network, (zeros(8, 8, 4),), (jnp.int32(8), jnp.int32(8)), (1.0,))
    return reconstruct(FeatureLoss(TAPS), start, targets, Schedule(1, 1.0, False, 0.0))


WRONG: dict[str, Callable[[Weights], object]] = {
    "features of a grey image": lambda weights: weights.network.features(zeros(8, 8), TAPS),
    "features of whole numbers": lambda weights: weights.network.features(zeros(8, 8, 3, dtype=jnp.uint8), TAPS),
    "features of a size that is no int32": lambda weights: weights.network.features(
        zeros(8, 8, 3), TAPS, size=(jnp.float32(8), jnp.float32(8))
    ),
    "importance of four channels": lambda weights: analyse(weights.network, zeros(8, 8, 4), TAPS, ()),
    "importance of one feature": lambda weights: feature_norm(zeros(8, 8)),
    "seams of an image": lambda weights: find_seams(zeros(8, 8, 3), 1),
    "seams of whole costs": lambda weights: find_seams(zeros(8, 8, dtype=jnp.int32), 1),
    "seams by a broken count": lambda weights: find_seams(zeros(8, 8), jnp.float32(1.5)),
    "reconstruction from four channels": lambda weights: rebuild(weights, zeros(8, 8, 4)),
    "reconstruction from whole numbers": lambda weights: rebuild(weights, zeros(8, 8, 3, dtype=jnp.int32)),
    "sampling by one coordinate": lambda weights: sample(zeros(8, 8, 3), zeros(8, 8, 1)),
    "sampling by whole numbers": lambda weights: sample(zeros(8, 8, 3), zeros(8, 8, 2, dtype=jnp.int32)),
    "warping a map": lambda weights: warp_width(zeros(8, 8), uniform_warp(8, 4), 4),
    "warping whole numbers": lambda weights: warp_width(zeros(8, 8, 3, dtype=jnp.int32), uniform_warp(8, 4), 4),
    "measuring a JAX array": lambda weights: luma(zeros(8, 8, 3)),  # pyright: ignore[reportArgumentType]
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_shape_or_dtype_is_refused(small_vgg: Weights, wrong: str) -> None:
    with pytest.raises(TypeCheckError):
        WRONG[wrong](small_vgg)


def test_maps_of_one_call_have_one_shape() -> None:
    cost = np.zeros((3, 4, 5), np.float32)
    assert jax.vmap(lambda one: find_seams(one, 1).order)(cost).shape == (3, 4, 5)
    with pytest.raises(TypeCheckError):
        sample(zeros(8, 8, 3), zeros(8, 8, 2), size=(8.0, 8.0))  # pyright: ignore[reportArgumentType]
