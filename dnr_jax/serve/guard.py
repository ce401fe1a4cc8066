"""What stands before every request: which names the server goes by, who may post, and what browsers must not do.

A page of another site can make a browser send requests to this machine, and by rebinding its name (DNS rebinding) even
read the answers. So the Host header must be one of the server's names, and a POST that says where it comes from must
come from the same name.
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
"""What every answer carries: nothing is loaded from elsewhere, and nobody else embeds or reads it."""
_SAFE = ("GET", "HEAD")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_ANY = ("0.0.0.0", "::", "")


def server_names(host: str, port: int, allowed: Iterable[str]) -> frozenset[str]:
    """The Host headers that are served.

    Args:
      host: the address that is listened on; loopback names go with every one, an address that means all of them adds
        none.
      port: the port that is listened on.
      allowed: further names; with a port for that one, without for any.

    Returns:
      "name:port", or "name" alone for any port.

    Example:
      >>> sorted(server_names("127.0.0.1", 8000, ["photos.example"]))
      ['127.0.0.1:8000', '[::1]:8000', 'localhost:8000', 'photos.example']
    """
    own = [] if host in _ANY else [f"[{host}]" if ":" in host else host]
    names = {f"{name}:{port}".lower() for name in (*_LOOPBACK, *own)}
    return frozenset(names | {name.lower() for name in allowed})


class Guard:
    """ASGI middleware that refuses foreign names and origins, and adds `HEADERS` to every answer."""

    def __init__(self, app: ASGIApp, names: frozenset[str]):
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
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
        host = headers.get("host", "").lower()
        if not self._knows(host):
            raise ProblemError(
                "foreign-host", f"the server does not go by the name {host[:80]!r}: start it with --allow_host=NAME"
            )
        if method in _SAFE:
            return
        origin = headers.get("origin")
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if (origin is None and foreign) or (origin is not None and _authority(origin) != host):
            raise ProblemError(
                "foreign-origin", f"requests from {(origin or 'another site')[:80]} are refused: use the server's page"
            )

    def _knows(self, host: str) -> bool:
        name, _, port = host.rpartition(":")
        bare = name if port.isdecimal() else host
        # A browser leaves the port out where it is the scheme's own.
        return bool({host, bare, f"{host}:80"} & self._names)


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
