"""The Ray engine on a local cluster of two actors: a few photos, and one actor killed at work."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from batch_photos import TINY, environment, results, write_photos

COUNT = 160


@pytest.fixture
def ray_folder() -> Iterator[str]:
    """Ray's own files; their names must be short."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        yield folder


@pytest.mark.slow
def test_two_actors_share_a_few_photos(tmp_path: Path, programs: Path, ray_folder: str) -> None:
    write_photos(tmp_path / "in", [(40, 50)] * 6)
    out = tmp_path / "out"
    args = [sys.executable, "-m", "dnr_jax.batch", f"--input={tmp_path / 'in'}", f"--output_dir={out}", *TINY]
    done = subprocess.run(
        [*args, "--engine=ray", "--ray_actors=2", "--workers=0", "--batch_size=1"],
        env=environment(programs, RAY_USAGE_STATS_ENABLED="0", RAY_TMPDIR=ray_folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "6 done, 0 failed" in done.stdout
    assert len(results(out)) == 6
    assert not list((out / ".dnr-batch").glob("temporary-ray-*"))


@pytest.mark.slow
def test_two_actors_one_of_them_killed(tmp_path: Path, programs: Path, ray_folder: str) -> None:
    write_photos(tmp_path / "in", [(40 + i % 3, 50) for i in range(COUNT)])
    (tmp_path / "in/bad.png").write_bytes(b"no photo")
    out, state = tmp_path / "out", tmp_path / "out/.dnr-batch"
    args = [sys.executable, "-m", "dnr_jax.batch", f"--input={tmp_path / 'in'}", f"--output_dir={out}", *TINY]
    process = subprocess.Popen(
        [*args, "--engine=ray", "--ray_actors=2", "--workers=0", "--batch_size=1"],
        env=environment(programs, RAY_USAGE_STATS_ENABLED="0", RAY_TMPDIR=ray_folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 300
    victim = None
    while victim is None:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        for path in state.glob("finished-ray-*-*.jsonl"):
            if len(path.read_text().splitlines()) >= 6:
                victim = path
        time.sleep(0.005)
    # Its record is named after its process.
    os.kill(int(victim.name.split("-")[2]), 9)
    printed, complaint = process.communicate(timeout=300)
    assert process.returncode == 1, complaint  # The bad photo.
    lines = [json.loads(line) for path in state.glob("finished-*.jsonl") for line in path.read_text().splitlines()]
    victims = {json.loads(line)["output"] for line in victim.read_text().splitlines()}
    assert 6 <= len(victims) < COUNT
    done = Counter(line["output"] for line in lines if line["status"] == "done")
    assert len(done) == COUNT == len(results(out))
    assert sum(done.values()) <= COUNT + 8  # At most what the lost actor had in its hands is done twice.
    assert len(list(state.glob("finished-ray-*-*.jsonl"))) >= 2
    assert f"{COUNT} done, 1 failed" in printed
    assert "bad.png is no image" in printed
    assert not list(state.glob("temporary-ray-*"))
    # The same output directory, without Ray: nothing is left to do.
    again = subprocess.run(
        [*args, "--workers=0", "--batch_size=1"], env=environment(programs), capture_output=True, text=True, check=False
    )
    assert again.returncode == 1
    assert f"0 done, 0 failed, {COUNT} done before, 1 failed before" in again.stdout
