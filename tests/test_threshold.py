"""importance_percentile=auto: hand-made maps, both sides, masks, the record, and the damage against a plain loop."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest
from test_pipeline import textured_photo

from dnr_jax.config import RetargetConfig
from dnr_jax.masks import Masks
from dnr_jax.pipeline import retarget
from dnr_jax.plan import Plan, make_plan
from dnr_jax.record import run_record
from dnr_jax.record_table import table_rows
from dnr_jax.threshold import CANDIDATES, local_scale, side_damage, stopping_point
from dnr_jax.weights import Weights

TAPS = ("block1_conv2", "block4_conv4")
STRIDE = 8
ROWS, COLUMNS = 12, 16
SIZE = (ROWS * STRIDE, COLUMNS * STRIDE)
AUTO = RetargetConfig(taps=TAPS, importance_percentile="auto", reconstruct_steps=2, refine_steps=0)


def two_levels(deepest: np.ndarray) -> tuple[jnp.ndarray, ...]:
    """Importance maps: texture that is the same everywhere at the first level, `deepest` at the second."""
    shallow = 1 + 0.2 * np.random.default_rng(3).random(SIZE)
    return jnp.asarray(shallow, jnp.float32), jnp.asarray(deepest, jnp.float32)


def isolated_object() -> np.ndarray:
    """A bright object of five columns on nearly empty ground."""
    deepest = 0.1 + 0.05 * np.random.default_rng(4).random((ROWS, COLUMNS))
    deepest[4:8, 6:11] = 4
    return deepest


def filled_frame(axis: int = 1) -> np.ndarray:
    """An object, as uneven as real maps are, that leaves free but the first column or row."""
    deepest = 3 + np.random.default_rng(5).random((ROWS, COLUMNS))
    deepest.swapaxes(0, axis)[0] = 0.5
    return deepest


def plan(deepest: np.ndarray, target: tuple[int, int], masks: Masks | None = None) -> Plan:
    return make_plan(two_levels(deepest), SIZE, target, AUTO, masks or Masks())


def removed_share(result: Plan, axis: int) -> float:
    """How much of the way to the target the seams went."""
    return (SIZE[axis] - result.mid[axis]) / (SIZE[axis] - result.target[axis])


@pytest.mark.parametrize("axis", [1, 0], ids=["width", "height"])
def test_seams_go_far_round_an_isolated_object_and_stop_early_in_one_that_fills_the_frame(axis):
    target = (SIZE[0], SIZE[1] * 5 // 8) if axis else (SIZE[0] * 2 // 3, SIZE[1])
    alone, full = plan(isolated_object(), target), plan(filled_frame(axis), target)
    assert removed_share(alone, axis) == 1
    assert removed_share(full, axis) <= 0.5
    assert alone.percentile > full.percentile
    for result in (alone, full):
        assert result.choice is not None
        assert set(result.choice.damage) == set(CANDIDATES)
        assert result.choice.damage[result.percentile] == pytest.approx(min(result.choice.damage.values()), abs=1e-6)


def test_the_plan_is_that_of_the_chosen_percentile():
    target = (SIZE[0], 80)
    chosen = plan(isolated_object(), target)
    config = dataclasses.replace(AUTO, importance_percentile=chosen.percentile)
    given = make_plan(two_levels(isolated_object()), SIZE, target, config)
    assert (given.mid, given.threshold, given.percentile) == (chosen.mid, chosen.threshold, chosen.percentile)
    assert given.choice is None
    for mine, theirs in zip(chosen.passes, given.passes, strict=True):
        np.testing.assert_array_equal(mine.carving.levels[0].order, theirs.carving.levels[0].order)


def test_both_sides_share_one_percentile_and_their_damages_add():
    narrow, low, both = (plan(isolated_object(), target) for target in [(96, 96), (72, 128), (72, 96)])
    for one, other, total in zip(*(result.choice.damage.values() for result in (narrow, low, both)), strict=True):
        assert total == pytest.approx(one + other, abs=1e-6)


def test_where_nothing_stands_out_or_nothing_changes_the_usual_percentile_stays():
    assert plan(np.ones((ROWS, COLUMNS)), (SIZE[0], 64)).percentile == 20
    same = plan(isolated_object(), SIZE)
    assert same.percentile == 20
    assert set(same.choice.damage.values()) == {0}
    assert plan(isolated_object(), (SIZE[0], 126)).percentile == 20, "less than one deep neuron"


def test_enlarging_is_judged_too():
    deepest = isolated_object()
    result = plan(deepest, (SIZE[0], 160))
    assert result.mid[1] > SIZE[1]
    assert len(set(result.choice.damage.values())) > 1
    assert plan(filled_frame(), (SIZE[0], 256)).mid[1] < 256, "a second round, by the same percentile"


def test_what_is_protected_counts_as_an_object():
    ground = np.random.default_rng(6).random((ROWS, COLUMNS)) * 0.02 + 1
    protect = np.zeros(SIZE, bool)
    protect[16:56, 40:96] = True
    free, kept = plan(ground, (SIZE[0], 80)), plan(ground, (SIZE[0], 80), Masks(protect=protect))
    assert kept.choice.damage != free.choice.damage
    assert kept.choice.damage[kept.percentile] < 0.02, "neither seams nor the warp touch what is protected"


def test_what_is_removed_is_gone_before_the_choice():
    deepest = isolated_object()
    remove = np.zeros(SIZE, bool)
    remove[32:64, 48:88] = True
    result = plan(deepest, (SIZE[0], 64), Masks(remove=remove))
    assert result.passes[0].new_size != SIZE, "a pass of its own, before the width is changed"
    left = make_plan(two_levels(deepest), SIZE, (SIZE[0], 64), AUTO).choice
    assert result.choice.damage != left.damage


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
    result = retarget(textured_photo((96, 128)), (96, 80), config, embedded)
    record = json.loads(json.dumps(run_record(result, config, embedded)))
    assert record["config"]["importance_percentile"] == "auto"
    assert record["importance_percentile"] in CANDIDATES
    assert set(record["percentile_damage"]) == {"5", "10", "20", "35", "50", "75", "100"}
    rows = dict(table_rows(result, config))
    assert "chosen by importance_percentile=auto" in rows["Threshold"]
    assert f"{record['importance_percentile']:g}: " in rows["Damage of each percentile tried"]
    given = dataclasses.replace(config, importance_percentile=record["importance_percentile"])
    again = retarget(textured_photo((96, 128)), (96, 80), given, embedded)
    np.testing.assert_array_equal(result.image, again.image)
    assert again.record["percentile_damage"] is None
    assert "Damage of each percentile tried" not in dict(table_rows(again, given))
