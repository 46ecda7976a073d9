"""What is kept of calls that were made and of what servers said: values without arguments and results."""

from __future__ import annotations

from typing import Literal

import msgspec

from trunkline.core.call import LogLevel
from trunkline.core.timing import Hop, Timing
from trunkline.errors import Delivery

Source = Literal["stderr", "log", "state"]
"""`stderr`: the server's standard error; `log`: an MCP log message; `state`: what became of the server."""


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One call: what it was, how long each part of its way took, how it ended."""

    call_id: str
    server: str
    """Configured name of the server."""
    tool: str
    """The tool's public name, or how errors name anything else; at most 200 characters."""
    method: str = "tools/call"
    age: float
    """Seconds since it began, at the moment of asking."""
    running: bool = False
    """Whether it has not ended yet; `code` and `delivery` are then what is known so far."""
    elapsed: float
    """Seconds from the caller's call to its end, or to now."""
    code: str | None = None
    """The error's code, `tool_error` if the tool itself reported a failure, `cancelled`, or None for a
    success."""
    delivery: Delivery = "answered"
    attempts: int = 1
    replica: str = ""
    """The connection its last attempt went to, as in the status of a server that has several; else ""."""
    degraded: str = ""
    """Why what was given is less than what was asked for; "" for a full answer."""
    cached: bool = False
    """Whether the server was not asked, and an answer given that was kept from an earlier call."""
    message: str | None = None
    """The error's message: safe to show, secrets and the call's own arguments removed, at most 400
    characters; while it runs, what it waits for."""
    hops: tuple[Hop, ...] = ()
    """The parts of its way that are known, in order; together they take `elapsed`."""
    timing: Timing | None = None
    """The same parts as numbers."""

    @property
    def ok(self) -> bool:
        """Whether it was answered with a success."""
        return self.code is None and not self.running


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what a server said or what became of it."""

    number: int
    """Counts up over all servers of a runtime."""
    count: int
    """Counts up over this server's lines; a gap is lines that made place for newer ones."""
    server: str
    time: float
    """Seconds since 1970-01-01T00:00Z."""
    source: Source
    text: str
    """One line, safe to show, secrets removed."""
    level: LogLevel | None = None
    """Of an MCP log message."""
    logger: str | None = None
    """Of an MCP log message, where it names one."""
