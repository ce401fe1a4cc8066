"""Every layout in which VGG19 is published gives the same network; what is not VGG19 is refused with all its faults."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from conftest import random_layers
from drawn_photos import textured_photo
from weight_files import torchvision_arrays, write_keras, write_keras3_weights, write_matconvnet, write_torch

from dnr_jax.networks.taps import CONV_LAYERS, Level
from dnr_jax.networks.vgg import KERAS_PREPROCESSING, TORCHVISION_PREPROCESSING, VGG19_WIDTHS
from dnr_jax.weights import Layers, Provenance, layer_widths, read_layout, read_weights, save_weights
from dnr_jax.weights.layouts import MATCONVNET_PREPROCESSING

WIDTHS = (4, 5, 6, 7, 8)
TAPS = ("block1_conv2", "block2_conv2", "block3_conv4", "block4_conv4", "block5_pool")


def write_torch_safetensors(path: Path, layers: Layers, *, top: bool = False) -> None:
    path.write_bytes(safetensors.numpy.save(torchvision_arrays(layers, top=top), {"format": "pt"}))


WRITERS = {
    "Keras 1 HDF5": lambda path, layers, top: write_keras(path, layers, "1", top=top),
    "Keras 2 HDF5": lambda path, layers, top: write_keras(path, layers, "2", top=top, nested=True),
    "Keras 3 HDF5": lambda path, layers, top: write_keras(path, layers, "3", top=top, nested=True),
    "Keras 3 weights HDF5": lambda path, layers, top: write_keras3_weights(path, layers, top=top),
    "torchvision state dict": lambda path, layers, top: write_torch(path, layers, top=top),
    "torchvision state dict ": lambda path, layers, top: write_torch(path, layers, top=top, zipped=False),
    "torchvision safetensors": lambda path, layers, top: write_torch_safetensors(path, layers, top=top),
    "MatConvNet": lambda path, layers, top: write_matconvnet(path, layers, top=top),
    "MatConvNet ": lambda path, layers, top: write_matconvnet(path, layers, top=top, old=True),
}


@pytest.mark.parametrize("top", [False, True])
@pytest.mark.parametrize("layout", WRITERS)
def test_every_layout_is_told_by_its_content(tmp_path: Path, layout: str, top: bool) -> None:
    layers = random_layers(WIDTHS)
    WRITERS[layout](tmp_path / "weights", layers, top)
    found = read_layout(tmp_path / "weights")
    assert found.layout == f"{layout.strip()} {'with' if top else 'without'} the classifier"
    assert list(found.layers) == list(CONV_LAYERS)
    for layer in CONV_LAYERS:
        np.testing.assert_array_equal(found.layers[layer]["kernel"], layers[layer]["kernel"])
        np.testing.assert_array_equal(found.layers[layer]["bias"], layers[layer]["bias"])
    assert layer_widths(found.layers) == WIDTHS
    wanted = {"K": KERAS_PREPROCESSING, "t": TORCHVISION_PREPROCESSING, "M": MATCONVNET_PREPROCESSING}[layout[0]]
    assert (found.preprocessing.order, found.preprocessing.scale) == (wanted.order, wanted.scale)
    np.testing.assert_allclose(found.preprocessing.mean, wanted.mean, rtol=1e-6)
    assert ("BSD" if layout[0] == "t" else "CC BY 4.0") in found.provenance.licence


def refold(layers: Layers, order: str, scale: np.ndarray) -> Layers:
    """The network that sees `scale` times what `layers` sees, per channel in `order`, and computes the same."""
    first = dict(layers["block1_conv1"])
    kernel = first["kernel"][:, :, ::-1] if order == "rgb" else first["kernel"]
    first["kernel"] = (kernel / scale[:, None]).astype(np.float32)
    return {**layers, "block1_conv1": first}


def test_keras_and_torchvision_files_of_one_network_give_the_same_features(tmp_path: Path) -> None:
    # Zero padding stands for the mean colour, so the two agree to the last border pixel only where the means do.
    # The published ones nearly do: 0.485 * 255 = 123.675 to Caffe's 123.68. Here the Keras-layout network gets
    # torchvision's means; the next test measures what the published difference does.
    layers = random_layers(WIDTHS)
    scale = 1 / (255 * np.array(TORCHVISION_PREPROCESSING.std))
    write_keras(tmp_path / "keras.h5", layers, "1")
    write_torch_safetensors(tmp_path / "torch.safetensors", refold(layers, "rgb", scale))
    keras, torch = read_weights(tmp_path / "keras.h5").network, read_weights(tmp_path / "torch.safetensors").network
    means = tuple(255 * mean for mean in TORCHVISION_PREPROCESSING.mean[::-1])
    module = keras.module.clone(preprocessing=KERAS_PREPROCESSING._replace(mean=means))
    keras = keras.replace(module=module)
    photo = jnp.asarray(textured_photo(64, 96), jnp.float32)
    expected, got = keras.features(photo, TAPS), torch.features(photo, TAPS)
    for tap in TAPS:
        size = float(jnp.abs(expected[tap]).max())
        assert size > 0
        np.testing.assert_allclose(got[tap], expected[tap], atol=1e-5 * size, rtol=0)


def test_published_means_matter_only_at_the_border(tmp_path: Path) -> None:
    # With the bias shifted by what the kernels make of the difference of means, features agree wherever no zero
    # padding is in sight, and nearly so at the border.
    layers = random_layers(WIDTHS)
    scale = 1 / (255 * np.array(TORCHVISION_PREPROCESSING.std))
    difference = 255 * np.array(TORCHVISION_PREPROCESSING.mean[::-1]) - np.array(KERAS_PREPROCESSING.mean)
    folded = refold(layers, "rgb", scale)
    first = layers["block1_conv1"]
    folded["block1_conv1"]["bias"] = (
        first["bias"] + np.einsum("ijco,c->o", first["kernel"].astype(np.float64), difference)
    ).astype(np.float32)
    write_keras(tmp_path / "keras.h5", layers, "2")
    write_torch_safetensors(tmp_path / "torch.safetensors", folded)
    keras, torch = read_weights(tmp_path / "keras.h5").network, read_weights(tmp_path / "torch.safetensors").network
    photo = jnp.asarray(textured_photo(48, 64), jnp.float32)
    expected = np.asarray(keras.features(photo, ("block1_conv2",))["block1_conv2"])
    got = np.asarray(torch.features(photo, ("block1_conv2",))["block1_conv2"])
    size = np.abs(expected).max()
    np.testing.assert_allclose(got[2:-2, 2:-2], expected[2:-2, 2:-2], atol=1e-5 * size, rtol=0)
    border = np.abs(got - expected).max() / size
    assert 1e-5 < border < 1e-2


def test_matconvnet_and_keras_files_of_one_network_give_the_same_features(tmp_path: Path) -> None:
    layers = random_layers(WIDTHS)
    write_keras(tmp_path / "keras.h5", layers, "2")
    write_matconvnet(tmp_path / "net.mat", refold(layers, "rgb", np.ones(3)))
    photo = jnp.asarray(textured_photo(64, 96), jnp.float32)
    expected = read_weights(tmp_path / "keras.h5").network.features(photo, TAPS)
    got = read_weights(tmp_path / "net.mat").network.features(photo, TAPS)
    for tap in TAPS:
        np.testing.assert_allclose(got[tap], expected[tap], atol=1e-5 * float(jnp.abs(expected[tap]).max()), rtol=0)


def test_our_own_format_is_a_layout_too(tmp_path: Path) -> None:
    provenance = Provenance("tiny", "random.h5", "ab" * 32, "none")
    save_weights(tmp_path / "w", random_layers(WIDTHS), TORCHVISION_PREPROCESSING, provenance)
    found = read_layout(tmp_path / "w")
    assert (found.layout, found.provenance) == ("dnr_jax safetensors", provenance)
    assert found.preprocessing == TORCHVISION_PREPROCESSING


VGG16 = [layer for layer in CONV_LAYERS if not (Level(layer).block >= 3 and layer.endswith("conv4"))]


@pytest.mark.parametrize(
    ("layout", "faults"),
    [
        ("Keras 2 HDF5", ("missing block3_conv4", "missing block4_conv4", "missing block5_conv4")),
        ("Keras 3 weights HDF5", ("missing block5_conv2", "missing block5_conv4", "block3_conv4 has shapes")),
        ("torchvision safetensors", ("missing block5_conv4", "block3_conv4 has shapes (3, 3, 6, 7)")),
        ("MatConvNet", ("missing block3_conv4", "missing block5_conv4")),
    ],
)
def test_vgg16_is_refused_with_what_it_lacks(tmp_path: Path, layout: str, faults: tuple[str, ...]) -> None:
    layers = random_layers(WIDTHS)
    thirteen = {layer: layers[layer] for layer in VGG16}
    thirteen["block4_conv1"] = random_layers((4, 5, 6, 7, 8), seed=2)["block4_conv1"]
    if layout == "torchvision safetensors":
        # VGG16's own places: its fourth block begins where VGG19's third still runs.
        places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
        arrays = {}
        for place, layer in zip(places, VGG16, strict=True):
            arrays[f"features.{place}.weight"] = np.ascontiguousarray(thirteen[layer]["kernel"].transpose(3, 2, 0, 1))
            arrays[f"features.{place}.bias"] = thirteen[layer]["bias"]
        (tmp_path / "w").write_bytes(safetensors.numpy.save(arrays))
        faults = ("missing block3_conv4", "missing block5_conv4", "extra features.17", "extra features.24")
    else:
        WRITERS[layout](tmp_path / "w", thirteen, True)
    with pytest.raises(ValueError, match="not a VGG19 network") as caught:
        layer_widths(read_layout(tmp_path / "w").layers, demanded=WIDTHS)
    for fault in faults:
        assert fault in str(caught.value)


def test_batch_normalised_vgg19_is_refused(tmp_path: Path) -> None:
    arrays = torchvision_arrays(random_layers(WIDTHS))
    arrays["features.1.running_mean"] = np.zeros(4, np.float32)
    (tmp_path / "bn").write_bytes(safetensors.numpy.save(arrays))
    with pytest.raises(ValueError, match=r"bn: not a VGG19-shaped network: extra features\.1"):
        read_weights(tmp_path / "bn")


def test_narrow_networks_are_vgg19_shaped_but_not_vgg19() -> None:
    with pytest.raises(ValueError, match=r"block1_conv1 has shapes \(3, 3, 3, 4\) and \(4,\), not \(3, 3, 3, 64\)"):
        layer_widths(random_layers(WIDTHS), demanded=VGG19_WIDTHS)
