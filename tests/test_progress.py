"""Progress: when it speaks, what it draws where, and that no stream can stop a run."""

import io
import os
from collections.abc import Callable

import pytest

from dnr_jax.shell.progress import ProgressLine


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class BrokenPipe(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text: str, /) -> int:
        raise BrokenPipeError


def clock(*seconds: float) -> Callable[[], float]:
    return iter(seconds).__next__


def screen(stream: io.StringIO) -> list[str]:
    """What a terminal shows of its lines after every redraw."""
    return [line.rsplit("\r\x1b[K", 1)[-1] for line in stream.getvalue().removesuffix("\n").split("\n")]


def test_plain_lines_after_two_seconds_then_every_five_and_at_the_end() -> None:
    stream = io.StringIO()
    with ProgressLine(stream, clock=clock(0, 1, 3, 4, 9, 10, 10.1)) as line:
        for done in (1, 2, 3, 4, 5, 5):
            line.update("reconstruction", done, 5)
    assert stream.getvalue().splitlines() == [f"reconstruction: step {done} of at most 5" for done in (2, 4, 5)]


def test_a_plain_line_when_a_stage_begins() -> None:
    stream = io.StringIO()
    with ProgressLine(stream, clock=clock(0, 3, 3.1, 3.2, 3.3)) as line:
        line.update("reconstruction", 1, 9)
        line.update("reconstruction", 2, 9)
        line.update("refinement", 1, 4)
        line.update("refinement", 2, 4)
    assert stream.getvalue().splitlines() == [
        "reconstruction: step 1 of at most 9",
        "refinement: step 1 of at most 4",
    ]


def test_a_bar_for_each_stage_on_a_terminal() -> None:
    stream = Terminal()
    with ProgressLine(stream, clock=clock(0, 3, 3, 3, 3, 3)) as line:
        line.update("reconstruction", 1, 2)
        line.update("reconstruction", 2, 2)
        line.update("reconstruction", 2, 2)
        line.update("refinement", 1, 4)
        line.update("refinement", 3, 4)
    assert screen(stream) == [
        "reconstruction [" + "#" * 24 + "] 2/2",
        "refinement     [" + "#" * 18 + "." * 6 + "] 3/4",
    ]
    assert stream.getvalue().count("2/2") == 1
    assert stream.getvalue().endswith("\n")


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_nothing_in_a_short_or_a_quiet_run(stream: io.StringIO) -> None:
    with ProgressLine(stream, clock=clock(0, 0.5, 1.9)) as line:
        line.update("reconstruction", 1, 2)
        line.update("reconstruction", 2, 2)
    with ProgressLine(stream, quiet=True, clock=clock(0, 5, 6)) as line:
        line.update("reconstruction", 1, 2)
        line.update("reconstruction", 2, 2)
    assert not stream.getvalue()


@pytest.mark.parametrize("columns", [1, 5, 17, 24, 40, 200])
def test_a_bar_never_reaches_the_last_column(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(Terminal, "fileno", lambda _: 2, raising=False)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((columns, 20)))
    stream = Terminal()
    with ProgressLine(stream, clock=clock(0, 3)) as line:
        line.update("reconstruction", 33, 40)
    (shown,) = screen(stream)
    assert len(shown) < max(columns, 1)
    assert ("33/40" in shown) == (columns >= 24)
    assert shown.count("#") + shown.count(".") <= 24


@pytest.mark.parametrize(("done", "most", "shown"), [(9, 4, "4/4"), (-1, 4, "0/4"), (0, 0, "")])
def test_odd_counts(done: int, most: int, shown: str) -> None:
    stream = Terminal()
    with ProgressLine(stream, clock=clock(0, 3)) as line:
        line.update("features", done, most)
    assert shown in stream.getvalue()
    assert bool(shown) == bool(stream.getvalue())


def test_a_closed_stream_or_a_gone_reader_stops_nothing() -> None:
    closed, closing = io.StringIO(), Terminal()
    closed.close()
    for stream in (closed, closing, BrokenPipe()):
        with ProgressLine(stream, clock=clock(0, 3, 4, 5)) as line:
            line.update("reconstruction", 1, 3)
            closing.close()
            line.update("reconstruction", 2, 3)
            line.update("reconstruction", 3, 3)
