"""Why something is as it is: the answer to one question about a runtime, as a value."""

from __future__ import annotations

from typing import Literal

import msgspec

from trunkline.core.journal import CallRecord
from trunkline.core.status import ServerStatus


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one question; texts of servers in it are safe to show."""

    about: Literal["call", "server", "tool"]
    name: str
    """The call's id, the server's name, or the tool's public name where it is known."""
    summary: str
    """The reason in one sentence."""
    notes: tuple[str, ...] = ()
    """What else is known of it, one sentence each."""
    hint: str | None = None
    """What to do, or None."""
    server: str | None = None
    """The server concerned, where there is one."""
    status: ServerStatus | None = None
    """How that server is doing now."""
    call: CallRecord | None = None
    candidates: tuple[str, ...] = ()
    """Names that were meant, or may have been."""
    calls: tuple[CallRecord, ...] = ()
    """The last calls of this server or tool, oldest first."""

    def __str__(self) -> str:
        return "\n".join([f"{self.name}: {self.summary}", *(f"  {note}" for note in self.notes)])
