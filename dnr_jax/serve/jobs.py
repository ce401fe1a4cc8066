"""A bounded queue of jobs, a few threads that work on them, and an end to jobs that nobody waits for any more.

Photos are worked on in threads, so that pages and health checks are answered meanwhile. A job has its place from before
its request is read. It says how far it is by a callback; once its client has left, that callback raises, and the thread
is free for the next one.
"""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
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
      loop: the event loop that waits for the result.

    Attributes:
      work: called in a worker's thread with the job, to which it reports; it returns the job's result. None while the
        request is read, and once nobody waits for it.
      begun: whether a thread has taken the job.
      steps: what the work has reported, for the event loop; None comes last.
      result: the future of what the work returns or raises.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop = loop
        self._abandoned = threading.Event()
        self.work: Work | None = None
        self.begun = False
        self.steps: asyncio.Queue[Step | Forming | None] = asyncio.Queue()
        self.result: asyncio.Future[Any] = loop.create_future()

    def abandon(self) -> None:
        """Makes the work end at its next report."""
        self._abandoned.set()

    def drop(self) -> None:
        """Ends a job that no thread has taken, in the event loop: its work, with the photo, is let go."""
        self.work = None
        self._finish(None, AbandonedError())

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
            assert self.work is not None
            outcome = self.work(self)
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
    """Threads that take jobs in the order in which they came. All methods must be called in the event loop.

    Args:
      threads: how many jobs run at a time.
      waiting: how many further jobs may wait, or have their requests read.
    """

    def __init__(self, threads: int, waiting: int):
        self._most = threads + waiting
        self._threads = threads
        self._jobs: set[Job] = set()
        # Guards what follows, and whether a job has begun.
        self._changed = threading.Condition()
        self._queue: deque[Job] = deque()
        self._closed = False
        for number in range(threads):
            threading.Thread(target=self._serve, name=f"worker {number}", daemon=True).start()

    @property
    def inside(self) -> int:
        """How many jobs run, wait or are read."""
        return len(self._jobs)

    @contextlib.contextmanager
    def job(self) -> Iterator[Job]:
        """Takes a place for a job, whose work `start` is given later; leaving the body abandons what has not ended.

        Raises:
          ProblemError: all places are taken; it says in how many seconds to try again.
        """
        if self.inside >= self._most:
            wait = max(1, _SECONDS_A_JOB * self.inside // self._threads)
            raise ProblemError(
                "busy",
                f"{self.inside} photos are worked on or wait already: try again in {wait} seconds",
                headers={"Retry-After": str(wait)},
            )
        job = Job(asyncio.get_running_loop())
        self._jobs.add(job)
        # The place of a job that has begun is free when its thread is, which may be later than the client's leaving.
        job.result.add_done_callback(lambda _: self._jobs.discard(job))
        try:
            yield job
        finally:
            self._abandon(job)

    def start(self, job: Job, work: Work) -> None:
        """Has a job wait for its turn, in which `work` is called with it; one that has been abandoned does nothing."""
        with self._changed:
            if not job.result.done():
                job.work = work
                self._queue.append(job)
                self._changed.notify()

    def close(self) -> None:
        """Abandons all jobs and lets the threads end."""
        for job in list(self._jobs):
            self._abandon(job)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _abandon(self, job: Job) -> None:
        """Makes a job that runs end at its next report, and one that has not begun at once."""
        job.abandon()
        with self._changed:
            if job.begun:
                return
            with contextlib.suppress(ValueError):  # Its request is still read, or it has been dropped before.
                self._queue.remove(job)
        job.drop()

    def _serve(self) -> None:
        """Works on one job after the other, in a thread of its own."""
        while (job := self._take()) is not None:
            job.run()
            del job  # What it holds is let go while the thread waits.

    def _take(self) -> Job | None:
        """Waits for the next job, which has begun from then on; None once the workers are closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            if not self._queue:
                return None
            job = self._queue.popleft()
            job.begun = True
            return job
