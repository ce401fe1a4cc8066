"""Kill -9 at random moments: nothing half-written, nothing done twice, nothing lost, the same files in the end."""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from batch_photos import TINY, environment, own_programs, results, write_photos

pytestmark = pytest.mark.slow

COUNT, KILLS = 240, 20
IN_FLIGHT = 24
"""Photos that may be in their file and not yet in the record: two batches on their way, and one coming in."""

NURSERY = """
import os, sys
import jax
import jax.numpy
import dnr_jax.batch.ray_engine, dnr_jax.batch.dry_run
from dnr_jax.batch.command import main
# A child for each line that comes in; JAX is imported, and nothing of it started.
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        sys.stdin.close()
        os.setpgid(0, 0)
        code = main(["batch", *line.split()])
        sys.stderr.flush()
        os._exit(code)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture
def programs(tmp_path: Path, programs: Path) -> Path:
    """A copy: processes that are killed may leave a program half-written."""
    return own_programs(tmp_path, programs)


class Nursery:
    """Starts runs of the command quickly, each in a process of its own that can be killed."""

    def __init__(self, programs: Path):
        env = environment(programs)
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            text=True,
        )

    def start(self, *args: str) -> int:
        """Begins a run; returns its process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(args) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> int:
        """Waits for the run's end; returns its exit code, negative for a signal."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        while not line.lstrip("-").strip().isdecimal():  # The run's own summary.
            assert line
            line = self.process.stdout.readline()
        return int(line)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def lines_of(path: Path) -> list[dict]:
    """The whole lines of a record."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.parametrize("seed", [0])
def test_killed_twenty_times(tmp_path: Path, programs: Path, seed: int) -> None:
    write_photos(tmp_path / "in", [(36 + i % 5, 40 + i % 7) for i in range(COUNT)])
    nursery = Nursery(programs)
    args = [f"--input={tmp_path / 'in'}", *TINY]
    try:
        nursery.start(*args, f"--output_dir={tmp_path / 'whole'}", "--workers=1")
        assert nursery.end() == 0
        whole = results(tmp_path / "whole")
        assert len(whole) == COUNT

        rng, out = random.Random(seed), tmp_path / "out"
        record = out / ".dnr-batch" / "finished-0-of-1.jsonl"
        kills = in_work = 0
        while kills < KILLS:
            pid = nursery.start(*args, f"--output_dir={out}", f"--workers={int(kills % 4 == 0)}")
            # Most kills fall into the work, a few into the start.
            before, goal = len(lines_of(record)), rng.choice([0, 1, 2, 3, 5, 8, 10])
            end = time.monotonic() + 300
            while goal and len(lines_of(record)) < before + goal:
                assert time.monotonic() < end
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.02 if goal else 1.5))
            os.kill(pid, 9)
            assert nursery.end() == -9, "the run was over before it was killed: give it more photos"
            kills += 1
            in_work += len(lines_of(record)) > before
            written, recorded = results(out), lines_of(record)
            assert all(whole[name] == data for name, data in written.items())
            assert {line["output"] for line in recorded} <= set(written)
            assert len(written) - len(recorded) <= IN_FLIGHT
        assert in_work >= KILLS // 2
        assert len(lines_of(record)) < COUNT

        nursery.start(*args, f"--output_dir={out}", "--workers=1")
        assert nursery.end() == 0
        assert results(out) == whole
        times = Counter(line["output"] for line in lines_of(record))
        assert times == Counter(dict.fromkeys(whole, 1))
        assert not list((out / ".dnr-batch").rglob("*.tmp"))
    finally:
        nursery.close()
