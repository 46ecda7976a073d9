"""How questions end: cancelled by server or caller, with the call, with the connection, or by time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest

import trunkline
from trunkline.testing import Ask, FakeServer
from trunkline.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio

DAY = {"day": {"type": "string"}}
FORM = Ask.form("q", "?", DAY)


class Person:
    """A person who never answers; knows when asked and when let go."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.let_go = asyncio.Event()

    async def answer(self, *_: Any) -> None:
        self.asked.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.let_go.set()

    async def is_asked(self) -> None:
        async with asyncio.timeout(5):
            await self.asked.wait()

    async def is_let_go(self) -> None:
        async with asyncio.timeout(5):
            await self.let_go.wait()


def asking(family: str, ask: Ask = FORM) -> FakeServer:
    server = FakeServer(eras=[family])
    server.tool("ask", asks=[ask], reports="answers")
    server.tool("echo", reports="arguments")
    return server


def takers(person: Person) -> trunkline.Handlers:
    return trunkline.Handlers(elicit=person.answer, sample=person.answer, roots=person.answer)


@pytest.mark.over("memory", "stdio", "sse", "websocket", "older")
@pytest.mark.parametrize("ask", [FORM, Ask.sample("q", "?")])
async def test_a_caller_that_stops_waiting_lets_the_person_go(way: Any, reach: Any, ask: Ask):
    person = Person()
    async with reach(asking(way.family, ask), way, handlers=takers(person)) as trunk:
        call = asyncio.create_task(trunk.call("fake.ask"))
        await person.is_asked()
        call.cancel()
        await asyncio.wait({call})
        assert call.cancelled()
        await person.is_let_go()
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}


@pytest.mark.over("memory", "sse")
async def test_a_deadline_lets_the_person_go(way: Any, reach: Any):
    person = Person()
    async with reach(asking(way.family), way, handlers=takers(person)) as trunk:
        await trunk.ready()
        with pytest.raises(trunkline.DeadlineExceededError):
            await trunk.call("fake.ask", timeout=0.2)
        assert person.asked.is_set()
        await person.is_let_go()


@pytest.mark.over("memory", families=("legacy",))
async def test_a_person_asked_for_two_calls_is_let_go_when_both_have_ended(way: Any, reach: Any):
    person = Person()
    server = asking("legacy")
    server.tool("work", delay=600)
    async with reach(server, way, handlers=takers(person)) as trunk:
        await trunk.ready()
        work = asyncio.create_task(trunk.call("fake.work"))
        await server.wait_for(lambda ledger: ledger.of("tools/call", "work"))
        call = asyncio.create_task(trunk.call("fake.ask"))
        await person.is_asked()
        later = asyncio.create_task(trunk.call("fake.work"))
        work.cancel()
        await asyncio.wait({work})
        await trunk.call("fake.echo")
        assert not person.let_go.is_set()
        call.cancel()
        await asyncio.wait({call})
        await person.is_let_go()
        assert not later.done()
        later.cancel()


@pytest.mark.over("memory", "stdio", "sse", "websocket", "older")
async def test_closing_lets_the_person_go_and_fails_the_call(way: Any, reach: Any):
    person = Person()
    async with reach(asking(way.family), way, handlers=takers(person)) as trunk:
        call = asyncio.create_task(trunk.call("fake.ask"))
        await person.is_asked()
        await trunk.aclose()
        await person.is_let_go()
        with pytest.raises(trunkline.TrunklineError):
            await call


@pytest.mark.over("memory")
async def test_a_server_that_ends_lets_the_person_go(way: Any, reach: Any):
    person, asked_on = Person(), asyncio.Event()
    server = asking(way.family)

    async def ends(receive: Any, send: Any) -> None:
        serving = asyncio.create_task(FakeServer.serve(server, receive, send))
        await asked_on.wait()
        serving.cancel()
        await asyncio.wait({serving})

    server.serve = ends  # type: ignore[method-assign]
    async with reach(server, way, handlers=takers(person)) as trunk:
        call = asyncio.create_task(trunk.call("fake.ask"))
        await person.is_asked()
        asked_on.set()
        await person.is_let_go()
        with pytest.raises(trunkline.OutcomeUnknownError):
            await call


async def test_a_call_that_cannot_go_on_after_a_question_was_sent_all_the_same():
    server = asking("modern")
    listener = await server.listen()

    async def elicit(_: Any) -> None:
        await listener.stop()

    handlers = trunkline.Handlers(elicit=elicit)
    async with trunkline.connect({"fake": {"url": listener.url}}, handlers=handlers) as trunk:
        with pytest.raises(trunkline.OutcomeUnknownError) as caught:
            await trunk.call("fake.ask")
        assert caught.value.delivery == "unknown"
    assert len(server.calls) == 1


