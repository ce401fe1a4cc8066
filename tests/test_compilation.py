"""What compiles, and when: options and counts are data, and what one process compiled the next one loads."""

import dataclasses
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from configs import paper_config
from drawn_photos import textured_photo

from dnr_jax import compilation_cache
from dnr_jax.photos.files import write_image
from dnr_jax.pipeline import retarget
from dnr_jax.weights import Weights

_EVENTS: list[str] = []
jax.monitoring.register_event_duration_secs_listener(lambda event, duration_secs, **_: _EVENTS.append(event))
TRACED = "/jax/core/compile/jaxpr_trace_duration"
COMPILED = "/jax/core/compile/backend_compile_duration"

CONFIG = paper_config(
    taps=("block1_conv2", "block2_conv2", "block3_conv4"),
    importance_percentile=100,
    reconstruct_steps=4,
    refine_steps=2,
)


@pytest.fixture
def events() -> Iterator[list[str]]:
    """The names of JAX's timed events since the fixture was asked for or the list was cleared."""
    _EVENTS.clear()
    yield _EVENTS
    _EVENTS.clear()


def test_other_options_photos_and_widths_compile_nothing(small_vgg: Weights, events: list[str]) -> None:
    photo = textured_photo(72, 128)
    retarget(photo, (72, 108), CONFIG, small_vgg)
    assert COMPILED in events
    changes = [
        {"reconstruct_steps": 9, "refine_steps": 5},
        {"reconstruct_rate": 1.5, "refine_rate": 0.02, "rate_schedule": "constant", "tolerance": 0.0},
        {"importance_percentile": 35.0, "alpha": 0.2},
        {"loss_weights": (0.3,)},
    ]
    # The percentile may leave a part to the warp, whose programs compile once.
    retarget(photo, (72, 108), dataclasses.replace(CONFIG, importance_percentile=1), small_vgg)
    for change in changes:
        events.clear()
        retarget(photo, (72, 108), dataclasses.replace(CONFIG, **change), small_vgg)
        assert not {TRACED, COMPILED} & set(events), change
    events.clear()
    retarget(np.ascontiguousarray(photo[::-1, ::-1]), (72, 101), CONFIG, small_vgg)  # 108 and 101 share a canvas.
    assert not {TRACED, COMPILED} & set(events)


def test_seams_are_found_without_a_word_from_the_host(small_vgg: Weights) -> None:
    """Nothing is moved between host and device while the seams of all levels are found."""
    from dnr_jax.planning.carve import carve_width
    from dnr_jax.planning.importance import analyse

    photo = jax.numpy.asarray(textured_photo(72, 128), jax.numpy.float32)
    importance = analyse(small_vgg.network, photo, CONFIG.taps, ()).importance
    size = (jax.numpy.int32(72), jax.numpy.int32(120))
    arguments = (importance, size, jax.numpy.int32(90), jax.numpy.float32(np.inf), jax.numpy.float32(0.5))
    carve_width(*arguments, taps=CONFIG.taps)
    with jax.transfer_guard("disallow"):
        carving = jax.block_until_ready(carve_width(*arguments, taps=CONFIG.taps))
    assert int(carving.levels[0].removed) == 30


_LOWERED = """
import sys
import jax
lowered, missed = set(), []
def hear(name, seconds, fun_name="", **_):
    if name.endswith("jaxpr_to_mlir_module_duration"):
        lowered.add(fun_name.removeprefix("jit(").removesuffix(")"))
jax.monitoring.register_event_duration_secs_listener(hear)
jax.monitoring.register_event_listener(lambda name, **_: missed.append(1) if name.endswith("cache_misses") else None)
from dnr_jax.resize import main
code = main(["resize", *sys.argv[1:]])
print(len(missed), *lowered)
sys.exit(code)
"""


def lowered_by_two_processes(folder: Path, *options: str) -> list[tuple[int, set[str]]]:
    """Runs a command twice with a cache of its own: what JAX's cache did not have, and which functions were lowered."""
    write_image(folder / "photo.png", textured_photo(40, 56))
    settings = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    settings["DNR_JAX_CACHE"] = str(folder / "cache")
    arguments = [f"--input={folder / 'photo.png'}", f"--output={folder / 'out.png'}", "--weights=embedded", "--quiet"]
    found, pictures = [], []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", _LOWERED, *arguments, *options],
            env=settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        missed, *names = done.stdout.split()
        found.append((int(missed), set(names)))
        pictures.append((folder / "out.png").read_bytes())
    assert pictures[0] == pictures[1]
    return found


def test_a_second_process_lowers_no_program_of_the_package(tmp_path: Path) -> None:
    """Nor does it compile anything; what JAX itself runs between programs is lowered, and found in JAX's cache."""
    (_, first), (missed, second) = lowered_by_two_processes(
        tmp_path, "--preset=paper", "--taps=block1_conv2", "--width=44", "--reconstruct_steps=2", "--refine_steps=1"
    )
    (folder,) = (tmp_path / "cache" / "compiled").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    kept = {path.name.split("-")[0].split(".")[-1] for path in folder.glob("*.program")}
    assert {"analyse", "make_seam_maps", "find_moves", "_advance"} <= kept & first
    assert not kept & second
    assert missed == 0


@pytest.mark.slow
def test_neither_does_it_with_every_network(tmp_path: Path) -> None:
    (_, first), (missed, second) = lowered_by_two_processes(tmp_path, "--width=44")
    (folder,) = (tmp_path / "cache" / "compiled").iterdir()
    kept = {path.name.split("-")[0].split(".")[-1] for path in folder.glob("*.program")}
    assert {"_mean_output", "candidates", "_probability"} <= kept & first
    assert not kept & second
    assert missed == 0


@pytest.fixture
def restored() -> Iterator[None]:
    """Puts JAX's own settings of its cache back."""
    names = [name for name in jax.config.values if "compilation_cache" in name or "persistent_cache" in name]
    before = {name: jax.config.values[name] for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.mark.usefixtures("restored")
def test_the_variable_goes_before_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "named"))
    assert compilation_cache.enable() == tmp_path / "named"
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("DNR_JAX_CACHE", str(tmp_path / "own"))
    place = compilation_cache.enable()
    assert place is not None
    assert place.parent == tmp_path / "own" / "compiled"
    assert jax.config.values["jax_compilation_cache_dir"] == str(place)


@pytest.mark.usefixtures("restored")
def test_no_cache_where_others_could_write_or_where_it_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("DNR_JAX_CACHE", str(tmp_path))
    place = compilation_cache.default_directory()
    place.mkdir(parents=True)
    place.chmod(0o777)
    assert compilation_cache.enable() is None
    place.chmod(0o700)
    assert compilation_cache.enable() == place
    jax.config.update("jax_enable_compilation_cache", False)
    assert compilation_cache.enable() is None


@pytest.mark.usefixtures("restored")
def test_no_cache_where_none_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DNR_JAX_CACHE", str(tmp_path / "file"))
    assert compilation_cache.enable() is None


def test_the_oldest_half_goes_when_the_cache_is_full(tmp_path: Path) -> None:
    for age in range(10):
        (tmp_path / str(age)).write_bytes(b"x" * 100)
        os.utime(tmp_path / str(age), (1e9 - age, 1e9 - age))
    compilation_cache.prune(tmp_path, 1000)
    assert len(list(tmp_path.iterdir())) == 10
    compilation_cache.prune(tmp_path, 999)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2", "3"]
