"""The part of the front door by which an operator looks at breakers and holds them open or closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trunkline.catalog.names import split_name
from trunkline.config.policy import Policy
from trunkline.core.breaker import BreakerPhase, BreakerStatus
from trunkline.pipeline.breaker_state import BreakerState
from trunkline.runtime.guards import Guards
from trunkline.runtime.tool_lists import SEPARATOR, no_server
from trunkline.supervision.fleet import Fleet


class BreakerSwitch:
    """The breaker of one server or tool, in the hand of an operator."""

    def __init__(self, name: str, find: Callable[[], BreakerState]) -> None:
        self.name = name
        """The server, or the public name of the tool."""
        self._find = find
        self._time = asyncio.get_running_loop().time

    @property
    def status(self) -> BreakerStatus:
        """How it is doing."""
        return self._find().status(self._time())

    def force_open(self) -> None:
        """Let no call through until `reset` or `force_closed`; calls in flight go on."""
        self._force("forced_open")

    def force_closed(self) -> None:
        """Let every call through, however many fail, until `reset` or `force_open`."""
        self._force("forced_closed")

    def reset(self) -> None:
        """Close it and count anew, as if nothing had failed yet and nobody had forced it."""
        self._force("closed")

    def __repr__(self) -> str:
        return f"<BreakerSwitch {self.name!r}>"

    def _force(self, state: BreakerPhase) -> None:
        self._find().force(state, self._time())


class Breakers:
    """What `Trunk` does with breakers; it sets the attributes below when it is entered."""

    _fleet: Fleet
    _guards: Guards
    _policy: Policy

    def breaker(self, name: str) -> BreakerSwitch:
        """Give the breaker of a server or of a tool, to look at it, or to hold it open or closed.

        Args:
            name: a server, or `server.tool`, listed or not.

        Raises:
            NotFoundError: there is no such server.
        """
        if name in self._fleet:
            server, tool = name, ""
        elif (pair := split_name(name, self._fleet.servers, separators=SEPARATOR)) is not None:
            server, tool = pair
        else:
            raise no_server(name, self._fleet)

        def find() -> BreakerState:
            # Each time anew: what nobody holds open or closed may have been dropped since.
            rules = self._policy.for_tool(server, tool) if tool else self._policy.for_server(server)
            return self._guards.breaker(server, tool, rules.breaker)

        return BreakerSwitch(name, find)
