"""Why a call ended as it did, a server is in its state, a tool is there or not: told from what is known.

Nothing is started, asked or waited for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from trunkline.catalog.names import CLI_SEPARATORS, resolve, split_name
from trunkline.core.group import GroupPolicy
from trunkline.core.journal import CallRecord
from trunkline.core.status import ServerStatus
from trunkline.core.tool import Tool
from trunkline.core.why import Why
from trunkline.errors import AmbiguousNameError, NotFoundError
from trunkline.runtime.why_group import explain_group
from trunkline.security.sanitize import sanitize_text
from trunkline.telemetry.journal import MOST_CALLS, Journal

if TYPE_CHECKING:
    from trunkline.catalog.catalog import Catalog

_MOST_CALLS = 5
_MOST_WARNINGS = 5
_MOST_MEMBERS = 8
_CALL_ID = re.compile(r"[0-9a-f]{6}-[0-9a-f]+(\.[0-9]+)*")
_DOWN = ("stopped", "backoff", "failed", "draining")


class Knowledge(msgspec.Struct, frozen=True, kw_only=True):
    """What an explanation is made of."""

    journal: Journal
    statuses: Mapping[str, ServerStatus]
    catalog: Catalog
    warnings: Mapping[str, tuple[str, ...]] = {}
    """What was left out of the lists of each server, and why."""
    disabled: tuple[str, ...] = ()
    """Servers that are switched off in the configuration."""
    groups: Mapping[str, GroupPolicy] = {}
    """Equal tools of several servers, by the name of their group."""


def explain_why(word: str, known: Knowledge) -> Why:
    """Explain a call by its id, a server, a group, or a tool by its public or bare name.

    Raises:
        NotFoundError: it has the form of a call's id, and no such call is known. Any other word that is
            no tool's name is explained, not refused.
    """
    if (call := known.journal.find(word)) is not None:
        return _explain_call(call, known)
    if word in known.statuses:
        return _explain_server(word, known)
    if word in known.groups:
        return explain_group(word, known.groups[word], known.statuses)
    if word in known.disabled:
        return Why(
            about="server",
            name=word,
            summary="it is switched off in the configuration",
            hint="Remove `disabled` from its entry.",
        )
    if _CALL_ID.fullmatch(word):
        raise NotFoundError(
            f"the journal has no call {word}; it keeps the last {MOST_CALLS:,} of this runtime",
            code="no_such_call",
            hint="`trunkline why` lists the calls that are known.",
        )
    return _explain_tool(word, known)


def _explain_call(call: CallRecord, known: Knowledge) -> Why:
    status = known.statuses.get(call.server)
    return Why(
        about="call",
        name=call.call_id,
        summary=_outcome(call),
        notes=tuple(_notes_of(call, status)),
        hint=None if call.ok or call.running else _advice(call, status),
        server=call.server,
        status=status,
        call=call,
    )


def _outcome(call: CallRecord) -> str:
    took, tool = f"{call.elapsed:.3f} s", sanitize_text(call.tool)
    if call.running:
        return f"{tool} has been running for {took}, {call.message}"
    if call.ok:
        return f"{tool} was answered in {took}"
    if call.code == "tool_error":
        return f"{tool} was answered in {took}; the tool itself reported a failure"
    if call.code == "cancelled":
        return f"{tool} was cancelled by its caller after {took}"
    return f"{tool} failed after {took}: {call.message or call.code}"


def _notes_of(call: CallRecord, status: ServerStatus | None) -> list[str]:
    notes = []
    if not call.ok and not call.running:
        notes.append(f"code {call.code}, delivery {call.delivery}: {_DELIVERIES[call.delivery]}")
    if call.cached:
        notes.append("the server was not asked: what it gave is kept from an earlier call (--no-cache asks)")
    if call.degraded:
        notes.append(f"something else was given in its place: {sanitize_text(call.degraded)}")
    if call.replica:
        notes.append(_replica(call, status))
    if call.attempts > 1:
        notes.append(f"it was tried {call.attempts} times; the times are those of the last")
    if status is not None and status.state != "ready":
        notes.append(f"{sanitize_text(call.server)} is {_state(status)}")
    return notes


def _replica(call: CallRecord, status: ServerStatus | None) -> str:
    members = () if status is None else status.members
    found = next((one for one in members if one.name == call.replica), None)
    where = f" ({sanitize_text(found.endpoint)})" if found is not None and found.endpoint else ""
    return f"it went to replica {call.replica}{where}"


_DELIVERIES = {
    "never_sent": "nothing left for the server",
    "refused": "the server said that it did not run it",
    "unknown": "it was sent and no complete answer came: the tool may have run",
    "answered": "the server answered it",
}


def _advice(call: CallRecord, status: ServerStatus | None) -> str | None:
    if status is not None and status.hint is not None and _is_down(status):
        return status.hint
    if call.delivery == "unknown":
        return "Check its effect before calling again."
    if call.code == "tool_error":
        return "The caller has its message; it is not kept here."
    return None


def _explain_server(name: str, known: Knowledge) -> Why:
    status = known.statuses[name]
    notes = []
    if status.restarts:
        notes.append(f"it was started again {_times(status.restarts)}")
    if status.retry_in is not None:
        notes.append(f"it is tried again in {status.retry_in:.0f} s, or by a call before that")
    elif _is_down(status):
        notes.append("it is tried again by the next call or `trunkline restart`, not by itself")
    if status.last_check is not None:
        notes.append(f"it answered last {status.last_check:.0f} s ago")
    notes += _guards_of(status)
    notes += [*_sick_members(status), *_left_out(name, known)]
    return Why(
        about="server",
        name=name,
        summary=_state(status),
        notes=tuple(notes),
        hint=status.hint if status.state != "ready" else None,
        server=name,
        status=status,
        calls=known.journal.calls(server=name, most=_MOST_CALLS),
    )


def _guards_of(status: ServerStatus) -> list[str]:
    """Say what holds calls back on our side."""
    notes = []
    if status.breaker != "closed":
        notes.append(f"its breaker is {status.breaker}: {status.breaker_reason}")
    if status.open_tools:
        names = sanitize_text(", ".join(sorted(status.open_tools)[:_MOST_WARNINGS]))
        notes.append(f"the breaker is not closed of {_count(len(status.open_tools), 'tool')}: {names}")
    if status.waiting:
        waits = "waits for its" if status.waiting == 1 else "wait for their"
        notes.append(f"{_count(status.waiting, 'call')} {waits} turn")
    return notes


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _sick_members(status: ServerStatus) -> list[str]:
    """Tell of connections that ought to be there and are not well, while others are."""
    sick = [one for one in status.members if one.state != "ready" and one.last_error is not None]
    if len(status.members) < 2:
        return []
    found = []
    for one in sick[:_MOST_MEMBERS]:
        where = f" ({sanitize_text(one.endpoint)})" if one.endpoint else ""
        text = f"connection {one.name}{where} is {one.state}: {sanitize_text(one.last_error or '')}"
        again = "" if one.retry_in is None else f"; it is tried again in {one.retry_in:.0f} s"
        found.append(text + again)
    return found + ([f"and {len(sick) - len(found)} more"] if len(sick) > len(found) else [])


def _left_out(server: str, known: Knowledge) -> list[str]:
    warnings = known.warnings.get(server, ())
    more = [f"and {len(warnings) - _MOST_WARNINGS} more"] if len(warnings) > _MOST_WARNINGS else []
    return [*warnings[:_MOST_WARNINGS], *more]


def _is_down(status: ServerStatus) -> bool:
    return status.state in _DOWN and not status.asleep


def _state(status: ServerStatus) -> str:
    since = f"{status.state} for {status.since:.0f} s"
    if status.asleep and status.last_error is None:
        return f"{since}: nobody uses it, and its next use connects it"
    if status.state == "ready" or status.last_error is None:
        return since
    return f"{since}: {sanitize_text(status.last_error)}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _explain_tool(word: str, known: Knowledge) -> Why:
    servers = tuple(known.statuses)
    try:
        tool = resolve(word, servers, known.catalog, separators=CLI_SEPARATORS)
    except AmbiguousNameError as error:
        return Why(
            about="tool",
            name=word,
            summary=error.message,
            hint=error.hint,
            candidates=error.candidates,
        )
    except NotFoundError as error:
        return _explain_missing(word, error, known)
    return _explain_listed(word, tool, known)


def _explain_listed(word: str, tool: Tool, known: Knowledge) -> Why:
    status = known.statuses[tool.server]
    how = "the public name" if word == tool.public_name else f"{word!r}, which no other server has,"
    if split_name(word, known.statuses, separators=CLI_SEPARATORS) is not None:
        how = "the name with its server"
    notes = [f"{how} leads to it"]
    if (breaker := status.open_tools.get(tool.name)) is not None:
        notes.append(f"its breaker is {breaker}")
    if status.breaker != "closed":
        notes.append(
            f"the breaker of {sanitize_text(tool.server)} is {status.breaker}: {status.breaker_reason}"
        )
    usable = not _is_down(status)
    summary = f"it is a tool of {tool.server}"
    if not usable:
        summary += f", which listed it before and is now {_state(status)}"
    return Why(
        about="tool",
        name=tool.public_name,
        summary=summary,
        notes=tuple(notes),
        hint=None if usable else status.hint,
        server=tool.server,
        status=status,
        calls=known.journal.calls(tool=tool.public_name, most=_MOST_CALLS),
    )


def _explain_missing(word: str, error: NotFoundError, known: Knowledge) -> Why:
    """Say why a name is no tool: of a server that has not listed its tools, that is not certain."""
    pair = split_name(word, known.statuses, separators=CLI_SEPARATORS)
    asked = known.statuses if pair is None else {pair[0]: known.statuses[pair[0]]}
    unknown = {name: status for name, status in asked.items() if status.tools is None}
    off = split_name(word, known.disabled, separators=CLI_SEPARATORS)
    summary, hint = error.message, error.hint
    if off is not None:
        summary, hint = f"its server {off[0]} is switched off", "Remove `disabled` from its entry."
    elif unknown and pair is not None:
        summary, hint = f"{pair[0]} has not listed its tools", asked[pair[0]].hint
    elif unknown:
        summary = "no server that has listed its tools has one of this name"
    notes = [f"{name} is {_state(status)}" for name, status in unknown.items()]
    for server in asked:
        notes += _left_out(server, known)
    return Why(
        about="tool",
        name=word,
        summary=summary,
        notes=tuple(notes),
        hint=hint,
        server=None if pair is None else pair[0],
        status=None if pair is None else asked[pair[0]],
        candidates=error.candidates,
    )
