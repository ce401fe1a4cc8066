"""Checks every request before it is served: which host it is for, and which site a POST comes from.

A page of another site can make a browser send requests to this machine, and by rebinding its name (DNS rebinding) even
read the answers. So the Host header must be one of the server's names, and a POST that says where it comes from must
come from the same name. A reverse proxy may put a name of its own into the Host header: then a POST may come from a
name that was allowed outright.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dnr_jax.serve.problems import ProblemError

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""The headers of every answer: they forbid browsers to load anything from elsewhere and others to embed or read it."""
_SAFE = ("GET", "HEAD")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_ANY = ("0.0.0.0", "::", "")


def server_names(host: str, port: int, allowed: Iterable[str]) -> frozenset[str]:
    """The Host headers that are served.

    Args:
      host: the address that is listened on; the names of this machine (localhost) are always added, and an address that
        means all addresses adds no name of its own.
      port: the port that is listened on.
      allowed: further names, with a port ("name:8443") or without one, which then allows every port.

    Returns:
      Names with their ports ("name:port"), or without one where every port is allowed.

    Example:
      >>> sorted(server_names("127.0.0.1", 8000, ["photos.example"]))
      ['127.0.0.1:8000', '[::1]:8000', 'localhost:8000', 'photos.example']
    """
    own = [] if host in _ANY else [f"[{host}]" if ":" in host else host]
    names = {f"{name}:{port}".lower() for name in (*_LOOPBACK, *own)}
    return frozenset(names | {name.lower() for name in allowed})


def proxy_origins(allowed: Iterable[str]) -> frozenset[str]:
    """The origins that a POST may come from whatever its Host header, behind a proxy that replaces that header.

    Whoever can serve a page there can have photos worked on here. So a name without a port stands for that of its
    scheme alone, and the names of this machine, where anybody may serve pages, are left out.

    Args:
      allowed: further names of the server, as for `server_names`.

    Example:
      >>> sorted(proxy_origins(["photos.example", "b.example:8443", "localhost"]))
      ['http://b.example:8443', 'http://photos.example', 'https://b.example:8443', 'https://photos.example']
    """
    found: set[str] = set()
    for name in map(str.lower, allowed):
        bare, _, port = name.rpartition(":")
        if (bare if port.isdecimal() else name) not in _LOOPBACK:
            # A browser leaves the port out where it is the scheme's own.
            found.add(f"http://{name.removesuffix(':80')}")
            found.add(f"https://{name.removesuffix(':443')}")
    return frozenset(found)


class Guard:
    """ASGI middleware that refuses foreign hosts and origins, and adds `HEADERS` to every answer.

    Args:
      app: the application behind it.
      names: the Host headers that are served, as `server_names` gives them.
      origins: the origins that are served whatever the Host header, as `proxy_origins` gives them.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str], origins: frozenset[str]):
        self._app = app
        self._names = names
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Checks one request and passes it on, or answers with a problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            self._check(Headers(scope=scope), scope["method"])
        except ProblemError as problem:
            await problem.response()(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _check(self, headers: Headers, method: str) -> None:
        """Raises ProblemError for a request to a foreign host, or one that changes something from a foreign site."""
        host = headers.get("host", "").lower()
        if not self._knows(host):
            raise ProblemError(
                "foreign-host", f"the server does not go by the name {host[:80]!r}: start it with --allow_host=NAME"
            )
        if method in _SAFE:
            return
        origin = headers.get("origin")
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if origin is None:
            refused = foreign
        else:
            # To a browser, a page behind a proxy and the server are one site.
            proxied = origin.lower() in self._origins and not foreign
            refused = _authority(origin) != host and not proxied
        if refused:
            raise ProblemError(
                "foreign-origin",
                f"requests from {(origin or 'another site')[:80]} are refused: use the server's page, and behind a"
                " proxy start the server with the --allow_host=NAME that browsers see",
            )

    def _knows(self, host: str) -> bool:
        """Whether a Host header is one of the server's names."""
        name, _, port = host.rpartition(":")
        bare = name if port.isdecimal() else host
        # A browser leaves the port out where it is the scheme's own.
        return bool({host, bare, f"{host}:80"} & self._names)


def _authority(origin: str) -> str:
    """The host and port of an Origin header; empty where it has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
