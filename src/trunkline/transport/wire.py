"""What a tap on one server's link tells the log of the wire; the taps themselves stand beside it."""

from __future__ import annotations

from collections.abc import Callable

from trunkline.telemetry.wire import Exchange
from trunkline.telemetry.wire_log import WireLog


class Wire:
    """One server's end of the log."""

    def __init__(self, log: WireLog, server: str, transport: str) -> None:
        self._log = log
        self._server = server
        self._transport = transport

    def __repr__(self) -> str:
        return f"Wire({self._server!r})"

    def sent(self, data: bytes, http: Exchange | None = None) -> None:
        """A message of ours leaves."""
        self._log.message(self._server, self._transport, "sent", data, http)

    def received(self, data: bytes, http: Exchange | None = None) -> None:
        """A message of the server's has arrived, whether it can be read or not."""
        self._log.message(self._server, self._transport, "received", data, http)

    def note(self, text: str) -> None:
        """Something has happened to the link."""
        self._log.note(self._server, self._transport, "note", text)

    def hearing(self, clean: Callable[[str], str]) -> Callable[[str], str]:
        """Give a `clean` for lines of standard error that shows each one to the log as well."""

        def heard(line: str) -> str:
            text = clean(line)
            self._log.note(self._server, self._transport, "stderr", text)
            return text

        return heard

    def headers(self, headers: object) -> tuple[tuple[str, str], ...]:
        """Give HTTP headers as they may be shown."""
        return self._log.headers(headers)
