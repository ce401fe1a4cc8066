"""Signals end every command within five seconds, whatever it is at: exit code 128 + n, and nothing half-written."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from absl import flags
from batch_photos import environment
from drawn_photos import textured_photo
from signals import EACH, SIGNALS, end

from dnr_jax.photos.files import write_image
from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import answered

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.usefixtures("heeded")
COMMAND = """
import hashlib, os, sys, time
from pathlib import Path
from absl import flags
from dnr_jax import atomic
from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process

def ready():
    print("ready", flush=True)

def compute(_=0):
    ready()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # Minutes, outside Python and without looking at signals.

def run(body):
    values = flags.FlagValues()
    flags.DEFINE_boolean("help", False, "Show this help.", flag_values=values)
    end_process(run_command("name", ["name"], values, body, text="", interrupted="interrupted, all is well"))

"""


def start(body: str, folder: Path) -> subprocess.Popen[str]:
    """Starts a command whose body is given; returns once it says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND + textwrap.dedent(body)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def tidying(first: str) -> str:
    """A command that waits and, once it is told to end, does something first and then makes the file `tidied`."""
    return f"""
    def body(options):
        try:
            ready()
            time.sleep(600)
        finally:
            {first}
            Path("tidied").touch()
    run(body)
    """


@pytest.mark.parametrize("number", SIGNALS)
def test_a_command_that_python_runs_ends_at_once_and_tidies_up(tmp_path: Path, number: signal.Signals) -> None:
    assert end(start(tidying(""), tmp_path), number, 2.0) == "name: interrupted, all is well\n"
    assert (tmp_path / "tidied").exists()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_command_inside_a_long_computation_ends_in_time(tmp_path: Path, number: signal.Signals) -> None:
    assert end(start("run(compute)", tmp_path), number) == "name: interrupted, all is well\n"


def test_a_file_that_is_being_written_is_removed_and_the_old_one_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    body = """
    atomic.os.fsync = compute
    run(lambda options: atomic.write_atomically(Path("file"), b"new"))
    """
    end(start(body, tmp_path), signal.SIGTERM)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_threads_and_swallowed_interrupts_do_not_keep_it(tmp_path: Path) -> None:
    body = """
    import threading
    def body(options):
        threading.Thread(target=time.sleep, args=(600,)).start()
        try:
            ready()
            time.sleep(600)
        except KeyboardInterrupt:
            raise ValueError("a library has made an error of it")
    run(body)
    """
    assert end(start(body, tmp_path), signal.SIGTERM, 2.0) == "name: interrupted, all is well\n"
    body = """
    def body(options):
        ready()
        while True:
            try:
                time.sleep(600)
            except KeyboardInterrupt:
                pass
    run(body)
    """
    assert end(start(body, tmp_path), signal.SIGTERM) == "name: interrupted, all is well\n"


def test_a_second_signal_does_not_disturb_the_tidying_up(tmp_path: Path) -> None:
    body = tidying("Path('begun').touch(); time.sleep(1)")
    process = start(body, tmp_path)
    process.send_signal(signal.SIGTERM)
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    end(process, signal.SIGTERM)
    assert (tmp_path / "tidied").exists()


def test_what_must_not_be_interrupted_comes_to_its_end(tmp_path: Path) -> None:
    body = """
    from dnr_jax.shell.ending import uninterrupted
    def body(options):
        with uninterrupted():
            with uninterrupted():
                ready()
                time.sleep(1)
            Path("ended").touch()
        Path("went on").touch()
    run(body)
    """
    assert end(start(body, tmp_path), signal.SIGTERM) == "name: interrupted, all is well\n"
    assert [path.name for path in tmp_path.iterdir()] == ["ended"]


def test_signals_that_are_ignored_stay_ignored(tmp_path: Path) -> None:
    body = """
    import signal
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # As nohup does.
    def body(options):
        ready()
        time.sleep(1)
        ready()
    run(body)
    """
    process = start(body, tmp_path)
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=30) == ("ready\n", "")
    assert process.returncode == 0


