"""importance_percentile=auto: hand-made maps, both sides, masks, the record, and a neuron's scale by hand."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_pipeline import textured_photo

from dnr_jax import resize
from dnr_jax.config import RetargetConfig
from dnr_jax.inspection.table import table_rows
from dnr_jax.networks.taps import tap_size, tap_stride
from dnr_jax.pipeline import retarget
from dnr_jax.planning.masks import Masks, mask_bias
from dnr_jax.planning.passes import Layers
from dnr_jax.planning.plan import make_plan
from dnr_jax.planning.threshold import (
    CANDIDATES,
    Choice,
    _find_seams,
    _on_deepest,
    choose_percentile,
    local_scale,
    side_damage,
    stopping_point,
)
from dnr_jax.record import run_record
from dnr_jax.weights import Weights

TAPS = ("block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2", "block4_conv4")
TWO_TAPS = (TAPS[1], TAPS[-1])
STRIDE = 8
ROWS, COLUMNS = 16, 16
SIZE = (ROWS * STRIDE, COLUMNS * STRIDE)
AUTO = RetargetConfig(taps=TWO_TAPS, importance_percentile="auto", reconstruct_steps=2, refine_steps=0)


def levels(deepest: np.ndarray, taps: tuple[str, ...] = TAPS) -> tuple[jax.Array, ...]:
    """Importance maps: the same texture everywhere at every level but the last, which is `deepest`."""
    rng = np.random.default_rng(3)
    shapes = [tap_size(tap, SIZE) for tap in taps[:-1]]
    return tuple(jnp.asarray(values, jnp.float32) for values in (*(1 + 0.2 * rng.random(s) for s in shapes), deepest))


def isolated_object(axis: int = 1) -> np.ndarray:
    """A bright object, five neurons long on the side that changes, on nearly empty ground."""
    deepest = 0.1 + 0.05 * np.random.default_rng(4).random((ROWS, COLUMNS))
    deepest.swapaxes(0, axis)[6:11, 4:8] = 4
    return deepest


def filled_frame(axis: int = 1) -> np.ndarray:
    """An object, as uneven as real maps are, that leaves free but the first column or row."""
    deepest = 3 + np.random.default_rng(5).random((ROWS, COLUMNS))
    deepest.swapaxes(0, axis)[0] = 0.5
    return deepest


def choose(deepest: np.ndarray, target: tuple[int, int], protect: np.ndarray | None = None) -> tuple[Choice, int]:
    """The choice, and how many deepest seams that leaves to go from the side that changes (the width, if both do)."""
    maps, bias = levels(deepest), None
    if protect is not None:
        bias = mask_bias(
            maps, jnp.asarray(protect), jnp.zeros(SIZE, bool), strides=tuple(tap_stride(tap) for tap in TAPS)
        )
    thresholds = {q: float(np.percentile(deepest, q)) if q < 100 else np.inf for q in CANDIDATES}
    choice = choose_percentile(Layers(maps, bias), SIZE, target, thresholds, TAPS)
    cost = maps[-1] if target[1] != SIZE[1] else maps[-1].T
    most = abs(SIZE[1] - target[1]) // STRIDE or abs(SIZE[0] - target[0]) // STRIDE
    costs = np.asarray(_find_seams(cost, most).costs)[:most]
    return choice, stopping_point(costs, thresholds[choice.percentile])


@pytest.mark.parametrize("axis", [1, 0], ids=["width", "height"])
def test_seams_go_far_round_an_isolated_object_and_stop_early_in_one_that_fills_the_frame(axis):
    target = (SIZE[0], 80) if axis else (80, SIZE[1])
    (alone, far), (full, near) = (choose(deepest(axis), target) for deepest in (isolated_object, filled_frame))
    assert far >= 4, "of six seams"
    assert near <= 2
    assert alone.percentile > full.percentile
    for choice in (alone, full):
        assert set(choice.damage) == set(CANDIDATES)
        assert choice.damage[choice.percentile] == pytest.approx(min(choice.damage.values()), abs=1e-6)


def test_both_sides_share_one_percentile_and_their_damages_add():
    narrow, low, both = (choose(isolated_object(), target)[0].damage for target in [(128, 96), (80, 128), (80, 96)])
    for one, other, total in zip(narrow.values(), low.values(), both.values(), strict=True):
        assert total == pytest.approx(one + other, abs=1e-6)
    assert max(narrow.values()) > 0
    assert max(low.values()) > 0


def test_where_nothing_stands_out_or_nothing_changes_the_usual_percentile_stays():
    assert choose(np.zeros((ROWS, COLUMNS)), (SIZE[0], 64))[0].percentile == 20
    same = choose_percentile(Layers(levels(isolated_object()), None), SIZE, SIZE, {5.0: 0, 20.0: 0, 35.0: 0}, TAPS)
    assert same == Choice(20, {5: 0, 20: 0, 35: 0})


def test_enlarging_is_judged_too():
    choice, _ = choose(isolated_object(), (SIZE[0], 160))
    assert len(set(choice.damage.values())) > 1
    twice, first = choose(isolated_object(), (SIZE[0], 256))[0], choose(isolated_object(), (SIZE[0], 192))[0]
    assert twice == first, "judged by the first round"


def test_what_is_protected_counts_as_an_object():
    protect = np.zeros(SIZE, bool)
    protect[88:, :96] = True  # Ground, and more of it than there is room for.
    free, kept = choose(isolated_object(), (SIZE[0], 64))[0], choose(isolated_object(), (SIZE[0], 64), protect)[0]
    assert min(kept.damage.values()) > 2 * min(free.damage.values())
    maps = levels(isolated_object())
    bias = mask_bias(maps, jnp.asarray(protect), jnp.zeros(SIZE, bool), strides=tuple(map(tap_stride, TAPS)))
    cost, objects, importance = _on_deepest(Layers(maps, bias), SIZE, TAPS)
    assert (objects[11:, :12] == 16).all(), "as much as the most important neuron"
    assert objects[0, 0] < 0.1
    for values in (cost, importance):
        assert values[11:, :12].min() > 10 * values[:11].max(), "neither seams nor the warp go there first"


def test_the_plan_is_that_of_the_chosen_percentile_once_the_removal_is_done():
    maps, remove = levels(isolated_object(), TWO_TAPS), np.zeros(SIZE, bool)
    remove[48:88, 32:64] = True
    chosen = make_plan(maps, SIZE, (SIZE[0], 64), AUTO, Masks(remove=remove))
    assert chosen.choice is not None
    assert chosen.choice != make_plan(maps, SIZE, (SIZE[0], 64), AUTO).choice, "the object had gone"
    assert chosen.percentile == chosen.choice.percentile
    config = dataclasses.replace(AUTO, importance_percentile=chosen.percentile)
    given = make_plan(maps, SIZE, (SIZE[0], 64), config, Masks(remove=remove))
    assert (given.mid, given.threshold, given.percentile) == (chosen.mid, chosen.threshold, chosen.percentile)
    assert given.choice is None
    assert len(given.passes) == len(chosen.passes) > 1
    for mine, theirs in zip(chosen.passes, given.passes, strict=True):
        np.testing.assert_array_equal(mine.carving.levels[0].order, theirs.carving.levels[0].order)


def test_a_neurons_scale_by_hand():
    # Four columns, the second goes in both rows; three are left, of 10 pixels each, for 24.
    order = np.array([[4, 0, 4, 4], [4, 0, 4, 4]])
    flat = np.ones((2, 4))
    scale = local_scale(order, 1, 2, flat, (40, 24))
    np.testing.assert_allclose(scale, [[0.8, 0, 0.8, 0.8]] * 2, atol=1e-6)
    objects = np.array([[0, 0, 1, 0], [0, 3, 0, 0]])
    assert side_damage(order, 1, 2, objects, flat, (40, 24)) == pytest.approx((0.2**2 + 3) / 4, abs=1e-6)
    np.testing.assert_allclose(local_scale(order, 1, 1, flat, (40, 30)), [[1, 0, 1, 1]] * 2)
    # Enlarging: the doubled neuron is two wide, and all stretch by 60 / 50.
    np.testing.assert_allclose(local_scale(order, 1, 2, flat, (40, 60)), [[1.2, 2.4, 1.2, 1.2]] * 2, atol=1e-6)


@pytest.mark.parametrize(
    ("threshold", "count"), [(0.5, 1), (1, 1), (2, 2), (2.5, 2), (np.inf, 4)], ids=lambda value: str(value)
)
def test_seams_stop_at_the_first_that_costs_too_much(threshold, count):
    assert stopping_point(np.array([1, 2, 3, 2.4], np.float32), threshold) == count
    assert stopping_point(np.array([9], np.float32), threshold) == 1


def test_the_record_tells_what_was_chosen(embedded: Weights):
    config = dataclasses.replace(AUTO, taps=("block1_conv2", "block5_pool"))
    result = retarget(textured_photo(96, 128), (96, 80), config, embedded)
    record = json.loads(json.dumps(run_record(result, config, embedded)))
    assert record["config"]["importance_percentile"] == "auto"
    assert record["importance_percentile"] in CANDIDATES
    assert set(record["percentile_damage"]) == {"5", "10", "20", "35", "50", "75", "100"}
    rows = dict(table_rows(result, config))
    assert "chosen by importance_percentile=auto" in rows["Threshold"]
    assert f"{record['importance_percentile']:g}: " in rows["Damage of each percentile tried"]
    given = dataclasses.replace(config, importance_percentile=record["importance_percentile"])
    again = retarget(textured_photo(96, 128), (96, 80), given, embedded)
    np.testing.assert_array_equal(result.image, again.image)
    assert again.record["percentile_damage"] is None
    assert "Damage of each percentile tried" not in dict(table_rows(again, given))


@pytest.mark.parametrize(("typed", "value"), [("auto", "auto"), ("35", 35.0), ("12.5", 12.5)])
def test_the_flag_takes_a_number_or_auto(typed, value):
    values = resize.define_flags()
    values(["resize", f"--importance_percentile={typed}"])
    assert values["importance_percentile"].value == value


def test_the_flag_takes_nothing_else(capsys):
    assert resize.main(["resize", "--input=a.png", "--output=b.png", "--importance_percentile=most"]) == 2
    assert "give a number or auto" in capsys.readouterr().err
