"""Why a call of a group goes where it goes: the group as a value. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trunkline.catalog.names import split_name
from trunkline.core.group import GroupPolicy
from trunkline.core.status import ServerStatus
from trunkline.core.why import Why


def explain_group(name: str, group: GroupPolicy, statuses: Mapping[str, ServerStatus]) -> Why:
    """Say what a group is, and how the servers of its tools are doing."""
    tools = tuple(one.tool for one in group.tools)
    each = f"each call goes to one of {', '.join(tools)}, by the strategy {group.strategy}"
    return Why(
        about="tool",
        name=name,
        summary=f"it is a group: {each}",
        notes=tuple(_notes(tools, statuses)),
        hint=f"`trunk.explain({name!r})` says where each value is written.",
        candidates=tools,
    )


def _notes(tools: tuple[str, ...], statuses: Mapping[str, ServerStatus]) -> Iterator[str]:
    for tool in tools:
        pair = split_name(tool, statuses, separators=".")
        status = None if pair is None else statuses[pair[0]]
        if status is None:
            yield f"{tool} is a tool of no server"
        elif status.state != "ready":
            yield f"{tool}: its server is {status.state}"
