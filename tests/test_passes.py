"""Passes of seams on both sides: transposition, insertion, rounds, and masks."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from configs import paper_config

from dnr_jax.networks.taps import Level
from dnr_jax.padding import traced_size
from dnr_jax.planning.carve import insert_width
from dnr_jax.planning.masks import Masks, check_masks, mask_bias, project_mask, widest
from dnr_jax.planning.numbers import traced_numbers
from dnr_jax.planning.passes import Pass, find_passes, replay
from dnr_jax.planning.removal import remove_marked
from dnr_jax.planning.seam_maps import SeamMaps
from dnr_jax.planning.seams import find_seams
from dnr_jax.planning.sides import AXES
from dnr_jax.shapes import find_rounds

TAPS = ("block1_conv2", "block2_conv2", "block3_conv4")
CONFIG = paper_config(taps=TAPS)


def pyramid(size: tuple[int, int], seed: int = 0) -> tuple[jax.Array, ...]:
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.gamma(2.0, 10.0, Level(tap).size(size)).astype(np.float32)) for tap in TAPS)


def passes_of(
    maps: tuple[jax.Array, ...],
    size: tuple[int, int],
    target: tuple[int, int],
    threshold: float = np.inf,
    bias: tuple[jax.Array, ...] | None = None,
) -> tuple[list[Pass], SeamMaps, tuple[int, int]]:
    """What is marked for removal, then the rounds to the target, without those that were not asked for."""
    numbers, end = traced_numbers(CONFIG), traced_size(target)
    removals, left, size, _ = remove_marked(SeamMaps(maps, bias), size, numbers, CONFIG)
    limit, rounds = jnp.float32(threshold), find_rounds(size, target)
    found, left, mid = find_passes(left, traced_size(size), end, end, limit, numbers, rounds=rounds, config=CONFIG)
    passes = [step for step in map(Pass.on_host, found) if step.wanted != step.size[AXES[step.side]]]
    return [*removals, *passes], left, (int(mid[0]), int(mid[1]))


def insert_oracle(array: np.ndarray, order: np.ndarray, count: int) -> np.ndarray:
    """Beside each neuron of the first `count` seams, the mean of it and its right neighbour; plain loops."""
    rows = []
    for values, ranks in zip(array, order, strict=True):
        row = []
        for column, value in enumerate(values):
            row.append(value)
            if ranks[column] < count:
                row.append((value + values[min(column + 1, len(values) - 1)]) / 2)
        rows.append(row)
    return np.array(rows, np.float32)


@pytest.mark.parametrize(("target", "threshold"), [((15, 19), np.inf), ((15, 33), np.inf), ((15, 20), 15.0)])
def test_height_is_width_transposed(target: tuple[int, int], threshold: float) -> None:
    size, maps = (15, 27), pyramid((15, 27))
    across, left, mid = passes_of(maps, size, target, threshold)
    down, top, high = passes_of(tuple(m.T for m in maps), (27, 15), (target[1], target[0]), threshold)
    assert mid == high[::-1]
    assert [step.side for step in across] == ["width"]
    assert [step.side for step in down] == ["height"]
    jax.tree.map(np.testing.assert_array_equal, across[0].carving, down[0].carving)
    for level, (a, b) in enumerate(zip(left.maps, top.maps, strict=True)):
        height, width = Level(TAPS[level]).size(mid)
        np.testing.assert_array_equal(a[:height, :width], b.T[:height, :width])


def test_removal_replays_the_kept_columns() -> None:
    size, target = (15, 27), (15, 18)
    maps = pyramid(size)
    passes, left, mid = passes_of(maps, size, target)
    assert mid == target
    expected = oracles.carve_width(tuple(np.asarray(m) for m in maps), 27, 18, np.inf, CONFIG.alpha, TAPS, "projected")
    for level, oracle in enumerate(expected.levels):
        width = Level(TAPS[level]).size(mid)[1]
        gathered = oracles.gather_columns(np.asarray(maps[level]), oracle.kept)
        np.testing.assert_array_equal(left.maps[level][:, :width], gathered)
        stacked = jnp.stack([maps[level], -maps[level]], -1)
        replayed = replay(passes, stacked, level, CONFIG)
        np.testing.assert_array_equal(replayed[:, :width, 1], -gathered)


@pytest.mark.parametrize("count", [0, 1, 5, 9])
def test_insertion_against_loops(count: int) -> None:
    rng = np.random.default_rng(count)
    cost = rng.integers(0, 5, (7, 18)).astype(np.float32)
    values = rng.normal(size=(7, 18)).astype(np.float32)
    seams = find_seams(jnp.asarray(cost), count)
    inserted = insert_width(jnp.asarray(values), seams, 30)
    expected = insert_oracle(values, np.asarray(seams.order), count)
    np.testing.assert_allclose(inserted[:, : 18 + count], expected, rtol=1e-6)


def test_insertion_ignores_padding() -> None:
    rng = np.random.default_rng(0)
    cost = rng.gamma(1.0, 1.0, (6, 11)).astype(np.float32)
    padded = jnp.pad(jnp.asarray(cost), ((0, 3), (0, 9)), constant_values=-5)
    plain = insert_width(jnp.asarray(cost), find_seams(jnp.asarray(cost), 4), 15)
    within = insert_width(padded, find_seams(padded, 4, size=(jnp.int32(6), jnp.int32(11))), 24)
    np.testing.assert_array_equal(within[:6, :15], plain[:, :15])


@pytest.mark.parametrize("width", [28, 40, 41, 60, 108])
def test_enlarging_reaches_any_width_in_rounds_of_half(width: int) -> None:
    maps = pyramid((15, 27))
    passes, left, mid = passes_of(maps, (15, 27), (15, width))
    assert mid == (15, width)
    sizes = [27, *(step.new_size[1] for step in passes)]
    assert sizes[-1] == width
    for before, after in itertools.pairwise(sizes):
        assert before < after <= before + before // 2
    for values, tap in zip(left.maps, TAPS, strict=True):
        assert values.shape[1] >= Level(tap).size(mid)[1]
        assert np.isfinite(np.asarray(values)).all()
    # No neuron is used twice in a round: every seam of a round has places of its own.
    for step in passes:
        for tap, seams in zip(TAPS, step.carving.levels, strict=True):
            per_row = (np.asarray(seams.order) < int(seams.removed)).sum(1)
            rows = Level(tap).size((15, 27))[0]
            assert (per_row[:rows] == int(seams.removed)).all()


def test_the_threshold_stops_insertions_for_good() -> None:
    maps = pyramid((15, 40))
    passes, _, mid = passes_of(maps, (15, 40), (15, 100), threshold=0.0)
    assert len(passes) == 1
    # One deepest seam of ten always goes: a tenth of the width is inserted.
    assert mid == (15, 44)


def test_masks_project_and_outweigh() -> None:
    rng = np.random.default_rng(1)
    protect = np.zeros((15, 27), bool)
    protect[6:9, 24:27] = True  # The last column and the leftover beyond the deepest neurons.
    remove = np.zeros_like(protect)
    remove[2, 5] = True
    for stride in (1, 2, 4):
        expected = np.zeros((15 // stride, 27 // stride), bool)
        for y, x in np.argwhere(protect):
            expected[min(y // stride, 15 // stride - 1), min(x // stride, 27 // stride - 1)] = True
        np.testing.assert_array_equal(project_mask(jnp.asarray(protect), stride), expected)
    maps = tuple(jnp.asarray(rng.gamma(2.0, 10.0, Level(tap).size((15, 27))).astype(np.float32)) for tap in TAPS)
    bias = mask_bias(maps, jnp.asarray(protect), jnp.asarray(remove), traced_size(protect.shape), taps=TAPS)
    for values, added in zip(maps, bias, strict=True):
        worst_seam = float(values.max()) * values.shape[0]
        assert float(added.max()) > worst_seam
        assert float(added.min()) < -worst_seam
    marked = np.asarray(bias[0] < 0)
    assert marked[:5, 3:8].all()
    assert marked.sum() == 25  # A halo of two pixels.


def test_one_mask_alone_is_as_beside_an_empty_one() -> None:
    size, maps = (15, 27), pyramid((15, 27))
    mark, nothing = np.zeros(size, bool), jnp.zeros(size, bool)
    mark[6:9, 20:24] = True
    for protect, remove in ((jnp.asarray(mark), None), (None, jnp.asarray(mark))):
        alone = mask_bias(maps, protect, remove, traced_size(size), taps=TAPS)
        beside = [nothing if mask is None else mask for mask in (protect, remove)]
        both = mask_bias(maps, *beside, traced_size(size), taps=TAPS)
        for found, expected in zip(alone, both, strict=True):
            np.testing.assert_array_equal(found, expected)
            assert np.any(np.asarray(found) != 0)


def test_what_is_marked_goes_and_what_is_protected_stays() -> None:
    size = (40, 60)
    maps = pyramid(size, 2)
    remove, protect = np.zeros(size, bool), np.zeros(size, bool)
    remove[10:30, 20:26] = True
    remove[25:33, 26:31] = True
    protect[5:35, 40:60] = True
    bias = mask_bias(maps, jnp.asarray(protect), jnp.asarray(remove), traced_size(protect.shape), taps=TAPS)
    passes, left, mid = passes_of(maps, size, (40, 36), bias=bias)
    assert mid == (40, 36)
    assert left.bias is not None
    assert not (np.asarray(left.bias[0])[:40, :36] < 0).any()
    marks = jnp.stack([jnp.asarray(remove), jnp.asarray(protect)], -1).astype(jnp.float32)
    replayed = np.asarray(replay(passes, marks, 0, CONFIG))[:40, :36]
    assert not replayed[..., 0].any()
    assert replayed[..., 1].sum() == protect.sum()
    # And back to the size it had: the hole is closed by insertions elsewhere.
    passes, _, mid = passes_of(maps, size, size, bias=bias)
    assert mid == size
    assert {step.grow for step in passes} == {False, True}
    replayed = np.asarray(replay(passes, marks, 0, CONFIG))[:40, :60]
    assert not replayed[..., 0].any()


def test_removal_takes_the_side_that_needs_fewer_seams() -> None:
    size = (40, 60)
    maps = pyramid(size, 3)
    remove = np.zeros(size, bool)
    remove[12:16, 10:40] = True
    bias = mask_bias(maps, jnp.zeros(size, bool), jnp.asarray(remove), traced_size(size), taps=TAPS)
    passes, _, _ = passes_of(maps, size, size, bias=bias)
    assert passes[0].side == "height"


def test_removal_spares_what_is_protected_where_the_other_side_can() -> None:
    size = (96, 96)
    maps = pyramid(size, 3)
    remove, protect = np.zeros(size, bool), np.zeros(size, bool)
    remove[20:40, 40:52] = True  # Fewer seams go down, but a line of text lies in their way.
    protect[46:54, 18:74] = True
    bias = mask_bias(maps, jnp.asarray(protect), jnp.asarray(remove), traced_size(size), taps=TAPS)
    removal = remove_marked(SeamMaps(maps, bias), size, traced_numbers(CONFIG), CONFIG)
    assert [step.side for step in removal.passes] == ["height"]
    assert removal.taken == 0
    marks = jnp.asarray(protect, jnp.float32)[..., None]
    assert np.asarray(replay(removal.passes, marks, 0, CONFIG)).sum() == protect.sum()
    # Where neither side has a way past, what goes is counted.
    protect[14:18, :] = True
    protect[:, 60:64] = True
    protect &= ~remove
    bias = mask_bias(maps, jnp.asarray(protect), jnp.asarray(remove), traced_size(size), taps=TAPS)
    removal = remove_marked(SeamMaps(maps, bias), size, traced_numbers(CONFIG), CONFIG)
    marks = jnp.asarray(protect, jnp.float32)[..., None]
    left = np.asarray(replay(removal.passes, marks, 0, CONFIG))[: removal.size[0], : removal.size[1]]
    assert removal.taken == protect.sum() - left.sum() > 0


def test_masks_that_cannot_be_served_are_refused() -> None:
    size = (8, 10)
    half = np.zeros(size, bool)
    half[:, :5] = True
    check_masks(Masks(half, ~half), size)
    with pytest.raises(ValueError, match=r"protect mask is bool \(8, 5\)"):
        check_masks(Masks(half[:, :5]), size)
    with pytest.raises(ValueError, match="remove mask is uint8"):
        check_masks(Masks(None, half.astype(np.uint8)), size)
    with pytest.raises(ValueError, match="share 40 pixels"):
        check_masks(Masks(half, half), size)
    with pytest.raises(ValueError, match="whole photo"):
        check_masks(Masks(None, np.ones(size, bool)), size)
    assert widest(half) == 5
    assert widest(half.T) == 8
