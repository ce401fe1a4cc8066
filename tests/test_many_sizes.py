"""A process that retargets hundreds of sizes lives: its programs, memory maps and memory level off."""

import contextlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from batch_photos import TINY, environment, tiny_photo

from dnr_jax.config import RetargetConfig
from dnr_jax.photos.files import write_photo
from dnr_jax.pipeline import retarget
from dnr_jax.program_limit import count_maps, most_maps
from dnr_jax.weights import Weights

CALLS, BATCH = 300, 200
_TAPS = ("block1_conv2", "block3_conv4")


def peak_memory() -> float:
    """Of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@pytest.mark.slow
def test_three_hundred_sizes_in_one_process(embedded: Weights) -> None:
    chosen, seams = (
        RetargetConfig(importance_percentile=q, taps=_TAPS, keep=("objects",), reconstruct_steps=1, refine_steps=1)
        for q in ("auto", 100.0)
    )
    rng = np.random.default_rng(0)
    maps, memory = [], []
    for number in range(CALLS):
        height, width = (int(n) for n in rng.integers(40, 400, 2))
        target = (height, max(1, int(width * rng.uniform(0.4, 1.2))))
        config = (chosen, seams)[number % 2]
        image = retarget(tiny_photo(height, width, seed=number), target, config, embedded).image
        assert image.shape == (*target, 3)
        maps.append(count_maps() or 0)
        memory.append(peak_memory())
        if number % 20 == 19:
            print(
                f"\n{number + 1} calls: {maps[-1]} memory maps, at most {max(maps)}; peak memory {memory[-1]:.2f} GiB"
            )
    most = most_maps()
    if most is not None:
        # Programs go when half are in use; one more photo may add its own before anybody looks again.
        assert max(maps) < 0.7 * most, "maps level off"
    assert memory[-1] < 1.25 * memory[CALLS // 2], "memory levels off"

    photo = tiny_photo(250, 330, seed=0)
    seconds = {name: call_seconds(photo, width, chosen, embedded) for name, width in (("known", 280), ("again", 280))}
    other = min(call_seconds(tiny_photo(241, 329, seed=1), 287, chosen, embedded) for _ in range(3))
    print(f"a size seen before {seconds['again']:.2f} s, a new size of a known bucket {other:.2f} s")
    assert other < 1.3 * seconds["again"] + 0.1


@pytest.mark.slow
def test_a_batch_of_two_hundred_sizes_ends_with_all_of_them(tmp_path: Path, programs: Path) -> None:
    """Transparent photos, each of its own size and most in a bucket of their own, in one process."""
    rng = np.random.default_rng(1)
    (tmp_path / "in").mkdir()
    sizes = {(int(height), int(width)) for height, width in rng.integers(40, 400, (BATCH, 2))}
    for number, (height, width) in enumerate(sizes):
        alpha = np.full((height, width), 0.5, np.float32)
        write_photo(tmp_path / f"in/p{number:03}.png", tiny_photo(height, width, number), alpha=alpha)
    quick = [flag for flag in TINY if not flag.startswith("--keep")]
    command = [sys.executable, "-m", "dnr_jax.batch", "--input=in", "--output_dir=out", "--workers=0", *quick]
    process = subprocess.Popen(
        [*command, "--preset=paper", "--reconstruct_steps=1"],
        cwd=tmp_path,
        env=environment(programs),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    maps = [0]
    while process.poll() is None:
        with contextlib.suppress(OSError):  # It has just ended, or this system does not say.
            maps.append(Path(f"/proc/{process.pid}/maps").read_bytes().count(b"\n"))
        time.sleep(0.2)
    printed, complaint = process.communicate()
    print(f"\n{len(sizes)} sizes: at most {max(maps)} memory maps")
    assert process.returncode == 0, complaint
    assert f"{len(sizes)} done, 0 failed" in printed
    most = most_maps()
    if most is not None:
        assert max(maps) < 0.7 * most, "maps level off"
    figures = json.loads((tmp_path / "out/.dnr-batch/summary-0-of-1.json").read_text())
    assert len(figures["compile_seconds"]) > 100


def call_seconds(photo: np.ndarray, width: int, config: RetargetConfig, weights: Weights) -> float:
    start = time.perf_counter()
    retarget(photo, (photo.shape[0], width), config, weights)
    return time.perf_counter() - start
