"""What seams damage against plain loops: joints that show, what goes, and room and ends of objects at the borders."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles_damage as oracles
import pytest

from dnr_jax.padding import traced_size
from dnr_jax.planning.carve import apply_width, insert_width
from dnr_jax.planning.cells import make_grid
from dnr_jax.planning.damage import cut_damage, joint_damage, look_of, removal_damage, room_damage
from dnr_jax.planning.seams import Seams, find_seams

STRIDE = 8
SIZE, SHAPE = (32, 64), (40, 96)
seek = jax.jit(find_seams)


def made_of(kept: np.ndarray, shape: tuple[int, int] = SIZE) -> Seams:
    """Seams that leave these columns; past them, as in the package, each row repeats its last."""
    height, width = kept.shape
    columns = np.zeros(shape, np.int32)
    columns[:height, :width] = kept
    columns[:height, width:] = kept[:, -1:]
    numbers = (jnp.int32(n) for n in (SIZE[1] - width, width))
    return Seams(jnp.zeros(shape, jnp.int32), jnp.asarray(columns), jnp.zeros(shape[1]), *numbers)


def straight(first: int, count: int) -> np.ndarray:
    """What a bundle of vertical seams leaves."""
    return np.tile(np.delete(np.arange(SIZE[1]), np.arange(first, first + count)), (SIZE[0], 1))


def diagonal(first: int, count: int) -> np.ndarray:
    """What a bundle leaves that moves to the right by one column a row."""
    return np.stack(
        [np.delete(np.arange(SIZE[1]), np.arange(first + row, first + row + count)) for row in range(SIZE[0])]
    )


def flat(grey: float) -> np.ndarray:
    return np.full((*SIZE, 3), grey, np.float32)


def photo_of(kind: str) -> np.ndarray:
    """float32 [32, 64, 3] in [0, 255]."""
    if kind == "texture":
        return np.random.default_rng(0).uniform(0, 255, (*SIZE, 3)).astype(np.float32)
    photo = flat(255 if kind == "bar" else 181)
    if kind == "bar":
        photo[:, 24:40] = 0
    return photo


def objects_of(salience: float) -> np.ndarray:
    return np.full((SIZE[0] // STRIDE, SIZE[1] // STRIDE), salience, np.float32)


def joints(photo: np.ndarray, kept: np.ndarray, objects: np.ndarray) -> float:
    look = look_of(jnp.asarray(photo), traced_size(SIZE))
    return float(joint_damage(look, jnp.asarray(objects), made_of(kept), traced_size(SIZE)))


def padded(values: np.ndarray, shape: tuple[int, int], junk: float) -> jax.Array:
    result = np.full((*shape, *values.shape[2:]), junk, np.float32)
    result[: values.shape[0], : values.shape[1]] = values
    return jnp.asarray(result)


# The look.


@pytest.mark.parametrize("size", [(11, 23), (5, 30), (1, 1), (1, 7)])
def test_the_look_equals_loops(size: tuple[int, int]) -> None:
    photo = np.random.default_rng(1).uniform(0, 255, (*size, 3)).astype(np.float32)
    found = look_of(jnp.asarray(photo), traced_size(size))
    assert (found.dtype, found.shape) == (jnp.float32, (*size, 4))
    np.testing.assert_allclose(found, oracles.look_of(photo), rtol=0, atol=1e-5)


@pytest.mark.parametrize("junk", [0.0, 255.0, 1e6, np.nan])
def test_the_look_reads_the_valid_part_alone(junk: float) -> None:
    size = (11, 23)
    photo = np.random.default_rng(2).uniform(0, 255, (*size, 3)).astype(np.float32)
    found = look_of(padded(photo, (16, 32), junk), traced_size(size))
    np.testing.assert_allclose(found[:11, :23], oracles.look_of(photo), rtol=0, atol=1e-5)


# Joints.


@pytest.mark.parametrize("kind", ["bar", "texture"])
def test_joints_equal_loops(kind: str) -> None:
    photo, rng = photo_of(kind), np.random.default_rng(3)
    look = oracles.look_of(photo)
    objects = rng.random((4, 8)).astype(np.float32)
    found = seek(jnp.asarray(rng.gamma(1.0, 1.0, SIZE).astype(np.float32)), jnp.int32(9))
    for kept in (straight(20, 1), straight(18, 12), diagonal(4, 1), diagonal(12, 12), np.asarray(found.kept)[:, :55]):
        assert joints(photo, kept, objects) == pytest.approx(
            oracles.joint_damage(look, objects, kept, STRIDE), rel=1e-3, abs=1e-5
        )


@pytest.mark.parametrize("junk", [0.0, 255.0, np.nan])
def test_joints_are_counted_in_the_valid_part_alone(junk: float) -> None:
    photo, kept = photo_of("bar"), diagonal(12, 12)
    objects = np.random.default_rng(4).random((4, 8)).astype(np.float32)
    look = look_of(padded(photo, SHAPE, junk), traced_size(SIZE))
    shown = padded(objects, (SHAPE[0] // STRIDE, SHAPE[1] // STRIDE), junk)
    found = joint_damage(look, shown, made_of(kept, SHAPE), traced_size(SIZE))
    expected = oracles.joint_damage(oracles.look_of(photo), objects, kept, STRIDE)
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_where_no_seam_went_nothing_is_damaged() -> None:
    everything = np.tile(np.arange(SIZE[1]), (SIZE[0], 1))
    for kind in ("flat", "bar", "texture"):
        assert joints(photo_of(kind), everything, objects_of(1)) == 0
    before = jnp.asarray(np.random.default_rng(5).random((4, 8)).astype(np.float32))
    assert float(removal_damage(before, before, traced_size((4, 8)), traced_size((4, 8)))) == 0


def test_joints_are_free_in_flat_ground_dear_through_a_bar_and_cheap_in_texture() -> None:
    for kept in (straight(18, 12), diagonal(12, 12), diagonal(3, 1)):
        assert joints(photo_of("flat"), kept, objects_of(1)) == pytest.approx(0, abs=1e-9)
    # From plain white to plain black all along: the unit of the weight.
    assert joints(photo_of("bar"), straight(18, 12), objects_of(0)) == pytest.approx(240, rel=1e-3)
    # A bundle that shears the bar, and a single seam along its edge, which smoothing hides in part.
    assert joints(photo_of("bar"), diagonal(12, 12), objects_of(0)) > 30
    assert 6 < joints(photo_of("bar"), straight(23, 1), objects_of(0)) < 24
    for kept in (straight(18, 12), diagonal(12, 12), straight(23, 1)):
        assert joints(photo_of("texture"), kept, objects_of(0)) < 0.3
        assert joints(photo_of("texture"), kept, objects_of(0)) < joints(photo_of("bar"), kept, objects_of(0)) / 100


@pytest.mark.parametrize(("salience", "times"), [(1.0, 21), (0.5, 6), (0.1, 1.2)])
def test_joints_count_more_on_objects(salience: float, times: float) -> None:
    for kind in ("bar", "texture"):
        plain = joints(photo_of(kind), diagonal(12, 12), objects_of(0))
        assert joints(photo_of(kind), diagonal(12, 12), objects_of(salience)) == pytest.approx(times * plain, rel=1e-4)
    # Only where they are: this object lies beside the seams.
    objects = objects_of(0)
    objects[:, 5:] = salience
    beside = joints(photo_of("bar"), straight(18, 12), objects)
    assert beside == pytest.approx(joints(photo_of("bar"), straight(18, 12), objects_of(0)), rel=1e-6)


def test_half_a_photo_of_the_same_damages_the_same() -> None:
    look = look_of(jnp.asarray(photo_of("bar")), traced_size((16, 64)))
    kept = made_of(straight(18, 12)[:16])
    half = joint_damage(look, jnp.asarray(objects_of(0)), kept, traced_size((16, 64)))
    assert float(half) == pytest.approx(joints(photo_of("bar"), straight(18, 12), objects_of(0)), rel=1e-4)


# What goes.


@pytest.mark.parametrize("junk", [None, -1.0, 1e6, np.nan])
def test_what_goes_equals_loops(junk: float | None) -> None:
    rng = np.random.default_rng(6)
    before = rng.random((7, 19)).astype(np.float32)
    after = np.stack([np.delete(row, rng.integers(19, size=1)) for row in before])
    old, new = jnp.asarray(before), jnp.asarray(after)
    if junk is not None:
        old, new = (padded(values, (12, 24), junk) for values in (before, after))
    found = removal_damage(old, new, traced_size((7, 19)), traced_size((7, 18)))
    assert float(found) == pytest.approx(oracles.removal_damage(before, after), rel=1e-3)


def test_what_goes_equals_loops_for_found_seams_and_insertions() -> None:
    rng = np.random.default_rng(7)
    before = rng.random((7, 19)).astype(np.float32)
    seams = seek(jnp.asarray(before), jnp.int32(4))
    carved = apply_width(jnp.asarray(before), seams.kept)
    found = removal_damage(jnp.asarray(before), carved, traced_size((7, 19)), traced_size((7, 15)))
    assert float(found) == pytest.approx(oracles.removal_damage(before, np.asarray(carved)[:, :15]), rel=1e-3)
    grown = insert_width(jnp.asarray(before), seams, 32)
    found = removal_damage(jnp.asarray(before), grown, traced_size((7, 19)), traced_size((7, 23)))
    assert float(found) == pytest.approx(oracles.removal_damage(before, np.asarray(grown)[:, :23]), rel=1e-3)


def test_ground_goes_at_the_price_of_crop_and_objects_in_full() -> None:
    # One of twenty columns is two cells of forty.
    for value, count in ((0.0, 0.35 * 0.08), (0.2, 0.35 * 0.22), (1.0, 0.78 + 2)):
        columns = jnp.full((6, 20), value, jnp.float32)
        found = removal_damage(columns, columns, traced_size((6, 20)), traced_size((6, 19)))
        assert float(found) == pytest.approx(2 * count, rel=1e-3)


# Room.


def room_taken(before: np.ndarray, after: np.ndarray) -> float:
    old, new = (make_grid(jnp.asarray(n), None, traced_size((n.shape[0], n.shape[1]))) for n in (before, after))
    return float(room_damage(old, new))


def test_room_that_is_taken_equals_loops() -> None:
    rng = np.random.default_rng(8)
    taken = []
    for _ in range(6):
        before = np.clip(rng.uniform(-1, 2, (1, 60)), 0, 2).repeat(20, 0).astype(np.float32)
        after = before[:, rng.integers(0, 8) : 60 - rng.integers(0, 8)]
        taken.append(room_taken(before, after))
        assert taken[-1] == pytest.approx(oracles.room_damage(before, after), rel=1e-4, abs=1e-6)
    assert max(taken) > 0.1


def test_only_an_object_that_comes_nearer_to_the_border_costs_room() -> None:
    photo = np.zeros((40, 80), np.float32)
    photo[10:30, 12:40] = 1
    # In the second case two cells of 1.5 columns are left beside it.
    for left, right, cost in ((12, 80, 2), (9, 69, 2 * 0.8**2), (0, 60, 0), (4, 80, 0)):
        assert room_taken(photo, photo[:, left:right]) == pytest.approx(cost, abs=1e-4), (left, right)
    assert room_taken(photo[:, 12:], photo[:, 12:30]) == pytest.approx(2, abs=1e-4), "it stood at the left before"


# Ends of objects.


def cut_off(objects: np.ndarray, kept: np.ndarray, *, shape: tuple[int, int] = SIZE, junk: float = 0) -> float:
    return float(cut_damage(padded(objects, shape, junk), made_of(kept, shape), traced_size(SIZE)))


@pytest.mark.parametrize("junk", [0.0, 1e6, np.nan])
def test_ends_of_objects_that_are_cut_off_equal_loops(junk: float) -> None:
    rng = np.random.default_rng(9)
    objects = np.clip(rng.uniform(-1, 3, SIZE), 0, 2).astype(np.float32)
    taken = []
    for most in (0, 2, 5, 9):
        left = rng.integers(0, most + 1, SIZE[0])
        kept = np.stack([np.delete(np.arange(SIZE[1]), [*range(n), 30, *range(64 - most + n, 64)]) for n in left])
        taken.append(cut_off(objects, kept, shape=SHAPE, junk=junk))
        assert taken[-1] == pytest.approx(oracles.cut_damage(objects, kept), rel=1e-4, abs=1e-4)
    assert taken == sorted(taken)
    assert taken[0] == 0
    assert taken[-1] > 10


def test_only_what_a_crop_would_spare_counts_as_cut_off() -> None:
    objects = np.zeros(SIZE, np.float32)
    objects[8:24, :32] = 1
    # Eight of 64 columns are five of forty.
    assert cut_off(objects, straight(0, 8)) == pytest.approx(50 * (1 - 0.35**2), rel=1e-4)
    for kept in (straight(8, 8), straight(56, 8)):
        assert cut_off(objects, kept) == 0, "inside, joints count; at the other border there is nothing"
    assert cut_off(0.34 * objects, straight(0, 8)) == 0
    # Two rows of 32 are half of the strongest eighth.
    objects[10:] = 0
    assert cut_off(objects, straight(0, 8)) == pytest.approx(50 * (0.5**2 - 0.35**2), rel=1e-4)
