"""The server's queue of jobs: what becomes of one that nobody waits for."""

import asyncio
import threading

import pytest

from dnr_jax.serve.jobs import AbandonedError, Job, Workers


def test_what_an_abandoned_job_holds_is_let_go() -> None:
    async def leave() -> None:
        workers, begun = Workers(1, 1), threading.Event()

        def work(job: Job) -> None:
            begun.set()
            while True:
                job.report("reconstruction", 0, 1)

        with workers.job() as first:
            workers.start(first, work)
            assert await asyncio.to_thread(begun.wait, 10)
            with workers.job() as second:
                workers.start(second, work)
            assert second.work is None
            assert isinstance(second.result.exception(), AbandonedError)
            await asyncio.sleep(0)
            with workers.job() as third:
                assert workers.inside == 2
            assert isinstance(third.result.exception(), AbandonedError)
        with pytest.raises(AbandonedError):
            await first.result
        workers.close()

    asyncio.run(leave())
