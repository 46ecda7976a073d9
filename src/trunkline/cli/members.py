"""The connections of a server that has several, as lines beneath its own."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from trunkline.cli.render import align, line
from trunkline.core.status import MemberStatus, ServerStatus


def member_lines(status: ServerStatus) -> Iterator[str]:
    """Give a line for each connection if there are several, each breaker not closed, and those who wait."""
    members = status.members
    if len(members) > 1 or any(one.leased for one in members):
        yield from (f"  {text}" for text in align([_row(one) for one in members]))
    if status.breaker_reason:
        yield f"  breaker {status.breaker}: {line(status.breaker_reason)}"
    for tool, why in sorted(status.open_tools.items()):
        yield f"  breaker of {line(tool)} {line(why)}"
    if status.waiting:
        yield f"  {status.waiting} {'call waits' if status.waiting == 1 else 'calls wait'}"


def without_passing(members: tuple[MemberStatus, ...]) -> tuple[MemberStatus, ...]:
    """Give the connections without what differs at every look and is no change."""
    return tuple(replace(one, since=0.0, latency_ms=None, calls=0, retry_in=None) for one in members)


def _row(one: MemberStatus) -> tuple[str, ...]:
    calls = f"{one.calls} {'call' if one.calls == 1 else 'calls'}"
    error = f"error: {one.last_error}" if one.last_error and one.state not in ("ready", "stopped") else ""
    doing = "leased" if one.leased else "ejected" if one.ejected else calls
    return (one.name, one.state, doing, line(one.region or "-"), line(one.endpoint or "-"), line(error))
