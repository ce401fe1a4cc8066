"""A bounded queue of jobs, a few threads that work on them, and an end to jobs that nobody waits for any more.

Photos are worked on in threads, so that pages and health checks are answered meanwhile. A job says how far it is by a
callback; once its client has left, that callback raises, and the thread is free for the next one.
"""

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from dnr_jax.serve.problems import ProblemError

_log = logging.getLogger(__name__)
_SECONDS_A_JOB = 5


class Step(NamedTuple):
    """How far a job is: `done` of at most `most` steps of a stage."""

    stage: str
    done: int
    most: int


class Forming(NamedTuple):
    """An image as it forms: `data` is the bytes of a JPEG."""

    data: bytes


class AbandonedError(Exception):
    """Raised in a job that nobody waits for any more."""


class Job:
    """A piece of work on its way through the queue.

    Args:
      work: called in a worker's thread with the job, to which it reports; it returns the job's result.
      loop: the event loop that waits for the result.

    Attributes:
      steps: what the work has reported, for the event loop; None comes last.
      result: the future of what the work returns or raises.
    """

    def __init__(self, work: "Work", loop: asyncio.AbstractEventLoop):
        self._work = work
        self._loop = loop
        self._abandoned = threading.Event()
        self.steps: asyncio.Queue[Step | Forming | None] = asyncio.Queue()
        self.result: asyncio.Future[Any] = loop.create_future()

    def abandon(self) -> None:
        """Makes the work end at its next report, or not begin at all."""
        self._abandoned.set()

    def report(self, stage: str, done: int, most: int) -> None:
        """Reports to the event loop, from the worker's thread, how far the job is; a `progress.Progress`.

        Raises:
          AbandonedError: nobody waits for the job any more.
        """
        if self._abandoned.is_set():
            raise AbandonedError
        self._tell(self.steps.put_nowait, Step(stage, done, most))

    def show(self, picture: bytes) -> None:
        """Hands the event loop, from the worker's thread, the image as it forms, as the bytes of a JPEG."""
        self._tell(self.steps.put_nowait, Forming(picture))

    def run(self) -> None:
        """Does the work, in the worker's thread; what it returns or raises becomes the result."""
        try:
            if self._abandoned.is_set():
                raise AbandonedError
            outcome = self._work(self)
        except AbandonedError as error:
            self._tell(self._finish, None, error)
        except BaseException as error:
            self._tell(self._finish, None, error)
        else:
            self._tell(self._finish, outcome, None)

    def _finish(self, outcome: Any, error: BaseException | None) -> None:
        self.steps.put_nowait(None)
        if self.result.done():
            return
        if error is None:
            self.result.set_result(outcome)
        else:
            self.result.set_exception(error)
            self.result.exception()  # Looked at, so that asyncio does not complain where nobody else does.

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # The loop is closed: the server has ended.
            self._loop.call_soon_threadsafe(function, *arguments)


Work = Callable[[Job], Any]
"""The function that does a job's work."""


class Workers:
    """Threads that take jobs in the order in which they came.

    Args:
      threads: how many jobs run at a time.
      waiting: how many further jobs may wait.
    """

    def __init__(self, threads: int, waiting: int):
        self._most = threads + waiting
        self._threads = threads
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._jobs: set[Job] = set()
        for number in range(threads):
            threading.Thread(target=self._serve, name=f"worker {number}", daemon=True).start()

    @property
    def inside(self) -> int:
        """How many jobs run or wait."""
        return len(self._jobs)

    @contextlib.asynccontextmanager
    async def job(self, work: Work) -> AsyncIterator[Job]:
        """Queues a job, and abandons it when the body is left before the job's end.

        Args:
          work: what the job does.

        Raises:
          ProblemError: all places are taken.
        """
        self.check_room()
        job = Job(work, asyncio.get_running_loop())
        self._jobs.add(job)
        # The place is free when the thread is, which may be later than the client's leaving.
        job.result.add_done_callback(lambda _: self._jobs.discard(job))
        self._queue.put(job)
        try:
            yield job
        finally:
            job.abandon()

    def check_room(self) -> None:
        """Raises ProblemError where all places are taken; it says in how many seconds to try again."""
        if self.inside >= self._most:
            wait = max(1, _SECONDS_A_JOB * self.inside // self._threads)
            raise ProblemError(
                "busy",
                f"{self.inside} photos are worked on or wait already: try again in {wait} seconds",
                headers={"Retry-After": str(wait)},
            )

    def close(self) -> None:
        """Abandons all jobs and lets the threads end."""
        for job in list(self._jobs):
            job.abandon()
        for _ in range(self._threads):
            self._queue.put(None)

    def _serve(self) -> None:
        """Works on one job after the other, in a thread of its own."""
        while (job := self._queue.get()) is not None:
            job.run()
            del job  # What it holds is let go while the thread waits.
