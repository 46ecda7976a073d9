"""Fetches the answers of calls that are expected, a few at a time, and lets the cache keep them.

Only tools that the cache may answer for are learned from and called, and only with what was learned from
calls of the same principal to the same server.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from trunkline.core.call import Call, Flight
from trunkline.core.prefetch import Expected, PrefetchSettings
from trunkline.core.principal import Principal
from trunkline.core.reply import Reply
from trunkline.pipeline.foresight import Foresight, Made

Foresee = Callable[[Call], bool]
"""Begins to fetch the answer of an expected call, in a task of its own; whether it does."""

_MOST_KNOWN = 256
"""Pairs of a server and a principal that are learned from; the one that called longest ago is forgotten."""
_MOST_TOOLS = 4096


class Prefetcher:
    """What one runtime has learned, and how it fetches the answer of each tool."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, Principal], Foresight] = OrderedDict()
        self._tools: dict[tuple[str, str], Foresee] = {}
        """How expected calls of each tool are made, as the last call of it was."""

    def forget(self) -> None:
        """Policy or the servers have changed: everything is learned anew."""
        self._tools.clear()
        self._known.clear()

    def note(self, call: Call, reply: Reply, foresee: Foresee, settings: PrefetchSettings) -> None:
        """Take a call that was answered, and fetch what is expected after it.

        Args:
            foresee: how expected calls of the same tool are made, from now on.
        """
        if call.method != "tools/call":
            return
        if len(self._tools) >= _MOST_TOOLS:
            self._tools.clear()
        self._tools[call.server, call.name] = foresee
        now = asyncio.get_running_loop().time()
        made = Made(call.name, call.arguments, reply.structured, now)
        for expected in self._of(call, settings).note(made, call.flight.started):
            if (begin := self._tools.get((call.server, expected.name))) is not None:
                begin(_expected_call(call, expected, now))

    def _of(self, call: Call, settings: PrefetchSettings) -> Foresight:
        key = (call.server, call.principal)
        if (known := self._known.get(key)) is None:
            known = self._known[key] = Foresight(settings)
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return known


class Prefetch(msgspec.Struct, frozen=True, kw_only=True):
    """How the calls of one tool are learned from."""

    settings: PrefetchSettings
    prefetcher: Prefetcher

    def note(self, call: Call, reply: Reply, foresee: Foresee) -> None:
        """Take a call that was answered, and fetch what is expected after it."""
        self.prefetcher.note(call, reply, foresee, self.settings)


def _expected_call(call: Call, expected: Expected, now: float) -> Call:
    """Give the call that is expected, with as much time as the one before it had."""
    more: dict[str, Any] = {"arguments": expected.arguments, "flight": Flight(now)}
    return replace(
        call,
        name=expected.name,
        public_name=f"{call.server}.{expected.name}",
        deadline=now + max(call.deadline - call.flight.started, 0.0),
        max_age=None,
        log_level=None,
        trace={},
        headers={},
        **more,
    )
