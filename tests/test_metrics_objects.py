"""What becomes of objects: against loops, by hand, and by the registration of results with a known history."""

import math

import numpy as np
import oracles_metrics as oracles
import pytest

from dnr_jax.metrics import Registration, object_aspect_distortion, register, saliency_discard_ratio, scaling_map
from dnr_jax.metrics.objects import LOST
from dnr_jax.metrics.pairs import area_scale

SHAPE = (90, 160)


def boxes(*corners: tuple[int, int, int, int], shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Objects that fill boxes (top, left, bottom, right), bool [n, H, W]."""
    masks = np.zeros((len(corners), *shape), bool)
    for mask, (top, left, bottom, right) in zip(masks, corners, strict=True):
        mask[top:bottom, left:right] = True
    return masks


def disc(row: int, column: int, radius: int) -> np.ndarray:
    """bool [1, H, W]."""
    rows, columns = np.indices(SHAPE)
    return ((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)[None]


def in_place(columns: np.ndarray) -> Registration:
    """The map of a result whose rows stayed where they were; float [W'] or [H, W'] columns."""
    columns = np.broadcast_to(columns, (SHAPE[0], columns.shape[-1])).astype(np.float32)
    return Registration(np.indices(columns.shape, np.float32)[0], columns)


@pytest.mark.parametrize("seed", range(4))
def test_measures_equal_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape, size = (14, 22), ((14, 15), (9, 22), (9, 15), (18, 30))[seed]
    masks = rng.uniform(size=(3, *shape)) < 0.05
    masks[:, 4, 5] = True
    exact = scaling_map(shape, size)
    rows, columns = (p + rng.uniform(-2, 2, size).astype(np.float32) for p in exact)
    changed = [axis for axis in (0, 1) if shape[axis] != size[axis]]
    expected = np.mean([oracles.discarded(list(masks), rows, columns, axis) for axis in changed])
    assert saliency_discard_ratio(masks, Registration(rows, columns)) == pytest.approx(expected)
    expected = np.mean([oracles.proportions_changed(mask, rows, columns) for mask in masks])
    assert object_aspect_distortion(masks, Registration(rows, columns)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("share", [0.75, 0.5, 1.25])
def test_uniform_scaling_by_hand(share: float) -> None:
    objects = boxes((10, 20, 50, 100), (30, 120, 70, 160))
    for size in ((90, round(160 * share)), (round(90 * share), 160)):
        exact = scaling_map(SHAPE, size)
        assert saliency_discard_ratio(objects, exact) == pytest.approx(abs(1 - share), abs=0.02)
        assert object_aspect_distortion(objects, exact) == pytest.approx(abs(math.log(share)), abs=0.02)
    # Both sides alike: smaller or larger, with the same proportions.
    even = scaling_map(SHAPE, (round(90 * share), round(160 * share)))
    assert saliency_discard_ratio(objects, even) == pytest.approx(abs(1 - share), abs=0.02)
    assert object_aspect_distortion(objects, even) == pytest.approx(0, abs=0.02)


def test_the_photo_itself_has_lost_nothing() -> None:
    same = scaling_map(SHAPE, SHAPE)
    objects = boxes((10, 20, 50, 100), (30, 0, 70, 160))
    assert saliency_discard_ratio(objects, same) == object_aspect_distortion(objects, same) == 0
    thin = np.zeros_like(objects)
    thin[:, 5:20, 7] = True
    assert object_aspect_distortion(thin, same) == 0


def test_cropping_by_hand() -> None:
    window = in_place(np.arange(60, 140.0))
    half = boxes((10, 40, 50, 80))  # Its left half is gone: fewer columns, and the rest as it was.
    assert saliency_discard_ratio(half, window) == 0.5
    assert object_aspect_distortion(half, window) == 0
    gone = boxes((10, 0, 50, 40))
    assert saliency_discard_ratio(gone, window) == 1
    assert object_aspect_distortion(gone, window) == LOST
    # 2 of 40 columns are left: nothing that has proportions.
    assert object_aspect_distortion(boxes((10, 22, 50, 62)), window) == LOST
    # Objects share columns but not their fate: the mean over both, the columns of either.
    assert object_aspect_distortion(np.concatenate([half, gone]), window) == LOST / 2
    assert saliency_discard_ratio(np.concatenate([half, gone]), window) == 1 - 20 / 80


def test_an_object_counts_as_lost_at_most() -> None:
    squeezed = in_place(np.linspace(0, 159, 20))
    assert object_aspect_distortion(boxes((10, 20, 50, 100)), squeezed) == LOST
    # One column of the photo again and again: its width has no meaning.
    smeared = in_place(np.full(80, 50.0))
    assert object_aspect_distortion(boxes((10, 20, 50, 100)), smeared) == LOST


def test_what_lies_outside_the_photo_is_no_object() -> None:
    objects = boxes((0, 0, 90, 160))
    beyond = in_place(np.arange(-20.0, 100))
    assert saliency_discard_ratio(objects, beyond) == 1 - 100 / 160
    assert object_aspect_distortion(objects, beyond) == 0


def warped(width: int) -> np.ndarray:
    """Columns of a warp that squeezes the sides and keeps the middle."""
    shares = np.where(np.abs(np.arange(SHAPE[1]) - 80) < 40, 1.0, 0.3)
    edges = np.concatenate([[0], np.cumsum(shares)]) * (width / shares.sum())
    return np.interp(np.arange(width) + 0.5, edges, np.arange(SHAPE[1] + 1)) - 0.5


HISTORIES = {
    "crop": lambda width: np.arange(width) + 32.0,
    "scale": lambda width: (np.arange(width) + 0.5) * SHAPE[1] / width - 0.5,
    "warp": warped,
    "carve": lambda width: oracles.carved_columns(SHAPE, SHAPE[1] - width, 2),
}


@pytest.mark.parametrize("width", [120, 80])
@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("turned", [False, True], ids=["narrowed", "lowered"])
def test_registration_and_exact_maps_agree(history: str, width: int, turned: bool) -> None:
    photo = oracles.textured(SHAPE, 1)
    columns = HISTORIES[history](width)
    exact = in_place(columns)
    if history == "scale":
        image = area_scale(photo, (SHAPE[0], width))
    else:
        left = np.clip(np.floor(exact.columns).astype(int), 0, SHAPE[1] - 2)
        share = (np.clip(exact.columns, 0, SHAPE[1] - 1) - left)[..., None]
        pixels = [np.take_along_axis(photo, (left + step)[..., None], 1) for step in (0, 1)]
        image = pixels[0] * (1 - share) + pixels[1] * share
    objects = np.concatenate([disc(45, 70, 30), disc(30, 120, 22), boxes((50, 20, 80, 60))])
    if turned:
        photo, image, objects = photo.swapaxes(0, 1), image.swapaxes(0, 1), objects.swapaxes(1, 2)
        exact = Registration(exact.columns.T, exact.rows.T)
    found = register(photo, image)
    assert saliency_discard_ratio(objects, found) == pytest.approx(saliency_discard_ratio(objects, exact), abs=0.03)
    assert object_aspect_distortion(objects, found) == pytest.approx(object_aspect_distortion(objects, exact), abs=0.05)


def test_what_cannot_be_measured_is_refused() -> None:
    same = scaling_map(SHAPE, SHAPE)
    for objects in (np.zeros((0, *SHAPE), bool), np.zeros((1, *SHAPE), bool), np.ones(SHAPE, bool), np.ones((1, 9, 9))):
        for measure in (saliency_discard_ratio, object_aspect_distortion):
            with pytest.raises(ValueError, match=r"objects are .*: give bool"):
                measure(objects, same)
    with pytest.raises(ValueError, match="give rows and columns"):
        saliency_discard_ratio(np.ones((1, *SHAPE), bool), Registration(same.rows, same.columns[:, :5]))
    with pytest.raises(ValueError, match="not finite"):
        saliency_discard_ratio(np.ones((1, *SHAPE), bool), Registration(same.rows, same.columns * np.nan))
