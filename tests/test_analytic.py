"""The embedded network against its written recipe, tap by tap, and what its importance must show."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles_networks as oracles
import pytest

from dnr_jax.networks.analytic import Embedded, binomial, block1_conv1, block1_conv2, border_contrast
from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import TAPS, Level

NETWORK = Network({}, Embedded())
CHANNELS = {1: 16, 2: 11, 3: 11, 4: 11, 5: 11}


@jax.jit
def all_taps(image: jax.Array, size: tuple[jax.Array, jax.Array] | None = None) -> dict[str, jax.Array]:
    return NETWORK.features(image, TAPS, size=size)


def smooth_photo(height: int, width: int, seed: int = 0) -> jax.Array:
    """Coloured blobs over a gentle slope with some noise: the deep taps are not empty."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    image = 110 + 0.3 * rows[..., None] + rng.normal(0, 2, (height, width, 3))
    for y, x in ((0.4, 0.35), (0.6, 0.7)):
        blob = np.exp(-((rows - y * height) ** 2 + (columns - x * width) ** 2) / (0.02 * height * width))
        image += blob[..., None] * rng.uniform(-120, 120, 3)
    return jnp.asarray(np.clip(image, 0, 255), jnp.float32)


def assert_close(got: jax.Array | np.ndarray, expected: np.ndarray, relative: float = 1e-5) -> None:
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=relative * max(1.0, float(np.abs(expected).max(initial=0))))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1), (2, 2), (6, 7)])
def test_block1_is_the_recipes(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).uniform(0, 255, (*shape, 3)).astype(np.float32)
    first = oracles.embedded_conv1(image)
    assert_close(jax.jit(block1_conv1)(jnp.asarray(image)), first, 2e-6)
    assert_close(jax.jit(block1_conv2)(jnp.asarray(first, jnp.float32)), oracles.embedded_conv2(first), 2e-6)


@pytest.mark.parametrize(
    ("pattern", "positive", "negative", "value"),
    [
        ("columns", 6, 7, 2.0),
        ("rows", 8, 9, 2.0),
        ("falling", 10, 11, 2 / np.sqrt(2)),
        ("rising", 12, 13, 2 / np.sqrt(2)),
    ],
)
def test_each_derivative_answers_to_its_own_direction(pattern: str, positive: int, negative: int, value: float) -> None:
    rows, columns = np.mgrid[:9, :9]
    ramps = {"columns": columns, "rows": rows, "falling": (rows + columns) / 2, "rising": (rows - columns) / 2}
    image = np.repeat(100 + 10.0 * ramps[pattern][..., None], 3, -1)
    features = np.asarray(block1_conv2(block1_conv1(jnp.asarray(image, jnp.float32))))[4, 4]
    np.testing.assert_allclose(features[positive], value * 10 / 255, rtol=1e-4)
    assert features[negative] == 0
    np.testing.assert_allclose(features[14:], 0, atol=1e-6)


@pytest.mark.parametrize(("colour", "half"), [((1, 1, 1), 0), ((1, -1, 0), 2), ((-1, -1, 2), 4)])
def test_each_colour_pair_answers_to_its_own_axis(colour: tuple[int, int, int], half: int) -> None:
    step = jnp.asarray(colour, jnp.float32).reshape(1, 1, 3) * 10.0
    grey = jnp.full((3, 3, 3), 127.5)
    change = np.asarray(block1_conv1(grey + step) - block1_conv1(grey))[1, 1]
    amount = {0: 1.0, 2: 1.0, 4: 1.5}[half] * 10 / 255
    expected = np.zeros(16)
    expected[half], expected[half + 1] = amount, -amount
    np.testing.assert_allclose(change, expected, atol=1e-6)


