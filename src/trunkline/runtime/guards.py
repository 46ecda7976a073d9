"""The breakers and limiters of one runtime: one of each per server and per tool, shared by its stacks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from trunkline.config.policy import Policy
from trunkline.config.settings import ServerPolicy, ToolPolicy
from trunkline.core.breaker import BreakerPhase, BreakerSettings
from trunkline.core.events import BreakerChanged, Event, EventSink, ServerChanged
from trunkline.core.limit import LimitSettings
from trunkline.core.status import ServerStatus
from trunkline.pipeline.breaker import Breaker
from trunkline.pipeline.breaker_state import BreakerState
from trunkline.pipeline.limit import Limit, Limiter
from trunkline.telemetry.escape import escape_text

logger = logging.getLogger("trunkline.breaker")

_MOST = 8192
"""Breakers, and limiters, of tools that are kept: names of tools come from whoever calls."""
_OUT = ("connecting", "stopped", "backoff", "failed", "degraded")
"""States out of which a server comes back: what its calls came to meanwhile says nothing of it now."""

Key = tuple[str, str]
"""Server and tool; "" for the server as a whole."""


class Guards:
    """Owns what protects servers from calls, and callers from servers.

    Args:
        draw: gives a random number from 0 to 1.
    """

    def __init__(self, events: EventSink, draw: Callable[[], float]) -> None:
        self._events = events
        self._draw = draw
        self._time = asyncio.get_running_loop().time
        self._breakers: dict[Key, BreakerState] = {}
        self._limiters: dict[Key, Limiter] = {}
        self.renew_stacks: Callable[[], None] = lambda: None
        """Has stacks made anew, where those there are hold what is kept here no longer, or lack what is."""

    watched = True

    def put(self, event: Event) -> None:
        """Hand an event on; what was counted of a server holds no longer when it is back."""
        self._events.put(event)
        if isinstance(event, ServerChanged) and event.state == "ready" and event.before in _OUT:
            now = self._time()
            back = "answers again" if event.before == "degraded" else "was connected anew"
            for (server, _), state in self._breakers.items():
                if server == event.server:
                    state.renew(now, f"the server {back}")

    def adopt(self, policy: Policy) -> None:
        """Follow another policy at once: those who wait are not held back by what no longer holds."""
        for (server, tool), state in self._breakers.items():
            of = policy.for_tool(server, tool) if tool else policy.for_server(server)
            if state.settings != of.breaker:
                state.adjust(of.breaker, self._time())
        for (server, tool), limiter in self._limiters.items():
            whole = policy.for_server(server).limit
            wanted = _own_limit(policy.for_tool(server, tool).limit, whole) if tool else whole
            if limiter.settings != wanted:
                limiter.adjust(wanted)

    def breaker_layer(
        self, server: str, tool: str, of_server: ServerPolicy, of_tool: ToolPolicy | None
    ) -> Breaker | None:
        """Give the layer for the calls of a tool, or of all that is no tool; None where none is wanted."""
        own = None if of_tool is None else self._wanted_breaker((server, tool), of_tool.breaker)
        whole = self._wanted_breaker((server, ""), of_server.breaker)
        return None if own is None and whole is None else Breaker(server=whole, tool=own)

    def limit_layer(
        self, server: str, tool: str, of_server: ServerPolicy, of_tool: ToolPolicy | None
    ) -> Limit | None:
        """Give the layer for the calls of a tool, or of all that is no tool; None where there is no limit."""
        whole, own = of_server.limit, of_server.limit if of_tool is None else of_tool.limit
        wanted = (((server, tool), _own_limit(own, whole)), ((server, ""), whole))
        limiters = [self._limiter(key, settings) for key, settings in wanted if not settings.is_off]
        return Limit(limiters=tuple(limiters), priority=own.priority) if limiters else None

    def breaker(self, server: str, tool: str, settings: BreakerSettings) -> BreakerState:
        """Give a breaker, making it where there is none."""
        state = self._breakers.get((server, tool))
        if state is None:
            self._make_room(self._breakers, lambda state: state.state == "closed")
            if not settings.enabled:
                self.renew_stacks()
            told = partial(self._tell, server, tool)
            state = self._breakers[server, tool] = BreakerState(settings, self._time(), self._draw, told)
        return state

    def forget(self, servers: Collection[str]) -> None:
        """Drop what is kept of any server but these; who waits for the turn of one has it at once."""
        kept: dict[Key, Any]
        gone = [limiter for key, limiter in self._limiters.items() if key[0] not in servers]
        for kept in (self._breakers, self._limiters):
            for key in [key for key in kept if key[0] not in servers]:
                del kept[key]
        for limiter in gone:
            limiter.adjust(LimitSettings())

    def show(self, statuses: Mapping[str, ServerStatus]) -> dict[str, ServerStatus]:
        """Add what is known here to how servers are doing."""
        now, shown = self._time(), dict(statuses)
        open_tools: dict[str, dict[str, str]] = {}
        for (server, tool), state in self._breakers.items():
            if state.state == "closed" or server not in shown:
                continue
            status = state.status(now)
            if tool:
                told = f"{status.state}: {status.reason}"
                open_tools.setdefault(server, {})[tool] = told
            else:
                shown[server] = replace(shown[server], breaker=status.state, breaker_reason=status.reason)
        for server, tools in open_tools.items():
            shown[server] = replace(shown[server], open_tools=tools)
        for (server, _), limiter in self._limiters.items():
            if server in shown and (waiting := limiter.status().waiting):
                shown[server] = replace(shown[server], waiting=shown[server].waiting + waiting)
        return shown

    def _wanted_breaker(self, key: Key, settings: BreakerSettings) -> BreakerState | None:
        # One that an operator holds is there whatever policy says.
        if not settings.enabled and key not in self._breakers:
            return None
        return self.breaker(*key, settings)

    def _limiter(self, key: Key, settings: LimitSettings) -> Limiter:
        limiter = self._limiters.get(key)
        if limiter is None:
            self._make_room(self._limiters, lambda limiter: not limiter.busy)
            limiter = self._limiters[key] = Limiter(settings, "tool" if key[1] else "server")
        return limiter

    def _make_room(self, kept: dict[Key, Any], is_idle: Callable[[Any], bool]) -> None:
        if len(kept) < _MOST:
            return
        for key in [key for key, one in kept.items() if key[1] and is_idle(one)]:
            del kept[key]
        self.renew_stacks()

    def _tell(
        self, server: str, tool: str, before: BreakerPhase, state: BreakerPhase, reason: str | None
    ) -> None:
        name = f"{server}.{tool}" if tool else server
        level = logging.WARNING if state in ("open", "forced_open") else logging.INFO
        line = escape_text(f"{name}: breaker {state}{': ' + reason if reason else ''}")
        logger.log(level, "%s", line, extra={"server": server})
        self._events.put(BreakerChanged(server=server, tool=tool, state=state, before=before, reason=reason))


def _own_limit(own: LimitSettings, whole: LimitSettings) -> LimitSettings:
    """Give the limit of a tool alone: what it has from its server is the server's to hold."""
    return LimitSettings() if replace(own, priority=whole.priority) == whole else own
