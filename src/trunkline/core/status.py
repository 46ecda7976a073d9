"""How one server is doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

State = Literal["stopped", "connecting", "ready", "degraded", "backoff", "failed", "draining"]
"""`degraded`: connected, but without an answer to health checks; `backoff`: down, and tried again soon;
`failed`: down, and tried again rarely; `draining`: takes no more calls and ends when those in flight have."""


class MemberStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is known at one moment of one connection of a server that may have several."""

    name: str
    """Its number, counted from 1."""
    state: State
    healthy: bool
    """Whether calls are given to it before others: connected, and nothing speaks against it."""
    since: float
    """Seconds it has been in this state."""
    endpoint: str = ""
    """Where it leads, without secrets; "" where all lead to the same."""
    region: str = ""
    weight: float = 1.0
    """Its endpoint's share of the calls that may go anywhere."""
    calls: int = 0
    """Calls in flight."""
    leased: bool = False
    """Whether it is kept for one holder."""
    era: str | None = None
    restarts: int = 0
    last_error: str | None = None
    retry_in: float | None = None
    """Seconds until it is tried again although nobody calls it; None when it is not."""
    latency_ms: float | None = None
    ejected: bool = False
    """Whether it is left out because calls failed there, although it is connected."""
    tags: tuple[str, ...] = ()
    """What its endpoint is marked with."""


class ServerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one server at one moment."""

    state: State
    since: float
    """Seconds it has been in this state."""
    era: str | None = None
    """Protocol revision in use, or last used."""
    transport: str = ""
    tools: int | None = None
    """How many tools it listed; None before the first list."""
    resources: int | None = None
    """How many resources it listed; None before the first list."""
    templates: int | None = None
    """How many templates of resources it listed; None before the first list."""
    prompts: int | None = None
    """How many prompts it listed; None before the first list."""
    last_error: str | None = None
    hint: str | None = None
    """What to do about `last_error`."""
    stderr: str = ""
    """Last lines of its standard error, when it failed."""
    restarts: int = 0
    """How often it was started again after it was lost."""
    retry_in: float | None = None
    """Seconds until it is tried again although nobody calls it; None when it is not."""
    latency_ms: float | None = None
    """Time of the last answered call, in milliseconds."""
    last_check: float | None = None
    """Seconds since it last answered anything."""
    breaker: str = "closed"
    """`closed`, `open`, `half_open`, `forced_open` or `forced_closed`: whether calls are let through."""
    breaker_reason: str | None = None
    """Why calls are not let through, in words."""
    open_tools: Mapping[str, str] = {}
    """State and reason of the tools, by the server's own names, whose own breaker is not closed."""
    dropped_notifications: int = 0
    """How many notifications were dropped, because there were too many or they were too large together."""
    asleep: bool = False
    """Whether it is not connected because nobody needs it: lazy and not used yet, or unused for a while."""
    waiting: int = 0
    """Calls that wait for their turn, or for a connection that is free."""
    members: tuple[MemberStatus, ...] = ()
    """Each connection, where there may be several; the state is then that of the best of them."""


class ConfigStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the configuration files are followed, and how they are doing."""

    files: tuple[str, ...] = ()
    """What is watched, there or not; empty when nothing is."""
    last_error: str | None = None
    """Why the files as they are now are not in use, with file, position and field; None when they are."""
    hint: str | None = None
    """What to do about `last_error`."""
