"""Breakers and limits of a whole runtime, on virtual time: who pays for what, and what can be seen of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import trunkline
from trunkline.runtime import guards
from trunkline.testing import FakeServer, Toxic, Toxics, VirtualNetwork

pytestmark = pytest.mark.anyio

EAGER = {"least_calls": 4, "open_for": 5}
Receive = Callable[[], Awaitable[bytes]]
Send = Callable[[bytes], None]


def make_server() -> FakeServer:
    server = FakeServer()
    server.tool("good", returns="fine")
    server.tool("bad", rpc_error=(-32603, "broken"))
    server.tool("unwell", error="no")
    server.tool("slow", delay=2, returns="done")
    return server


async def fail(trunk: trunkline.Trunk, tool: str, times: int, **options: Any) -> list[str]:
    """Call a tool that fails, and give the codes of its errors."""
    codes = []
    for _ in range(times):
        with pytest.raises(trunkline.CallError) as caught:
            await trunk.call(tool, {}, **options)
        codes.append(caught.value.code)
    return codes


async def test_a_bad_tool_is_no_longer_called_and_its_neighbors_are() -> None:
    async with trunkline.connect({"s": make_server()}, policy={"defaults": {"breaker": EAGER}}) as trunk:
        watch = trunk.events(trunkline.BreakerChanged)
        assert await fail(trunk, "s.bad", 6) == ["server_error"] * 4 + ["breaker_open"] * 2
        assert (await trunk.call("s.good")).text == "fine"
        status = trunk.status()["s"]
        assert (status.breaker, status.open_tools) == (
            "closed",
            {"bad": "open: 4 of 4 calls within 10 s failed"},
        )
        assert trunk.breaker("s.bad").status.retry_in == pytest.approx(5.0, abs=0.1)
        why = trunk.why("s.bad")
        assert any("breaker is open" in note and "4 of 4 calls" in note for note in why.notes)
        await asyncio.sleep(5)
        assert await fail(trunk, "s.bad", 2) == ["server_error", "breaker_open"]
        assert any(line.text.startswith("breaker of bad open: 4 of 4") for line in trunk.logs("s"))
    told = [(event.tool, event.before, event.state) async for event in watch]
    assert told == [
        ("bad", "closed", "open"),
        ("bad", "open", "half_open"),
        ("bad", "half_open", "open"),
    ]


async def test_what_a_tool_says_of_itself_and_what_callers_get_wrong_opens_nothing() -> None:
    policy = {"defaults": {"breaker": {"consecutive": 1}}}
    server = make_server()
    server.tool("strict", schema={"type": "object", "required": ["n"]}, returns="fine")
    async with trunkline.connect({"s": server}, policy=policy) as trunk:
        for _ in range(3):
            assert (await trunk.call("s.unwell")).is_error
        assert await fail(trunk, "s.strict", 3) == ["invalid_arguments"] * 3
        status = trunk.status()["s"]
        assert (status.breaker, status.open_tools) == ("closed", {})


async def test_without_a_policy_a_breaker_opens_at_four_fifths_of_fifty_calls() -> None:
    async with trunkline.connect({"s": make_server()}) as trunk:
        assert await fail(trunk, "s.bad", 52) == ["server_error"] * 50 + ["breaker_open"] * 2


class Frail:
    """A server that can be taken away, hung, and brought back."""

    def __init__(self) -> None:
        self.fake = make_server()
        self.up = True
        self.hung = False
        self._gone = asyncio.Event()

    async def serve(self, receive: Receive, send: Send) -> None:
        if not self.up:
            return
        self._gone = asyncio.Event()
        serving = asyncio.ensure_future(
            self.fake.serve(receive, lambda frame: None if self.hung else send(frame))
        )
        gone = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait({serving, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (serving, gone):
                task.cancel()
            await asyncio.wait({serving, gone})

    def leave(self) -> None:
        self.up = False
        self._gone.set()


async def test_the_loss_of_a_server_opens_its_breakers_for_no_longer_than_the_outage() -> None:
    server = Frail()
    policy = {"defaults": {"retry": {"attempts": 1}, "breaker": {"least_calls": 4, "open_for": 1000}}}
    async with trunkline.connect({"s": server}, policy=policy) as trunk:
        assert (await trunk.call("s.good")).text == "fine"
        server.hung = True
        assert set(await fail(trunk, "s.good", 6, timeout=0.1)) == {"deadline_exceeded", "breaker_open"}
        assert "good" in trunk.status()["s"].open_tools
        server.hung = False
        server.leave()
        await asyncio.sleep(0.1)
        await fail(trunk, "s.slow", 8)
        assert trunk.status()["s"].breaker == "open"
        server.up = True
        async with asyncio.timeout(100):
            while trunk.status()["s"].state != "ready":  # noqa: ASYNC110 - looked at from outside
                await asyncio.sleep(1)
        status = trunk.status()["s"]
        assert (status.breaker, status.open_tools) == ("closed", {})
        assert (await trunk.call("s.good")).text == "fine"


@pytest.mark.parametrize("replicas", [0, 1])
@pytest.mark.parametrize("outage", [Toxic.reset(), Toxic.refuse(), Toxic.http_status(503)], ids=str)
async def test_so_it_is_over_http_where_no_connection_is_lost(outage: Toxic, replicas: int) -> None:
    with VirtualNetwork() as network:
        endpoints = [network.serve(make_server(), toxics=Toxics(seed=place)) for place in range(1 + replicas)]
        first, *others = [endpoint.url for endpoint in endpoints]
        policy = {
            "defaults": {"retry": {"attempts": 1}, "breaker": {"least_calls": 4, "open_for": 1000}},
            "servers": {"s": {"replicas": others}},
        }
        async with trunkline.connect({"s": {"url": first}}, policy=policy) as trunk:
            await trunk.call("s.good")
            for endpoint in endpoints:
                endpoint.toxics.add(outage)
            codes = await fail(trunk, "s.good", 12)
            assert codes[-1] == "breaker_open"
            await asyncio.sleep(40)
            assert trunk.status()["s"].state == "degraded"
            assert await fail(trunk, "s.good", 1) == ["breaker_open"]
            for endpoint in endpoints:
                endpoint.toxics.heal()
            async with asyncio.timeout(60):
                while trunk.status()["s"].state != "ready":  # noqa: ASYNC110 - looked at from outside
                    await asyncio.sleep(1)
            assert (await trunk.call("s.good")).text == "fine"


async def test_an_operator_holds_a_breaker_open_or_closed_also_where_policy_wants_none() -> None:
    policy = {"defaults": {"breaker": {"enabled": False}}}
    async with trunkline.connect({"s": make_server()}, policy=policy) as trunk:
        assert (await trunk.call("s.good")).text == "fine"
        switch = trunk.breaker("s")
        switch.force_open()
        with pytest.raises(trunkline.RejectedError) as caught:
            await trunk.call("s.good")
        assert (caught.value.code, caught.value.retryable) == ("breaker_open", False)
        assert "held open" in caught.value.message
        assert trunk.status()["s"].breaker == switch.status.state == "forced_open"
        assert any("breaker is forced_open" in note for note in trunk.why("s").notes)
        switch.force_closed()
        assert (await trunk.call("s.good")).text == "fine"
        switch.reset()
        assert trunk.status()["s"].breaker == "closed"
        assert await fail(trunk, "s.bad", 60) == ["server_error"] * 60
        with pytest.raises(trunkline.NotFoundError):
            trunk.breaker("nobody")


async def test_a_server_that_is_removed_takes_what_was_counted_of_it_along() -> None:
    async with trunkline.connect({"s": make_server()}) as trunk:
        trunk.breaker("s").force_open()
        await trunk.remove("s")
        await trunk.add("s", make_server())
        assert trunk.status()["s"].breaker == "closed"
        assert (await trunk.call("s.good")).text == "fine"


async def test_names_that_nobody_knows_take_no_breaker_from_a_tool_that_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guards, "_MOST", 10)
    async with trunkline.connect({"s": make_server()}) as trunk:
        assert (await trunk.call("s.good")).text == "fine"
        early = trunk.breaker("s.good")
        await fail(trunk, "s.nobody", 1)
        for number in range(30):
            await fail(trunk, f"s.nobody{number}", 1)
        trunk.breaker("s.good").force_open()
        assert await fail(trunk, "s.good", 1) == ["breaker_open"]
        assert early.status.state == "forced_open"
        early.reset()
        assert (await trunk.call("s.good")).text == "fine"


@pytest.mark.parametrize("end", ["aclose", "remove", "reload"])
async def test_who_waits_for_the_rate_of_a_server_that_is_ended_waits_no_longer(end: str) -> None:
    policy = {"servers": {"s": {"limit": {"rate": 0.01, "burst": 1}}}}
    servers = {"s": make_server(), "t": make_server()}
    async with trunkline.connect(servers, policy=policy) as trunk:
        await trunk.call("s.good")
        waiting = [asyncio.ensure_future(trunk.call("s.good")) for _ in range(3)]
        await asyncio.sleep(1)
        if end == "reload":
            del servers["s"]
            await trunk.reload()
        else:
            await (trunk.aclose() if end == "aclose" else trunk.remove("s"))
        async with asyncio.timeout(1):
            ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert {(one.delivery, one.attempts) for one in ends if isinstance(one, trunkline.CallError)} == {
        ("never_sent", 0)
    }
    assert len(ends) == 3


async def test_other_requests_pass_the_breaker_of_the_server_too() -> None:
    async with trunkline.connect({"s": make_server()}) as trunk:
        trunk.breaker("s").force_open()
        with pytest.raises(trunkline.RejectedError, match="held open"):
            await trunk.request("s", "vendor/thing", {})


async def test_calls_wait_for_their_turn_and_the_status_says_how_many() -> None:
    policy = {"servers": {"s": {"limit": {"concurrency": 2, "queue": 3}}}}
    async with trunkline.connect({"s": make_server()}, policy=policy) as trunk:
        await trunk.ready()
        calls = [asyncio.ensure_future(trunk.call("s.slow")) for _ in range(5)]
        await asyncio.sleep(1)
        assert trunk.status()["s"].waiting == 3
        assert any("3 calls wait for their turn" in note for note in trunk.why("s").notes)
        with pytest.raises(trunkline.RejectedError) as caught:
            await trunk.call("s.slow")
        assert caught.value.code == "queue_full"
        replies = await asyncio.gather(*calls)
        assert sorted(round(reply.elapsed) for reply in replies) == [2, 2, 4, 4, 6]
        hops = [hop for call in trunk.journal.calls(tool="s.slow") for hop in call.hops]
        assert [hop.seconds for hop in hops if "waited" in hop.name] == pytest.approx([2, 2, 4])


async def test_a_tool_has_limits_of_its_own_within_its_servers() -> None:
    policy = {
        "servers": {"s": {"limit": {"concurrency": 3}}},
        "tools": {"s.slow": {"limit": {"concurrency": 1, "queue": 1}}},
    }
    async with trunkline.connect({"s": make_server()}, policy=policy) as trunk:
        await trunk.ready()
        slow = [asyncio.ensure_future(trunk.call("s.slow")) for _ in range(2)]
        await asyncio.sleep(0.5)
        assert (await trunk.call("s.good")).elapsed < 0.1
        with pytest.raises(trunkline.RejectedError, match="1 calls of the tool run and 1 wait"):
            await trunk.call("s.slow")
        await asyncio.gather(*slow)
        with pytest.raises(KeyError):
            trunk.explain("s.slow")["limit.nothing"]
        assert trunk.explain("s.slow")["limit.concurrency"].value == 1
        assert trunk.explain("s")["limit.concurrency"].value == 3


async def test_a_call_of_priority_is_next_and_principals_take_turns() -> None:
    policy = {
        "servers": {"s": {"limit": {"concurrency": 1}}},
        "tools": {"s.good": {"limit": {"priority": 9}}},
    }
    ended: list[str] = []

    async with trunkline.connect({"s": make_server()}, policy=policy) as trunk:
        await trunk.ready()

        async def call(name: str, tool: str = "s.slow", priority: int | None = None) -> None:
            with trunk.acting_as(trunkline.Principal(name=name.split("-")[0])):
                await trunk.call(tool, {}, priority=priority)
            ended.append(name)

        async with asyncio.TaskGroup() as group:
            for name in ("first", "a-1", "a-2", "b-1"):
                group.create_task(call(name))
            await asyncio.sleep(0)
            group.create_task(call("c", priority=5))
            group.create_task(call("d", "s.good"))
    assert ended == ["first", "d", "c", "a-1", "b-1", "a-2"]


@pytest.mark.parametrize("priority", ["high", float("nan"), [1]], ids=str)
async def test_a_priority_that_is_no_number_costs_its_own_call_alone(priority: Any) -> None:
    policy = {"servers": {"s": {"limit": {"concurrency": 1}}}}
    async with trunkline.connect({"s": make_server()}, policy=policy) as trunk:
        calls = [asyncio.ensure_future(trunk.call("s.slow")) for _ in range(3)]
        await asyncio.sleep(0.1)
        with pytest.raises(TypeError, match="whole number"):
            await trunk.call("s.slow", priority=priority)
        assert [(await call).text for call in calls] == ["done"] * 3


async def test_a_rejected_call_says_when_to_come_back_and_counts_against_no_breaker() -> None:
    policy = {"servers": {"s": {"limit": {"rate": 1, "burst": 1, "queue": 0}, "breaker": {"consecutive": 1}}}}
    async with trunkline.connect({"s": make_server()}, policy=policy) as trunk:
        await trunk.ready()
        await trunk.call("s.good")
        with pytest.raises(trunkline.RejectedError) as caught:
            await trunk.call("s.good")
        assert caught.value.code == "rate_limited"
        assert caught.value.retry_after == pytest.approx(1.0, abs=0.01)
        assert trunk.status()["s"].breaker == "closed"
        await asyncio.sleep(1)
        await trunk.call("s.good")


@pytest.mark.parametrize("limit", [{"concurrency": 3}, {"rate": 1000}, {}], ids=str)
@pytest.mark.parametrize("whose", [("servers", "s"), ("tools", "s.slow")], ids=str)
async def test_other_limits_hold_at_once_and_who_waits_goes_on(whose: Any, limit: dict[str, Any]) -> None:
    place, name = whose
    policy: dict[str, Any] = {place: {name: {"limit": {"concurrency": 1}}}}
    async with trunkline.connect({"s": make_server()}, policy=policy) as trunk:
        await trunk.ready()
        calls = [asyncio.ensure_future(trunk.call("s.slow")) for _ in range(3)]
        await asyncio.sleep(0.5)
        policy[place][name]["limit"] = limit
        changes = await trunk.reload()
        assert changes.changed == ()
        assert trunk.status()["s"].waiting == 0
        replies = await asyncio.gather(*calls)
        assert max(reply.elapsed for reply in replies) < 2.6


async def test_a_breaker_that_is_switched_off_or_opens_for_less_lets_calls_through_again() -> None:
    policy: dict[str, Any] = {"defaults": {"breaker": {"least_calls": 4, "open_for": 1000}}}
    async with trunkline.connect({"s": make_server()}, policy=policy) as trunk:
        assert await fail(trunk, "s.bad", 5) == ["server_error"] * 4 + ["breaker_open"]
        policy["defaults"]["breaker"] = {"open_for": 3}
        await trunk.reload()
        await asyncio.sleep(3)
        assert await fail(trunk, "s.bad", 2) == ["server_error", "breaker_open"]
        policy["defaults"]["breaker"] = {"enabled": False}
        await trunk.reload()
        assert trunk.status()["s"].open_tools == {}
        assert await fail(trunk, "s.bad", 60) == ["server_error"] * 60
