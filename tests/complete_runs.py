"""With $DNR_COMPLETE=1 no test is left out for a reason that could have been met: such a skip fails.

`.ci/run` sets it. What may be missing is listed here, and the skips are counted at the end of the run.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

MAY_BE_MISSING = (
    r"no shared data at ",
    r"no file at ",  # Of the shared data.
    r"no photo at ",
    r"no Chromium: ",  # .ci/run installs it where it may.
    r"torch\.compile needs a C\+\+ compiler",
    r"this system has no named pipes",
    r"Linux alone tells a process its memory maps",
    r"thumbor asks for an older Pillow ",  # CONTRIBUTING.md says how to test it in one of its own.
)
"""Reasons, each from its beginning, that no command of this repository can do away with."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = yield
    _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    report = yield
    _judge(report)
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if os.environ.get("DNR_COMPLETE") != "1":
        return
    counts = Counter(_reason(report) for report in terminalreporter.getreports("skipped"))
    terminalreporter.section(f"DNR_COMPLETE=1: {sum(counts.values())} skipped")
    for reason, count in counts.most_common():
        terminalreporter.line(f"{count} {reason}")


def _judge(report: Any) -> None:
    """Turns a skip that could have been avoided into a failure."""
    if os.environ.get("DNR_COMPLETE") != "1" or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = _reason(report)
    if not any(re.match(known, reason) for known in MAY_BE_MISSING):
        report.outcome = "failed"
        report.longrepr = f"DNR_COMPLETE=1 and skipped, for a reason that can be met: {reason}"


def _reason(report: Any) -> str:
    where = report.longrepr
    text = where[2] if isinstance(where, tuple) else str(where)
    return text.removeprefix("Skipped: ")
