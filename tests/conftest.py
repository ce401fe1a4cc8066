"""Shared fixtures, and the strictness under which every test runs."""

import os
import signal
import sys
import uuid
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np
import pytest
from jaxtyping import install_import_hook
from signals import SIGNALS
from type_checks import CHECKED

# Compiling would take most of the tests' time; with these options, which cost small photos little, it takes a quarter.
# The wheel's check compiles as users do, and so do tests where a level of optimisation is set.
QUICK_TO_COMPILE = (
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    # XLA ends a process for a flag that it does not know, and 0.12 knows this one no longer.
    *(["--xla_cpu_use_fusion_emitters=false"] if version("jaxlib").startswith("0.10.") else []),
)
# `-m slow` compiles as users do: at level 0 training diverges, and batches are farther from single photos.
AS_USERS = ("--xla_backend_optimization_level=3",)
wanted = AS_USERS if {"slow", "-mslow"} & {*sys.argv} else QUICK_TO_COMPILE
flags = os.environ.get("XLA_FLAGS", "")
if "xla_backend_optimization_level" not in flags and (not flags or flags.startswith("--")):  # Else it names a file.
    os.environ["XLA_FLAGS"] = " ".join((flags, *wanted)).strip()
# This has to come before anything of the package is imported.
install_import_hook(CHECKED, "type_checks.check")

from dnr_jax import compilation_cache, programs
from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import CONV_LAYERS, Level
from dnr_jax.networks.vgg import VGG
from dnr_jax.program_limit import count_maps, most_maps
from dnr_jax.weights import Layers, Provenance, Weights, load_weights

pytest_plugins = [
    "batch_photos",
    "batch_runs",
    "browser_pages",
    "complete_runs",
    "fetch_fixtures",
    "serve_runs",
    "made_up_server",  # After what it imports.
]

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_threefry_partitionable", True)
# Where in the source an operation comes from is a tenth of the time in which programs are written for XLA.
jax.config.update("jax_traceback_in_locations_limit", 0)
# Compiled programs are shared by all workers, by the commands that tests start, and by the next run.
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "compiled")
compilation_cache.enable(directory=os.environ["JAX_COMPILATION_CACHE_DIR"])
# Commands that run in this process keep no programs: tests change constants, which a kept program's name does not tell.
keep_programs, programs.keep = programs.keep, lambda folder: None


@pytest.fixture(autouse=True)
def room_for_programs() -> Iterator[None]:
    """A worker compiles thousands of programs: they are dropped between tests before its memory maps run out."""
    yield
    used, most = count_maps(), most_maps()
    if used is not None and most is not None and used > most // 2:
        jax.clear_caches()


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing that a test runs looks for VGG19 on the network, in the developer's cache or among their settings."""
    monkeypatch.setenv("DNR_JAX_OFFLINE", "1")
    monkeypatch.setenv("DNR_JAX_CACHE", str(tmp_path_factory.getbasetemp() / f"cache-{uuid.uuid4()}"))
    for name in ("DNR_JAX_WEIGHTS", "DNR_JAX_REGISTRY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared photos and weights; tests that need it are skipped, visibly, where it is not there."""
    folder = Path(os.environ.get("DNR_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data at {folder}: set DNR_SHARED")
    return folder


def random_layers(widths: tuple[int, ...], seed: int = 0) -> Layers:
    """Variance-preserving random convolutions of a VGG19-shaped network."""
    rng = np.random.default_rng(seed)
    layers: Layers = {}
    channels = 3
    for layer in CONV_LAYERS:
        width = widths[Level(layer).block - 1]
        kernel = rng.normal(0, np.sqrt(2 / (9 * channels)), (3, 3, channels, width))
        layers[layer] = {
            "kernel": kernel.astype(np.float32),
            "bias": rng.normal(0, 0.1, width).astype(np.float32),
        }
        channels = width
    return layers


@pytest.fixture(scope="session")
def small_vgg() -> Weights:
    """A seeded random network of VGG19's shape, a few channels wide."""
    widths = (4, 6, 8, 8, 8)
    params = jax.tree.map(jax.numpy.asarray, random_layers(widths))
    return Weights(Network(params, VGG(widths)), Provenance("small", "random", "0" * 64, "none"))


@pytest.fixture(scope="session")
def embedded() -> Weights:
    """The embedded network."""
    return load_weights("embedded")


@pytest.fixture
def heeded() -> Iterator[None]:
    """What pytest was told to ignore (by nohup, or in the background of a script) the commands that it starts heed."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
