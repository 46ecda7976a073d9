"""What one runtime lets its owner see: traces of its calls, and the log of the wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trunkline.config.entry import Entry
from trunkline.core.events import NOBODY, EventSink
from trunkline.pipeline.observe import Observe
from trunkline.security.scrub import Scrubber
from trunkline.supervision.fleet import Fleet
from trunkline.telemetry.attributes import Endpoint
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
        fleet: Fleet,
        events: EventSink = NOBODY,
    ) -> None:
        self._fleet = fleet
        self._secrets = Scrubber()
        tracer = None if tracing is False else Tracer(tracing, self._endpoint, self._secrets.clean)
        self.observe = Observe(tracer=tracer, events=events)
        """The outermost layer of every pipeline."""
        self.wire: WireLog | None = self._open(wire) if wire is not None else None

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

    def _endpoint(self, server: str) -> Endpoint:
        supervisor = self._fleet.get(server)
        if supervisor is None:
            return Endpoint()
        host, port = supervisor.settings.address or (None, None)
        return Endpoint(
            transport=supervisor.settings.transport,
            revision=supervisor.status().era,
            address=host,
            port=port,
        )
