"""Compiled programs are dropped before the memory maps run out, and only then."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from unittest.mock import create_autospec

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest
from batch_photos import tiny_photo
from configs import paper_config
from conftest import keep_programs

from dnr_jax import baselines, program_limit
from dnr_jax.batch import devices as batch_devices
from dnr_jax.batch.buckets import find_bucket
from dnr_jax.batch.devices import Devices
from dnr_jax.batch.program import Padded
from dnr_jax.config import RetargetConfig
from dnr_jax.evaluation import measures
from dnr_jax.photos.files import read_photo, write_image
from dnr_jax.pipeline import retarget
from dnr_jax.planning.masks import Masks
from dnr_jax.planning.seams import find_seams
from dnr_jax.program_limit import count_maps, make_room, most_maps
from dnr_jax.serve import preview
from dnr_jax.serve.engine import Engine
from dnr_jax.serve.fields import Order
from dnr_jax.serve.uploads import Form
from dnr_jax.thumbor import focal_points
from dnr_jax.weights import Weights


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A process that may have a thousand memory maps; says how many it has."""
    monkeypatch.setattr(program_limit, "_news", program_limit._News())
    monkeypatch.setattr(program_limit, "most_maps", lambda: 1000)

    def use(maps: int) -> None:
        monkeypatch.setattr(program_limit, "count_maps", lambda: maps)

    return use


def test_programs_go_when_half_of_the_maps_are_used(limited: Callable[[int], None]) -> None:
    traced = []

    @jax.jit
    def program(x: jax.Array) -> jax.Array:
        traced.append(1)
        return x + 1

    for used, dropped in ((400, False), (501, True), (400, False)):
        limited(used)
        program(jnp.float32(0))
        program_limit.note_program()
        assert make_room() is dropped
    program(jnp.float32(0))
    assert len(traced) == 2, "dropped once, so traced twice"


def test_it_looks_where_a_program_has_come_and_rarely_else(limited: Callable[[int], None]) -> None:
    limited(501)
    assert make_room(), "nobody has looked yet"
    assert not make_room(), "nothing has come since"
    jax.jit(lambda x: x * 3 - 1)(jnp.float32(0))
    assert make_room(), "JAX has compiled something"
    assert not make_room()
    program_limit.note_program()
    assert make_room(), "something was loaded without JAX's knowledge"
    assert sum(make_room() for _ in range(2 * program_limit._RARELY)) == 2


def test_masks_and_networks_of_known_sizes_are_looked_at(
    limited: Callable[[int], None], embedded: Weights, small_vgg: Weights
) -> None:
    """They bring programs of their own."""
    config = paper_config(taps=("block1_conv2",), importance_percentile=100, reconstruct_steps=1, refine_steps=1)
    photo = tiny_photo(40, 56, seed=0)
    mark = np.zeros((40, 56), bool)
    mark[10:20, 10:20] = True
    retarget(photo, (40, 48), config, embedded)
    for masks, weights in ((Masks(), embedded), (Masks(protect=mark), embedded), (Masks(), small_vgg)):
        limited(400)
        retarget(photo, (40, 48), config, weights, masks=masks)
        limited(501)
        assert make_room() == (masks.protect is not None or weights is small_vgg)


def test_programs_of_batches_go_with_the_others(
    limited: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, embedded: Weights
) -> None:
    traced = []

    def total(network: object, photo: Padded, numbers: object, **options: object) -> jax.Array:
        traced.append(photo.photo.shape)
        return photo.photo.sum()

    monkeypatch.setattr(batch_devices, "retarget_padded", total)
    devices = Devices(embedded.network, RetargetConfig())
    wide, high = (find_bucket(size, size, importance_side=384, seams_only=False) for size in ((64, 96), (96, 64)))
    limited(400)
    programs = [devices.compile(bucket, 1) for bucket in (wide, high, wide)]
    assert programs[0] is programs[2]
    assert len(traced) == 2
    limited(501)
    assert devices.compile(wide, 1) is programs[0], "what is there is used, however many maps there are"
    devices.compile(wide, 2)
    limited(400)
    assert devices.compile(high, 1) is not programs[1], "all were dropped before another was compiled"
    assert len(devices.compile_seconds) == 3


