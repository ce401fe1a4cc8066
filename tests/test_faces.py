"""Faces of whole photos: merging, padding, and a real face."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import oracles_detectors as oracles
import pytest
from u2net_files import real_photo

from dnr_jax.networks import faces as module
from dnr_jax.networks.faces import (
    LEAST_SCORE,
    LEAST_VOTE,
    MOST_FACES,
    find_faces,
    merge,
    mirrored,
    mirrored_boxes,
)
from dnr_jax.networks.letterbox import Letterbox
from dnr_jax.weights.detectors import read_faces


def random_boxes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 100, (count, 2)), rng.uniform(10, 40, (count, 1))
    return np.concatenate([corner, corner + side], 1).astype(np.float32), rng.uniform(0, 1, count).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_merging_is_the_oracles(seed: int) -> None:
    boxes, scores = random_boxes(60, seed)
    found = merge(jnp.asarray(boxes), jnp.asarray(scores))
    expected = oracles.merged(boxes, scores, LEAST_SCORE, LEAST_VOTE)
    assert 3 < len(expected) < 60
    assert found.boxes.shape == (MOST_FACES, 4)
    assert int(jnp.sum(found.scores > 0)) == len(expected)
    for n, (box, score) in enumerate(expected):
        np.testing.assert_allclose(found.boxes[n], box, rtol=1e-5)
        assert float(found.scores[n]) == pytest.approx(score)
    assert not np.any(found.boxes[len(expected) :])


def test_merging_returns_the_likeliest() -> None:
    boxes = jnp.asarray([[10.0 * n, 0, 10 * n + 9, 9] for n in range(5)])
    found = merge(boxes, jnp.asarray([0.7, 0.9, 0.65, 0.8, 0.1]), most=2)
    np.testing.assert_allclose(found.scores, (0.9, 0.8), rtol=1e-6)
    np.testing.assert_allclose(found.boxes, boxes[jnp.array([1, 3])], rtol=1e-6)


def test_merging_nothing_and_mapped() -> None:
    nothing = merge(jnp.zeros((4, 4)), jnp.zeros(4))
    assert not np.any(nothing.boxes)
    assert not np.any(nothing.scores)
    both = [random_boxes(20, seed) for seed in (1, 2)]
    mapped = jax.jit(jax.vmap(merge))(*(jnp.asarray(np.stack(parts)) for parts in zip(*both, strict=True)))
    for n, (boxes, scores) in enumerate(both):
        np.testing.assert_allclose(mapped.boxes[n], merge(jnp.asarray(boxes), jnp.asarray(scores)).boxes, rtol=1e-5)


def test_the_mirror_exchanges_left_and_right_of_the_photo_alone() -> None:
    image = np.zeros((4, 7, 3), np.float32)
    image[:3, :5] = np.random.default_rng(0).uniform(0, 255, (3, 5, 3))
    turned = mirrored(Letterbox(jnp.asarray(image), (jnp.int32(3), jnp.int32(5))))
    np.testing.assert_array_equal(turned.image[:3, :5], image[:3, 4::-1])
    assert not np.any(turned.image[3:])
    assert not np.any(turned.image[:, 5:])
    # The columns 1 to 3 of the photo are 2 to 4 of its mirror image.
    box = mirrored_boxes(jnp.asarray([[0.0, 1, 2, 3]]), (jnp.int32(3), jnp.int32(5)))
    np.testing.assert_array_equal(box, [[0, 2, 2, 4]])


def test_what_is_seen_in_the_mirror_counts(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = real_photo(shared, "046")[:, 60:380]
    network, _ = read_faces()
    both = find_faces(network, photo)
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def kept(boxes: jax.Array, scores: jax.Array) -> module.Faces:
        seen.append((np.asarray(boxes), np.asarray(scores)))
        return merge(boxes, scores)

    monkeypatch.setattr(module, "merge", kept)
    find_faces(network, photo)
    boxes, scores = seen[0]
    plain, turned = (
        slice(256 + 256 * n, 512 + 256 * n) for n in (0, 2)
    )  # The middle resolution, and its mirror image.
    best, best_turned = (boxes[view][np.argmax(scores[view])] for view in (plain, turned))
    # One face, in one place, seen twice; and the answer heeds both.
    np.testing.assert_allclose(best_turned, best, rtol=0, atol=20)
    assert np.max(scores[turned]) > LEAST_VOTE
    without = merge(jnp.asarray(boxes[:768]), jnp.asarray(scores[:768])).boxes[0]
    scale = both[0][0] / merge(jnp.asarray(boxes), jnp.asarray(scores)).boxes[0]
    assert np.max(np.abs(without * scale - both[0][0])) > 0.01


def test_a_real_face_is_found_at_any_size(shared: Path) -> None:
    photo = real_photo(shared, "046")[:, 60:380]
    network, _ = read_faces()
    boxes, scores = find_faces(network, photo)
    assert (boxes.shape, boxes.dtype, scores.shape, scores.dtype) == ((1, 4), np.float32, (1,), np.float32)
    assert scores[0] > 0.7
    top, left, bottom, right = boxes[0]
    assert 0 <= top < 60 < 200 < bottom <= 240
    assert 60 < left < 120 < 220 < right < 290
    # The same face, 21 pixels wide, in the corner of a large grey photo.
    small = jax.image.resize(photo[:240, 50:290], (33, 33, 3), "linear")
    grey = jnp.full((400, 500, 3), 120.0).at[340:373, 440:473].set(small)
    boxes, scores = find_faces(network, grey)
    assert len(scores) == 1
    assert np.all(boxes[0] >= (335, 435, 335, 435))
    assert np.all(boxes[0] <= (378, 478, 378, 478))


def test_padding_does_not_matter_and_sizes_share_programs(shared: Path) -> None:
    photo = np.asarray(real_photo(shared, "046"))[:, 60:380]
    height, width = photo.shape[:2]
    padded = np.full((320, 384, 3), np.nan, np.float32)
    padded[:height, :width] = photo
    network, _ = read_faces()
    alone = find_faces(network, jnp.asarray(photo))
    found = find_faces(network, jnp.asarray(padded), size=(jnp.int32(height), jnp.int32(width)))
    for expected, result in zip(alone, found, strict=True):
        np.testing.assert_allclose(result, expected, rtol=0, atol=0.05)
    cache_size = getattr(module.candidates, "_cache_size")  # noqa: B009
    held = cache_size()
    find_faces(network, jnp.asarray(padded), size=(jnp.int32(height - 9), jnp.int32(width)))
    assert cache_size() == held


def test_a_photo_without_faces() -> None:
    boxes, scores = find_faces(read_faces()[0], jnp.full((100, 100, 3), 90.0))
    assert (boxes.shape, scores.shape) == ((0, 4), (0,))