@pytest.mark.parametrize("offset", [-20.0, -1.0, 0.0, 1.0, 20.0])
def test_no_colour_loses_its_gradient_where_a_sign_flips(offset: float) -> None:
    image = jnp.full((3, 3, 3), 127.5 + offset)  # Red-green and blue-yellow are at 0, intensity near it.
    jacobian = jax.jacobian(lambda image: block1_conv2(block1_conv1(image))[1, 1, :6])(image)
    slopes = np.asarray(jacobian)[:, 1, 1] * 255
    intensity, red_green, blue_yellow = [1 / 3] * 3, [0.5, -0.5, 0.0], [-0.25, -0.25, 0.5]
    expected = np.array([s * np.array(c) for c in (intensity, red_green, blue_yellow) for s in (1, -1)])
    np.testing.assert_allclose(slopes, expected, atol=1e-6)


def test_the_bias_leaves_the_deeper_blocks_unbiased() -> None:
    image = np.asarray(smooth_photo(32, 32))
    colours = (np.asarray(image, np.float64) / 255 - 0.5) @ [1 / 3, 1 / 3, 1 / 3]
    unbiased = oracles.pool(np.stack([np.maximum(colours, 0), np.maximum(-colours, 0)], -1))
    expected = 0.25 * oracles.binomial(unbiased)
    features = NETWORK.features(jnp.asarray(image), ("block2_conv1",))["block2_conv1"]
    np.testing.assert_allclose(features[..., :2], expected, atol=1e-6)


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (3, 2), (7, 5)])
def test_binomial(shape: tuple[int, int], dilation: int) -> None:
    x = np.random.default_rng(1).normal(size=(*shape, 2)).astype(np.float32)
    expected = oracles.binomial(x.astype(np.float64), dilation)
    np.testing.assert_allclose(binomial(jnp.asarray(x), size=None, dilation=dilation), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 7), (25, 13), (100, 25)])
