"""Servers that are not connected because nobody uses them, on virtual time: nothing calls them sick."""

from __future__ import annotations

import asyncio

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio


def shop() -> FakeServer:
    server = FakeServer("shop")
    server.tool("work", delay=3, returns="worked")
    server.tool("crash")
    server.fault("crash", Fault.crash_before_reply)
    return server


async def test_a_lazy_server_is_told_to_be_unused_and_not_to_have_failed():
    policy = {"servers": {"shop": {"lazy": True, "pool": {"min": 0, "max_idle": 5}}}}
    async with trunkline.connect({"shop": shop()}, policy=policy) as trunk:
        unused = "stopped for 0 s: nobody uses it, and its next use connects it"
        why = trunk.why("shop")
        assert (why.summary, why.notes) == (unused, ())
        assert trunk.why("shop.work").notes == (f"shop is {unused}",)
        await trunk.call("shop.work")
        await asyncio.sleep(5)
        assert trunk.why("shop").notes == ("it answered last 5 s ago",)
        assert trunk.why("shop.work").summary == "it is a tool of shop"


async def test_a_further_connection_that_was_lost_keeps_no_server_awake():
    policy = {"servers": {"shop": {"pool": {"min": 0, "max": 2, "max_idle": 5}}}}
    async with trunkline.connect({"shop": shop()}, policy=policy) as trunk:
        await trunk.ready()
        work = trunk.start("shop.work")
        await asyncio.sleep(0)
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("shop.crash")
        await work
        await asyncio.sleep(6)
        status = trunk.status()["shop"]
        assert ([one.state for one in status.members], status.asleep) == (["stopped", "stopped"], True)
        await trunk.ready()
        assert trunk.status()["shop"].state == "stopped"