def test_afterwards_everything_is_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    def state() -> tuple[object, ...]:
        wakeup = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(wakeup)
        return (*(signal.getsignal(number) for number in SIGNALS), wakeup, threading.active_count())

    def run(body) -> int:
        values = flags.FlagValues()
        flags.DEFINE_boolean("help", False, "Show this help.", flag_values=values)
        return run_command("name", ["name"], values, body, text="")

    def interrupt(_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    before = state()
    descriptors = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    assert run(lambda _: None) == 0
    assert run(interrupt) == 128 + signal.SIGTERM
    assert answered[-1].__traceback__ is not None, "what was broken off is not taken apart before the process ends"
    assert capsys.readouterr().err == "name: interrupted\n"
    assert state() == before
    if descriptors:
        assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    codes: list[int] = []
    elsewhere = threading.Thread(target=lambda: codes.append(run(lambda _: 7)))
    elsewhere.start()
    elsewhere.join()
    assert codes == [7]


RESIZE = """
import hashlib, os, sys
from dnr_jax import atomic, methods, resize
from dnr_jax.photos import decode, files
from dnr_jax.shell.ending import end_process

def mark(*_):
    print("ready", flush=True)

def compute(*_, **__):
    mark()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)

def narrow(options, frames, *_):
    yield methods.Outcome([frame[:, :32] for frame in frames], [], {}, None)

phase = sys.argv[1]
if phase == "decoding":
    decode._decode = compute
elif phase == "encoding":
    methods.run_method = narrow
    files.encode_photo = compute
elif phase == "writing":
    methods.run_method = narrow
    atomic.os.fsync = compute
elif phase == "compiling":
    import jax.monitoring
    # Said of each program just before the compiler has it.
    said = "/jax/core/compile/jaxpr_to_mlir_module_duration"
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: name == said and mark())
end_process(resize.main(["resize", *sys.argv[2:]]))
"""


def start_resize(folder: Path, phase: str, *more: str, wait_for: str = "ready") -> subprocess.Popen[str]:
    """Starts the resizing of a photo; returns once it is in the phase."""
    write_image(folder / "photo.png", textured_photo(64, 96))
    (folder / "out.png").write_bytes(b"what was there before")
    arguments = ["--input=photo.png", "--output=out.png", "--width=75%", "--weights=embedded", *more]
    process = subprocess.Popen(
        [sys.executable, "-c", RESIZE, phase, *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    stream = process.stdout if wait_for == "ready" else process.stderr
    assert stream is not None
    for line in stream:
        if wait_for in line:
            return process
    raise AssertionError(process.communicate())


def assert_untouched(folder: Path) -> None:
    assert (folder / "out.png").read_bytes() == b"what was there before"
    assert sorted(path.name for path in folder.iterdir()) == ["out.png", "photo.png"]


@pytest.mark.parametrize("phase", ["decoding", "encoding", "writing"])
@pytest.mark.parametrize("number", EACH)
def test_resize_ends_in_time_with_its_files(tmp_path: Path, phase: str, number: signal.Signals) -> None:
    complaint = end(start_resize(tmp_path, phase), number)
    assert complaint == "dnr_jax.resize: interrupted; no file is left half-written\n"
    assert_untouched(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_resize_ends_in_time_while_it_optimises(tmp_path: Path, number: signal.Signals) -> None:
    slow = ["--taps=block1_conv2", "--importance_percentile=100", "--reconstruct_steps=60000", "--tolerance=0"]
    process = start_resize(tmp_path, "optimising", *slow, wait_for="reconstruction")
    assert "interrupted; no file is left half-written" in end(process, number)
    assert_untouched(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds", "number"),
    [*((seconds, signal.SIGTERM) for seconds in (0, 1, 3, 6, 12)), (2, signal.SIGINT), (2, signal.SIGHUP)],
)
def test_resize_ends_in_time_while_it_compiles(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    number: signal.Signals,
) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("empty")))
    process = start_resize(tmp_path, "compiling", "--reconstruct_steps=1000", "--tolerance=0")
    time.sleep(seconds)  # Programs of all sizes are compiled one after the other.
    end(process, number)
    assert_untouched(tmp_path)
