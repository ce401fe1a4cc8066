"""The sides of padded arrays: arithmetic only."""

import numpy as np
import pytest

from dnr_jax.planning.importance import overview_size
from dnr_jax.shapes import LEAST_SIDE, PER_OCTAVE, bucket_shape, bucket_side, largest_overview, side_step

SIDES = range(1, 5001)


@pytest.mark.parametrize("per_octave", [1, 2, PER_OCTAVE, 16])
def test_sides_hold_their_photos_are_multiples_of_32_and_rise(per_octave: int) -> None:
    sides = [bucket_side(n, per_octave=per_octave) for n in SIDES]
    assert all(side >= n and side % LEAST_SIDE == 0 for n, side in zip(SIDES, sides, strict=True))
    assert sides == sorted(sides)
    # A side is its own bucket: what was padded once is not padded again.
    assert all(bucket_side(side, per_octave=per_octave) == side for side in sides)
    # The step is the distance to the next lower side.
    for lower, side in zip(sorted({0, *sides}), sorted(set(sides)), strict=False):
        assert side - lower == side_step(side, per_octave=per_octave)
        assert {bucket_side(n, per_octave=per_octave) for n in (lower + 1, side)} == {side}


def test_sides_are_few_and_padding_is_little() -> None:
    assert PER_OCTAVE == 8
    lengths = np.arange(300, 1501)
    ratio = np.array([bucket_side(int(n)) for n in lengths]) / lengths
    # Both sides of a photo, independently.
    overhead = float(np.mean(ratio)) ** 2 - 1
    assert 0.06 < overhead < 0.12
    assert overhead == pytest.approx(0.09, abs=0.01)
    assert ratio.max() < 1 + 1 / 8
    assert len({bucket_side(int(n)) for n in lengths}) <= 22
    assert len({bucket_side(n) for n in range(512, 1024)} - {512}) == PER_OCTAVE


def test_a_shape_is_both_sides() -> None:
    assert bucket_shape((480, 650)) == (480, 704)
    assert bucket_shape((1, 33)) == (32, 64)
    for size in ((300, 500), (1024, 1025)):
        assert bucket_shape(size) == (bucket_side(size[0]), bucket_side(size[1]))


@pytest.mark.parametrize("side", [384, 100, 640])
@pytest.mark.parametrize("per_octave", [1, PER_OCTAVE, 16])
def test_the_largest_overview_holds_that_of_every_photo_of_its_shape(side: int, per_octave: int) -> None:
    lengths = sorted({bucket_side(n, per_octave=per_octave) for n in range(32, 2049)})
    rng = np.random.default_rng(side)
    for shape in [(h, w) for h in lengths for w in lengths if rng.random() < 0.25 or h == w]:
        held = largest_overview(shape, side, per_octave=per_octave)
        assert held[0] % 32 == held[1] % 32 == 0
        assert max(held) <= -(-side // 32) * 32
        spans = [(n - side_step(n, per_octave=per_octave) + 1, n) for n in shape]
        corners = [(h, w) for h in spans[0] for w in spans[1]]
        least, most = (np.array(ends) for ends in zip(*spans, strict=True))
        inside = [(int(h), int(w)) for h, w in rng.integers(least, most, (6, 2), endpoint=True)]
        for size in (*corners, *inside):
            assert (bucket_side(size[0], per_octave=per_octave), bucket_side(size[1], per_octave=per_octave)) == shape
            seen = overview_size((size[0], size[1]), side)
            assert seen[0] <= held[0]
            assert seen[1] <= held[1]
