"""How many deep seams go: none without gain, some through plain ground, never through objects."""

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

from dnr_jax.config import RetargetConfig
from dnr_jax.padding import traced_size
from dnr_jax.planning.choice import COUNTS, WORTH, Choice, Judged, choose_width
from dnr_jax.planning.damage import look_of
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
        photo[(rows + columns // 2) % 32 < 3] = 0
    return photo, objects


def choose(
    photo: np.ndarray,
    objects: np.ndarray,
    width: int,
    *,
    shape: tuple[int, int] = SIZE,
    room: int | None = None,
    most_crop: float = 0.7,
) -> Choice:
    def padded(array: np.ndarray, stride: int) -> jax.Array:
        full = np.full((shape[0] // stride, shape[1] // stride, *array.shape[2:]), 9.0, np.float32)
        full[: array.shape[0], : array.shape[1]] = array
        return jnp.asarray(full)

    maps = []
    for stride in STRIDES:
        rows = np.arange(SIZE[0] // stride) * stride // 4
        columns = np.arange(SIZE[1] // stride) * stride // 4
        maps.append(padded(0.1 + objects[rows[:, None], columns[None, :]], stride))
    size = traced_size(SIZE)
    judged = Judged(padded(objects, 4), None, look_of(padded(photo, 1), size))
    return choose_width(
        tuple(maps),
        None,
        judged,
        size,
        width,
        traced_size((SIZE[0], width)),
        0.5,
        most_crop,
        taps=TAPS,
        region="projected",
        room=room,
        seam_kernel="auto",
    )


def tried(choice: Choice) -> dict[int, float]:
    return {count: float(value) for count, value in zip(COUNTS, choice.damage, strict=True) if np.isfinite(value)}


def test_seams_go_through_plain_ground_between_objects() -> None:
    choice = choose(*scene(), 160)
    damage, deep = tried(choice), int(choice.deep)
    assert deep > 0
    assert damage[deep] == min(damage.values())
    assert damage[deep] < WORTH * damage[0]
    assert list(damage) == list(COUNTS[: len(damage)])
    taken = np.asarray(choice.carving.levels[object_level(TAPS)].order) < choice.carving.levels[1].removed
    assert taken.any()
    assert not (taken & (scene()[1] > 0)).any(), "an object lost neurons"
    assert int(choice.carving.levels[-1].removed) == deep


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
