"""What happens to servers and on them, as values: their states, lists that change, resources, log messages.

Everything in them but `server` and what `ConfigChanged` says comes from the server and is untrusted.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from trunkline.core.breaker import BreakerPhase
from trunkline.core.call import LogLevel
from trunkline.core.status import State
from trunkline.core.timing import Timing
from trunkline.errors import Delivery


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened on one server."""

    server: str
    """Configured name of the server."""


class ServerChanged(Event, frozen=True, kw_only=True):
    """A server went from one state to another; `ready` with `restarts` is one that came back."""

    state: State
    before: State
    reason: str | None = None
    """Why, in words that are safe to show; None when the application asked for it."""
    restarts: int = 0
    """How often it became ready again after it was lost."""


class MemberChanged(Event, frozen=True, kw_only=True):
    """One connection of a server that may have several went from one state to another."""

    member: str
    """Its name, as in the status of the server."""
    state: State
    before: State
    reason: str | None = None
    """Why, in words that are safe to show; None when nothing went wrong."""
    restarts: int = 0


class BreakerChanged(Event, frozen=True, kw_only=True):
    """The breaker of a server, or of a tool, opened, closed, or lets one call through to find out."""

    state: BreakerPhase
    before: BreakerPhase
    tool: str = ""
    """The server's own name of the tool; "" for the breaker of the whole server."""
    reason: str | None = None
    """Why, in words that are safe to show."""


class CallFinished(Event, frozen=True, kw_only=True):
    """A call of the application has ended, however it did."""

    call_id: str
    tool: str
    """What was called: the tool's public name, or how errors name anything else."""
    code: str | None = None
    """The error's code, `cancelled`, or None for a call that was answered."""
    delivery: Delivery = "answered"
    """What is known of the request."""
    elapsed: float = 0.0
    """Seconds from the caller's call to its end."""
    attempts: int = 1
    replica: str = ""
    """The connection its last attempt went to, as in the status of a server that has several; else ""."""
    timing: Timing | None = None
    """Where they went."""


class Degraded(Event, frozen=True, kw_only=True):
    """A call could not be answered as it was asked for, and something else was given in its place."""

    call_id: str
    tool: str
    """What was called: the tool's public name."""
    code: str
    """Code of the error, or `tool_error` where the tool itself reported a failure."""
    reason: str
    """Why, in words that are safe to show."""
    by: str
    """What was given instead: a tool's name, a function's, or what it is in words."""


class ListChanged(Event, frozen=True, kw_only=True):
    """A list was read again and is another than before, or could not be read after it had changed.

    Names are the server's own, as in `Tool.name`; resources and templates are named by their URI.
    """

    kind: str
    """`tools`, `resources`, `templates` or `prompts`."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """What is still listed, with another definition."""
    failure: str | None = None
    """Why the new list could not be read; what was listed before is then still in use."""


class ResourceUpdated(Event, frozen=True, kw_only=True):
    """A resource may read differently now."""

    uri: str
    """The resource, or a part of one that was subscribed to."""
    missed: bool = False
    """Nobody said that it changed: the server could not be heard for a while, so read it again."""


class LogMessage(Event, frozen=True, kw_only=True):
    """A server's log message."""

    level: LogLevel
    logger: str | None = None
    data: Any = None
    """The message as received: text, or any JSON value. One of over 16 KiB of JSON is cut to text."""
    text: str = ""
    """The message on one line that is safe to show, with the secrets we know of removed."""


class ConfigChanged(Event, frozen=True, kw_only=True):
    """The configuration was read again, or could not be; no server is concerned as a whole.

    With an `error` nothing was changed, and everything goes on as it was configured before.
    """

    server: str = ""
    """Always empty."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """Servers whose place another one takes, under the same name."""
    adjusted: tuple[str, ...] = ()
    """Servers that stay connected and are kept alive by other settings."""
    error: str | None = None
    """What is wrong, with file, position and field, in words that are safe to show."""
    hint: str | None = None
    """What to do about it."""
    source: str | None = None
    """The file that cannot be used."""
    line: int | None = None
    """1-based line there, where it is known."""


class EventSink(Protocol):
    """Where events go."""

    @property
    def watched(self) -> bool:
        """Whether anybody wants events at all; if not, none need be made."""
        ...

    def put(self, event: Event) -> None:
        """Hand over an event; never blocks."""
        ...


class _Nobody:
    watched = False

    def __repr__(self) -> str:
        return "NOBODY"

    def put(self, event: Event) -> None:
        """Drop it."""


NOBODY: EventSink = _Nobody()
"""Takes no events."""
