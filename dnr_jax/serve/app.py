"""The server as an ASGI application: its routes, the files of the page, problems as answers, and counting."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dnr_jax.serve.api import Api, log_problem
from dnr_jax.serve.engine import Engine
from dnr_jax.serve.guard import Guard, proxy_origins, server_names
from dnr_jax.serve.jobs import AbandonedError
from dnr_jax.serve.metrics import Metrics
from dnr_jax.serve.openapi import describe_api
from dnr_jax.serve.problems import ProblemError
from dnr_jax.serve.settings import Settings

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_Endpoint = Callable[[Request], Awaitable[Response]]
_CLIENT_LEFT = 499
_PAGES = {"/": "index.html", "/docs": "docs.html"}


def make_app(settings: Settings, engine: Engine, *, ready: Callable[[], None] | None = None) -> ASGIApp:
    """Makes the application.

    Args:
      settings: the settings of the server; `port` must be the port that is listened on.
      engine: holds the networks and does the work.
      ready: called once the application can serve; None for nobody.
    """
    api = Api(settings, engine)
    described = describe_api(version("dnr_jax"), settings)

    async def describe(_: Request) -> Response:
        return JSONResponse(described)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if ready is not None:
            ready()
        yield
        api.workers.close()

    routes = [
        Route("/v1/retarget", _answering(api.retarget), methods=["POST"]),
        Route("/v1/analyse", _answering(api.analyse), methods=["POST"]),
        Route("/health", api.health),
        Route("/metrics", api.show_metrics),
        Route("/openapi.json", describe),
        *(Route(path, _serve_file(name)) for path, name in _page_files().items()),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _answer_http}, lifespan=lifespan)
    names = server_names(settings.host, settings.port, settings.allow_hosts)
    guarded = Guard(app, names, proxy_origins(settings.allow_hosts))
    return _Counted(guarded, api.metrics, frozenset(route.path for route in routes))


def _answering(endpoint: _Endpoint) -> _Endpoint:
    """The same endpoint, with errors answered as problems, so that no traceback reaches a client."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (AbandonedError, ClientDisconnect):
            return Response(status_code=_CLIENT_LEFT)  # Nobody reads it; the count shows it.
        except Exception as error:
            return log_problem(error).response()

    return answer


class _Counted:
    """ASGI middleware that counts answers by method, path and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: frozenset[str]):
        self._app, self._metrics, self._paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Whatever else clients ask for would fill the memory, so it counts as one.
                known = scope["path"] in self._paths and scope["method"] in ("GET", "HEAD", "POST")
                method, path = (scope["method"], scope["path"]) if known else ("other", "other")
                self._metrics.count_request(method, path, message["status"])
            await send(message)

        await self._app(scope, receive, send_counted)


def _page_files() -> dict[str, str]:
    """The names of the page's files, by the path under which they are served."""
    names = [item.name for item in (files("dnr_jax.serve") / "page").iterdir()]
    scripts = {f"/page/{name}": name for name in sorted(names) if not name.endswith(".html")}
    return {**_PAGES, **scripts}


def _serve_file(name: str) -> Callable[[Request], Response]:
    """An endpoint that answers with one of the page's files."""
    data = (files("dnr_jax.serve") / "page" / name).read_bytes()
    kind = next(kind for extension, kind in _TYPES.items() if name.endswith(extension))

    def serve(_: Request) -> Response:
        # Asked again every time, so that a newer version's page never runs an older one's script.
        return Response(data, media_type=kind, headers={"Cache-Control": "no-cache"})

    return serve


async def _answer_http(request: Request, error: Exception) -> Response:
    """Answers a request for a path or with a method that the server does not have."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        detail = f"{request.method[:20]} is not for {request.url.path[:80]}: use {allowed}"
        return ProblemError("wrong-method", detail, headers={"Allow": allowed}).response()
    return ProblemError("not-found", f"{request.url.path[:80]} is no address of this server: see /docs").response()
