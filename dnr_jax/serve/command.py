"""A page to drop a photo on, and an HTTP interface, from one process that keeps the networks loaded.

  python -m dnr_jax.serve --open

serves http://127.0.0.1:8000 to this machine alone, until Control-C. The page needs nothing from elsewhere. Programs
send photos to /v1/retarget; /docs describes how, /metrics counts. --host=0.0.0.0 serves other machines as well, under
the names that --allow_host lists.
"""

import socket
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from dnr_jax.serve.settings import Settings
from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process
from dnr_jax.shell.flags import define_network_flags, network_from_flags

_GRACE = 2
"""Seconds that answers on their way have to be finished in when a signal ends the server."""


def main(argv: Sequence[str]) -> int:
    """Runs the command, which serves until a signal ends it.

    Args:
      argv: the command line, program first.

    Returns:
      The exit code: 2 for bad input, 128 and a signal's number where a signal ended the command.
    """
    return run_command("dnr_jax.serve", argv, define_flags(), _serve, text=__doc__, interrupted="ended")


def define_flags() -> flags.FlagValues:
    """The command's flags."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": "server"}
    flags.DEFINE_string("host", Settings.host, "Address to listen on; 0.0.0.0 for all of this machine's.", **text)
    flags.DEFINE_integer("port", Settings.port, "Port to listen on; 0 for one that is free.", **text)
    flags.DEFINE_list(
        "allow_host",
        [],
        "Names under which browsers may reach the server besides localhost and --host, with their port or without.",
        **text,
    )
    flags.DEFINE_boolean("open", False, "Open the page in a browser.", **text)
    flags.DEFINE_float("max_megapixels", Settings.max_megapixels, "Largest photo to decode.", **text)
    flags.DEFINE_float("max_upload", Settings.max_upload, "Most megabytes of one request.", **text)
    flags.DEFINE_integer("jobs", Settings.jobs, "Photos that are worked on at a time.", **text)
    flags.DEFINE_integer("waiting", Settings.waiting, "Requests that may wait for their turn.", **text)
    flags.DEFINE_boolean("quiet", False, "Nothing on stderr but errors.", **text)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    define_network_flags(values)
    return values


def _serve(options: dict[str, Any]) -> None:
    """Serves with the values of the command's flags."""
    settings = Settings(
        host=options["host"],
        port=options["port"],
        allow_hosts=tuple(options["allow_host"]),
        max_megapixels=options["max_megapixels"],
        max_upload=options["max_upload"],
        jobs=options["jobs"],
        waiting=options["waiting"],
        network=network_from_flags(options),
    )
    try:
        from dnr_jax.serve.running import run_server
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn", "python_multipart"):
            raise
        raise ImportError("the server needs Starlette and uvicorn: pip install 'dnr_jax[serve]'") from None
    with _listen(settings.host, settings.port) as listener:
        run_server(settings, listener, grace=_GRACE, open_browser=options["open"], quiet=options["quiet"])


def _listen(host: str, port: int) -> socket.socket:
    """Opens the socket that is served; it comes first, so that a port that is taken shows before networks are loaded.

    Raises:
      ValueError: nothing can listen there.
    """
    try:
        kind = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=kind)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"cannot listen on {host}, port {port} ({reason}): give another --host or --port") from None


def run() -> None:
    """The entry point of the installed command."""
    end_process(main(sys.argv))
