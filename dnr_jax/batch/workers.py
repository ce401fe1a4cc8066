"""Worker processes that decode and encode, so that devices do not wait; they may die without ending the run.

A thread of this process serves each worker over a pipe, one call at a time, so that it is known over which call a
worker died. Pipes are used rather than the standard library's pool because they leave nothing behind: whatever ends
this process, its workers read the end of their pipe and end too, and no named semaphore is left for anyone to clean up.
"""

import contextlib
import multiprocessing
import os
import pickle
import queue
import signal
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

_SPAWN = multiprocessing.get_context("spawn")
_IGNORED = {getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)}
"""Signals that a terminal sends to all processes of a run; workers ignore them, since the run decides how they end."""
_LOCK = threading.Lock()
"""Held while a process is started or waited for, because starting one also collects all that have ended."""
_PATIENCE = 1.0
"""Seconds that processes have to end in once they are asked to."""


class WorkerDiedError(RuntimeError):
    """Raised by a call that twice ended the process that worked on it."""


class _Call(NamedTuple):
    """A call that waits for a worker: a function of a module, its arguments, and the future of what it returns."""

    future: Future[Any]
    function: Callable[..., Any]
    args: tuple[Any, ...]


class Workers:
    """Processes that answer calls; each is started when there is first something for it to do, and anew when it dies.

    Args:
      count: how many processes there are; 0 runs the calls in a thread of this process.
    """

    def __init__(self, count: int):
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._processes: set[_Process] = set()
        self._is_over = self._ends_at_once = False
        serve = self._serve_by_process if count else self._serve_here
        self._threads = [threading.Thread(target=serve, daemon=True) for _ in range(max(1, count))]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        """Ends the workers: once they have done what they are doing, or at once where an exception ends the run."""
        self._is_over = True
        with contextlib.suppress(queue.Empty):
            while True:
                call = self._calls.get_nowait()
                if call is not None:
                    call.future.cancel()
        for _ in self._threads:
            self._calls.put(None)
        if kind is not None:
            self._ends_at_once = True
            for process in list(self._processes):
                process.kill()
        for thread in self._threads:
            thread.join(None if kind is None else _PATIENCE / len(self._threads))

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Has some worker call a function.

        Args:
          function: a function of a module, since it must be picklable.
          args: its arguments, picklable too.

        Returns:
          The future of what the call returns or raises; it raises `WorkerDiedError` where the process died and, at the
          second attempt, the next one too.
        """
        call = _Call(Future(), function, args)
        self._calls.put(call)
        return call.future

    def _serve_here(self) -> None:
        """Answers calls in this thread until there are no more."""
        while (call := self._calls.get()) is not None:
            if call.future.set_running_or_notify_cancel():
                _settle(call.future, _answer(call.function, call.args))
            del call  # And with it a picture's memory, while this waits for the next.

    def _serve_by_process(self) -> None:
        """Has calls answered by a process until there are no more; a call over which it dies is tried once more."""
        process = None
        while (call := self._calls.get()) is not None:
            if call.future.set_running_or_notify_cancel():
                try:
                    process = self._serve(call, process) or self._serve(call, None, is_last=True)
                except Exception as error:  # No memory for the call or its answer, or no process to be had.
                    call.future.set_exception(error)
                    process = None
            del call
        if process is not None:
            process.close()

    def _serve(self, call: _Call, process: "_Process | None", *, is_last: bool = False) -> "_Process | None":
        """Has a call answered by a process, a new one where none is given; returns the process, or None if it died."""
        if process is None and not self._is_over:
            process = _Process()
            self._processes.add(process)
            if self._ends_at_once:  # The run has ended meanwhile, and has not seen this process.
                process.kill()
        answer = None
        if process is not None:
            try:
                answer = process.call(call.function, call.args)
            finally:
                if answer is None:
                    self._processes.discard(process)
        if answer is not None:
            _settle(call.future, answer)
            return process
        if is_last:
            reason = "it ended the process that worked on it, twice (out of memory?)"
            call.future.set_exception(WorkerDiedError(reason))
        return None


class _Process:
    """One worker process, at the other end of a pipe."""

    def __init__(self) -> None:
        self._connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_work, args=(theirs,), daemon=True)
        # From its first moment it must not answer signals that are meant for the run; it inherits what is blocked here.
        resource_tracker.ensure_running()
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, _IGNORED)
        with _LOCK:
            self._process.start()
        theirs.close()

    def call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[bool, Any] | None:
        """Has the process call a function; returns what `_answer` gives there, or None where the process died.

        Whatever this raises, the process has ended then: what is left in its pipe would answer another call.
        """
        try:
            request = pickle.dumps((function, args), pickle.HIGHEST_PROTOCOL)
            try:
                self._connection.send_bytes(request)
                del request
                data = self._connection.recv_bytes()
            except (EOFError, OSError):
                self.close()
                return None
            return pickle.loads(data)
        except BaseException:
            self.close()
            raise

    def kill(self) -> None:
        """Ends the process at once, whatever it is doing."""
        self._process.kill()

    def close(self) -> None:
        """Asks the process to end and waits for that; ends it after `_PATIENCE`."""
        self._connection.close()
        with _LOCK:
            self._process.join(_PATIENCE)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()


def _work(connection: Connection) -> None:
    """What a worker process does until the run's end of the pipe is closed."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while True:
            function, args = pickle.loads(connection.recv_bytes())
            answer = _answer(function, args)
            del args
            connection.send_bytes(pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))


def _answer(function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[bool, Any]:
    """Calls a function; gives (True, what it returns) or (False, what it raises, with the traceback as a note)."""
    try:
        return True, function(*args)
    except Exception as error:
        error.add_note(traceback.format_exc())
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # An exception whose class takes other arguments than it keeps.
            return False, RuntimeError(f"{type(error).__name__}: {error}")
        return False, error


def _settle(future: Future[Any], answer: tuple[bool, Any]) -> None:
    """Puts an answer of `_answer` into the future of its call."""
    is_result, value = answer
    if is_result:
        future.set_result(value)
    else:
        future.set_exception(value)


def default_workers() -> int:
    """How many workers there are by default: as many as this process may use cores, up to 32."""
    return min(32, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
