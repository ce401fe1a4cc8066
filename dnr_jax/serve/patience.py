"""Closes connections that are silent: uvicorn waits for ever for the first request, and for the rest of its header."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def patient_protocol(seconds: float) -> type[H11Protocol]:
    """A uvicorn protocol that closes a connection on which no whole header arrives within `seconds` of being due."""

    class PatientProtocol(H11Protocol):
        _due: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            super().connection_made(transport)
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wait()

        def _wait(self) -> None:
            self._stop()
            self._due = self.loop.call_later(seconds, self._close_if_silent)

        def _stop(self) -> None:
            if self._due is not None:
                self._due.cancel()

        def _close_if_silent(self) -> None:
            # A cycle is a request whose header is complete: its body has a limit of its own.
            if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
                self.transport.close()

    return PatientProtocol