@pytest.mark.over("memory", "sse", families=("legacy",))
async def test_a_question_the_server_takes_back_is_ended_and_not_answered(way: Any, reach: Any):
    person = Person()
    server = asking("legacy")

    @server.tool
    async def impatient(_: Any, context: Any) -> str:
        try:
            await context.ask(FORM, timeout=0.05)
        except TimeoutError:
            await asyncio.sleep(0.05)
            return "gave up"
        return "answered"

    async with reach(server, way, handlers=takers(person)) as trunk:
        assert (await trunk.call("fake.impatient")).text == "gave up"
        assert person.let_go.is_set()
    assert server.ledger.of("response") == []


@pytest.mark.parametrize("number", [None, [], {}, "unknown", 7])
async def test_a_cancellation_of_nothing_we_know_harms_nothing(number: Any):
    server = asking("legacy")
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        server.notify("notifications/cancelled", {"requestId": number})
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}


async def test_a_question_taken_back_at_once_leaves_nothing_behind():
    person = Person()
    server = asking("legacy")

    @server.tool
    async def fickle(_: Any, context: Any) -> str:
        number = context._exchange.conversation.number_request()
        from trunkline.testing.asking import write_question

        await context._send(write_question(context._exchange, number, FORM))
        await context.notify("notifications/cancelled", {"requestId": number})
        return "done"

    async with trunkline.connect({"fake": server}, handlers=takers(person)) as trunk:
        for _ in range(20):
            assert (await trunk.call("fake.fickle")).text == "done"
        incoming = trunk._fleet.get("fake").connection._incoming
        for _ in range(5):
            await asyncio.sleep(0)
        assert (incoming._working, incoming._tasks, incoming.calls) == ({}, set(), {})
        assert trunk._fleet.get("fake").answers._workers.busy == 0


@pytest.mark.parametrize("family", ["legacy", "modern"])
def test_the_idle_deadline_stands_still_while_a_person_thinks(family: str):
    """In virtual time: idle is 60 s, the person takes 300, the server then 50."""
    loop_now = 0.0

    async def elicit(_: Any) -> None:
        await asyncio.sleep(300)

    async def main() -> float:
        server = FakeServer(eras=[family])
        server.tool("ask", asks=[FORM], delay=50, returns="done")
        handlers = trunkline.Handlers(elicit=elicit)
        async with trunkline.connect({"fake": server}, handlers=handlers) as trunk:
            await trunk.ready()
            began = asyncio.get_running_loop().time()
            assert (await trunk.call("fake.ask")).text == "done"
            return asyncio.get_running_loop().time() - began

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop_now = runner.run(main())
    assert loop_now == pytest.approx(350, abs=1)


@pytest.mark.parametrize("family", ["legacy", "modern"])
@pytest.mark.parametrize(
    ("thinking", "working", "code"), [(300, 61, "idle_exceeded"), (601, 0, "deadline_exceeded")]
)
def test_the_deadlines_count_again_after_the_person_and_the_total_always(
    family: str, thinking: float, working: float, code: str
):
    async def elicit(_: Any) -> None:
        await asyncio.sleep(thinking)

    async def main() -> None:
        server = FakeServer(eras=[family])
        server.tool("ask", asks=[FORM], delay=working, returns="done")
        limits = trunkline.HandlerLimits(timeout=3600)
        handlers = trunkline.Handlers(elicit=elicit, limits=limits)
        async with trunkline.connect({"fake": server}, handlers=handlers) as trunk:
            await trunk.ready()
            with pytest.raises(trunkline.DeadlineExceededError) as caught:
                await trunk.call("fake.ask")
            assert (caught.value.code, caught.value.delivery) == (code, "unknown")

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


def test_a_handler_has_a_time_of_its_own():
    async def roots(_: str) -> None:
        await asyncio.sleep(3600)

    async def main() -> None:
        server = asking("legacy")
        limits = trunkline.HandlerLimits(timeout=30)
        async with trunkline.connect(
            {"fake": server}, handlers=trunkline.Handlers(roots=roots, limits=limits)
        ) as trunk:
            await trunk.ready()
            server.ask(Ask.roots())
            await server.wait_for(lambda ledger: ledger.of("response"), timeout=40)
        assert server.ledger.of("response")[0].params["error"]["code"] == -32603

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


async def test_threads_left_behind_count_until_they_return(until: Any):
    """A server that asks and takes back, again and again, gets no more threads than handlers may run."""
    let_go = threading.Event()
    started: list[int] = []

    def elicit(_: Any) -> None:
        started.append(1)
        let_go.wait(20)

    server = asking("legacy")

    @server.tool
    async def pester(_: Any, context: Any) -> str:
        for _ in range(10):
            with contextlib.suppress(TimeoutError):
                await context.ask(FORM, timeout=0.02)
        return "done"

    limits = trunkline.HandlerLimits(concurrency=3, prompts=100)
    handlers = trunkline.Handlers(elicit=elicit, limits=limits)
    async with trunkline.connect({"fake": server}, handlers=handlers) as trunk:
        assert (await trunk.call("fake.pester")).text == "done"
        assert len(started) == 3
        let_go.set()
        await until(lambda: trunk._fleet.get("fake").answers._workers.busy == 0)
