"""An HTTP server on the loopback interface that misbehaves on request."""

import contextlib
import hashlib
import http.server
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path


class Server(http.server.ThreadingHTTPServer):
    """Serves `body` at every path; the path says how.

    /good, /redirect, /404, /flaky (503 once), /truncated (closes early), /reset (resets once in the middle, then
    resumes), /resets (resets always), /restart (resets once, ignores Range), /wrong (another file), /drip (a byte now
    and then), /silent (headers, then nothing), /unanswered (closes before it answers).
    """

    daemon_threads = True

    def __init__(self, body: bytes):
        self.body = body
        self.requests: Counter[str] = Counter()
        self.ranges: list[str] = []
        self.stop = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""

    def url(self, kind: str) -> str:
        """The URL that misbehaves as `kind` says."""
        return f"http://127.0.0.1:{self.server_address[1]}/{kind}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at what the client says."""

    def do_GET(self) -> None:
        kind = self.path.rpartition("/")[2]
        self.server.requests[self.path if self.path.startswith("http") else kind] += 1
        times = self.server.requests[kind]
        body = self.server.body
        if kind == "404":
            self.send_error(404)
        elif kind == "flaky" and times == 1:
            self.send_error(503)
        elif kind == "redirect":
            self.send_response(302)
            self.send_header("Location", self.server.url("good"))
            self.end_headers()
        elif kind == "unanswered":
            self.close_connection = True
        elif kind == "wrong":
            self._send(body[:-1] + bytes([body[-1] ^ 1]))
        elif kind == "truncated":
            self._send(body, stop=len(body) // 2)
        elif (kind in ("reset", "restart") and times == 1) or kind == "resets":
            self._send(body, stop=len(body) // 2)
            time.sleep(0.05)  # Lets the first half arrive before the reset discards what is under way.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif kind in ("drip", "silent"):
            self._send(body, stop=100)
            while not self.server.stop.wait(0.02):
                if kind == "drip":
                    self.wfile.write(b"x")
        else:
            wanted = self.headers.get("Range")
            self.server.ranges += [wanted] if wanted else []
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and kind != "restart" else 0
            self._send(body, start)

    def _send(self, body: bytes, start: int = 0, stop: int | None = None) -> None:
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        self.wfile.write(body[start:stop])
        self.wfile.flush()


@contextlib.contextmanager
def serving(body: bytes) -> Iterator[Server]:
    """A running server of `body`."""
    with Server(body) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.stop.set()
            server.shutdown()
            thread.join()


def closed_port() -> int:
    """A port of the loopback interface on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_registry(path: Path, widths: tuple[int, ...], body: bytes, **sources: str) -> None:
    """Writes a registry of sources (name = URL) that publish the MD5 of `body`."""
    digest = f"md5:{hashlib.md5(body).hexdigest()}"
    entries = [{"name": name, "file": f"{name}.h5", "url": url, "digest": digest} for name, url in sources.items()]
    path.write_text(json.dumps({"format": "dnr_jax-registry-1", "widths": list(widths), "sources": entries}))
