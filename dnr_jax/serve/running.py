"""Runs a server: loads the networks, starts uvicorn on a socket, and opens the page."""

import contextlib
import dataclasses
import logging
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Generator
from functools import partial

import uvicorn

from dnr_jax.serve.app import make_app
from dnr_jax.serve.engine import Engine
from dnr_jax.serve.patience import patient_protocol
from dnr_jax.serve.settings import Settings

_MOST_CONNECTIONS = 200


def run_server(
    settings: Settings, listener: socket.socket, *, grace: int, open_browser: bool = False, quiet: bool = False
) -> None:
    """Serves until a signal comes; must be called in the main thread.

    Args:
      settings: the settings of the server; its port is replaced by the socket's.
      listener: the socket to serve, bound and listening.
      grace: seconds that answers on their way have to be finished in when a signal comes.
      open_browser: whether the page is opened in a browser once it is served.
      quiet: whether to print nothing but errors to stderr.

    Raises:
      ValueError, OSError: the network cannot be loaded.
    """
    settings = dataclasses.replace(settings, port=listener.getsockname()[1])
    logging.basicConfig(stream=sys.stderr, format="dnr_jax.serve: %(message)s", level=logging.WARNING)
    make_server(settings, Engine(settings), grace=grace, ready=partial(_greet, settings, open_browser, quiet)).run(
        sockets=[listener]
    )


class _Server(uvicorn.Server):
    """Comes to its end for SIGHUP too, as for SIGINT and SIGTERM, unless the process was started to ignore it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        with super().capture_signals():
            hangup: int = getattr(signal, "SIGHUP", 0)  # Windows has none.
            before = signal.getsignal(hangup) if hangup else signal.SIG_IGN
            if threading.current_thread() is not threading.main_thread() or before in (signal.SIG_IGN, None):
                yield
                return
            signal.signal(hangup, self.handle_exit)
            try:
                yield
            finally:
                # As it was, before what has come is raised again at the end.
                signal.signal(hangup, before)


def make_server(
    settings: Settings, engine: Engine, *, grace: int = 2, ready: Callable[[], None] | None = None
) -> uvicorn.Server:
    """A uvicorn server of the application, with the limits of the settings.

    Args:
      settings: the settings of the server; `port` must be the port that is listened on.
      engine: holds the networks and does the work.
      grace: seconds that answers on their way have to be finished in when the server ends.
      ready: called once the application can serve; None for nobody.
    """
    config = uvicorn.Config(
        make_app(settings, engine, ready=ready),
        http=patient_protocol(settings.silent_seconds),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=grace,
    )
    return _Server(config)


def _greet(settings: Settings, open_browser: bool, quiet: bool) -> None:
    """Prints the address of the page to stderr, and opens it in a browser, as far as either is wanted."""
    # An address that means all addresses is no name to call the server by.
    shown = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    address = f"http://[{shown}]:{settings.port}/" if ":" in shown else f"http://{shown}:{settings.port}/"
    if not quiet:
        print(f"dnr_jax.serve: {address} (Control-C ends it)", file=sys.stderr, flush=True)
    if open_browser:
        webbrowser.open(address)
