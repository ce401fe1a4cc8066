"""The endpoints of the HTTP interface: each reads a request, has its work done by a thread, and answers."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from dnr_jax.serve import answers
from dnr_jax.serve.engine import Engine
from dnr_jax.serve.fields import MASKS, Order, parse_fields
from dnr_jax.serve.jobs import AbandonedError, Forming, Job, Work, Workers
from dnr_jax.serve.metrics import MEDIA_TYPE, Metrics
from dnr_jax.serve.preview import Analyst
from dnr_jax.serve.problems import MEDIA_TYPE as PROBLEM_TYPE
from dnr_jax.serve.problems import ProblemError, problem_of
from dnr_jax.serve.settings import Settings
from dnr_jax.serve.uploads import Form, read_form

_log = logging.getLogger(__name__)


class Api:
    """The endpoints of one server.

    Args:
      settings: the limits of the server.
      engine: holds the networks and does the work.
    """

    def __init__(self, settings: Settings, engine: Engine):
        self._settings = settings
        self._engine = engine
        self._analyst = Analyst(engine)
        self.workers = Workers(settings.jobs, settings.waiting)
        self.metrics = Metrics(lambda: self.workers.inside)

    async def retarget(self, request: Request) -> Response:
        """Answers `POST /v1/retarget` with an image or a zip of several, or a stream if multipart/mixed is accepted."""
        with contextlib.ExitStack() as held:
            job = held.enter_context(self.workers.job())
            form, order = await self._read(request)
            if "multipart/mixed" in request.headers.get("accept", ""):
                self._start(job, "retarget", lambda job: self._engine.retarget(form, order, job.report, show=job.show))
                return _Stream(self._stream(job), held.pop_all())
            self._start(job, "retarget", lambda job: self._engine.retarget(form, order, job.report))
            outputs = await self._finish(request, job)
        if len(outputs) > 1:
            data = await asyncio.to_thread(answers.make_zip, outputs)
            name = f"{form.files['photo'].name.rpartition('.')[0] or 'photos'}.zip"
            return Response(
                data, media_type="application/zip", headers={"Content-Disposition": answers.disposition(name)}
            )
        (output,) = outputs
        headers = {
            "Content-Disposition": answers.disposition(output.name),
            "Dnr-Record": answers.short_record(output.record),
        }
        return Response(output.data, media_type=output.media_type, headers=headers)

    async def analyse(self, request: Request) -> Response:
        """Answers `POST /v1/analyse` with the order of seams, the cells and the maps of a photo, as JSON."""
        with self.workers.job() as job:
            form, order = await self._read(request)
            if order.method != "dnr":
                raise ProblemError("bad-options", f"--method={order.method} has nothing to analyse: leave it out")
            self._start(job, "analyse", lambda job: self._analyst.analyse(form, order, job.report))
            found = await self._finish(request, job)
        return JSONResponse(found)

    async def health(self, _: Request) -> Response:
        """Answers `GET /health` with the name of the network and the number of jobs that run, wait or are read."""
        network = self._engine.weights.provenance.name
        return JSONResponse({"status": "ok", "network": network, "jobs": self.workers.inside})

    async def show_metrics(self, _: Request) -> Response:
        """Answers `GET /metrics` with the server's counters, for Prometheus."""
        return Response(self.metrics.text(), media_type=MEDIA_TYPE)

    async def _read(self, request: Request) -> tuple[Form, Order]:
        """Reads the form of a request; raises ProblemError where it is malformed or without a photo."""
        form = await read_form(request, self._settings, ("photo", *MASKS))
        if "photo" not in form.files:
            raise ProblemError("bad-request", "the photo is missing: send it as the file 'photo'")
        return form, parse_fields(form.texts, form.files)

    def _start(self, job: Job, kind: str, work: Work) -> None:
        """Has a job wait for its turn; its end is counted in the metrics as that of a job of a kind."""

        def run(job: Job) -> Any:
            start = time.perf_counter()
            found = work(job)
            self.metrics.time_job(kind, time.perf_counter() - start)
            return found

        def count(result: asyncio.Future[Any]) -> None:
            error = result.exception()
            if isinstance(error, AbandonedError):
                self.metrics.count_abandoned()
            elif error is not None:
                self.metrics.count_failed(kind, problem_of(error).kind.name)

        job.result.add_done_callback(count)
        self.workers.start(job, run)

    async def _finish(self, request: Request, job: Job) -> Any:
        """Waits for a job's result and returns it; raises AbandonedError where the client leaves before its end."""
        leaving = asyncio.ensure_future(_wait_for_leaving(request))
        try:
            await asyncio.wait({leaving, job.result}, return_when=asyncio.FIRST_COMPLETED)
            if not job.result.done():
                raise AbandonedError
            return job.result.result()
        finally:
            leaving.cancel()

    async def _stream(self, job: Job) -> AsyncIterator[bytes]:
        """Gives progress and the image as it forms, then each output with its record, as parts of a multipart stream; a
        problem is a part, too."""
        try:
            while (step := await job.steps.get()) is not None:
                if isinstance(step, Forming):
                    yield answers.make_part("forming", "image/jpeg", step.data)
                else:
                    yield answers.json_part("progress", step._asdict())
            for output in await job.result:
                yield answers.json_part("record", output.record)
                yield answers.make_part("image", output.media_type, output.data, file_name=output.name)
        except Exception as error:
            problem = log_problem(error)
            yield answers.make_part("problem", PROBLEM_TYPE, problem.encoded)
        yield answers.END


class _Stream(StreamingResponse):
    """A multipart stream that closes what it holds once it has been sent, even where it ends before its first part."""

    def __init__(self, parts: AsyncIterator[bytes], held: contextlib.ExitStack):
        super().__init__(parts, media_type=answers.MULTIPART)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            await super().__call__(scope, receive, send)


async def _wait_for_leaving(request: Request) -> None:
    """Returns once the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def log_problem(error: Exception) -> ProblemError:
    """The problem that a client is answered for an error; one of the server itself is logged with its traceback."""
    problem = problem_of(error)
    if problem.kind.status == 500:
        _log.error("a request failed", exc_info=error)
    return problem
