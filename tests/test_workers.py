"""Worker processes: what they pass on, that they may die, and that they neither outlive nor outleak their run."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import pytest
from worker_calls import answer, end_process, end_process_once, meet, raise_odd

from dnr_jax.batch import workers as module
from dnr_jax.batch.workers import WorkerDiedError, Workers
from dnr_jax.plain_files import NoPlainFileError, open_plain


def test_a_worker_may_die(tmp_path: Path) -> None:
    with Workers(1) as workers:
        calls = [workers.submit(answer, 1), workers.submit(end_process, 3), workers.submit(answer, 2)]
        once = workers.submit(end_process_once, tmp_path / "mark")
        assert calls[0].result()[0] == 2
        with pytest.raises(WorkerDiedError, match="twice"):
            calls[1].result()
        assert calls[2].result()[0] == 3
        assert once.result() == "done"
        assert workers.submit(answer, 4).result()[1] != os.getpid()


def test_workers_run_at_the_same_time(tmp_path: Path) -> None:
    with Workers(3) as workers:
        calls = [workers.submit(meet, tmp_path, 3) for _ in range(3)]
        assert len({call.result(60) for call in calls}) == 3


@pytest.mark.parametrize("count", [0, 1])
def test_calls_pass_on_what_they_raise(tmp_path: Path, count: int) -> None:
    with Workers(count) as workers:
        value, process = workers.submit(answer, 1).result()
        assert value == 2
        assert (process == os.getpid()) == (count == 0)
        with pytest.raises(ValueError, match="invalid literal"):
            workers.submit(int, "x").result()
        with pytest.raises(NoPlainFileError, match="a directory") as refused:
            workers.submit(open_plain, tmp_path).result()
        assert refused.value.what == "a directory"
        with pytest.raises(RuntimeError, match="OddError: ab"):
            workers.submit(raise_odd).result()
        assert workers.submit(answer, 2).result()[0] == 3


def test_an_exception_ends_workers_at_once() -> None:
    calls: list[Future] = []

    def interrupt() -> None:
        with Workers(2) as workers:
            workers.submit(answer, 1).result()
            calls.extend(workers.submit(time.sleep, 60) for _ in range(5))
            while not calls[1].running():
                time.sleep(0.01)
            raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert time.monotonic() - start < 30
    while not all(call.done() for call in calls):  # The threads that served the killed processes say so.
        assert time.monotonic() - start < 30
        time.sleep(0.01)
    assert sum(call.cancelled() for call in calls) == 3


def test_a_call_without_a_process_fails_and_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    real, tries = module._Process, []

    def scarce() -> module._Process:
        tries.append(1)
        if len(tries) == 1:
            raise BlockingIOError(11, "no process can be had")
        return real()

    monkeypatch.setattr(module, "_Process", scarce)
    with Workers(1) as workers:
        with pytest.raises(BlockingIOError, match="no process can be had"):
            workers.submit(answer, 1).result(60)
        value, first = workers.submit(answer, 1).result(60)
        assert value == 2
        # An answer for which there is no memory: what is left in that process's pipe must answer no other call.
        with monkeypatch.context() as short:
            short.setattr(module.pickle, "loads", lambda _: (_ for _ in ()).throw(MemoryError))
            with pytest.raises(MemoryError):
                workers.submit(answer, 5).result(60)
        value, second = workers.submit(answer, 2).result(60)
        assert (value, first == second) == (3, False)


def test_a_process_that_starts_while_an_exception_ends_the_run_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    begins, goes_on = threading.Event(), threading.Event()

    class Late(module._Process):
        def __init__(self) -> None:
            begins.set()
            assert goes_on.wait(60)
            super().__init__()

    monkeypatch.setattr(module, "_Process", Late)
    calls: list[Future] = []

    def interrupt() -> None:
        with Workers(1) as workers:
            calls.append(workers.submit(time.sleep, 60))
            assert begins.wait(60)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    start = time.monotonic()
    goes_on.set()
    with pytest.raises(WorkerDiedError):
        calls[0].result(60)
    assert time.monotonic() - start < 30


def test_the_end_waits_for_what_is_begun() -> None:
    with Workers(1) as workers:
        begun = workers.submit(time.sleep, 0.5)
        while not begun.running():
            time.sleep(0.01)
        left = workers.submit(answer, 1)
    assert begun.result(0) is None
    assert left.cancelled()


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    with Workers(2) as workers:
        workers.submit(answer, 1).result()
    assert threading.active_count() == before


ROOT = Path(__file__).resolve().parents[1]
RUN = """
import os, sys, time
from pathlib import Path
from dnr_jax.batch.workers import Workers
from worker_calls import meet

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with Workers(3) as workers:
        calls = [workers.submit(meet, folder, 3) for _ in range(3)]
        for call in calls:
            call.result()
        workers.submit(time.sleep, 600)  # One is busy, and two are idle.
        time.sleep(0.2)
        print("ready", flush=True)
        time.sleep(600)
"""


@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_workers_end_with_their_run_and_leave_nothing(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "run.py").write_text(RUN)
    (tmp_path / "met").mkdir()
    process = subprocess.Popen(
        [sys.executable, tmp_path / "run.py", tmp_path / "met"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    # The stream ends once the last process that could write to it has ended.
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == -number
    assert complaint == ""
