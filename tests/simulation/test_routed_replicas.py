"""Three replicas of one server, on virtual time: where calls go, and what becomes of them when one fails."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import trunkline
from trunkline.runtime import assembly, layering
from trunkline.testing import FakeServer
from trunkline.testing.script import RpcError

pytestmark = pytest.mark.anyio

Receive = Callable[[], Awaitable[bytes]]
Send = Callable[[bytes], None]


@pytest.fixture(autouse=True)
def _lots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the same lots every time."""
    draw = random.Random(7).random
    for module in (assembly, layering):
        monkeypatch.setattr(module, "draw" if module is layering else "_draw", draw)


class Node:
    """One replica behind a switch: up, refusing to start, or cut while it works; counts what reaches it."""

    def __init__(self, name: str, *, takes: float = 0.005) -> None:
        self.name = name
        self.takes = takes
        self.starts: list[float] = []
        self.calls = 0
        self.dead = False
        self.broken = ""
        self._cut = asyncio.Event()

    async def serve(self, receive: Receive, send: Send) -> None:
        self.starts.append(asyncio.get_running_loop().time())
        if self.dead:
            return
        self._cut.clear()
        serving = asyncio.ensure_future(self._make().serve(receive, send))
        cut = asyncio.ensure_future(self._cut.wait())
        try:
            await asyncio.wait({serving, cut}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (serving, cut):
                task.cancel()
            await asyncio.wait({serving, cut})

    def kill(self) -> None:
        self.dead = True
        self._cut.set()

    def _make(self) -> FakeServer:
        fake = FakeServer(self.name, eras=["modern"])

        @fake.tool("read", annotations={"readOnlyHint": True})
        async def read(_: dict[str, Any]) -> str:
            self.calls += 1
            await asyncio.sleep(1000 if self.broken == "hangs" else self.takes)
            if self.broken == "refuses":
                raise RpcError(-32000, "not now")
            if self.broken == "fails":
                raise RpcError(-32603, "out of memory")
            return self.name

        @fake.tool("write")
        async def write(arguments: dict[str, Any]) -> str:
            return await read(arguments)

        return fake


def nodes(*names: str) -> list[Node]:
    return [Node(name) for name in names or ("a", "b", "c")]


def connect(replicas: list[Node], *given: Any, tools: Any = None, **rules: Any) -> trunkline.Trunk:
    endpoints = given or replicas
    policy = {"servers": {"db": {"trust": True, **rules}}, "tools": tools or {}}
    return trunkline.connect({"db": trunkline.Replicas(*endpoints)}, policy=policy)


async def spread(trunk: trunkline.Trunk, calls: int, **arguments: Any) -> Counter[str]:
    found: Counter[str] = Counter()
    for _ in range(calls):
        found[(await trunk.call("db.read", arguments)).text] += 1
    return found


async def all_up(trunk: trunkline.Trunk) -> None:
    await trunk.ready()
    for _ in range(100):
        if all(one.state == "ready" for one in trunk.status()["db"].members):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(trunk.status()["db"].members)


async def test_failover_stays_with_the_first_and_returns_to_it():
    replicas = nodes()
    async with connect(replicas, route={"strategy": "failover"}) as trunk:
        await all_up(trunk)
        assert await spread(trunk, 20) == {"a": 20}
        replicas[0].kill()
        await asyncio.sleep(0)
        found = await spread(trunk, 20)
        assert found == {"b": 20}
        replicas[0].dead = False
        await all_up(trunk)
        await asyncio.sleep(10)
        assert await spread(trunk, 20) == {"a": 20}


async def test_latency_leaves_a_slow_replica_aside_and_notices_when_it_is_quick_again():
    replicas = nodes()
    replicas[1].takes = 0.5
    async with connect(replicas, route={"strategy": "latency"}) as trunk:
        await all_up(trunk)
        assert (await spread(trunk, 100))["b"] <= 3
        replicas[1].takes, replicas[0].takes = 0.005, 0.5
        await asyncio.sleep(60)
        assert (await spread(trunk, 100))["a"] <= 3


async def test_latency_gives_a_replica_that_hangs_no_more_calls_however_long_ago_it_answered():
    replicas = nodes()
    async with connect(replicas, route={"strategy": "latency"}, health_check_interval=0) as trunk:
        await all_up(trunk)
        await spread(trunk, 30)
        replicas[1].broken, replicas[1].calls = "hangs", 0
        running = []
        for _ in range(300):
            running.append(trunk.start("db.read", timeout=100))
            await asyncio.sleep(0.2)
        assert 0 < replicas[1].calls <= 3
        for one in running:
            one.cancel()


async def test_weights_share_out_calls():
    replicas = nodes("a", "b")
    given = (replicas[0], trunkline.Replica(replicas[1], weight=4))
    async with connect(replicas, *given, route={"strategy": "weighted"}) as trunk:
        await all_up(trunk)
        found = await spread(trunk, 400)
        assert 270 <= found["b"] <= 370


async def test_sticky_keeps_a_session_at_one_replica_and_principals_apart():
    replicas = nodes()
    by_argument = {"strategy": "sticky", "by": "argument:session"}
    async with connect(replicas, route=by_argument) as trunk:
        await all_up(trunk)
        homes = [await spread(trunk, 5, session=number) for number in range(12)]
        assert all(len(home) == 1 for home in homes)
        assert len(set().union(*homes)) == 3
    async with connect(replicas, route={"strategy": "sticky"}) as trunk:
        await all_up(trunk)
        seen = set()
        for number in range(12):
            with trunk.acting_as(trunkline.Principal(name=f"user-{number}")):
                (home,) = await spread(trunk, 5)
                seen.add(home)
        assert len(seen) == 3


async def test_geography_and_needs_choose_among_marked_endpoints():
    replicas = nodes()
    given = [
        trunkline.Replica(one, region=region, tags=tags)
        for one, region, tags in zip(replicas, ("us", "eu", "asia"), ((), (), ("gpu",)), strict=True)
    ]
    near = {"strategy": "geography", "regions": ["eu", "us"]}
    tools = {"db.write": {"route": {"strategy": "capability", "needs": ["tag:gpu"]}}}
    async with connect(replicas, *given, route=near, tools=tools) as trunk:
        await all_up(trunk)
        assert await spread(trunk, 5) == {"b": 5}
        assert (await trunk.call("db.write")).text == "c"


async def test_what_no_replica_can_do_is_told_at_once():
    async with connect(nodes(), route={"needs": ["tag:gpu"]}) as trunk:
        await all_up(trunk)
        with pytest.raises(trunkline.UnavailableError) as caught:
            await trunk.call("db.read")
        assert (caught.value.code, caught.value.delivery) == ("no_capable_replica", "never_sent")
        assert "tag:gpu" in caught.value.message


async def test_a_call_that_waits_for_its_turn_is_told_when_no_replica_can_do_it():
    tools = {"db.write": {"route": {"needs": ["tag:gpu"]}}}
    async with connect(nodes(), tools=tools, max_concurrency=1, pool={"max": 1}) as trunk:
        await all_up(trunk)
        running = trunk.start("db.read")
        await asyncio.sleep(0.001)
        with pytest.raises(trunkline.UnavailableError) as caught:
            await trunk.call("db.write")
        assert caught.value.code == "no_capable_replica"
        assert (await running).text in "abc"
        assert trunk.status()["db"].waiting == 0


async def test_a_retry_goes_to_another_replica():
    replicas = nodes()
    replicas[0].broken = "refuses"
    async with connect(replicas, route={"strategy": "failover"}, retry={"codes": ["server_error"]}) as trunk:
        await all_up(trunk)
        for _ in range(4):
            reply = await trunk.call("db.read")
            assert (reply.text, reply.attempts) == ("b", 2)


async def test_what_belongs_to_one_connection_stays_where_it_is_while_calls_go_around():
    replicas = nodes()
    async with connect(replicas, route={"strategy": "weighted"}) as trunk:
        await all_up(trunk)
        homes = set()
        for _ in range(20):
            await trunk.call("db.read")
            homes.add(trunk._fleet.get("db").lists)  # type: ignore[union-attr]
        assert len(homes) == 1
        assert all(node.calls for node in replicas)


async def test_a_server_that_keeps_state_keeps_its_calls_although_it_answers_them_with_errors():
    replicas = nodes()
    async with connect(replicas) as trunk:
        await all_up(trunk)
        replicas[0].broken = "fails"
        await drive(trunk, "db.read", rate=10, seconds=2)
        assert [node.calls for node in replicas] == [20, 0, 0]
        assert not any(one.ejected for one in trunk.status()["db"].members)


async def test_connections_of_one_endpoint_are_not_left_out():
    node = Node("a")
    node.broken = "fails"
    policy = {"servers": {"db": {"pool": {"min": 2, "max": 2}, "route": {"strategy": "weighted"}}}}
    async with trunkline.connect({"db": node}, policy=policy) as trunk:
        await all_up(trunk)
        await drive(trunk, "db.read", rate=10, seconds=3)
        assert [one.ejected for one in trunk.status()["db"].members] == [False, False]


async def drive(trunk: trunkline.Trunk, tool: str, *, rate: float, seconds: float) -> list[str | Exception]:
    """Make calls at an even rate; give each answer or error."""
    ends: list[str | Exception] = []

    async def one() -> None:
        try:
            ends.append((await trunk.call(tool, timeout=0.5)).text)
        except trunkline.CallError as error:
            ends.append(error)

    async with asyncio.TaskGroup() as group:
        for _ in range(int(rate * seconds)):
            group.create_task(one())
            await asyncio.sleep(1 / rate)
    return ends


STRATEGIES = ("least_loaded", "latency", "failover")


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("strategy", [*STRATEGIES, "weighted", "sticky", "capability", "geography"])
async def test_replicas_killed_in_turn_for_ten_minutes_cost_no_more_than_one_call_in_a_thousand(
    strategy: str,
):
    replicas = nodes()
    async with connect(replicas, route={"strategy": strategy}) as trunk:
        await all_up(trunk)
        failed = calls = 0
        for minute in range(10):
            victim = replicas[minute % 3]
            asyncio.get_running_loop().call_later(1.0, victim.kill)
            ends = await drive(trunk, "db.read", rate=50, seconds=40)
            victim.dead = False
            ends += await drive(trunk, "db.read", rate=50, seconds=20)
            calls += len(ends)
            failed += sum(isinstance(one, Exception) for one in ends)
        assert failed <= calls / 1000


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_one_of_three_killed_costs_no_more_than_one_read_only_call_in_a_thousand(strategy: str):
    replicas = nodes()
    async with connect(replicas, route={"strategy": strategy}) as trunk:
        await all_up(trunk)
        loop = asyncio.get_running_loop()
        loop.call_later(0.5, replicas[0].kill)
        ends = await drive(trunk, "db.read", rate=200, seconds=4)
        failed = [one for one in ends if isinstance(one, Exception)]
        assert len(failed) <= len(ends) / 1000
        probes = [moment for moment in replicas[0].starts if moment > replicas[0].starts[0]]
        assert all(later - before >= 1 for before, later in itertools.pairwise(probes)), probes


@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_a_replica_that_is_connected_and_does_not_work_is_left_out_and_tried_with_one_call_at_a_time(
    how: str,
):
    replicas = nodes()
    async with connect(replicas, route={"strategy": "weighted"}) as trunk:
        await all_up(trunk)
        await spread(trunk, 30)
        replicas[1].broken, replicas[1].calls = how, 0
        await drive(trunk, "db.read", rate=3, seconds=16)
        (member,) = (one for one in trunk.status()["db"].members if one.ejected)
        assert not member.healthy
        out = replicas[1].calls
        # Left out for 5 seconds, then for 10: at its fifth failure, and with the one call between.
        assert 5 <= out <= 7
        await drive(trunk, "db.read", rate=10, seconds=40)
        assert replicas[1].calls <= out + 3
        replicas[1].broken = ""
        await asyncio.sleep(40)
        assert (await spread(trunk, 100))["b"] > 10
        assert not any(one.ejected for one in trunk.status()["db"].members)


async def test_why_and_the_journal_say_which_replica_a_call_went_to():
    replicas = nodes()
    async with connect(replicas, route={"strategy": "failover"}, retry={"delay": 0}) as trunk:
        await all_up(trunk)
        events = trunk.events()
        replicas[0].kill()
        reply = await trunk.call("db.read")
        assert reply.text == "b"
        record = trunk.journal.find(reply.call_id)
        assert record is not None
        assert record.replica == "2"
        assert "it went to replica 2 (Node)" in trunk.why(reply.call_id).notes
        ended = [event async for event in first(events, trunkline.CallFinished)]
        assert [event.replica for event in ended] == ["2"]


async def first(events: Any, kind: type) -> Any:
    async for event in events:
        if isinstance(event, kind):
            yield event
            return
