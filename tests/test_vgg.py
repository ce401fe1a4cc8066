"""VGG19's module against plain convolutions: every tap, padding, preprocessing, and how far it computes."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import oracles_networks as oracles
import pytest
from PIL import Image

from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import TAPS, Level, conv_layers_below
from dnr_jax.networks.vgg import KERAS_PREPROCESSING, TORCHVISION_PREPROCESSING, VGG, Preprocessing, max_pool
from dnr_jax.weights import Weights, read_weights

WIDTHS = (4, 6, 8, 8, 8)
SOME_TAPS = ("block1_conv2", "block2_conv2", "block3_conv4")


@partial(jax.jit, static_argnames=("taps",))
def evaluate(
    network: Network, image: jax.Array, taps: tuple[str, ...], size: tuple[jax.Array, jax.Array] | None = None
) -> dict[str, jax.Array]:
    return network.features(image, taps, size=size)


def photo(height: int, width: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).uniform(0, 255, (height, width, 3)), jnp.float32)


def padded(image: jax.Array, height: int, width: int, seed: int = 1) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """The image in the top-left of junk, and its size."""
    junk = photo(height, width, seed)
    size = (jnp.int32(image.shape[0]), jnp.int32(image.shape[1]))
    return junk.at[: image.shape[0], : image.shape[1]].set(image), size


def assert_close(got: jax.Array | np.ndarray, expected: jax.Array | np.ndarray, relative: float = 1e-5) -> None:
    """Within `relative` of the largest expected magnitude: sums of many terms have no smaller rounding error."""
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=relative * float(np.abs(expected).max(initial=1e-30)))


def numpy_params(network: Network) -> dict[str, dict[str, np.ndarray]]:
    return {layer: {k: np.asarray(v) for k, v in arrays.items()} for layer, arrays in network.params.items()}


def test_strides_are_those_of_vgg19() -> None:
    assert {tap: Level(tap).stride for tap in TAPS} == oracles.STRIDES
    assert list(TAPS) == list(oracles.embedded(np.zeros((32, 32, 3))))  # The oracle makes them shallow to deep.


@pytest.mark.parametrize("shape", [(32, 32), (45, 37)])
def test_every_tap_is_the_oracles(small_vgg: Weights, shape: tuple[int, int]) -> None:
    image = photo(*shape)
    activations = evaluate(small_vgg.network, image, TAPS)
    expected = oracles.vgg(oracles.keras_input(np.asarray(image)), numpy_params(small_vgg.network), "block5_pool")
    assert sorted(activations) == sorted(TAPS)
    for tap in TAPS:
        stride = oracles.STRIDES[tap]
        assert activations[tap].shape[:2] == Level(tap).size(shape) == (shape[0] // stride, shape[1] // stride)
        assert activations[tap].dtype == jnp.float32
        assert np.abs(expected[tap]).max() > 0
        assert_close(activations[tap], expected[tap])


@pytest.mark.parametrize("shape", [(1, 4), (2, 2), (3, 8), (8, 5), (7, 9)])
def test_pooling_drops_an_odd_row_and_column(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=(*shape, 2)).astype(np.float32)
    np.testing.assert_array_equal(max_pool(jnp.asarray(x)), oracles.pool(x))


@pytest.mark.parametrize("deepest", ["block1_conv1", "block1_pool", "block3_conv2", "block4_pool"])
def test_nothing_past_the_deepest_tap_is_computed(small_vgg: Weights, deepest: str) -> None:
    layers = conv_layers_below(deepest)
    params = {layer: small_vgg.network.params[layer] for layer in layers}
    network = Network(params, VGG(WIDTHS))
    image = photo(32, 32)
    jaxpr = jax.make_jaxpr(lambda image: network.features(image, (deepest,)))(image)
    assert str(jaxpr).count("conv_general_dilated[") == len(layers)
    assert_close(evaluate(network, image, (deepest,))[deepest], evaluate(small_vgg.network, image, TAPS)[deepest])
    with pytest.raises(ValueError, match="block5_conv1"):
        network.check_taps(("block5_conv1",))
    network.check_taps((deepest,))


@pytest.mark.parametrize(
    ("shape", "padded_shape"),
    [((45, 37), (64, 64)), ((32, 32), (32, 32)), ((47, 35), (47, 36))],
)
def test_padding_changes_nothing_inside_and_is_zero_outside(
    small_vgg: Weights, shape: tuple[int, int], padded_shape: tuple[int, int]
) -> None:
    image = photo(*shape)
    alone = evaluate(small_vgg.network, image, TAPS)
    junk, size = padded(image, *padded_shape)
    masked = evaluate(small_vgg.network, junk, TAPS, size)
    for tap in TAPS:
        height, width = alone[tap].shape[:2]
        assert_close(masked[tap][:height, :width], alone[tap])
        outside = np.asarray(masked[tap]).copy()
        outside[:height, :width] = 0
        assert not outside.any(), tap


def test_padding_has_no_gradient(small_vgg: Weights) -> None:
    image = photo(45, 37)
    junk, size = padded(image, 56, 64)

    @jax.jit
    def loss(image: jax.Array, size: tuple[jax.Array, jax.Array] | None) -> jax.Array:
        total = jnp.float32(0)
        for features in small_vgg.network.features(image, SOME_TAPS, size=size).values():
            # Not uniform over the map, or a neuron's place would not matter.
            rows, columns = (jnp.arange(n, dtype=jnp.float32) for n in features.shape[:2])
            total += jnp.sum(jnp.square(features) * (1 + jnp.cos(rows[:, None, None] + 2.0 * columns[None, :, None])))
        return total

    value, gradient = jax.value_and_grad(loss)(image, None)
    masked_value, masked_gradient = jax.value_and_grad(loss)(junk, size)
    np.testing.assert_allclose(masked_value, value, rtol=1e-5)
    assert_close(masked_gradient[:45, :37], gradient)
    outside = np.asarray(masked_gradient).copy()
    outside[:45, :37] = 0
    assert not outside.any()


def test_padding_that_is_not_finite_is_kept_out(small_vgg: Weights) -> None:
    image = photo(20, 18)
    junk = jnp.full((32, 32, 3), jnp.nan).at[:20, :18].set(image)
    masked = small_vgg.network.features(junk, ("block1_conv2",), size=(jnp.int32(20), jnp.int32(18)))["block1_conv2"]
    assert_close(masked[:20, :18], small_vgg.network.features(image, ("block1_conv2",))["block1_conv2"])


def test_jit_and_vmap_agree(small_vgg: Weights) -> None:
    images = jnp.stack([photo(33, 34, seed) for seed in range(3)])
    sizes = (jnp.asarray([33, 21, 32]), jnp.asarray([34, 33, 18]))

    def features(image: jax.Array, size: tuple[jax.Array, jax.Array]) -> dict[str, jax.Array]:
        return small_vgg.network.features(image, SOME_TAPS, size=size)

    batched = jax.vmap(features)(images, sizes)
    compiled = jax.jit(features)
    for i in range(3):
        size = (sizes[0][i], sizes[1][i])
        plain = features(images[i], size)
        for tap in SOME_TAPS:
            assert_close(compiled(images[i], size)[tap], plain[tap])
            assert_close(batched[tap][i], plain[tap])


def test_a_traced_size_compiles_once(small_vgg: Weights) -> None:
    traced = []

    @jax.jit
    def features(network: Network, image: jax.Array, size: tuple[jax.Array, jax.Array]) -> jax.Array:
        traced.append(size)
        return network.features(image, ("block2_conv1",), size=size)["block2_conv1"]

    for height, width in ((20, 24), (17, 32), (32, 5)):
        features(small_vgg.network, photo(32, 32), size=(jnp.int32(height), jnp.int32(width)))
    assert len(traced) == 1


def test_keras_preprocessing_is_bgr_without_the_means() -> None:
    image = photo(4, 5)
    assert_close(KERAS_PREPROCESSING(image), oracles.keras_input(np.asarray(image)), 1e-6)
    red = KERAS_PREPROCESSING(jnp.asarray([[[255.0, 0.0, 0.0]]]))
    np.testing.assert_allclose(red, [[[-103.939, -116.779, 255 - 123.68]]], rtol=1e-6)


def test_torchvision_preprocessing_is_rgb_by_mean_and_deviation() -> None:
    image = photo(4, 5)
    expected = (np.asarray(image, np.float64) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert_close(TORCHVISION_PREPROCESSING(image), expected, 1e-6)
    np.testing.assert_allclose(TORCHVISION_PREPROCESSING(image[0, 0]), expected[0, 0], rtol=1e-5)


def test_preprocessing_follows_its_order_and_reaches_the_network(small_vgg: Weights) -> None:
    image = photo(16, 16)
    forward = Preprocessing("rgb", 0.5, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    backward = forward._replace(order="bgr")
    values = np.asarray(image, np.float64) * 0.5
    expected = (values - [1, 2, 3]) / [4, 5, 6]
    expected_backward = (values[:, :, ::-1] - [1, 2, 3]) / [4, 5, 6]
    assert_close(forward(image), expected, 1e-6)
    assert_close(backward(image), expected_backward, 1e-6)
    for preprocessing, x in ((forward, expected), (backward, expected_backward)):
        network = Network(small_vgg.network.params, VGG(WIDTHS, preprocessing))
        activations = network.features(image, ("block1_conv2",))["block1_conv2"]
        assert_close(activations, oracles.vgg(x, numpy_params(network), "block1_conv2")["block1_conv2"])


def test_real_weights_agree_with_plain_convolutions(shared: Path) -> None:
    network = read_weights(shared / "data/weights/vgg19_keras_blocks123.h5").network
    with Image.open(shared / "data/retargetme/036/src.jpg") as file:
        image = np.asarray(file.convert("RGB"), np.float32)
    top, left = (image.shape[0] - 96) // 2, (image.shape[1] - 96) // 2
    image = image[top : top + 96, left : left + 96]
    taps = ("block1_conv2", "block2_conv2", "block3_conv4")
    activations = evaluate(network, jnp.asarray(image), taps)
    expected = oracles.vgg(oracles.keras_input(image), numpy_params(network), taps[-1])
    for tap in taps:
        difference = np.linalg.norm(np.asarray(activations[tap], np.float64) - expected[tap])
        assert difference < 1e-4 * np.linalg.norm(expected[tap])
        assert_close(activations[tap], expected[tap], 1e-4)
