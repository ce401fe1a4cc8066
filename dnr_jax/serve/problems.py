"""Says what went wrong, as RFC 9457 problem details: a client gets one sentence, never a traceback."""

import json
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from dnr_jax.photos.kinds import PhotoError
from dnr_jax.shell.command_line import is_out_of_memory, one_line

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class ProblemKind:
    """One kind of problem.

    Attributes:
      name: the name of the kind, which is the fragment of its address in the documentation.
      status: the HTTP status of the answer.
      title: a few words on what went wrong, the same for every problem of the kind.
    """

    name: str
    status: int
    title: str


KINDS = {
    kind.name: kind
    for kind in (
        ProblemKind("bad-request", 400, "The request cannot be understood"),
        ProblemKind("bad-options", 400, "The options cannot be served"),
        ProblemKind("foreign-origin", 403, "The request comes from another site"),
        ProblemKind("not-found", 404, "There is nothing at this address"),
        ProblemKind("wrong-method", 405, "This address takes other methods"),
        ProblemKind("too-slow", 408, "The request took too long to arrive"),
        ProblemKind("too-large", 413, "The request is too large"),
        ProblemKind("wrong-type", 415, "The body is no multipart form"),
        ProblemKind("foreign-host", 421, "The server does not go by this name"),
        ProblemKind("bad-photo", 422, "The photo or mask cannot be used"),
        ProblemKind("failed", 500, "The server failed"),
        ProblemKind("busy", 503, "All places are taken"),
    )
}
"""Every kind of problem that the server answers with."""


class ProblemError(Exception):
    """Raised where a request cannot be served.

    Args:
      kind: the name of one of `KINDS`.
      detail: one line that says what is wrong with what, and what to do.
      headers: further headers of the answer; None for none.
    """

    def __init__(self, kind: str, detail: str, *, headers: dict[str, str] | None = None):
        super().__init__(detail)
        self.kind = KINDS[kind]
        self.detail = detail
        self.headers = headers or {}

    @property
    def content(self) -> dict[str, Any]:
        """The problem details, ready for JSON."""
        return {
            "type": f"/docs#{self.kind.name}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }

    @property
    def encoded(self) -> bytes:
        """The problem details as JSON."""
        return json.dumps(self.content, ensure_ascii=False).encode()

    def response(self) -> Response:
        """The HTTP answer."""
        return Response(self.encoded, self.kind.status, self.headers, MEDIA_TYPE)


def problem_of(error: BaseException) -> ProblemError:
    """The problem that a client is answered for an error; what a command would print becomes the detail."""
    if isinstance(error, ProblemError):
        return error
    if is_out_of_memory(error):
        return ProblemError("too-large", one_line(error))
    if isinstance(error, PhotoError):
        return ProblemError("bad-photo", one_line(error))
    if isinstance(error, ValueError | FloatingPointError):
        return ProblemError("bad-options", one_line(error))
    return ProblemError("failed", "something went wrong in the server: its log says what; try again, or report it")
