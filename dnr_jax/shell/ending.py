"""Ends a command within seconds when SIGINT, SIGTERM or SIGHUP asks for it, leaving no file half-written.

The signal becomes an exception in the main thread. While that is inside a long computation, which Python's signal
handlers must wait for, a second thread ends the process instead.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn

from dnr_jax.atomic import remove_unfinished

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
answered: list[KeyboardInterrupt] = []
"""Interrupts that a command has come to its end by, kept until the process ends. With their tracebacks would go what a
compilation held when it was broken off, and XLA sometimes crashes as it takes that apart."""
PATIENCE = 2.5
"""Seconds after a signal in which the main thread may come to its end; after them the process is ended."""


class Ended(KeyboardInterrupt):
    """Raised in the main thread when a signal asks the process to end; `number` is the signal's."""

    def __init__(self, number: int):
        super().__init__(f"signal {number}")
        self.number = number


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """The exit code of a process that a signal has ended: 128 and the signal's number."""
    return 128 + (interrupt.number if isinstance(interrupt, Ended) else signal.SIGINT)


class _Held:
    """How many sections are running that must not be interrupted, and the number of a signal that came meanwhile."""

    sections = 0
    number: int | None = None


_held = _Held()


@contextlib.contextmanager
def ended_by_signals(last_words: str) -> Iterator[None]:
    """While the body runs, the first signal raises `Ended` in it, and ends the process `PATIENCE` seconds later.

    Signals that the process was started to ignore (by nohup, or in the background of a script) stay ignored. Outside
    the main thread, where Python handles no signals, nothing changes.

    Args:
      last_words: the line to print on stderr if the process is ended from outside the main thread.

    Raises:
      Ended: in place of whatever the body raises once a signal has come.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    over = threading.Event()
    _held.number = None

    def handle(number: int, _: object) -> None:
        if received or over.is_set():  # Nothing, not whoever asks twice either, must interrupt the tidying up.
            return
        received.append(number)
        if _held.sections:
            _held.number = number
        else:
            raise Ended(number)

    reading_end, writing_end = os.pipe()
    os.set_blocking(writing_end, False)
    watcher = threading.Thread(target=_watch, args=(reading_end, over, last_words), daemon=True)
    watcher.start()
    before_fd = signal.set_wakeup_fd(writing_end, warn_on_full_buffer=False)
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    handlers = {number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)}
    try:
        for number in handlers:
            signal.signal(number, handle)
        yield
    except Exception as error:
        if received:  # An interrupt that a library has made an error of its own.
            raise Ended(received[0]) from error
        raise
    finally:
        over.set()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_fd)
        os.write(writing_end, b"\0")
        watcher.join()
        os.close(reading_end)
        os.close(writing_end)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Puts off `Ended` until its body, which must be short, has come to its end; works in the main thread alone.

    Raises:
      Ended: a signal came while the body ran.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _held.sections += 1
    try:
        yield
    finally:
        _held.sections -= 1
    if _held.number is not None and not _held.sections:
        number, _held.number = _held.number, None
        raise Ended(number)


@contextlib.contextmanager
def handlers_kept() -> Iterator[None]:
    """Puts the handlers of `SIGNALS` back after a body that installs others, even where it does so outside Python."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler is not None:
                signal.signal(number, handler)


def _watch(heard: int, over: threading.Event, last_words: str) -> None:
    """Ends the process if the main thread has not come to its end `PATIENCE` seconds after a signal.

    Args:
      heard: the descriptor of a pipe that brings the numbers of signals, a byte each.
      over: is set once the main thread has come to its end.
      last_words: the line to print on stderr before the process ends.
    """
    while not over.is_set():
        for number in os.read(heard, 64):
            if number in SIGNALS and not over.wait(PATIENCE):
                remove_unfinished()
                with contextlib.suppress(OSError):
                    os.write(2, f"{last_words}\n".encode())
                os._exit(128 + number)


def end_process(code: int) -> NoReturn:
    """Ends the process with an exit code; where that is a signal's (above 128), without waiting for other threads."""
    if code <= 128:
        sys.exit(code)
    remove_unfinished()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
