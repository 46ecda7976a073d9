"""Equal tools of several servers under one name, on virtual time: which one a call goes to, and what then."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault
from trunkline.testing.script import RpcError

pytestmark = pytest.mark.anyio

READS = {"readOnlyHint": True}


def server(name: str, **more: Any) -> FakeServer:
    fake = FakeServer(name, eras=["modern"], **more)
    fake.tool("search", returns=name, annotations=READS)
    fake.tool("send", returns=name)
    fake.tool("slow", returns=name, delay=0.5 if name == "a" else 0.01, annotations=READS)
    return fake


def connect(*servers: FakeServer, retry: Any = None, **groups: Any) -> trunkline.Trunk:
    default = {"search": {"tools": ["a.search", "b.search"], "strategy": "failover"}}
    policy = {"defaults": {"trust": True, "retry": retry or {"attempts": 1}}, "groups": groups or default}
    return trunkline.connect({one.name: one for one in servers}, policy=policy)


async def spread(trunk: trunkline.Trunk, name: str, calls: int) -> Counter[str]:
    return Counter([(await trunk.call(name)).text for _ in range(calls)])


async def test_a_group_is_called_by_its_name_and_the_reply_says_who_answered():
    async with connect(server("a"), server("b")) as trunk:
        reply = await trunk.call("search", {})
        assert (reply.text, reply.server, reply.tool, reply.reason) == ("a", "a", "a.search", "")
        assert trunk.journal.calls(tool="a.search")[-1].call_id == reply.call_id


async def test_calls_go_to_the_next_while_the_first_is_down_and_come_back():
    first, second = server("a"), server("b")
    async with connect(first, second) as trunk:
        await trunk.ready()
        await trunk.remove("a")
        assert await spread(trunk, "search", 3) == {"b": 3}
        await trunk.add("a", server("a"))
        await trunk.ready("a")
        assert await spread(trunk, "search", 3) == {"a": 3}


async def test_load_and_latency_are_measured_for_each_tool():
    group = {"tools": ["a.slow", "b.slow"], "strategy": "latency"}
    async with connect(server("a"), server("b"), quick=group) as trunk:
        await trunk.ready()
        found = await spread(trunk, "quick", 40)
        assert found["b"] >= 37
    spread_out = {"tools": ["a.slow", "b.slow"]}
    async with connect(server("a"), server("b"), even=spread_out) as trunk:
        await trunk.ready()
        replies = await asyncio.gather(*(trunk.call("even") for _ in range(10)))
        assert Counter(reply.text for reply in replies) == {"a": 5, "b": 5}


async def test_marks_of_tools_decide_where_the_strategy_asks_for_them():
    tools = ["a.search", {"tool": "b.search", "region": "eu", "tags": ["big"]}]
    groups = {
        "near": {"tools": tools, "strategy": "geography", "regions": ["eu"]},
        "big": {"tools": tools, "strategy": "capability", "needs": ["tag:big"]},
        "none": {"tools": tools, "needs": ["tag:huge"]},
    }
    async with connect(server("a"), server("b"), **groups) as trunk:
        await trunk.ready()
        assert await spread(trunk, "near", 3) == {"b": 3}
        assert await spread(trunk, "big", 3) == {"b": 3}
        with pytest.raises(trunkline.UnavailableError) as caught:
            await trunk.call("none")
        assert caught.value.code == "no_capable_replica"


async def test_a_call_that_may_have_run_goes_nowhere_else_and_one_that_only_reads_does():
    first, second = server("a"), server("b")
    groups = {
        "search": {"tools": ["a.search", "b.search"], "strategy": "failover"},
        "send": {"tools": ["a.send", "b.send"], "strategy": "failover"},
    }
    async with connect(first, second, **groups) as trunk:
        await trunk.ready()
        first.fault("search", Fault.crash_after_commit, times=1)
        reply = await trunk.call("search")
        assert (reply.text, reply.attempts) == ("b", 2)
        await asyncio.sleep(5)
        first.fault("search", Fault.rpc_error(-32603, "out of memory"), times=1)
        assert (await trunk.call("search")).text == "b"
        first.fault("search", Fault.rpc_error(-32602, "no such thing"))
        with pytest.raises(trunkline.ServerError):
            await trunk.call("search")
        first.fault("send", Fault.crash_after_commit)
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("send")
        assert second.ledger.executed("send") == 0


async def test_a_key_makes_a_call_repeatable_where_it_is_known_and_nowhere_else():
    first, second = FakeServer("a", eras=["modern"]), FakeServer("b", eras=["modern"])
    for one in (first, second):
        one.tool("pay", returns=one.name)
    first.fault("pay", Fault.crash_before_reply, times=1)
    policy = {
        "defaults": {"idempotency_key": "key"},
        "tools": {"a.pay": {"fallback": ["b.pay"]}},
        "groups": {"pay": {"tools": ["a.pay", "b.pay"], "strategy": "failover"}},
    }
    async with trunkline.connect({"a": first, "b": second}, policy=policy) as trunk:
        reply = await trunk.call("a.pay")
        assert (reply.text, reply.attempts) == ("a", 2)
        first.fault("pay", Fault.crash_before_reply)
        for name in ("pay", "a.pay"):
            with pytest.raises(trunkline.OutcomeUnknownError):
                await trunk.call(name)
    assert second.ledger.of("tools/call") == []


async def test_the_next_tool_is_tried_before_the_first_is_tried_again_and_the_last_as_often_as_policy_says():
    servers = server("a"), server("b")
    async with connect(*servers, retry={"attempts": 3, "codes": ["server_error"]}) as trunk:
        await trunk.ready()
        for one in servers:
            one.fault("search", Fault.rpc_error(-32603, "out of memory"))
        with pytest.raises(trunkline.ServerError) as caught:
            await trunk.call("search")
        assert caught.value.tool == "a.search"
        assert [len(one.ledger.calls) for one in servers] == [1, 3]


async def test_the_first_failure_is_told_where_no_tool_can_be_used():
    async with connect(
        server("c"), search={"tools": ["a.search", "b.search"], "strategy": "failover"}
    ) as trunk:
        with pytest.raises(trunkline.NotFoundError) as caught:
            await trunk.call("search")
        assert "'a'" in caught.value.message


async def test_who_may_not_use_one_of_the_tools_is_given_another():
    async def only_b(call: Any, inner: Any) -> trunkline.Reply:
        if call.server == "a" and call.principal.name == "guest":
            raise trunkline.DeniedError("not for guests")
        return await inner(call)

    async with connect(server("a"), server("b")) as trunk:
        trunk.use(only_b, at="first")
        assert (await trunk.call("search")).text == "a"
        with trunk.acting_as(trunkline.Principal(name="guest")):
            assert (await trunk.call("search")).text == "b"


async def test_a_tool_that_fails_again_and_again_is_left_out():
    first, second = server("a"), server("b")

    @first.tool("broken")
    def broken(_: dict[str, Any]) -> str:
        raise RpcError(-32603, "out of order")

    second.tool("broken", returns="fine")
    group = {"tools": ["a.broken", "b.broken"], "strategy": "failover"}
    async with connect(first, second, broken=group) as trunk:
        await trunk.ready()
        failed = 0
        for _ in range(20):
            try:
                await trunk.call("broken")
            except trunkline.ServerError:
                failed += 1
        assert failed == 5


async def test_alternatives_of_the_caller_are_tried_when_the_whole_group_fails():
    servers = server("a"), server("b")
    async with connect(*servers, server("c")) as trunk:
        await trunk.ready()
        for one in servers:
            one.fault("search", Fault.rpc_error(-32000, "busy"))
        reply = await trunk.call("search", fallback=["c.search"], timeout=5)
        assert reply.text == "c"


async def test_progress_and_handles_work_with_groups():
    async with connect(server("a"), server("b")) as trunk:
        assert (await trunk.start("search")).text == "a"
        (_, last) = [None, *[event async for event in trunk.stream("search")]]
        assert isinstance(last, trunkline.Reply)


async def test_a_group_is_explained():
    async with connect(server("a"), server("b")) as trunk:
        told = trunk.explain("search")
        assert str(told).startswith("group search, policy argument")
        assert told["tools"].where == "argument [groups.search]"
        assert told["by"].is_default
        assert '["a.search", "b.search"]' in str(told)
        await trunk.ready()
        await trunk.remove("b")
        why = trunk.why("search")
        assert "goes to one of a.search, b.search, by the strategy failover" in why.summary
        assert (why.notes, why.candidates) == (("b.search is a tool of no server",), ("a.search", "b.search"))
