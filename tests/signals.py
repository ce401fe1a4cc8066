"""Processes that a signal is to end within five seconds."""

import signal
import subprocess
import time

import pytest

LIMIT = 5.0
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
EACH = [signal.SIGTERM, *(pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGINT, signal.SIGHUP))]
"""The same as parameters of a test that starts a whole command: one of them is fast."""


def end(process: subprocess.Popen[str], number: signal.Signals, limit: float = LIMIT) -> str:
    """Sends a signal; returns what is said on stderr, once the process has ended in time and with the right code."""
    begin = time.monotonic()
    process.send_signal(number)
    process.wait(timeout=60)
    seconds = time.monotonic() - begin
    _, complaint = process.communicate(timeout=60)
    assert seconds < limit
    assert process.returncode == 128 + number, complaint
    return complaint
