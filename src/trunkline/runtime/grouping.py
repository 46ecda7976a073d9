"""The groups of one runtime: found by name, and given the way by which their calls are made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from trunkline.catalog.names import split_name
from trunkline.config.policy import Policy
from trunkline.core.call import Call
from trunkline.core.group import GroupPolicy
from trunkline.core.reply import Reply
from trunkline.errors import (
    AuthorizationRequiredError,
    CallError,
    DeniedError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)
from trunkline.pipeline.service import Service
from trunkline.pipeline.strategies import Draw
from trunkline.pipeline.verdict import may_repeat
from trunkline.runtime.groups import Group
from trunkline.runtime.stacks import Stacks
from trunkline.runtime.substitutes import Aim, make_child
from trunkline.runtime.tool_lists import SEPARATOR, no_server
from trunkline.supervision.fleet import Fleet, Server
from trunkline.supervision.outcome import speaks_against

_OF_ONE_SERVER = (
    UnavailableError,
    RejectedError,
    DeniedError,
    NotFoundError,
    AuthorizationRequiredError,
)
"""What says that this tool cannot be used, and nothing of an equal one."""


class Grouping:
    """Knows the groups that policy names; each keeps what it has learned until it is written differently.

    Args:
        aim: gives the way to a tool, named as its server names it.
    """

    def __init__(
        self, fleet: Fleet, policy: Policy, stacks: Stacks, aim: Callable[[str, str], Aim], draw: Draw
    ) -> None:
        self._fleet = fleet
        self._policy = policy
        self._stacks = stacks
        self._aim = aim
        self._draw = draw
        self._numbers = 0
        self._groups: dict[str, tuple[GroupPolicy, Group]] = {}

    def adopt(self, policy: Policy) -> None:
        """Follow another policy from the next call on."""
        self._policy = policy

    def find(self, name: str) -> Service | None:
        """Give what makes calls of a group, or None where no group has this name."""
        settings = self._policy.groups.get(name)
        if settings is None:
            return None
        known = self._groups.get(name)
        if known is None or known[0] != settings:
            known = self._groups[name] = (settings, Group(settings, self, self._draw))
        return known[1].call

    def server_of(self, tool: str) -> Server | None:
        """See `groups.Caller`."""
        pair = split_name(tool, self._fleet.servers, separators=SEPARATOR)
        return None if pair is None else self._fleet.get(pair[0])

    def child(self, tool: str, call: Call) -> Call:
        """See `groups.Caller`."""
        pair = split_name(tool, self._fleet.servers, separators=SEPARATOR)
        if pair is None:
            raise no_server(tool.partition(SEPARATOR)[0], self._fleet)
        self._numbers += 1
        made = make_child(call, self._aim(*pair), self._numbers, call.arguments)
        return replace(made, detach=call.detach, augment=call.augment)

    async def send(self, child: Call, *, last: bool) -> Reply:
        """See `groups.Caller`."""
        stacks, name = self._stacks, (child.server, child.name)
        return await (stacks.of_tool(*name) if last else stacks.once(*name))(child)

    def moves_on(self, child: Call, error: CallError) -> bool:
        """See `groups.Caller`."""
        if error.delivery in ("never_sent", "refused") and isinstance(error, _OF_ONE_SERVER):
            return True
        safety = self._stacks.safety(child)
        if safety != "once" and speaks_against(error, child, asyncio.get_running_loop().time()):
            return True
        retry = self._policy.for_tool(child.server, child.name).retry
        return may_repeat(error, safety, retry.codes) != "never"
