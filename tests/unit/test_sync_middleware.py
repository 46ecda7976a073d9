"""Middleware of programs that do not await: async functions, which run on the trunk's own thread."""

from __future__ import annotations

import threading

import pytest
import uvloop

import trunkline.sync
from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.pipeline.service import Service
from trunkline.testing import mock


@pytest.fixture(scope="module", autouse=True)
def _uvloop_has_begun() -> None:
    """The first uvloop of a process makes a pipe for signals that is never closed; make it now."""
    uvloop.new_event_loop().close()


class Watching:
    """Notes what passes it."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self.name = name
        self.seen = seen

    async def __call__(self, call: Call, inner: Service) -> Reply:
        assert threading.current_thread() is not threading.main_thread()
        self.seen.append(f"> {self.name}")
        reply = await inner(call)
        self.seen.append(f"< {self.name}")
        return reply


def test_code_that_does_not_await_has_it_too() -> None:
    seen: list[str] = []
    with trunkline.sync.Trunk(mock({"db.read": "rows"}, middleware=[Watching("a", seen)])) as trunk:
        remove = trunk.use(Watching("b", seen), at="send")
        trunk.call("db.read")
        remove()
        trunk.call("db.read")
        assert "call" in [layer.name for layer in trunk.layers("db", "read")]
    assert seen == ["> a", "> b", "< b", "< a", "> a", "< a"]
