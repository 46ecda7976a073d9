"""One call on its way in: what is asked, for whom, until when, and what is known of it so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from typing import Any, Literal

import msgspec

from trunkline.core.batch import Bundle
from trunkline.core.health import Health
from trunkline.core.principal import Principal
from trunkline.errors import Delivery


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One progress notification of a running call."""

    progress: float
    total: float | None = None
    message: str | None = None


LogLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
"""How severe a log message is, mildest first (RFC 5424, section 6.2.1)."""


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """One log message of a running call. Everything in it comes from the server and is untrusted."""

    level: LogLevel
    data: Any = None
    """The message: text, or any JSON value."""
    logger: str | None = None


Plan = Callable[[Sequence[Health]], Sequence[int]]
"""Gives the places of the replicas that may have a call, the best first; raises a CallError if none may."""


class Flight:
    """What is known of one call in flight.

    The only mutable thing that travels in a `Call`. The layer that learns a fact writes it; the
    layers outside it read it when they have to end the call or explain its failure.
    """

    __slots__ = (
        "activity",
        "answered",
        "answering",
        "attempts",
        "bundle",
        "cancel_reason",
        "connected",
        "connecting",
        "context",
        "delivery",
        "doubtful",
        "earlier",
        "expired",
        "on_log",
        "on_progress",
        "paused",
        "phase",
        "plain",
        "plan",
        "queued",
        "replica",
        "request_id",
        "sent",
        "server",
        "session",
        "shared",
        "started",
        "stderr",
        "task",
        "tried",
        "unchecked",
        "wrote",
    )

    def __init__(self, started: float, on_progress: Callable[[Progress], None] | None = None) -> None:
        self.started = started
        """Moment, on the clock of the running loop, at which the caller asked."""
        self.activity = started
        """Moment of the last sign of life of this call; the idle deadline counts from here."""
        self.connecting = False
        """Whether it waits for its server to start, which has a limit of its own: no idle deadline then."""
        self.answering = 0
        """How many handlers work on questions of its server: no idle deadline then, nobody is silent."""
        self.context: Context | None = None
        """The caller's context variables, where a question of its server may need them."""
        self.attempts = 0
        self.delivery: Delivery = "never_sent"
        self.doubtful = False
        """Whether an earlier try may have run, whatever becomes of the one that `delivery` is about."""
        self.phase = "waiting for the server"
        """What the call is waiting for, in words a person understands."""
        self.stderr: Callable[[], str] | None = None
        """Gives the tail of the server's standard error, where it has one."""
        self.request_id: int | None = None
        """JSON-RPC id of the request that was sent last for this call."""
        self.session: int | None = None
        """The only session of its connection that it may be sent in; None for whichever there is."""
        self.on_progress = on_progress
        self.on_log: Callable[[Log], None] | None = None
        """Takes the log messages that are certain to belong to this call."""
        self.cancel_reason = "the caller stopped waiting"
        """What the server is told if the call is cancelled; whoever cancels knows it."""
        self.expired: Literal["total", "idle"] | None = None
        """Which of its times is over, when that has ended it."""
        self.plan: Plan | None = None
        """Which replica it goes to, decided when it has its turn; None where nothing is said about that."""
        self.replica = ""
        """The connection its last attempt went to, where its server has several."""
        self.tried: tuple[str, ...] = ()
        """Connections at which an attempt of it failed; another one is preferred."""
        self.unchecked = False
        """Whether its arguments are still to be checked, as its tool was not listed yet."""
        self.plain = True
        """Whether its answer followed from what was sent alone: no question was asked, no task was made."""
        self.shared: Flight | None = None
        """The flight of the request that it shares with identical calls, while they wait for it."""
        self.bundle: Bundle | None = None
        """What it is to leave with, or None; only where the server reads batches once it is on its way."""
        self.task: str | None = None
        """Handle of the task that the server made of this call, for as long as that may be running."""
        self.queued = self.connected = self.paused = self.earlier = 0.0
        """Seconds it has waited for its turn, for a connection and between attempts, and that attempts before
        the last have taken; see `Timing`."""
        self.sent = self.wrote = self.answered = 0.0
        """Moments at which its last attempt was given to the connection, at which its first byte left if
        that was later, and at which it was answered; 0 before."""
        self.server: float | None = None
        """Seconds the server says that its last attempt took it."""

    @property
    def waited(self) -> float:
        """Seconds it has waited so far, for whatever."""
        return self.queued + self.connected + self.paused

    @property
    def known(self) -> Delivery:
        """What is known of all tries together: one that may have run outweighs a later one that did not."""
        return "unknown" if self.doubtful and self.delivery != "answered" else self.delivery


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call as it passes through the pipeline."""

    id: str
    server: str
    """Configured name of the server."""
    name: str
    """The server's own name of the tool or prompt, a resource's URI, or the method of any other request."""
    public_name: str
    """`server.name`; what the call is called in errors, logs and traces."""
    arguments: Mapping[str, Any]
    principal: Principal
    deadline: float
    """Moment, on the clock of the running loop, at which the call ends."""
    idle: float
    """Longest allowed silence, in seconds."""
    flight: Flight
    method: str = "tools/call"
    params: Mapping[str, Any] | None = None
    """What a method other than `tools/call` is sent, without what the era adds."""
    augment: bool = False
    """Whether to ask a server for a task, where that is the client's to decide (2025-11-25)."""
    detach: bool = False
    """Whether a task is given as it is; else its end is waited for."""
    any_result: bool = False
    """Whether a result of any `resultType` is given as it is, for extensions."""
    one_way: bool = False
    """Whether it is a notification, which has no answer."""
    priority: int | None = None
    """Of calls that wait for their turn the greatest goes first; None for what policy says."""
    log_level: LogLevel | None = None
    """The mildest log messages the caller wants to see, or None for none."""
    headers: Mapping[str, str] = {}
    """`Mcp-Param-*` headers that mirror arguments, for transports that carry headers."""
    max_age: float | None = None
    """Oldest answer of a cache that the caller takes, in seconds; 0 asks the server, None is policy's."""
    fallback: tuple[Any, ...] | None = None
    """What the caller wants to be tried if it fails, as `fallback.Alternative`; None leaves it to policy."""
    fallback_on: frozenset[str] = frozenset()
    """What that is for, beside failures of servers and links, as `fallback.Cause`."""
    substitute: bool = False
    """Whether it is made in place of another call that failed, so that nothing is made in place of it."""
    trace: Mapping[str, str] = {}
    """`traceparent`, `tracestate` and `baggage` for the server, where the call is traced."""
