"""Tasks: calls that a server answers with the promise of a result. Pure.

Sources: the extension `io.modelcontextprotocol/tasks` (SEP-2663) of 2026-07-28, and the experimental
tasks of 2025-11-25 (basic/utilities/tasks), which ask for a task with `params.task` and give the result
by `tasks/result`. The two name the same facts differently; both spellings are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from trunkline.core.task import STATUSES, Task

EXTENSION = "io.modelcontextprotocol/tasks"
TASK = "task"
"""The `resultType` of an answer that is a task."""
GET, UPDATE, CANCEL, RESULT = "tasks/get", "tasks/update", "tasks/cancel", "tasks/result"
EXPERIMENTAL = "2025-11-25"
"""The revision whose tasks the client has to ask for."""

SHORTEST, LONGEST, USUAL = 0.1, 60.0, 1.0
"""Seconds between two polls: at least, at most, and where the server names none."""

_MOST_MS = 10**12


class MalformedTaskError(Exception):
    """What should describe a task does not, in words that follow "the server"."""


def takes_tasks(revision: str, capabilities: Mapping[str, Any]) -> bool:
    """Whether a server may be asked to make a task of a tool call (2025-11-25, "Tool-Level Negotiation")."""
    found: Any = capabilities
    for key in ("tasks", "requests", "tools", "call"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return revision == EXPERIMENTAL and isinstance(found, Mapping)


def wants_task(execution: object, *, detach: bool) -> bool:
    """Whether a tool is to be called as a task where the client decides: it must be, or may and is to.

    Args:
        execution: that member of the tool's definition.
    """
    support = execution.get("taskSupport") if isinstance(execution, Mapping) else None
    return support == "required" or (detach and support == "optional")


def created_task(result: Mapping[str, Any], revision: str, *, asked: bool) -> Mapping[str, Any] | None:
    """Give the description in the answer to a tool call if that is a task, else None.

    Args:
        asked: whether the call asked for a task, as 2025-11-25 does.
    """
    if result.get("resultType") == TASK:
        return result
    task = result.get("task")
    if asked and revision == EXPERIMENTAL and isinstance(task, Mapping):
        return task
    return None


def read_task(members: Mapping[str, Any], before: Task, *, first: bool = False) -> Task:
    """Read what a server says of a task.

    Args:
        before: what was known of it.
        first: this is what creates it, and so names its id.

    Raises:
        MalformedTaskError: it is another task, has no status, or was ended and is not any more.
    """
    number, status = members.get("taskId"), members.get("status")
    if not isinstance(number, str) or not number or (not first and number != before.id):
        raise MalformedTaskError("gave a task without an id" if first else "answered about another task")
    if not isinstance(status, str) or status not in STATUSES:
        raise MalformedTaskError(f"gave a task the status {str(status)[:40]!r}, which there is not")
    if before.done and status != before.status:
        raise MalformedTaskError(f"gave a task that was {before.status} the status {status!r}")
    return replace(
        before,
        id=number,
        status=status,
        message=_text(members.get("statusMessage")),
        created=_text(members.get("createdAt")) or before.created,
        updated=_text(members.get("lastUpdatedAt")) or before.updated,
        ttl_ms=_span(members.get("ttlMs", members.get("ttl"))),
        poll_interval_ms=_span(members.get("pollIntervalMs", members.get("pollInterval"))),
    )


def pause(task: Task, ttl_left: float | None, *, asked_to_wait: float | None = None) -> float:
    """Give the seconds until the next poll.

    Args:
        ttl_left: seconds for which the server still keeps the task; it is asked before they are over.
        asked_to_wait: seconds that a refusal of the last poll named.
    """
    wanted = USUAL if task.poll_interval_ms is None else task.poll_interval_ms / 1000
    wanted = max(wanted, asked_to_wait or 0.0)
    if ttl_left is not None:
        wanted = min(wanted, max(0.8 * ttl_left, 0.0))
    return min(max(wanted, SHORTEST), LONGEST)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _span(value: object) -> int | None:
    """Read milliseconds; what is none counts as not said, what is longer than 30 years as that."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        return None
    return int(min(value, _MOST_MS))
