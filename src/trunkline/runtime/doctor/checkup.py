"""What an examination of one server gives: phases in order, and what is wrong. Values only."""

from __future__ import annotations

from typing import Literal

import msgspec

Phase = Literal[
    "configuration", "command", "process", "proxy", "dns", "tcp", "tls", "http", "authorization",
    "negotiation", "tools", "schemas", "ping",
]  # fmt: skip
Outcome = Literal["ok", "failed", "skipped", "not_reached"]
"""`skipped`: there is nothing to examine on this way, such as TLS for an `http://` URL."""

_LAST: tuple[Phase, ...] = ("negotiation", "tools", "schemas", "ping")
_WAY: tuple[Phase, ...] = ("configuration", "proxy", "dns", "tcp", "tls", "http", "authorization")
_OF_URLS = (*_WAY, *_LAST)
PHASES: dict[str, tuple[Phase, ...]] = {
    "stdio": ("configuration", "command", "process", *_LAST),
    "http": _OF_URLS,
    "sse": _OF_URLS,
    "websocket": _OF_URLS,
    "memory": ("configuration", *_LAST),
    "": ("configuration", *_LAST),
}
"""The phases of each transport, in order; "" is what an unusable entry has."""


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, or doubtful. All text is safe to show."""

    phase: Phase
    severity: Literal["error", "warning"]
    """A warning fails no phase."""
    code: str
    """Stable; `trunkline doctor --explain CODE` prints its page."""
    message: str
    cause: str
    """What it most likely comes of, in one sentence."""
    fix: str
    """What to do, in one sentence."""
    command: str | None = None
    """A line for a shell that mends it, or shows what is to be mended; None where there is none."""
    stderr: str = ""
    """The last lines that the server wrote to its standard error."""


class PhaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """How one phase ended."""

    name: Phase
    outcome: Outcome
    seconds: float | None = None
    """None for a phase that was skipped or not reached."""
    detail: str = ""
    """What was found, in a few words, safe to show."""


class Checkup(msgspec.Struct, frozen=True, kw_only=True):
    """The examination of one server, or of one of several endpoints that it has."""

    server: str
    transport: str
    """`stdio`, `http`, `sse`, `websocket`, `memory`, or "" for an entry that cannot be used."""
    address: str
    """Command or URL as it may be shown."""
    phases: tuple[PhaseResult, ...]
    troubles: tuple[Trouble, ...] = ()
    """Errors first."""
    seconds: float = 0.0
    """From the first phase to the end of the last, without the closing."""
    replica: int = 0
    """Which of the server's endpoints was examined; 0 is its own entry."""
    era: str | None = None
    """The protocol revision agreed on."""
    tools: int | None = None

    @property
    def ok(self) -> bool:
        """Whether no phase failed."""
        return not any(phase.outcome == "failed" for phase in self.phases)

    @property
    def failure(self) -> Trouble | None:
        """The first error, or None."""
        return next((trouble for trouble in self.troubles if trouble.severity == "error"), None)
