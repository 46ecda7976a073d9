"""What one runtime lets its owner see: traces and a journal of its calls, its servers' logs, the wire."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trunkline.config.entry import Entry
from trunkline.core.events import EventSink
from trunkline.pipeline.observe import Observe
from trunkline.security.sanitize import sanitize_text
from trunkline.security.scrub import Scrubber
from trunkline.supervision.fleet import Fleet
from trunkline.telemetry.attributes import Endpoint
from trunkline.telemetry.journal import Journal
from trunkline.telemetry.server_logs import ServerLogs, Witness
from trunkline.telemetry.tracer import Tracer, Tracing

if TYPE_CHECKING:
    from trunkline.telemetry.wire_log import WireLog, WireTarget


class Insight:
    """Owns the log of the wire and knows the secrets that nothing shown may hold.

    Raises:
        ConfigError: the log cannot be written, or tracing is asked for without OpenTelemetry.
    """

    def __init__(
        self,
        tracing: Tracing | bool | None,
        wire: WireTarget | None,
        events: EventSink,
    ) -> None:
        self._fleet: Fleet | None = None
        self._secrets = Scrubber()
        tracer = None if tracing is False else Tracer(tracing, self._endpoint, self._secrets.clean)
        self.journal = Journal(asyncio.get_running_loop().time, self._clean)
        """What becomes of calls."""
        self.logs = ServerLogs(_now, self._clean)
        """What servers say, and what becomes of them."""
        self.events = Witness(self.logs, events)
        """Where the events of servers go."""
        self.observe = Observe(tracer=tracer, events=events, journal=self.journal)
        """The outermost layer of every pipeline."""
        self.wire: WireLog | None = self._open(wire) if wire is not None else None

    def watch_over(self, fleet: Fleet) -> None:
        """Know the servers whose calls are traced."""
        self._fleet = fleet

    def learn(self, entry: Entry) -> None:
        """Know the secrets of a server before anything of it is shown."""
        self._secrets.learn(getattr(entry, "secrets", ()))

    def close(self) -> None:
        """End the log of the wire; may be called more than once."""
        if self.wire is not None:
            self.wire.close()

    def _open(self, target: WireTarget) -> WireLog:
        from trunkline.telemetry.wire_log import WireLog

        return WireLog(target, self._secrets, asyncio.get_running_loop().time)

    def _clean(self, text: str) -> str:
        return sanitize_text(self._secrets.clean(text))

    def _endpoint(self, server: str) -> Endpoint:
        supervisor = None if self._fleet is None else self._fleet.get(server)
        if supervisor is None:
            return Endpoint()
        host, port = supervisor.settings.address or (None, None)
        return Endpoint(
            transport=supervisor.settings.transport,
            revision=supervisor.status().era,
            address=host,
            port=port,
        )


def _now() -> float:
    return datetime.now(UTC).timestamp()
