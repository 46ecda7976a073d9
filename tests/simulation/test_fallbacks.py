"""What is given in place of an answer that cannot be had, through the front door, on virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

READS = {"readOnlyHint": True}


def server(name: str) -> FakeServer:
    fake = FakeServer(name, eras=["modern"])
    fake.tool("read", returns=f"{name} read", annotations=READS)
    fake.tool("write", returns=f"{name} wrote")
    fake.tool("find", reports="arguments", schema={"type": "object", "properties": {"query": {}}})
    return fake


class Gone:
    """A server that ends as soon as it starts."""

    async def serve(self, *_: object) -> None:
        return None


def connect(*servers: FakeServer, tools: Any = None, **policy: Any) -> trunkline.Trunk:
    rules = {"defaults": {"trust": True, "retry": {"attempts": 1}}, "tools": tools or {}, **policy}
    return trunkline.connect({one.name: one for one in servers}, policy=rules)


async def test_policy_names_another_tool_which_is_called_through_its_own_stack():
    first, second = server("a"), server("b")
    async with connect(first, second, tools={"a.read": {"fallback": ["b.read"]}}) as trunk:
        await trunk.ready()
        events = trunk.events()
        assert (await trunk.call("a.read")).reason == ""
        first.fault("read", Fault.crash_before_reply)
        reply = await trunk.call("a.read")
        assert (reply.text, reply.tool, reply.server) == ("b read", "b.read", "b")
        assert reply.reason == "a.read failed (outcome_unknown); answered by b.read"
        seen = [event for event in await drained(events) if isinstance(event, trunkline.Degraded)]
        assert [(event.tool, event.by, event.code) for event in seen] == [
            ("a.read", "b.read", "outcome_unknown")
        ]
        (child,) = trunk.journal.calls(tool="b.read")
        (parent,) = trunk.journal.calls(tool="a.read", most=1)
        assert child.call_id.startswith(f"{parent.call_id}.")
        assert parent.degraded == reply.reason
        assert any("in its place" in note for note in trunk.why(parent.call_id).notes)
        assert trunk.why(child.call_id).about == "call"


async def drained(events: trunkline.Watch[Any]) -> list[Any]:
    await asyncio.sleep(0.01)
    return [events._waiting.popleft() for _ in range(len(events._waiting))]


async def test_the_caller_names_alternatives_of_every_kind():
    first, second = server("a"), server("b")

    async def remembered(call: Any, error: Any) -> str:
        return f"{call.name} of {call.principal.name}: {error.code}"

    async with connect(first, second) as trunk:
        await trunk.ready()
        await trunk.remove("a")
        await trunk.add("a", Gone())
        given = {
            "b": "b read",
            "b.read": "b read",
            remembered: "read of local: start_failed",
            trunkline.Constant("nothing"): "nothing",
        }
        for one, text in given.items():
            assert (await trunk.call("a.read", fallback=["nobody.read", one])).text == text
        reply = await trunk.call("a.read", fallback=[{"items": []}])
        assert (reply.structured, reply.server, reply.tool) == ({"items": []}, "", "a.read")
        with pytest.raises(trunkline.UnavailableError):
            await trunk.call("a.read", fallback=[])
        value = await trunk.call("a.read", fallback=[{"items": []}], as_=dict)
        assert value == {"items": []}


async def test_arguments_are_renamed_where_the_other_tool_calls_them_otherwise():
    first, second = server("a"), server("b")
    table = {"tool": "b.find", "rename": {"q": "query"}}
    async with connect(first, second, tools={"a.read": {"fallback": [table]}}) as trunk:
        await trunk.ready()
        first.fault("read", Fault.crash_before_reply)
        reply = await trunk.call("a.read", {"q": "x", "n": 1})
        assert reply.reason
        assert second.ledger.calls[-1].arguments == {"query": "x", "n": 1}


async def test_a_call_that_may_have_run_is_replaced_only_where_asked():
    first, second = server("a"), server("b")
    async with connect(first, second, tools={"*.write": {"fallback": ["b.write"]}}) as trunk:
        await trunk.ready()
        first.fault("write", Fault.crash_after_commit, times=2)
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("a.write")
        assert second.ledger.executed("write") == 0
        await trunk.ready("a")
        reply = await trunk.call("a.write", fallback=["b.write"], fallback_on=["outcome_unknown"])
        assert reply.text == "b wrote"


async def test_alternatives_have_no_alternatives_and_nothing_stands_in_for_itself():
    tools = {"a.read": {"fallback": ["b.read"]}, "b.read": {"fallback": ["a.read", "b.read"]}}
    first, second = server("a"), server("b")
    async with connect(first, second, tools=tools) as trunk:
        await trunk.ready()
        for one in (first, second):
            one.fault("read", Fault.rpc_error(-32000, "busy"), times=99)
        with pytest.raises(trunkline.ServerError) as caught:
            await trunk.call("b.read")
        assert caught.value.tool == "b.read"
        assert (len(first.ledger.calls), len(second.ledger.calls)) == (1, 1)


async def test_a_server_that_hangs_leaves_time_for_the_alternative():
    first, second = server("a"), server("b")
    async with connect(first, second, tools={"a.read": {"fallback": ["b.read"]}}) as trunk:
        await trunk.ready()
        first.fault("read", Fault.hang)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert (await trunk.call("a.read", timeout=4)).text == "b read"
        assert 2.9 < loop.time() - begun < 3.2


async def test_a_value_in_the_policy_is_explained_and_checked():
    async with connect(server("a"), tools={"a.read": {"fallback": [{"value": []}, "b.read"]}}) as trunk:
        told = trunk.explain("a.read")["fallback"]
        assert told.where == 'argument [tools."a.read"]'
        assert '[{ value = [] }, "b.read"]' in str(trunk.explain("a.read"))
    with pytest.raises(ValueError, match="tool_error"):
        async with connect(server("a")) as trunk:
            await trunk.call("a.read", fallback=["b"], fallback_on=["sometimes"])  # type: ignore[list-item]


async def test_what_a_denied_call_would_have_given_is_not_given_by_an_alternative_that_is_denied():
    async def deny(call: Any, inner: Any) -> trunkline.Reply:
        if call.server == "b":
            raise trunkline.DeniedError("not b")
        return await inner(call)

    first, second = server("a"), server("b")
    async with connect(first, second, tools={"a.read": {"fallback": ["b.read", {"value": 0}]}}) as trunk:
        await trunk.ready()
        trunk.use(deny, at="first")
        first.fault("read", Fault.crash_before_reply)
        reply = await trunk.call("a.read")
        assert (reply.structured, second.ledger.calls) == (0, [])


class Mute:
    """A server that starts and never says a word."""

    async def serve(self, receive: Any, _: object) -> None:
        while await receive():
            pass


async def test_a_server_that_never_listed_its_tools_is_replaced_within_the_time_of_the_call():
    policy = {"tools": {"a.read": {"fallback": [{"value": "kept"}]}}}
    async with trunkline.connect({"a": Mute(), "b": server("b")}, policy=policy) as trunk:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        reply = await trunk.call("a.read", timeout=2)
        assert (reply.text, loop.time() - begun) == ("kept", 1.5)
        assert reply.reason.startswith("a.read failed (deadline_exceeded)")
        with pytest.raises(trunkline.DeadlineExceededError):
            await trunk.call("a.other", timeout=2)


async def test_arguments_are_checked_although_the_tool_was_not_listed_when_it_was_called():
    fake = FakeServer("a", eras=["modern"])
    fake.tool("read", schema={"type": "object", "required": ["q"]})
    async with connect(fake, tools={"a.read": {"fallback": [{"value": "kept"}]}}) as trunk:
        with pytest.raises(trunkline.InvalidArgumentsError):
            await trunk.call("a.read", {})
        assert fake.ledger.calls == []


async def test_calls_that_run_on_their_own_have_alternatives_too():
    first, second = server("a"), server("b")
    async with connect(first, second) as trunk:
        await trunk.ready()
        first.fault("read", Fault.rpc_error(-32000, "busy"))
        handle = trunk.start("a.read", fallback=["b"])
        assert (await handle).text == "b read"
        with pytest.raises(TypeError):
            trunk.start("a.read", fallback="b")  # type: ignore[arg-type]
