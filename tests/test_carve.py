"""The hierarchy against plain loops: how many seams at which level, where they are guided, what they leave."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from dnr_jax.networks.taps import projected_footprint, receptive_footprint
from dnr_jax.padding import fit
from dnr_jax.planning import carve
from dnr_jax.planning.carve import Carving, apply_width, carve_width, covered_region, intermediate_width

FINE_TAPS = ("block1_conv2", "block2_conv2", "block3_conv4")
GAP_TAPS = ("block1_conv1", "block3_conv1", "block3_pool")
FOOTPRINTS = {"projected": projected_footprint, "receptive": receptive_footprint}
covered = jax.jit(covered_region, static_argnums=(2, 3))


def pyramid(size: tuple[int, int], taps: tuple[str, ...], seed: int) -> tuple[np.ndarray, ...]:
    """Random importance maps of a photo of `size`, which need not be a multiple of any stride."""
    rng = np.random.default_rng(seed)
    return tuple(rng.gamma(2.0, 10.0, oracles.size(tap, size)).astype(np.float32) for tap in taps)


def percentile(maps: tuple[np.ndarray, ...], q: float) -> float:
    return float(np.percentile(maps[-1], q))


def run(
    maps: tuple[np.ndarray, ...],
    size: tuple[int, int],
    target: int,
    threshold: float,
    alpha: float = 0.5,
    taps: tuple[str, ...] = FINE_TAPS,
    region: str = "projected",
) -> Carving:
    """`carve_width` with the same argument types from everywhere, so that tests share its compilations."""
    arrays = tuple(jnp.asarray(values) for values in maps)
    height, width = (jnp.asarray(n, jnp.int32) for n in size)
    return carve_width(
        arrays, (height, width), target, jnp.asarray(threshold, jnp.float32), alpha, taps=taps, region=region
    )


def check(found: Carving, expected: oracles.Carving, size: tuple[int, int], taps: tuple[str, ...]) -> None:
    """Bit for bit, inside each level's valid part."""
    assert int(found.width) == expected.width
    for tap, seams, guided, wanted, cost in zip(
        taps, found.levels, found.guided, expected.levels, expected.guided, strict=True
    ):
        height, width = oracles.size(tap, size)
        np.testing.assert_array_equal(guided[:height, :width], cost)
        assert int(seams.removed) == wanted.removed
        assert int(seams.width) == wanted.width
        order = np.asarray(seams.order)[:height, :width]
        np.testing.assert_array_equal(np.where(order == seams.order.shape[1], width, order), wanted.order)
        np.testing.assert_array_equal(seams.kept[:height, : wanted.width], wanted.kept)


