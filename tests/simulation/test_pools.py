"""A server with several connections, on virtual time: which of them calls go to, and when there are more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import trunkline
from trunkline.core.events import MemberChanged, ServerChanged
from trunkline.supervision.states import TABLE
from trunkline.testing import FakeServer, Fault
from trunkline.testing.tasks import TaskScript

pytestmark = pytest.mark.anyio

FAMILIES = pytest.mark.parametrize("family", ["legacy", "modern"])
Receive = Callable[[], Awaitable[bytes]]
Send = Callable[[bytes], None]


class Browsers:
    """A server that keeps state for each connection, as one that drives a browser does."""

    def __init__(self, family: str = "legacy", *, start: float = 0.5) -> None:
        self.family = family
        self.start = start
        self.started: list[FakeServer] = []
        self.open: set[int] = set()
        self.refuses = False
        self._cut: dict[int, asyncio.Event] = {}

    async def serve(self, receive: Receive, send: Send) -> None:
        await asyncio.sleep(self.start)
        if self.refuses:
            return
        number = len(self.started) + 1
        self.started.append(self._make(number))
        self.open.add(number)
        self._cut[number] = asyncio.Event()
        serving = asyncio.ensure_future(self.started[-1].serve(receive, send))
        cut = asyncio.ensure_future(self._cut[number].wait())
        try:
            await asyncio.wait({serving, cut}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.open.discard(number)
            for task in (serving, cut):
                task.cancel()
            await asyncio.wait({serving, cut})

    def cut(self, number: int) -> None:
        self._cut[number].set()

    def _make(self, number: int) -> FakeServer:
        fake = FakeServer(f"browser-{number}", eras=[self.family], watchable=True)
        pages: list[str] = []
        fake.tool("who", returns=str(number))
        fake.tool("work", delay=10, returns=str(number))
        fake.tool("export", returns=str(number), task=TaskScript(polls=2, poll_ms=1000))
        fake.resource("page://current", f"page of {number}")

        @fake.tool("go")
        def go(arguments: dict[str, Any]) -> str:
            pages.append(arguments["url"])
            return ",".join(pages)

        return fake


def pooled(**settings: Any) -> dict[str, Any]:
    return {"defaults": {"health_check_interval": 0}, "servers": {"browser": settings}}


def states(trunk: trunkline.Trunk) -> list[str]:
    return [member.state for member in trunk.status()["browser"].members]


@FAMILIES
async def test_calls_one_after_another_stay_at_one_connection(family: str):
    server = Browsers(family)
    async with trunkline.connect({"browser": server}, policy=pooled(pool={"max": 3})) as trunk:
        for url in ("a", "b", "c"):
            last = await trunk.call("browser.go", {"url": url})
        assert last.text == "a,b,c"
    assert len(server.started) == 1


@FAMILIES
async def test_calls_at_the_same_time_go_to_connections_of_their_own_up_to_max(family: str):
    server = Browsers(family)
    loop = asyncio.get_running_loop()
    async with trunkline.connect({"browser": server}, policy=pooled(pool={"max": 3})) as trunk:
        await trunk.ready()
        started = loop.time()
        replies = await asyncio.gather(*(trunk.call("browser.work") for _ in range(5)))
        assert {reply.text for reply in replies} == {"1", "2", "3"}
        assert loop.time() - started < 11
    assert len(server.started) == 3
    assert server.open == set()


async def test_a_call_takes_a_connection_that_becomes_free_before_a_new_one_is_open():
    server = Browsers(start=0.5)
    async with trunkline.connect({"browser": server}, policy=pooled(pool={"max": 2})) as trunk:
        await trunk.ready()
        server.start = 25
        loop = asyncio.get_running_loop()
        started = loop.time()
        replies = await asyncio.gather(trunk.call("browser.work"), trunk.call("browser.who"))
        assert [reply.text for reply in replies] == ["1", "1"]
        assert loop.time() - started < 11


async def test_a_connection_that_cannot_be_had_is_not_waited_for_again():
    server = Browsers()
    async with trunkline.connect({"browser": server}, policy=pooled(pool={"max": 2})) as trunk:
        await trunk.ready()
        server.refuses = True
        loop = asyncio.get_running_loop()
        started = loop.time()
        replies = await asyncio.gather(*(trunk.call("browser.work") for _ in range(3)))
        assert {reply.text for reply in replies} == {"1"}
        assert loop.time() - started < 13
        assert trunk.status()["browser"].state == "ready"


async def test_connections_nobody_uses_are_closed_down_to_min_and_come_back_as_no_restart():
    server = Browsers()
    policy = pooled(pool={"min": 1, "max": 3, "max_idle": 60})
    async with trunkline.connect({"browser": server}, policy=policy) as trunk:
        await trunk.ready()
        for _ in range(8):
            await asyncio.gather(*(trunk.call("browser.work") for _ in range(3)))
            assert states(trunk) == ["ready"] * 3
            await asyncio.sleep(59)
            assert states(trunk) == ["ready"] * 3
            await asyncio.sleep(2)
            assert states(trunk) == ["ready", "stopped", "stopped"]
        assert server.open == {1}
        assert [member.restarts for member in trunk.status()["browser"].members] == [0, 0, 0]


async def test_a_connection_that_is_closed_and_opened_often_is_not_taken_for_one_that_fails():
    server = Browsers(start=0)
    policy = pooled(pool={"max": 2, "max_idle": 1})
    async with trunkline.connect({"browser": server}, policy=policy) as trunk:
        await trunk.ready()
        for _ in range(8):
            await asyncio.gather(*(trunk.call("browser.go", {"url": "x"}) for _ in range(2)))
            await asyncio.sleep(2)
            assert states(trunk) == ["ready", "stopped"]
        await asyncio.gather(*(trunk.call("browser.go", {"url": "x"}) for _ in range(2)))
        server.cut(len(server.started))
        await asyncio.sleep(0.1)
        assert states(trunk) == ["ready", "stopped"]


async def test_with_min_0_the_last_connection_is_closed_too_and_its_tools_stay_listed():
    server = Browsers()
    policy = pooled(pool={"min": 0, "max_idle": 5})
    async with trunkline.connect({"browser": server}, policy=policy) as trunk:
        await trunk.ready()
        assert server.open == {1}
        await asyncio.sleep(6)
        assert (server.open, trunk.status()["browser"].state) == (set(), "stopped")
        assert "browser.who" in [tool.public_name for tool in trunk.catalog.tools]
        await trunk.ready()
        assert server.open == set()
        assert (await trunk.call("browser.who")).text == "2"
        assert trunk.status()["browser"].restarts == 0


async def test_a_connection_somebody_is_subscribed_at_stays_open():
    server = Browsers("modern")
    policy = pooled(pool={"min": 0, "max_idle": 5})
    async with trunkline.connect({"browser": server}, policy=policy) as trunk:
        async with await trunk.subscribe("page://current", "browser"):
            await asyncio.sleep(60)
            assert server.open == {1}
        await trunk.call("browser.who")
        await asyncio.sleep(6)
        assert server.open == set()


async def test_with_min_2_two_are_open_from_the_start():
    server = Browsers()
    async with trunkline.connect({"browser": server}, policy=pooled(pool={"min": 2})) as trunk:
        await trunk.ready()
        await asyncio.sleep(0)
        assert server.open == {1, 2}


@FAMILIES
async def test_a_lost_connection_fails_only_the_calls_on_it(family: str):
    server = Browsers(family)
    async with trunkline.connect({"browser": server}, policy=pooled(pool={"min": 2})) as trunk:
        await trunk.ready()
        await asyncio.sleep(1)
        calls = [asyncio.create_task(trunk.call("browser.work")) for _ in range(2)]
        await asyncio.sleep(1)
        server.cut(1)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(outcomes[0], trunkline.OutcomeUnknownError)
        assert isinstance(outcomes[1], trunkline.Reply)
        assert outcomes[1].text == "2"
        # The one that is lost is left aside; who calls meanwhile notices nothing.
        assert (await trunk.call("browser.who")).text == "2"


async def test_a_task_is_followed_at_the_connection_that_made_it():
    server = Browsers("modern")
    async with trunkline.connect({"browser": server}, policy=pooled(pool={"min": 2})) as trunk:
        await trunk.ready()
        await asyncio.sleep(1)
        busy = asyncio.create_task(trunk.call("browser.work"))
        await asyncio.sleep(0.1)
        task = await trunk.start_task("browser.export")
        await busy
        assert (await task.wait()).text == "2"
        waited = await asyncio.gather(*(trunk.call("browser.export") for _ in range(2)))
        assert sorted(reply.text for reply in waited) == ["1", "2"]


@FAMILIES
async def test_subscriptions_move_when_their_connection_is_lost(family: str):
    server = Browsers(family)
    async with trunkline.connect({"browser": server}, policy=pooled(pool={"min": 2})) as trunk:
        await trunk.ready()
        await asyncio.sleep(1)
        async with await trunk.subscribe("page://current", "browser") as updates:
            server.started[0].notify_resource("page://current")
            assert (await anext(updates)).missed is False
            server.refuses = True
            server.cut(1)
            assert (await anext(updates)).missed is True
            server.started[1].notify_resource("page://current")
            assert (await anext(updates)).missed is False
        assert (await trunk.read("page://current", "browser")).text == "page of 2"


async def test_calls_beyond_max_concurrency_wait_in_order_and_say_so_at_their_deadline():
    server = Browsers()
    async with trunkline.connect({"browser": server}, policy=pooled(max_concurrency=2)) as trunk:
        await trunk.ready()
        loop = asyncio.get_running_loop()
        ended: list[int] = []

        async def work(number: int) -> None:
            await trunk.call("browser.work")
            ended.append(number)

        started = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(work(number))
            await asyncio.sleep(1)
            assert trunk.status()["browser"].waiting == 4
            with pytest.raises(trunkline.DeadlineExceededError, match=r"max_concurrency") as caught:
                await trunk.call("browser.who", timeout=5)
            assert caught.value.delivery == "never_sent"
        assert ended == [0, 1, 2, 3, 4, 5]
        assert loop.time() - started == pytest.approx(30, abs=0.5)
        assert len(server.started) == 1


async def test_waiting_for_a_turn_is_no_silence():
    server = Browsers()
    policy = pooled(max_concurrency=1, idle=12)
    async with trunkline.connect({"browser": server}, policy=policy) as trunk:
        await trunk.ready()
        replies = await asyncio.gather(*(trunk.call("browser.work") for _ in range(4)))
        assert [reply.text for reply in replies] == ["1"] * 4


async def test_who_stops_waiting_leaves_its_turn_to_the_next():
    server = Browsers()
    async with trunkline.connect({"browser": server}, policy=pooled(max_concurrency=1)) as trunk:
        await trunk.ready()
        first = asyncio.create_task(trunk.call("browser.work"))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(trunk.call("browser.work"))
        third = asyncio.create_task(trunk.call("browser.who"))
        await asyncio.sleep(0.1)
        second.cancel()
        await first
        assert (await third).text == "1"
        assert trunk.status()["browser"].waiting == 0


async def test_every_connection_obeys_the_states_table_and_the_server_has_the_state_of_the_best():
    server = Browsers()
    policy = pooled(pool={"min": 2, "max": 3, "max_idle": 5})
    async with trunkline.connect({"browser": server}, policy=policy) as trunk:
        members, whole = trunk.events(MemberChanged), trunk.events(ServerChanged)
        await trunk.ready()
        await asyncio.sleep(1)
        await asyncio.gather(*(trunk.call("browser.work") for _ in range(3)))
        server.cut(1)
        await asyncio.sleep(20)
    seen: dict[str, str] = {}
    async for change in members:
        assert seen.get(change.member, "stopped") == change.before
        assert change.state in TABLE[change.before].values()
        seen[change.member] = change.state
    assert seen == {"1": "stopped", "2": "stopped", "3": "stopped"}
    assert [(one.before, one.state) async for one in whole] == [
        ("stopped", "connecting"),
        ("connecting", "ready"),
        ("ready", "stopped"),
    ]


async def test_draining_lets_calls_that_wait_for_their_turn_end():
    server = Browsers()
    async with trunkline.connect({"browser": server}, policy=pooled(max_concurrency=1)) as trunk:
        await trunk.ready()
        calls = [asyncio.create_task(trunk.call("browser.work")) for _ in range(2)]
        await asyncio.sleep(0.1)
        draining = asyncio.create_task(trunk.drain(grace=60))
        await asyncio.sleep(0.1)
        with pytest.raises(trunkline.UnavailableError) as refused:
            await trunk.call("browser.who")
        assert refused.value.delivery == "never_sent"
        assert [reply.text for reply in await asyncio.gather(*calls)] == ["1", "1"]
        await draining


async def test_closing_tells_who_waits():
    server = Browsers()
    async with trunkline.connect({"browser": server}, policy=pooled(max_concurrency=1)) as trunk:
        await trunk.ready()
        calls = [asyncio.create_task(trunk.call("browser.work")) for _ in range(2)]
        await asyncio.sleep(0.1)
        await trunk.aclose()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(outcomes[0], trunkline.OutcomeUnknownError)
        assert isinstance(outcomes[1], trunkline.UnavailableError)


async def test_calls_to_a_server_that_cannot_be_connected_fail_with_the_reason():
    server = Browsers()
    server.refuses = True
    async with trunkline.connect({"browser": server}, policy=pooled(pool={"max": 2})) as trunk:
        with pytest.raises(trunkline.UnavailableError) as caught:
            await trunk.call("browser.who", timeout=20)
        assert caught.value.delivery == "never_sent"
        assert caught.value.__cause__ is not None


async def test_a_crash_is_told_by_a_typed_error_and_the_next_call_is_answered():
    server = FakeServer(eras=["modern"])
    server.tool("who", returns="1")
    server.tool("crash")
    server.fault("crash", Fault.crash_before_reply)
    async with trunkline.connect({"browser": server}, policy=pooled(pool={"max": 2})) as trunk:
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("browser.crash")
        assert (await trunk.call("browser.who")).text == "1"


async def test_the_journal_tells_how_long_a_call_waited_for_its_turn():
    server = Browsers()
    async with trunkline.connect({"browser": server}, policy=pooled(max_concurrency=1)) as trunk:
        await trunk.ready()
        await asyncio.gather(*(trunk.call("browser.work") for _ in range(2)))
        first, second = trunk.journal.calls()[-2:]
        assert [hop.name for hop in first.hops] == ["prepared", "with the server", "handed to the caller"]
        waited = {hop.name: round(hop.seconds) for hop in second.hops}
        assert (waited["waited for its turn"], waited["with the server"]) == (10, 10)


@FAMILIES
async def test_a_restart_starts_every_connection_in_use_anew_and_lets_calls_end(family: str):
    server = Browsers(family)
    async with trunkline.connect({"browser": server}, policy=pooled(pool={"min": 2, "max": 3})) as trunk:
        await trunk.ready()
        await asyncio.sleep(1)
        call = asyncio.create_task(trunk.call("browser.work"))
        await asyncio.sleep(1)
        await trunk.restart("browser", grace=30)
        assert (await call).text == "1"
        await asyncio.sleep(2)
        assert server.open == {3, 4}
        assert (await trunk.call("browser.who")).text in ("3", "4")
