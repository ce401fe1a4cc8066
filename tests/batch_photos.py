"""What tests of batch runs share: small photo files, a quick program, and its compilation."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from dnr_jax.photos.files import write_photo

TINY = (
    "--weights=embedded",
    "--taps=block1_conv2",
    "--importance_percentile=20",
    "--reconstruct_steps=2",
    "--refine_steps=1",
    "--keep=objects",
    "--width=75%",
    "--quiet",
)
"""Flags of a run whose program compiles in seconds."""


ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of compiled programs that this process, other workers and the processes that tests start share."""
    return Path(os.environ["JAX_COMPILATION_CACHE_DIR"])


def own_programs(folder: Path, programs: Path) -> Path:
    """A copy of the compiled programs in a folder, for processes that are killed and may leave one half-written."""
    # Other tests' processes write meanwhile, under names that go.
    return Path(shutil.copytree(programs, folder / "programs", ignore=shutil.ignore_patterns("*.tmp")))


def environment(programs: Path | None = None, **more: str) -> dict[str, str]:
    """Of a child process: this checkout, the processor, no network, compiled programs kept."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    kept = {} if programs is None else {"JAX_COMPILATION_CACHE_DIR": str(programs)}
    kept |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    return {**os.environ, "PYTHONPATH": path, "DNR_JAX_OFFLINE": "1", "JAX_PLATFORMS": "cpu", **kept, **more}


def tiny_photo(height: int, width: int, seed: int) -> np.ndarray:
    """Blocks of colour and grain, uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    blocks = rng.uniform(0, 255, (height // 8 + 1, width // 8 + 1, 3))
    grain = rng.normal(0, 6, (height, width, 3))
    image = np.kron(blocks, np.ones((8, 8, 1)))[:height, :width] + grain
    return np.clip(image, 0, 255).round().astype(np.uint8)


def write_photos(folder: Path, sizes: list[tuple[int, int]], extensions: tuple[str, ...] = ("png",)) -> None:
    """Photos p000.png, p001.png and so on in two subfolders, one of each (height, width)."""
    for number, (height, width) in enumerate(sizes):
        path = folder / f"set{number % 2}" / f"p{number:03}.{extensions[number % len(extensions)]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_photo(path, tiny_photo(height, width, number))


def results(folder: Path) -> dict[str, bytes]:
    """Every file below an output directory but the records, by its name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".dnr-batch" not in path.parts
    }
