"""How many deep seams go: none without gain, some through plain ground, never through objects."""

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import oracles
import oracles_damage
import oracles_planning
import pytest

from dnr_jax.config import RetargetConfig
from dnr_jax.padding import traced_size
from dnr_jax.planning.carve import Carving, carve_width
from dnr_jax.planning.choice import COUNTS, HOPE, WORTH, Choice, Judged, choose_width
from dnr_jax.planning.damage import look_of
from dnr_jax.planning.masks import mask_bias
from dnr_jax.planning.objects import object_level
from dnr_jax.planning.reach import seam_target

TAPS = ("block1_conv2", "block3_conv4", "block4_pool")
STRIDES = (1, 4, 16)
SIZE = (64, 256)


def scene(bars: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A photo of two objects at the borders with plain ground between, and its map of objects at stride 4."""
    photo = np.full((*SIZE, 3), 128, np.float32)
    objects = np.zeros((SIZE[0] // 4, SIZE[1] // 4), np.float32)
    objects[:, :18] = objects[:, -18:] = 1
    if bars:  # Slanted ones, that every seam has to cross.
        rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
        photo[(rows + columns // 2) % 32 < 3] *= 0.4
    return photo, objects


def padded(array: np.ndarray, stride: int, shape: tuple[int, int] = SIZE) -> jax.Array:
    full = np.full((shape[0] // stride, shape[1] // stride, *array.shape[2:]), 9.0, np.float32)
    full[: array.shape[0], : array.shape[1]] = array
    return jnp.asarray(full)


def maps_of(objects: np.ndarray, shape: tuple[int, int] = SIZE) -> tuple[jax.Array, ...]:
    """Importance of every level that says what the objects say."""
    maps = []
    for stride in STRIDES:
        rows = np.arange(SIZE[0] // stride) * stride // 4
        columns = np.arange(SIZE[1] // stride) * stride // 4
        maps.append(padded(0.1 + objects[rows[:, None], columns[None, :]], stride, shape))
    return tuple(maps)


def choose(
    photo: np.ndarray,
    objects: np.ndarray,
    width: int,
    *,
    shape: tuple[int, int] = SIZE,
    size: tuple[int, int] = SIZE,
    room: int | None = None,
    most_crop: float = 0.7,
    protected: np.ndarray | None = None,
) -> Choice:
    maps, valid = maps_of(objects, shape), traced_size(size)
    bias, marked = None, None
    if protected is not None:
        marked = jnp.asarray(protected)
        bias = mask_bias(
            maps, jnp.asarray(protected.repeat(4, 0).repeat(4, 1)), jnp.zeros(SIZE, bool), valid, taps=TAPS
        )
    judged = Judged(padded(objects, 4, shape), marked, look_of(padded(photo, 1, shape), valid))
    return choose_width(
        maps,
        bias,
        judged,
        valid,
        width,
        traced_size((size[0], width)),
        0.5,
        most_crop,
        taps=TAPS,
        region="projected",
        room=room,
        seam_kernel="auto",
    )


def carve(objects: np.ndarray, width: int, count: int) -> Carving:
    """What so many of the deepest seams lead to; none at all for 0."""
    goal = SIZE[1] if count == 0 else width
    return carve_width(maps_of(objects), traced_size(SIZE), jnp.int32(goal), jnp.inf, 0.5, taps=TAPS, most_deep=count)


def tried(choice: Choice) -> dict[int, float]:
    tried = zip(np.asarray(choice.counts), np.asarray(choice.damage), strict=True)
    return {int(count): float(value) for count, value in tried if np.isfinite(value)}


def test_seams_go_through_plain_ground_between_objects() -> None:
    choice = choose(*scene(), 160)
    damage, deep = tried(choice), int(choice.deep)
    assert deep > 0
    assert damage[deep] == min(damage.values())
    assert damage[deep] < WORTH * damage[0]
    most = SIZE[1] // STRIDES[-1] - 160 // STRIDES[-1]
    assert list(damage) == [min(count, most) for count in COUNTS[: len(damage)]]
    taken = np.asarray(choice.carving.levels[object_level(TAPS).number].order) < choice.carving.levels[1].removed
    assert taken.any()
    assert not (taken & (scene()[1] > 0)).any(), "an object lost neurons"
    assert int(choice.carving.levels[-1].removed) == deep


@pytest.mark.parametrize("bars", [False, True])
def test_damage_is_that_of_the_warp_what_goes_the_joints_and_the_borders(bars: bool) -> None:
    photo, objects = scene(bars)
    width, nothing = 160, np.zeros((40, 40), bool)
    look, found = oracles_damage.look_of(photo), tried(choose(photo, objects, width))
    assert len(found) > 2
    for count, damage in found.items():
        carving = carve(objects, width, count)
        fine, coarse = carving.levels[0], carving.levels[object_level(TAPS).number]
        after = oracles.gather_columns(objects, np.asarray(coarse.kept)[:, : int(coarse.width)])
        grid = oracles_planning.cell_means(after).astype(np.float32)
        mid = int(carving.width)
        left, right, scales = oracles_planning.plan_first(grid, nothing, 40 * width / mid, 0.7)
        places = np.array([*range(left), *range(left, right + 1), *[right] * (40 - right)]).clip(left) * mid / 40
        across = (places, np.array([0, *np.cumsum(scales)]) * mid / 40)
        still = np.array([0.0, SIZE[0]])  # The height's part in the strain is none.
        strain = oracles_planning.strain(grid, nothing, [across, (still, still)], (SIZE[0], mid), (SIZE[0], width))
        kept = np.asarray(fine.kept)[:, : int(fine.width)]
        expected = mid / SIZE[1] * strain + oracles_damage.removal_damage(objects, after)
        expected += oracles_damage.joint_damage(look, after, kept, 4) + oracles_damage.room_damage(objects, after)
        expected += oracles_damage.cut_damage(objects, np.asarray(coarse.kept)[:, : int(coarse.width)])
        assert damage == pytest.approx(expected, rel=2e-3, abs=1e-5), f"{count} seams"


def test_the_count_is_the_best_of_those_tried_where_it_is_worth_it() -> None:
    chosen = set()
    for seed in range(8):
        rng = np.random.default_rng(seed)
        photo, objects = scene(bars=seed == 7)
        objects = np.clip(objects * rng.uniform(0.4, 1) + rng.uniform(0, 0.3, objects.shape), 0, 1).astype(np.float32)
        width = int(rng.integers(70, 250))
        choice = choose(photo, objects, width, most_crop=float(rng.choice([0, 0.7])))
        damage = tried(choice)
        best = min(damage, key=lambda count: damage[count])
        assert int(choice.deep) == (best if damage[best] < WORTH * damage[0] else 0)
        expected = carve(objects, width, int(choice.deep))
        jax.tree.map(np.testing.assert_array_equal, choice.carving, expected)
        # More are tried while there is hope, and no longer; never more than the deepest level has to lose.
        counts, values = list(damage), list(damage.values())
        hopes = [values[n] <= HOPE * min(values[: n + 1]) for n in range(len(values))]
        most = max(1, SIZE[1] // 16 - width // 16)
        assert all(hopes[:-1])
        assert counts[-1] <= most
        assert not hopes[-1] or counts[-1] == most
        chosen.add(int(choice.deep) > 0)
    assert chosen == {True, False}


def test_seams_that_hardly_do_less_damage_are_left_out() -> None:
    choice = choose(*scene(), 228, most_crop=0.0)
    damage = tried(choice)
    assert WORTH * damage[0] < damage[1] < damage[0]
    assert int(choice.deep) == 0
    assert int(choice.carving.width) == SIZE[1]


def test_a_change_below_one_deep_neuron_is_all_or_nothing() -> None:
    photo, objects = scene()
    size = (SIZE[0], 255)
    choice = choose(photo, objects, 244, size=size)
    assert list(tried(choice)) == [0, 1]
    assert int(choice.carving.levels[-1].removed) == 0
    assert int(choice.carving.width) == (244 if int(choice.deep) else 255)


def test_what_is_protected_stays() -> None:
    photo, objects = scene()
    protected = np.zeros(objects.shape, bool)
    protected[2:5, 30:36] = True
    choice = choose(photo, objects, 160, protected=protected)
    assert int(choice.deep) > 0
    seams = choice.carving.levels[object_level(TAPS).number]
    taken = np.asarray(seams.order) < seams.removed
    assert taken.any()
    assert not (taken & protected).any()


def test_lines_that_seams_would_break_count_against_them() -> None:
    photo, objects = scene(bars=True)
    plain, crossed = choose(*scene(), 160), choose(photo, objects, 160)
    assert tried(crossed)[0] == pytest.approx(tried(plain)[0]), "without seams the photo's lines count nothing"
    assert all(value > tried(plain)[count] for count, value in tried(crossed).items() if count)


def test_none_go_where_there_is_only_an_object_or_nothing_to_change() -> None:
    photo, objects = scene()
    full = choose(photo, np.ones_like(objects), 200)
    same = choose(photo, objects, SIZE[1])
    for choice, width in ((full, SIZE[1]), (same, SIZE[1])):
        assert int(choice.deep) == 0
        assert int(choice.carving.width) == width
        assert all(int(seams.removed) == 0 for seams in choice.carving.levels)
    assert tried(same) == {0: pytest.approx(0, abs=1e-6)}


def test_padding_and_another_width_change_nothing_and_compile_nothing() -> None:
    exact, padded = choose(*scene(), 160), choose(*scene(), 160, shape=(96, 320))
    assert int(exact.deep) == int(padded.deep)
    np.testing.assert_allclose(list(tried(exact).values()), list(tried(padded).values()), rtol=1e-3)
    compiled: list[str] = []

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        choose(*scene(), 150)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert not compiled


def test_insertions_are_judged_too() -> None:
    choice = choose(*scene(), 300, room=80)
    damage = tried(choice)
    assert len(damage) > 1
    assert int(choice.carving.width) >= SIZE[1]
    assert int(choice.deep) == 0 or damage[int(choice.deep)] == min(damage.values())
    crossed = tried(choose(scene(bars=True)[0], scene()[1], 300, room=80))
    assert crossed[0] == pytest.approx(damage[0])
    assert crossed[1] > damage[1], "what an insertion shears counts"


@pytest.mark.parametrize(
    ("target", "reach"),
    [((400, 300), (400, 300)), ((200, 150), (400, 300)), ((600, 900), (400, 600)), ((500, 300), (500, 300))],
)
def test_seams_are_not_asked_for_what_scaling_does(target: tuple[int, int], reach: tuple[int, int]) -> None:
    assert seam_target((400, 600), target, RetargetConfig()) == reach
    assert seam_target((400, 600), target, RetargetConfig(warp="grid")) == target
