"""When calls that keep failing are no longer made, and for how long; and how a breaker is doing."""

from __future__ import annotations

from typing import Literal

import msgspec

BreakerPhase = Literal["closed", "open", "half_open", "forced_open", "forced_closed"]
"""`closed` lets calls through and `open` none; `half_open` lets one through, to find out. The forced ones
stay so until somebody says otherwise."""


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The breaker of a server, or of a tool."""

    enabled: bool = True
    """Whether there is one."""
    failure_rate: float = 0.8
    """Part of the calls within the window that must fail, from above 0 to 1."""
    least_calls: int = 50
    """Fewer calls than that within the window tell nothing."""
    window: float = 10.0
    """Seconds over which calls are counted, in ten steps."""
    consecutive: int = 0
    """Failures in a row that are enough, however few calls there were; 0 for off."""
    open_for: float = 5.0
    """Seconds without calls before one is let through to find out."""
    jitter: bool = False
    """Whether it waits a random part of those seconds, so that many clients do not come back together."""
    probe_timeout: float = 10.0
    """Seconds after which a call that was let through to find out makes room for another, ended or not."""
    codes: tuple[str, ...] = ()
    """Codes of the errors that count; without any, those that speak of the server, or of the tool."""


class BreakerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one breaker is doing at one moment."""

    state: BreakerPhase
    since: float
    """Seconds it has been in this state."""
    calls: int = 0
    """Calls counted within the window."""
    failures: int = 0
    """Those of them that failed."""
    retry_in: float | None = None
    """Seconds until a call may be let through, where it is open; else None."""
    reason: str | None = None
    """Why it opened, in words; None while it is closed."""
