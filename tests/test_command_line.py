"""What every command does with its command line, and that all of them do it alike."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from absl import flags

import compare_stores
import convert_faces
import convert_u2net
import convert_words
import draw_figures
import evaluate
import evaluate_detectors
import evaluate_faces
import evaluate_importance
import run_benchmark
import train_embedded
from dnr_jax import resize
from dnr_jax.batch import command as batch
from dnr_jax.evaluation import tally
from dnr_jax.shell.command_line import run_command
from dnr_jax.weights import commands as weights

COMMANDS = {
    module.__name__.rsplit(".", 1)[-1]: module.main
    for module in (
        *(resize, batch, compare_stores, convert_faces, convert_u2net, convert_words, draw_figures, evaluate),
        *(evaluate_detectors, evaluate_faces, evaluate_importance, run_benchmark, tally, train_embedded),
    )
} | {f"weights {name}": lambda argv, name=name: weights.main([argv[0], name, *argv[1:]]) for name in weights._COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_all_commands_print_help_and_one_line_for_an_unknown_flag(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main: Callable[[Sequence[str]], int] = COMMANDS[name]
    assert main(["command", "--help"]) == 0
    out, err = capsys.readouterr()
    assert "Show this help" in out
    assert not err
    assert main(["command", "--no_such_flag=1"]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    assert "no_such_flag" in err


@pytest.mark.parametrize(
    ("main", "arguments", "name", "example"),
    [
        (compare_stores.main, ["--weights=w.h5"], "compare_stores", "python scripts/compare_stores.py"),
        (tally.main, [], "tally", "python -m dnr_jax.evaluation.tally"),
    ],
)
def test_commands_on_listed_files_ask_for_one(
    main: Callable[[Sequence[str]], int],
    arguments: list[str],
    name: str,
    example: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["command", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"{name}: no ")
    assert example in err


class JaxRuntimeError(RuntimeError):
    """What JAX raises for a device, by its name."""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory\nallocating 5 GB"), "not enough memory for this photo: "),
        (JaxRuntimeError("INTERNAL: the device\nis gone"), "INTERNAL: the device is gone"),
        (RuntimeError("Unable to initialize backend 'x': it is\nunknown"), "Unable to initialize backend 'x': it is "),
        (MemoryError(), "not enough memory for this photo: "),
        (FileNotFoundError(2, "No such file", "two\nlines.png"), "'two\\nlines.png': No such file"),
        (RuntimeError("a fault"), None),
    ],
)
def test_what_devices_raise_is_one_line(error: Exception, line: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    def body(_: dict[str, Any]) -> int:
        raise error

    values = flags.FlagValues()
    flags.DEFINE_boolean("help", False, "Show this help.", flag_values=values)
    if line is None:
        with pytest.raises(RuntimeError, match="a fault"):
            run_command("name", ["name"], values, body, text="")
        return
    assert run_command("name", ["name"], values, body, text="") == 2
    said = capsys.readouterr().err
    assert said.startswith(f"name: {line}")
    assert len(said.splitlines()) == 1


def test_missing_files_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare_stores.main(["command", f"--weights={tmp_path / 'gone.h5'}", "photo.jpg"]) == 2
    assert "gone.h5" in capsys.readouterr().err
    assert compare_stores.main(["command", "--weights=gone.h5", "--scale=0", "photo.jpg"]) == 2
    assert "--scale is 0" in capsys.readouterr().err
    assert tally.main(["command", str(tmp_path / "gone.json")]) == 2
    assert "gone.json" in capsys.readouterr().err


def test_the_body_gets_flags_and_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    taken: list[dict[str, Any]] = []

    def run(*argv: str, arguments: str = "") -> int:
        values = flags.FlagValues()
        flags.DEFINE_boolean("help", False, "Show this help.", flag_values=values)
        flags.DEFINE_integer("count", 1, "How many.", flag_values=values)
        return run_command("name", ["command", *argv], values, taken.append, text="", arguments=arguments)

    assert run("--count=2") == 0
    assert run("a", "--count=3", "b", arguments="photos") == 0
    assert taken == [{"help": False, "count": 2}, {"help": False, "count": 3, "photos": ["a", "b"]}]
    assert run("a") == 2
    assert "unexpected argument 'a'" in capsys.readouterr().err


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tally, "merge_ballots", interrupt)
    assert tally.main(["command", "votes.json"]) == 130
    assert capsys.readouterr().err == "tally: interrupted\n"
