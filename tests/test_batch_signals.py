"""A batch that a signal ends, in every phase: within five seconds, all that is done recorded, nothing half-written."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from batch_photos import environment, own_programs, results, write_photos
from signals import SIGNALS, end

pytestmark = pytest.mark.usefixtures("heeded")
COUNT = 8
QUICK = (
    "--weights=embedded",
    "--preset=paper",
    "--taps=block1_conv2",
    "--reconstruct_steps=2",
    "--refine_steps=1",
    "--width=75%",
    "--quiet",
)
"""Flags of a run that looks for nothing and whose program compiles soonest."""
RUN = """
import sys
from worker_calls import compute, decode_for_ever, encode_for_ever
from dnr_jax.batch import command, run
from dnr_jax.batch.devices import Devices
from dnr_jax.shell.ending import end_process

if __name__ == "__main__":
    phase = sys.argv[1]
    if phase == "decoding":
        run.decode_entry = decode_for_ever
    elif phase == "encoding":
        run.encode_result = encode_for_ever
    elif phase == "computing":
        real, calls = Devices.run, []
        def run_on_devices(*args):
            calls.append(args)
            if len(calls) == 4:
                compute()
            return real(*args)
        Devices.run = run_on_devices
    elif phase == "compiling":
        import jax.monitoring
        said = "/jax/core/compile/jaxpr_to_mlir_module_duration"
        jax.monitoring.register_event_duration_secs_listener(
            lambda name, seconds, **about: name == said and seconds > 0.3 and print("ready", flush=True)
        )
    end_process(command.main(["batch", *sys.argv[2:]]))
"""


@pytest.fixture
def programs(tmp_path: Path, programs: Path) -> Path:
    """A copy: processes that are killed may leave a program half-written."""
    return own_programs(tmp_path, programs)


def start_batch(folder: Path, programs: Path | None, phase: str, *more: str) -> subprocess.Popen[str]:
    """Starts a batch of eight photos; returns once it is in the phase."""
    write_photos(folder / "in", [(40, 50)] * COUNT)
    (folder / "run.py").write_text(RUN)
    process = subprocess.Popen(
        [sys.executable, "run.py", phase, "--input=in", "--output_dir=out", "--batch_size=1", *QUICK, *more],
        cwd=folder,
        env=environment(programs),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line == "ready\n":
            return process
    raise AssertionError(process.communicate()[1])


def assert_sound(folder: Path, unrecorded: int = 0) -> int:
    """The photos that are in their files are recorded, but for a few; else no other file is left; returns how many."""
    state = folder / "out/.dnr-batch"
    path = state / "finished-0-of-1.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    found = results(folder / "out")
    assert all(len(found[line["output"]]) == line["output_bytes"] for line in lines)
    assert len(lines) <= len(found) <= len(lines) + unrecorded
    assert {line["status"] for line in lines} <= {"done"}
    assert unrecorded or not list((folder / "out").rglob("*.tmp"))
    return len(lines)


def go_on(folder: Path, programs: Path) -> str:
    """Runs the command again, without obstacles; returns its summary."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "dnr_jax.batch",
            "--input=in",
            "--output_dir=out",
            "--batch_size=1",
            "--workers=0",
            *QUICK,
        ],
        cwd=folder,
        env=environment(programs),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


PHASES = [(phase, workers) for phase in ("encoding", "decoding", "computing") for workers in (2, 0)]


@pytest.mark.slow
@pytest.mark.parametrize(("phase", "workers"), PHASES)
@pytest.mark.parametrize("number", SIGNALS)
def test_a_batch_ends_in_time_and_goes_on(
    tmp_path: Path, programs: Path, number: signal.Signals, phase: str, workers: int
) -> None:
    process = start_batch(tmp_path, programs, phase, f"--workers={workers}")
    complaint = end(process, number)
    assert complaint == "dnr_jax.batch: interrupted; what is finished is recorded, run again to go on\n"
    done = assert_sound(tmp_path)
    assert done < COUNT
    assert f"{COUNT - done} done, 0 failed, {done} done before" in go_on(tmp_path, programs)
    assert assert_sound(tmp_path) == COUNT


def test_a_killed_batch_goes_on(tmp_path: Path, programs: Path) -> None:
    process = start_batch(tmp_path, programs, "computing", "--workers=0")
    process.kill()
    process.communicate()
    done = assert_sound(tmp_path, COUNT)
    assert 0 < done < COUNT
    assert f"{COUNT - done} done, 0 failed, {done} done before" in go_on(tmp_path, programs)
    assert assert_sound(tmp_path) == COUNT


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_to_all_of_its_processes_loses_nothing(tmp_path: Path, programs: Path, number: signal.Signals) -> None:
    # As a terminal sends it that is closed or sees Control-C, and as a service manager stops a service.
    process = start_batch(tmp_path, programs, "computing", "--workers=2")
    for children in Path(f"/proc/{process.pid}/task").glob("*/children"):
        for child in children.read_text().split():
            os.kill(int(child), number)
    complaint = end(process, number)
    assert "Traceback" not in complaint
    assert "interrupted" in complaint
    # A worker that SIGTERM ends may have put a file in its place and not have said so, or be about to write one.
    done = assert_sound(tmp_path, 2 if number == signal.SIGTERM else 0)
    assert f"{COUNT - done} done, 0 failed, {done} done before" in go_on(tmp_path, programs)
    assert assert_sound(tmp_path) == COUNT


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--workers=1", "--dry_run"])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_batch_ends_in_time_while_it_compiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, flag: str
) -> None:
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    process = start_batch(tmp_path, None, "compiling", flag, "--taps=block1_conv2,block2_conv2,block3_conv4")
    assert "interrupted" in end(process, number)
    assert assert_sound(tmp_path) == 0