def test_border_contrast(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.uniform(0, 0.1, (*shape, 6)), rng.exponential(0.02, (*shape, 5))], -1)
    x[shape[0] // 3 : shape[0] // 2 + 1, shape[1] // 3 : shape[1] // 2 + 1] *= 4
    expected = oracles.border_contrast(x)
    assert expected.shape == (*shape, 11)
    assert expected.max() > 0.5
    assert_close(border_contrast(jnp.asarray(x, jnp.float32)), expected, 1e-4)


@pytest.mark.parametrize("seed", [0, 1])
def test_every_tap_is_the_oracles(seed: int) -> None:
    shape = (75, 101)
    image = smooth_photo(*shape, seed)
    activations = all_taps(image)
    expected = oracles.embedded(np.asarray(image))
    assert sorted(activations) == sorted(TAPS) == sorted(expected)
    assert len(TAPS) == 21
    for tap in TAPS:
        stride = oracles.STRIDES[tap]
        assert activations[tap].shape == (shape[0] // stride, shape[1] // stride, CHANNELS[Level(tap).block])
        assert activations[tap].dtype == jnp.float32
        assert float(activations[tap].min()) >= 0
        assert expected[tap].max() > 0.01
        assert_close(activations[tap], expected[tap], 1e-4)  # z-scores divide small differences by small deviations.


@pytest.mark.parametrize("tap", ["block1_conv1", "block2_conv1", "block4_conv2"])
def test_a_tap_does_not_depend_on_the_others_asked_for(tap: str) -> None:
    image = smooth_photo(75, 101)
    alone = jax.jit(lambda image: NETWORK.features(image, (tap,)))(image)
    assert list(alone) == [tap]
    np.testing.assert_allclose(alone[tap], all_taps(image)[tap], rtol=1e-5, atol=1e-6)
    operations = [len(jax.make_jaxpr(lambda x, t=t: NETWORK.features(x, (t,)))(image).eqns) for t in (tap, TAPS[-1])]
    assert operations[0] < operations[1]  # Nothing deeper is evaluated.


@pytest.mark.parametrize("padded_shape", [(76, 103), pytest.param((128, 128), marks=pytest.mark.slow)])
def test_padding_changes_nothing_inside_and_is_zero_outside(padded_shape: tuple[int, int]) -> None:
    shape = (75, 101)
    image = smooth_photo(*shape)
    junk = jnp.asarray(np.random.default_rng(1).uniform(0, 255, (*padded_shape, 3)), jnp.float32)
    alone = all_taps(image)
    padded = all_taps(junk.at[: shape[0], : shape[1]].set(image), (jnp.int32(shape[0]), jnp.int32(shape[1])))
    for tap in TAPS:
        height, width = alone[tap].shape[:2]
        np.testing.assert_allclose(padded[tap][:height, :width], alone[tap], rtol=1e-5, atol=1e-5)
        outside = np.asarray(padded[tap]).copy()
        outside[:height, :width] = 0
        assert not outside.any(), tap


def test_vmap_agrees() -> None:
    taps = ("block1_conv2", "block4_conv1")
    images = jnp.stack([smooth_photo(40, 32, seed) for seed in range(2)])
    sizes = (jnp.asarray([40, 29]), jnp.asarray([27, 32]))

    def features(image: jax.Array, size: tuple[jax.Array, jax.Array]) -> dict[str, jax.Array]:
        return NETWORK.features(image, taps, size=size)

    batched, plain = jax.jit(jax.vmap(features))(images, sizes), jax.jit(features)
    for i in range(2):
        for tap, expected in plain(images[i], (sizes[0][i], sizes[1][i])).items():
            np.testing.assert_allclose(batched[tap][i], expected, rtol=1e-4, atol=1e-5, err_msg=tap)


@pytest.mark.parametrize("colour", [(0, 0, 0), (127.5, 127.5, 127.5), (250, 20, 130)])
def test_a_uniform_image_has_no_deep_importance(colour: tuple[float, float, float]) -> None:
    image = jnp.broadcast_to(jnp.asarray(colour, jnp.float32), (75, 101, 3))
    for tap, features in all_taps(image).items():
        if Level(tap).block >= 4:
            assert not np.asarray(features).any(), tap
        assert np.isfinite(features).all()


@pytest.mark.parametrize("centre", [(80, 112), (144, 80)])
@pytest.mark.parametrize("paint", [(60, 0, 0), (0, 0, 90), (-70, -70, -70)])
def test_an_object_on_smooth_ground_is_what_matters(centre: tuple[int, int], paint: tuple[int, int, int]) -> None:
    rows, columns = np.mgrid[:224, :224]
    image = np.repeat(120 + 0.2 * columns[..., None], 3, -1)
    image[(rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 28**2] += paint
    norm = np.linalg.norm(np.asarray(all_taps(jnp.asarray(image, jnp.float32))["block5_pool"]), axis=-1)
    assert norm.shape == (7, 7)
    peak = np.unravel_index(norm.argmax(), norm.shape)
    # The disc reaches 28 pixels, so the middle of the strongest neuron's 32 pixels lies on it or at its rim.
    assert np.hypot(32 * peak[0] + 16 - centre[0], 32 * peak[1] + 16 - centre[1]) < 32
    rows, columns = np.mgrid[:7, :7] * 32 + 16
    far = np.hypot(rows - centre[0], columns - centre[1]) > 28 + 64
    assert norm[far].max() < 0.1 * norm.max()


def test_block1_has_finite_gradients() -> None:
    @jax.jit
    @jax.grad
    def gradient(image: jax.Array) -> jax.Array:
        return jnp.sum(jnp.square(NETWORK.features(image, ("block1_conv2",))["block1_conv2"]))

    assert np.asarray(gradient(smooth_photo(24, 20))).any()
    for image in (smooth_photo(24, 20), *(jnp.full((24, 20, 3), grey) for grey in (0.0, 127.5, 255.0))):
        assert np.isfinite(gradient(image)).all()


def test_border_contrast_has_finite_gradients() -> None:
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(jnp.square(border_contrast(x)))))
    x = jnp.zeros((12, 10, 11))  # No energy and no variance: both square roots are at their floor.
    assert np.isfinite(gradient(x)).all()
    slopes = gradient(x.at[4:6, 4:6].set(1.0))
    assert np.isfinite(slopes).all()
    assert np.asarray(slopes).any()