@pytest.mark.parametrize(
    ("size", "taps", "region"),
    [((15, 27), FINE_TAPS, "projected"), ((15, 27), FINE_TAPS, "receptive"), ((19, 31), GAP_TAPS, "projected")],
)
def test_equals_loops(size: tuple[int, int], taps: tuple[str, ...], region: str) -> None:
    width = size[1]
    stopped = set()
    for seed, (target, q, alpha) in enumerate(
        [(width // 2, 100, 0.5), (width // 2, 20, 0.5), (5, 30, 0.25), (width - 1, 20, 0.5), (1, 100, 0.0)]
    ):
        maps = pyramid(size, taps, seed)
        threshold = percentile(maps, q)
        expected = oracles.carve_width(maps, width, target, threshold, alpha, taps, region)
        found = run(maps, size, target, threshold, alpha, taps=taps, region=region)
        check(found, expected, size, taps)
        stopped.add(expected.width > target)
    # Some of the cases stop early and some do not.
    assert stopped == {True, False}


def test_default_taps_equal_loops() -> None:
    size, taps = (33, 99), oracles.DEFAULT_TAPS
    maps = pyramid(size, taps, 11)
    for target, threshold in ((70, np.inf), (30, 0.0)):
        expected = oracles.carve_width(maps, size[1], target, threshold, 0.5, taps, "projected")
        check(run(maps, size, target, threshold, 0.5, taps=taps), expected, size, taps)
        # 3 deep neurons: one goes of one, or one goes of three.
        assert expected.levels[-1].removed == 1
        assert expected.width == {70: 70, 30: 99 - 33}[target]


@pytest.mark.parametrize("region", ["projected", "receptive"])
def test_padding_changes_nothing(region: str) -> None:
    shape = (24, 28)
    for seed, size in enumerate([(15, 27), (20, 24), (9, 13)]):
        maps = pyramid(size, FINE_TAPS, seed)
        padded = []
        for tap, values in zip(FINE_TAPS, maps, strict=True):
            junk = np.full(oracles.size(tap, shape), (-1e20, 0.0, 1e20)[seed], np.float32)
            junk[: values.shape[0], : values.shape[1]] = values
            padded.append(junk)
        threshold = percentile(maps, 40)
        expected = oracles.carve_width(maps, size[1], 7, threshold, 0.5, FINE_TAPS, region)
        found = run(tuple(padded), size, 7, threshold, 0.5, taps=FINE_TAPS, region=region)
        check(found, expected, size, FINE_TAPS)


@pytest.mark.parametrize("target", range(1, 28))
def test_every_level_loses_what_the_intermediate_width_says(target: int) -> None:
    size = (15, 27)
    for seed, threshold in enumerate([0.0, 18.0, np.inf]):
        found = run(
            pyramid(size, FINE_TAPS, seed),
            size,
            target,
            threshold,
        )
        mid = int(found.width)
        assert target <= mid <= 27
        assert threshold < np.inf or mid == target
        # The deepest level, too: its own count and the ratio agree.
        for tap, seams in zip(FINE_TAPS, found.levels, strict=True):
            assert int(seams.removed) == oracles.size(tap, size)[1] - oracles.size(tap, (15, mid))[1]
            assert int(seams.width) == oracles.size(tap, (15, mid))[1]


def test_a_change_below_one_deep_neuron_leaves_the_deepest_level_alone() -> None:
    size = (15, 27)
    found = run(
        pyramid(size, FINE_TAPS, 0),
        size,
        25,
        0.0,
    )
    assert [int(seams.removed) for seams in found.levels] == [2, 1, 0]
    assert int(found.width) == 25


@pytest.mark.parametrize(
    ("width", "target", "removed", "most", "deep_width", "mid"),
    [
        (320, 160, 5, 5, 10, 160),  # All went.
        (320, 300, 0, 0, 10, 300),  # None was to go.
        (320, 160, 2, 5, 10, 256),  # 64 of 320.
        (333, 160, 1, 5, 10, 300),  # 33.3 is 33.
        (335, 160, 1, 5, 10, 301),  # 33.5 is 34: halves up.
        (345, 160, 1, 5, 10, 310),  # 34.5 is 35, not the even 34.
        (337, 160, 1, 5, 10, 303),  # 33.7 is 34.
        (320, 170, 4, 5, 10, 192),
        (320, 200, 4, 5, 10, 200),  # Never below the target.
        (20_000, 10_000, 300, 312, 625, 10_400),
    ],
)
def test_intermediate_width(width: int, target: int, removed: int, most: int, deep_width: int, mid: int) -> None:
    found = intermediate_width(*(jnp.asarray(n) for n in (width, target, removed, most, deep_width)))
    assert int(found) == mid
    assert oracles.intermediate_width(width, target, removed, most, deep_width) == mid


@pytest.mark.parametrize("region", ["projected", "receptive"])
@pytest.mark.parametrize(
    ("shallow", "deep"),
    [*pairwise(oracles.DEFAULT_TAPS), ("block1_conv2", "block3_conv4"), ("block2_conv2", "block2_pool")],
)
def test_covered_region_equals_loops(shallow: str, deep: str, region: str) -> None:
    ratio = oracles.stride(deep) // oracles.stride(shallow)
    rng = np.random.default_rng(ratio)
    for leftover in {0, ratio - 1}:
        for share in (0.0, 0.04, 0.3, 1.0):
            shape = (4 * ratio + leftover, 9 * ratio + (ratio - 1 - leftover))
            removed = rng.random((4, 9)) < share
            found = covered(removed, (4, 9), shape, FOOTPRINTS[region](shallow, deep))
            np.testing.assert_array_equal(found, oracles.covered(removed, shape, shallow, deep, region))


@pytest.mark.parametrize("region", ["projected", "receptive"])
@pytest.mark.parametrize("corner", [(0, 0), (0, 8), (3, 0), (3, 8)])
def test_covered_region_of_one_corner_neuron(region: str, corner: tuple[int, int]) -> None:
    removed = np.zeros((4, 9), bool)
    removed[corner] = True
    shallow, deep = "block1_conv2", "block2_conv2"
    found = covered(removed, (4, 9), (9, 19), FOOTPRINTS[region](shallow, deep))
    np.testing.assert_array_equal(found, oracles.covered(removed, (9, 19), shallow, deep, region))
    # 2 neurons a block and 1 left over; the receptive field reaches 4 further.
    rows, columns = (2 if n == 0 else 3 for n in corner)
    if region == "receptive":
        rows, columns = (6 if n == 0 else 7 for n in corner)
    assert int(np.asarray(found).sum()) == rows * columns


@pytest.mark.parametrize("region", ["projected", "receptive"])
def test_covered_region_keeps_to_the_valid_part(region: str) -> None:
    removed = np.zeros((6, 12), bool)
    removed[:4, :9] = np.random.default_rng(0).random((4, 9)) < 0.1
    removed[3, 8] = True
    # What the padding holds must not reach in, and the last valid block takes what is left over.
    removed[4:, :], removed[:, 9:] = True, True
    footprint = FOOTPRINTS[region]("block1_conv2", "block2_conv2")
    found = covered(removed, (4, 9), (13, 25), footprint)
    expected = oracles.covered(removed[:4, :9], (9, 19), "block1_conv2", "block2_conv2", region)
    np.testing.assert_array_equal(found[:9, :19], expected)


def test_alpha_scales_the_covered_region_alone_and_draws_the_seams_there() -> None:
    taps, size = ("block1_conv2", "block2_conv2"), (8, 16)
    fine = np.full((8, 16), 10, np.float32)
    deep = np.full((4, 8), 10, np.float32)
    deep[:, 5] = 1
    columns = {}
    for alpha in (0.0, 0.5, 1.0):
        found = run((fine, deep), size, 14, np.inf, alpha, taps=taps)
        expected = fine.copy()
        expected[:, 10:12] = 10 * alpha
        np.testing.assert_array_equal(found.guided[0], expected)
        np.testing.assert_array_equal(found.guided[1], deep)
        columns[alpha] = sorted(set(np.nonzero(np.asarray(found.levels[0].order) < 2)[1].tolist()))
    # Without alpha the maps are flat and the leftmost columns go.
    assert columns == {0.0: [10, 11], 0.5: [10, 11], 1.0: [0, 1]}


def test_another_target_threshold_or_alpha_does_not_compile_again(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = []

    def counted(*args, **options):
        traced.append(args[0].shape)
        return carve_find_seams(*args, **options)

    carve_find_seams = carve.find_seams
    monkeypatch.setattr(carve, "find_seams", counted)
    # No other test has maps of these shapes, so the first call compiles.
    maps = pyramid((13, 23), FINE_TAPS, 0)
    for target, threshold, alpha, size in (
        (11, 9.0, 0.5, (13, 23)),
        (20, np.inf, 0.25, (13, 23)),
        (1, 0.0, 0.0, (12, 21)),
        (23, 1.0, 0.9, (13, 23)),
    ):
        carve_width(maps, size, target, threshold, alpha, taps=FINE_TAPS)
    assert traced == [(3, 5), (6, 11), (13, 23)]


def test_apply_width_gathers_maps_and_features() -> None:
    rng = np.random.default_rng(0)
    kept = np.sort(np.stack([rng.permutation(9)[:6] for _ in range(5)]), 1).astype(np.int32)
    for array in (rng.normal(size=(5, 9)).astype(np.float32), rng.normal(size=(5, 9, 3)).astype(np.float32)):
        np.testing.assert_array_equal(
            apply_width(jnp.asarray(array), jnp.asarray(kept)), oracles.gather_columns(array, kept)
        )


@pytest.mark.parametrize("shape", [(3, 4), (5, 7), (8, 9), (3, 9), (8, 4)])
@pytest.mark.parametrize("channels", [(), (2,)])
def test_fit_crops_and_pads_with_zeros(shape: tuple[int, int], channels: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).uniform(1, 2, (5, 7, *channels)).astype(np.float32)
    expected = np.zeros((*shape, *channels), np.float32)
    for i, j in np.ndindex(min(5, shape[0]), min(7, shape[1])):
        expected[i, j] = array[i, j]
    np.testing.assert_array_equal(fit(jnp.asarray(array), shape), expected)
