"""What the runtime tells of itself: spans and metrics, log records, the log of the wire.

Knows no server and sends nothing: OpenTelemetry is used only where the application has set it up,
`logging` is never configured, and a log of the wire goes where the application says.
"""

from __future__ import annotations

from trunkline.telemetry.formatter import JsonFormatter, LineFormatter
from trunkline.telemetry.tracer import Tracing
from trunkline.telemetry.wire import WireRecord

__all__ = ["JsonFormatter", "LineFormatter", "Tracing", "WireRecord"]