def test_operators_measures_and_analyses_make_room_first(
    monkeypatch: pytest.MonkeyPatch, embedded: Weights, tmp_path: Path
) -> None:
    """They compile for each size of a photo."""

    def look() -> bool:
        raise InterruptedError("looked")

    photo = tiny_photo(40, 56, seed=0)
    engine = create_autospec(Engine, instance=True)
    write_image(tmp_path / "photo.png", photo)
    engine.read.return_value = (read_photo(tmp_path / "photo.png"), {})
    order = create_autospec(Order, instance=True, config=RetargetConfig())
    analyst, form = preview.Analyst(engine), Form({}, {})
    works: list[tuple[ModuleType, Callable[[], object]]] = [
        (baselines, lambda: baselines.METHODS["scl"](photo, (40, 48))),
        (measures, lambda: measures.Judge(embedded, "block3_conv4").importance(photo)),
        (focal_points, lambda: focal_points.find_focal_points(photo)),
        (preview, lambda: analyst.analyse(form, order, lambda *_: None)),
    ]
    for module, work in works:
        monkeypatch.setattr(module, "make_room", look)
        with pytest.raises(InterruptedError, match="looked"):
            work()


@pytest.mark.parametrize("keeps", [False, True])
def test_threads_go_on_while_their_programs_are_dropped(
    limited: Callable[[int], None], tmp_path: Path, keeps: bool
) -> None:
    limited(501)
    keep_programs(tmp_path if keeps else None)
    draws = [np.random.default_rng(seed).uniform(0, 9, (12 + seed, 16)) for seed in range(3)]
    costs = [jnp.asarray(draw, jnp.float32) for draw in draws]
    wanted = [np.asarray(find_seams(cost, 3).kept) for cost in costs]
    rounds, over = [0, 0, 0], threading.Event()

    def work(number: int) -> None:
        while not over.is_set():
            np.testing.assert_array_equal(find_seams(costs[number], 3).kept, wanted[number])
            rounds[number] += 1

    try:
        with ThreadPoolExecutor(3) as pool:
            working = [pool.submit(work, number) for number in range(3)]
            end = time.monotonic() + 60
            for drops in range(1, 4):
                # Each thread has found its program again, so that something is dropped.
                while min(rounds) < 2 * drops and not any(each.done() for each in working):
                    assert time.monotonic() < end
                    time.sleep(0.01)
                program_limit.note_program()
                assert make_room()
            over.set()
            for each in working:
                each.result()
    finally:
        over.set()
        keep_programs(None)


def test_a_system_that_does_not_say_has_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    program_limit.note_program()
    monkeypatch.setattr(program_limit, "_MAPS", Path("/nowhere"))
    monkeypatch.setattr(program_limit, "_MOST", Path("/nowhere"))
    assert count_maps() is None
    assert most_maps() is None
    assert not make_room()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux alone tells a process its memory maps")
def test_maps_are_counted() -> None:
    used, most = count_maps(), most_maps()
    assert used is not None
    assert most is not None
    assert 10 < used < most


def test_photos_of_near_sizes_share_their_programs(embedded: Weights) -> None:
    config = RetargetConfig(
        taps=("block1_conv2", "block3_conv4"),
        keep=("objects",),
        importance_percentile=20,
        reconstruct_steps=2,
        refine_steps=1,
        optimise="everywhere",  # Near joints, it depends on their number whether all pixels are.
    )
    compiled: list[str] = []

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    retarget(tiny_photo(60, 90, seed=0), (60, 70), config, embedded)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        for height, width, target in ((61, 91, 72), (57, 88, 80), (64, 95, 66)):
            image = retarget(tiny_photo(height, width, seed=1), (height, target), config, embedded).image
            assert image.shape == (height, target, 3)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert not compiled
