"""Uniform sampling of deep features: fields by hand, matching against plain loops, the whole on photos."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles_baselines as oracle
import pytest
from configs import paper_config
from drawn_photos import textured_photo

from dnr_jax.baselines import METHODS, Context
from dnr_jax.baselines import deepir as d
from dnr_jax.weights import Weights

pytestmark = pytest.mark.slow


def test_columns_are_sampled_at_a_constant_rate() -> None:
    field = np.asarray(d.sampled_field((2, 8), (2, 4)))
    np.testing.assert_array_equal(field[0, :, 1], [1, 3, 5, 7])
    np.testing.assert_array_equal(field[:, 0, 0], [0, 1])
    grown = np.asarray(d.sampled_field((3, 4), (6, 4)))
    np.testing.assert_array_equal(grown[:, 0, 0], [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(grown[0, :, 1], [0, 1, 2, 3])


def test_four_neurons_below_a_match_are_matched_one_to_one() -> None:
    field = np.array([[[0, 1], [0, 3]]], np.int32)
    fine = np.asarray(d.upsample_field(field, (2, 5), (2, 9)))
    np.testing.assert_array_equal(fine[..., 1], [[2, 3, 6, 7, 8]] * 2)
    np.testing.assert_array_equal(fine[..., 0], [[0] * 5, [1] * 5])
    # What the source lacks is clipped to its edge.
    assert np.asarray(d.upsample_field(field, (2, 5), (2, 8)))[0, 4, 1] == 7


def test_features_are_compared_by_direction() -> None:
    features = np.array([[[3.0, 4.0], [0.0, 0.0]]], np.float32)
    np.testing.assert_allclose(d.normalise(features), [[[0.6, 0.8], [0, 0]]], atol=1e-6)


def test_principal_components_keep_distances_where_they_can() -> None:
    rng = np.random.default_rng(0)
    flat = (rng.normal(size=(30, 3)) @ rng.normal(size=(3, 9))).astype(np.float32)
    kept = np.asarray(d.principal(flat.reshape(5, 6, 9), channels=3)).reshape(30, 3)
    apart = [np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (flat, kept)]
    np.testing.assert_allclose(apart[1], apart[0], atol=1e-3)
    assert d.principal(flat.reshape(5, 6, 9), channels=9).shape == (5, 6, 9)


@pytest.fixture(scope="module")
def maps() -> tuple[np.ndarray, np.ndarray]:
    """A source and a target that holds its columns 3..9."""
    source = np.random.default_rng(1).normal(size=(8, 12, 4)).astype(np.float32)
    return source[:, 3:9], source


def test_patch_cost_is_the_loops(maps: tuple[np.ndarray, np.ndarray]) -> None:
    wanted, source = maps
    field = np.random.default_rng(2).integers(0, 8, (8, 6, 2)).astype(np.int32)
    found = d.patch_cost(jnp.asarray(wanted), jnp.asarray(source), jnp.asarray(field))
    np.testing.assert_allclose(found, oracle.patch_cost(wanted, source, field), rtol=1e-5)


def test_matching_finds_the_shift_and_never_gets_worse(maps: tuple[np.ndarray, np.ndarray]) -> None:
    wanted, source = maps
    start = d.sampled_field((8, 12), (8, 6))
    field = np.asarray(d.match(wanted, source, start, 12, jax.random.key(0)))
    before, after = (oracle.patch_cost(wanted, source, np.asarray(f)) for f in (start, field))
    assert (after <= before + 1e-4).all()
    exact = (field == np.moveaxis(np.mgrid[:8, 3:9], 0, -1)).all(-1)
    assert exact[:, 1:-1].mean() > 0.9


def test_a_vote_by_hand() -> None:
    image = np.arange(24, dtype=np.float32).reshape(4, 6, 1)
    same = np.moveaxis(np.mgrid[:4, :6], 0, -1).astype(np.int32)
    np.testing.assert_allclose(d.vote(image, same), image)
    # A cut between columns 1 and 3: next to it a third of the patches say what lay on the other side's way.
    cut = same[:, [0, 1, 3, 4, 5]]
    np.testing.assert_allclose(np.asarray(d.vote(image, cut))[1, :, 0], [6, 7 + 1 / 3, 9 - 1 / 3, 10, 11], rtol=1e-5)


def test_the_photos_own_size_returns_it_and_others_hold_only_its_pixels(embedded: Weights) -> None:
    image = textured_photo(64, 96)
    context = Context(network=embedded.network)
    np.testing.assert_array_equal(METHODS["deepir"](image, (64, 96), context), image)
    opaque = np.concatenate([image, np.full((64, 96, 1), 200, np.uint8)], -1)
    out = METHODS["deepir"](opaque, (64, 64), context)
    assert out.shape == (64, 64, 4)
    assert (out[..., 3] == 200).all()
    for channel in range(3):
        assert (
            image[..., channel].min() <= out[..., channel].min() <= out[..., channel].max() <= image[..., channel].max()
        )
    np.testing.assert_array_equal(out, METHODS["deepir"](opaque, (64, 64), context))
    other = METHODS["deepir"](opaque, (64, 64), Context(network=embedded.network, config=paper_config(seed=5)))
    assert not np.array_equal(out, other)
