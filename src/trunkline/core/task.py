"""A task: a call that its server works on and that outlives the connection it was made on."""

from __future__ import annotations

from typing import Literal, get_args
from urllib.parse import quote, unquote

import msgspec

TaskStatus = Literal["working", "input_required", "completed", "failed", "cancelled"]
"""How far a task is; the last three are final."""
STATUSES: frozenset[str] = frozenset(get_args(TaskStatus))
FINAL = frozenset({"completed", "failed", "cancelled"})


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One task as its server described it last. What the server wrote into it is untrusted."""

    server: str
    """Configured name of the server."""
    tool: str = ""
    """The server's own name of the tool, or "" where it is not known."""
    id: str
    """The server's name for the task. Whoever knows it may be able to read and end the task."""
    status: TaskStatus = "working"
    message: str | None = None
    """What the server says about the status."""
    created: str = ""
    """When it was created, as the server's ISO 8601 text."""
    updated: str = ""
    """When it changed last, likewise."""
    ttl_ms: int | None = None
    """How long after `created` the server keeps it, or None for without end."""
    poll_interval_ms: int | None = None
    """How long the server wants to be left alone between two questions about it."""

    @property
    def done(self) -> bool:
        """Whether the status is final."""
        return self.status in FINAL

    @property
    def handle(self) -> str:
        """One word that names the task for any other process with the same configuration."""
        return "/".join(quote(part, safe="") for part in (self.server, self.tool, self.id))


def parse_handle(text: str) -> Task:
    """Give the task that a `Task.handle` names, with its status not known yet.

    Raises:
        ValueError: it is none.
    """
    parts = [unquote(part) for part in text.strip().split("/")]
    if len(parts) != 3 or not parts[0] or not parts[2]:
        raise ValueError("the handle of a task has the form SERVER/TOOL/ID")
    return Task(server=parts[0], tool=parts[1], id=parts[2])
