"""Bidirectional similarity and the semantic score: against loops, by hand, and what they must refuse."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import oracles_metrics as oracles
import oracles_networks
import pytest
from conftest import random_layers

from dnr_jax.metrics import (
    bidirectional_parts,
    bidirectional_similarity,
    is_papers_score,
    semantic_label,
    semantic_score,
)
from dnr_jax.metrics.pairs import area_scale, to_lab
from dnr_jax.metrics.semantic import SCORE_TAP
from dnr_jax.metrics.similarity import nearest_rows
from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import Level
from dnr_jax.networks.vgg import KERAS_PREPROCESSING, TORCHVISION_PREPROCESSING, VGG
from dnr_jax.weights import Provenance, Weights, read_weights


def random_image(shape: tuple[int, int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.uint8)


def test_lab_has_the_published_values() -> None:
    colours = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [119, 119, 119]]], np.uint8)
    expected = [
        [100, 0, 0],
        [0, 0, 0],
        [53.24, 80.09, 67.20],
        [87.73, -86.18, 83.18],
        [32.30, 79.19, -107.86],
        [50, 0, 0],
    ]
    np.testing.assert_allclose(to_lab(colours)[0], expected, rtol=0, atol=0.05)
    np.testing.assert_allclose(
        to_lab(random_image((3, 4), 1))[1, 2], oracles.lab(random_image((3, 4), 1)[1, 2]), atol=1e-3
    )


def test_area_scaling_averages_what_a_pixel_covers() -> None:
    row = np.array([[0, 3, 6, 9, 12, 15]], np.float32)
    np.testing.assert_allclose(area_scale(row, (1, 2)), [[3, 12]], rtol=1e-6)
    # A pixel of one and a half: all of the first and half of the second.
    np.testing.assert_allclose(area_scale(row, (1, 4)), [[1, 5, 10, 14]], rtol=1e-6)
    image = random_image((8, 6), 2).astype(np.float32)
    np.testing.assert_allclose(area_scale(image, (4, 3)), oracles.halved(image), rtol=1e-5)
    np.testing.assert_array_equal(area_scale(image, (8, 6)), image)


@pytest.mark.parametrize("shapes", [((9, 12), (9, 8)), ((7, 6), (10, 6)), ((5, 5), (5, 5))])
@pytest.mark.parametrize("patch", [1, 3])
def test_bidirectional_similarity_equals_loops(shapes: tuple[tuple[int, int], tuple[int, int]], patch: int) -> None:
    original, retargeted = random_image(shapes[0], 3), random_image(shapes[1], 4)
    expected = oracles.bidirectional(original, retargeted, patch)
    parts = bidirectional_parts(original, retargeted, patch=patch, side=64, scales=1)
    np.testing.assert_allclose(parts, expected, rtol=1e-4)
    found = bidirectional_similarity(original, retargeted, patch=patch, side=64, scales=1)
    assert found == pytest.approx(sum(expected), rel=1e-4)


def test_bidirectional_similarity_averages_scales_and_leaves_out_those_too_small() -> None:
    original, retargeted = random_image((16, 24), 5).astype(np.float32), random_image((16, 20), 6).astype(np.float32)
    scales = [
        oracles.bidirectional(original, retargeted, 3),
        oracles.bidirectional(oracles.halved(original), oracles.halved(retargeted), 3),
    ]
    found = bidirectional_parts(original, retargeted, patch=3, side=24, scales=2)
    np.testing.assert_allclose(found, np.mean(scales, 0), rtol=1e-3)
    # At the fourth scale two rows are left, and no patch of three fits.
    three = bidirectional_parts(original, retargeted, patch=3, side=24, scales=3)
    assert three != found
    assert bidirectional_parts(original, retargeted, patch=3, side=24, scales=9) == three
    # side: the same from images that were halved before.
    small = bidirectional_parts(original, retargeted, patch=3, side=12, scales=1)
    np.testing.assert_allclose(small, scales[1], rtol=1e-3)


def test_nearest_rows_are_exact_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dnr_jax.metrics.similarity._BLOCK", 7)
    rng = np.random.default_rng(7)
    first, second = (rng.normal(50, 9, (n, 5)).astype(np.float32) for n in (40, 33))
    distances = ((first[:, None].astype(float) - second[None]) ** 2).sum(-1)
    forth, back = nearest_rows(first, second)
    np.testing.assert_array_equal(forth, distances.argmin(1))
    np.testing.assert_array_equal(back, distances.argmin(0))


def test_what_bidirectional_similarity_says() -> None:
    photo = oracles.textured((60, 80), 0)
    assert bidirectional_similarity(photo, photo) == 0
    cropped = bidirectional_parts(photo, photo[:, 10:60], scales=1)
    assert cropped.coherence == 0  # All of it is in the photo.
    assert cropped.completeness > 1  # Not all of the photo is in it.
    new = photo.copy()
    new[20:40, 30:50] = [255, 0, 255]
    assert bidirectional_parts(photo, new).coherence > bidirectional_parts(photo, photo[::-1]).coherence / 10


def test_images_and_patches_that_cannot_be_compared_are_refused() -> None:
    photo = random_image((8, 8), 8)
    with pytest.raises(ValueError, match="retargeted image is uint8 \\(8, 8\\)"):
        bidirectional_similarity(photo, photo[..., 0])
    with pytest.raises(ValueError, match="original image holds values outside"):
        bidirectional_similarity(photo.astype(float) - 300, photo)
    with pytest.raises(ValueError, match="empty"):
        bidirectional_similarity(photo, photo[:0])
    with pytest.raises(ValueError, match="no patch of 7"):
        bidirectional_similarity(photo, photo[:5])
    with pytest.raises(ValueError, match="scales 0"):
        bidirectional_similarity(photo, photo, scales=0)


def test_semantic_score_equals_the_plain_networks(small_vgg: Weights) -> None:
    original, retargeted = random_image((40, 56), 9), random_image((40, 36), 10)
    norms = []
    for image in (original, retargeted):
        pixels = oracles_networks.keras_input(image)
        params = jax.tree.map(np.asarray, small_vgg.network.params)
        activations = oracles_networks.vgg(pixels, params, "block5_conv1")
        norms.append({tap: np.sqrt((values**2).sum()) for tap, values in activations.items()})
    for tap in ("block3_conv1", SCORE_TAP):
        expected = norms[1][tap] / norms[0][tap]
        assert semantic_score(original, retargeted, small_vgg, tap=tap) == pytest.approx(expected, rel=1e-4)
    assert semantic_score(original, original, small_vgg) == 1


def test_semantic_score_refuses_what_it_cannot_read(small_vgg: Weights, shared_taps: Weights) -> None:
    photo = random_image((40, 56), 11)
    with pytest.raises(ValueError, match="8x40 pixels is smaller"):
        semantic_score(photo, photo[:, :8], small_vgg)
    with pytest.raises(ValueError, match="unknown tap"):
        semantic_score(photo, photo, small_vgg, tap="block6_conv1")
    with pytest.raises(ValueError, match="block5_conv1 needs layers that these weights lack"):
        semantic_score(photo, photo, shared_taps)


@pytest.fixture(scope="module")
def shared_taps(small_vgg: Weights) -> Weights:
    """Weights that end after block 3."""
    params = {layer: arrays for layer, arrays in small_vgg.network.params.items() if Level(layer).block <= 3}
    return Weights(Network(params, small_vgg.network.module), small_vgg.provenance)


def test_no_other_weights_score_passes_for_table_1s(embedded: Weights, small_vgg: Weights) -> None:
    source = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
    params = jax.tree.map(jnp.asarray, {"block1_conv1": random_layers((64,) * 5)["block1_conv1"]})
    named = Weights(Network(params, VGG()), Provenance("vgg19", source, "0123456789abcdef", "none"))
    learned = f"embedded {embedded.provenance.sha256[:8]}"
    for weights, name in ((embedded, learned), (small_vgg, "small 00000000"), (named, "vgg19 01234567")):
        assert not is_papers_score(weights)
        label = f"semantic score (block5_conv1 of {name}: not the paper's, not comparable with its Table 1)"
        assert semantic_label(weights) == label


def test_the_papers_weights_are_known_by_their_numbers(shared: Path) -> None:
    weights = read_weights(shared / "data/weights/vgg19_keras_blocks123.h5")
    assert not is_papers_score(weights)  # Another file, which holds no block 5.
    source = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
    provenance = weights.provenance._replace(source=source)
    assert is_papers_score(Weights(weights.network, provenance))
    assert "as in the paper's Table 1" in semantic_label(Weights(weights.network, provenance))
    assert not is_papers_score(Weights(weights.network, provenance), tap="block4_conv1")
    assert weights.network.module.preprocessing == KERAS_PREPROCESSING  # pyright: ignore[reportAttributeAccessIssue]
    other = Network(weights.network.params, VGG(preprocessing=TORCHVISION_PREPROCESSING))
    assert not is_papers_score(Weights(other, provenance))
