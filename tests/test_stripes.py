"""Row stripes: features, losses and gradients are those of the image in one piece."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnr_jax.networks import stripes
from dnr_jax.networks.taps import Level
from dnr_jax.planning.importance import feature_norm
from dnr_jax.rendering.reconstruct import FeatureLoss, FeatureTargets
from dnr_jax.weights import Weights

KEPT = ("block1_conv2", "block2_conv1")
REDUCED = ("block2_pool", "block3_conv4", "block5_pool")
WHOLE = 2**40


def random_image(height: int, width: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).uniform(0, 255, (height, width, 3)), jnp.float32)


@pytest.mark.parametrize("height", [64, 67, 101])
def test_features_in_stripes_are_those_of_the_whole(
    height: int, small_vgg: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripes, "FORWARD_BYTES", 2**13)
    network, image = small_vgg.network, random_image(height, 40)
    cut = stripes.cut(network, image.shape, 4, ("block1_conv2", "block1_pool"), 2**13)
    assert cut is not None
    assert cut.count > 4
    striped = jax.jit(lambda image: stripes.features(network, image, KEPT, REDUCED, feature_norm))(image)
    whole = network.features(image, (*KEPT, *REDUCED))
    assert set(striped) == {*KEPT, *REDUCED}
    for tap in KEPT:
        np.testing.assert_allclose(striped[tap], whole[tap], rtol=1e-6, atol=1e-5)
    for tap in REDUCED:
        np.testing.assert_allclose(striped[tap], feature_norm(whole[tap]), rtol=1e-6, atol=1e-4)


def test_a_tap_may_be_a_pool_and_the_last_one(small_vgg: Weights) -> None:
    image = random_image(64, 40)
    found = stripes.features(small_vgg.network, image, ("block1_pool",), (), feature_norm)
    whole = small_vgg.network.features(image, ("block1_pool",))
    assert list(found) == ["block1_pool"]
    np.testing.assert_allclose(found["block1_pool"], whole["block1_pool"], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("kind", ["norm", "squared"])
@pytest.mark.parametrize(
    ("taps", "weights", "size"),
    [
        (("block1_conv2",), (1.0,), (61, 43)),
        (("block1_conv2",), (0.5,), (83, 48)),
        (("block1_conv1", "block1_conv2", "block2_conv2"), (1.0, 0.25, 3.0), (75, 43)),
    ],
)
def test_the_loss_and_its_gradient_in_stripes(
    kind: str, taps: tuple[str, ...], weights: tuple[float, ...], size: tuple[int, int], small_vgg: Weights
) -> None:
    network, shape = small_vgg.network, (83, 48)
    goal, image = random_image(*shape, seed=1), random_image(*shape, seed=2)
    valid = (jnp.int32(size[0]), jnp.int32(size[1]))
    features = network.features(goal, taps)
    targets = FeatureTargets(network, tuple(features[tap] for tap in taps), valid, weights)
    whole = jax.jit(jax.value_and_grad(FeatureLoss(taps, kind, WHOLE)))(image, targets)
    limit = 2**13
    cut = stripes.cut(network, shape, 8, taps, limit)
    assert cut is not None
    assert cut.count > 1
    assert cut.rows * cut.count != shape[0]
    striped = jax.jit(jax.value_and_grad(FeatureLoss(taps, kind, limit)))(image, targets)
    np.testing.assert_allclose(striped[0], whole[0], rtol=1e-5)
    scale = float(jnp.abs(whole[1]).max())
    np.testing.assert_allclose(striped[1] / scale, whole[1] / scale, atol=2e-6)
    assert float(jnp.abs(striped[1]).sum()) > 0
    assert not striped[1][size[0] :].any()


def test_the_embedded_networks_block_1_in_stripes(embedded: Weights) -> None:
    taps = ("block1_conv2",)
    goal, image = random_image(96, 40, seed=1), random_image(96, 40, seed=2)
    valid = (jnp.int32(90), jnp.int32(33))
    targets = FeatureTargets(
        embedded.network, (embedded.network.features(goal, taps, size=valid)["block1_conv2"],), valid, (1.0,)
    )
    whole = jax.jit(jax.value_and_grad(FeatureLoss(taps, limit=WHOLE)))(image, targets)
    striped = jax.jit(jax.value_and_grad(FeatureLoss(taps, limit=2**16)))(image, targets)
    assert stripes.cut(embedded.network, (96, 40), 16, taps, 2**16) is not None
    np.testing.assert_allclose(striped[0], whole[0], rtol=1e-5)
    np.testing.assert_allclose(striped[1], whole[1], atol=1e-5 * float(jnp.abs(whole[1]).max()))


def test_what_may_not_be_cut_is_left_whole(small_vgg: Weights, embedded: Weights) -> None:
    cut = partial(stripes.cut, channels=64, limit=2**20)
    assert cut(small_vgg.network, (480, 640), taps=("block4_conv4",)) is not None
    # Its deep taps measure contrast against the border of the whole image.
    assert cut(embedded.network, (480, 640), taps=("block4_conv4",)) is None
    assert cut(small_vgg.network, (10, 20), taps=("block1_conv2",)) is None


def test_the_size_alone_decides(small_vgg: Weights) -> None:
    """A photo of 640x480 keeps its loss in one piece; one of 12 megapixels does not."""
    cut = partial(stripes.cut, small_vgg.network, channels=64, taps=("block1_conv2",), limit=stripes.LOSS_BYTES)
    assert cut((480, 640)) is None
    large = cut((3000, 4000))
    assert large is not None
    assert large.window * 4000 * 64 * 4 < 1.2 * stripes.LOSS_BYTES
    assert large.rows * large.count >= 3000
    assert Level("block1_conv2").stride == large.stride == 1
