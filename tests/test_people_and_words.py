"""The maps of faces and words against plain loops, and both of one photo."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import oracles_detectors as oracles
import pytest
from u2net_files import real_photo

from dnr_jax.config import RetargetConfig
from dnr_jax.networks.u2net import SIDE
from dnr_jax.padding import traced_size
from dnr_jax.planning.people_and_words import draw_faces, draw_words
from dnr_jax.sight import Sight, join, see


@pytest.mark.parametrize("size", [(480, 640), (333, 90)])
def test_the_map_of_faces_is_the_oracles(size: tuple[int, int]) -> None:
    boxes = np.array([[10, 20, 60, 65], [200, 40, 220, 60], [300, 70, 330, 95]], np.float32)
    found = draw_faces(boxes, size)
    assert (found.shape, found.dtype) == ((SIDE, SIDE), np.float32)
    np.testing.assert_allclose(found, oracles.face_map(boxes, size), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(480, 640), (333, 90)])
def test_the_map_of_words_is_the_oracles(size: tuple[int, int]) -> None:
    straight = [[10, 20], [10, 80], [30, 80], [30, 20]]
    slanted = [[100, 10], [130, 70], [114, 78], [84, 18]]
    beyond = [[325, 50], [325, 99], [340, 99], [340, 50]]
    corners = np.array([straight, slanted, beyond], np.float32)
    found = draw_words(corners, size)
    assert (found.shape, found.dtype) == ((SIDE, SIDE), np.float32)
    assert 0 <= found.min() < found.max() == 1
    np.testing.assert_allclose(found[::3, ::3], oracles.word_map(corners, size, every=3), rtol=0, atol=1e-5)


def test_a_box_is_covered_and_its_map_ends() -> None:
    found = draw_faces(np.array([[100, 100, 200, 200]], np.float32), (320, 320))
    assert np.all(found[100:200, 150] == 1)
    assert np.all(found[150, 100:200] == 1)
    assert np.all(found[100:200, 100:200] > 0.4)
    assert np.all(found[:, :50] == 0)
    assert np.all(found[:30] == 0)
    assert np.any((found > 0.1) & (found < 0.9))


def test_nothing_found_is_nothing_drawn() -> None:
    assert not np.any(draw_faces(np.zeros((0, 4), np.float32), (10, 20)))
    assert not np.any(draw_words(np.zeros((0, 4, 2), np.float32), (10, 20)))


def test_what_is_smaller_than_a_place_is_drawn_too() -> None:
    face, word = [[1000, 1000, 1004, 1004]], [[[1000, 1000], [1000, 1008], [1003, 1008], [1003, 1000]]]
    assert draw_faces(np.array(face, np.float32), (4000, 4000)).max() > 0.3
    assert draw_words(np.array(word, np.float32), (4000, 4000)).max() > 0.3


def test_both_of_one_photo(shared: Path) -> None:
    photo = real_photo(shared, "087")
    seen = see(photo, traced_size(photo.shape[:2]), RetargetConfig(keep=("faces", "words")))
    assert seen.face_map is not None
    assert seen.word_map is not None
    assert len(seen.faces) == len(seen.face_scores)
    assert len(seen.words) == len(seen.word_scores) >= 2
    size = (photo.shape[0], photo.shape[1])
    np.testing.assert_array_equal(seen.face_map, draw_faces(seen.faces, size))
    np.testing.assert_array_equal(seen.word_map, draw_words(seen.words, size))
    # ROYAL AIR FORCE on the shirt; the sky.
    row, column = (int(n * SIDE / m) for n, m in zip((310, 380), size, strict=True))
    assert seen.word_map[row, column] == 1
    assert seen.word_map[:30, :30].max() == 0


def test_padding_does_not_matter(shared: Path) -> None:
    photo = np.asarray(real_photo(shared, "087"))
    padded = np.full((416, 512, 3), np.nan, np.float32)
    padded[: photo.shape[0], : photo.shape[1]] = photo
    config, size = RetargetConfig(keep=("faces", "words")), traced_size(photo.shape[:2])
    alone = see(jnp.asarray(photo), size, config)
    found = see(jnp.asarray(padded), size, config)
    for name in ("face_map", "word_map", "salience"):
        np.testing.assert_allclose(getattr(found, name), getattr(alone, name), rtol=0, atol=0.02)


def test_maps_are_joined_by_their_weights() -> None:
    maps = {name: np.zeros((SIDE, SIDE), np.float32) for name in ("objects", "face_map", "word_map")}
    maps["objects"][:40], maps["face_map"][30:60], maps["word_map"][50:100] = 0.8, 1, 1
    sight = Sight(maps["objects"], **maps)
    joined = join(sight, RetargetConfig(object_weight=0.5, face_weight=0.75, word_weight=0.9))[:, 0]
    # Faces count as objects in full, and more; words where nothing counts more.
    expected = np.zeros(SIDE, np.float32)
    expected[:30], expected[30:60], expected[60:100] = 0.4, 1.75, 0.9
    np.testing.assert_allclose(joined, expected, rtol=1e-6)
    without = join(sight, RetargetConfig(face_weight=0.0, word_weight=0.0))
    assert without.max() == np.float32(0.8)
    assert join(sight._replace(face_map=None), RetargetConfig()).max() == np.float32(0.8)


def test_only_what_is_to_be_kept_is_looked_for(shared: Path) -> None:
    photo = real_photo(shared, "087")
    size = traced_size(photo.shape[:2])
    words = see(photo, size, RetargetConfig(keep=("words",), word_weight=0.5))
    assert words.objects is None
    assert words.face_map is None
    assert words.salience.max() == 0.5
    found = words.describe()
    assert "faces" not in found
    assert len(found["words"]) == len(words.words)
    json.dumps(found)
