"""How questions end: cancelled by server or caller, with the call, with the connection, or by time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest

import trunkline
from trunkline.testing import Ask, FakeServer, required_error
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


@pytest.mark.over("memory", "stdio", "sse")
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


@pytest.mark.over("memory", "stdio", "sse")
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
        assert trunk._fleet.get("fake")._answers._workers.busy == 0


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
        await until(lambda: trunk._fleet.get("fake")._answers._workers.busy == 0)


VISIT = Ask.visit("v", "Log in", "https://example.com/login", "v1")


def requiring(*visits: Ask, again: bool = False) -> FakeServer:
    """Give a legacy server whose tool works once the visit is made: `server.visited.set()`."""
    server = FakeServer(eras=["legacy"])
    server.visited = asyncio.Event()  # type: ignore[attr-defined]

    @server.tool
    def files() -> str:
        if again or not server.visited.is_set():  # type: ignore[attr-defined]
            raise required_error(*visits)
        return "listed"

    server.tool("echo", reports="arguments")
    return server


def completed(server: FakeServer, number: Any = "v1") -> None:
    server.visited.set()  # type: ignore[attr-defined]
    server.notify("notifications/elicitation/complete", {"elicitationId": number})


async def test_a_call_that_needs_a_visit_is_made_again_once_the_server_says_it_is_complete(until: Any):
    seen: list[Any] = []
    news: list[Any] = []
    server = requiring(VISIT)

    async def elicit(request: trunkline.ElicitRequest) -> trunkline.ElicitResult:
        seen.append(request)
        asyncio.get_running_loop().call_later(0.02, completed, server)
        return trunkline.ElicitResult.accept()

    handlers = trunkline.Handlers(
        elicit=elicit, notifications={"notifications/elicitation/complete": lambda *one: news.append(one)}
    )
    async with trunkline.connect({"fake": server}, handlers=handlers) as trunk:
        reply = await trunk.call("fake.files")
        assert (reply.text, reply.attempts) == ("listed", 1)
        await until(lambda: news)
        completed(server)
        completed(server, "unknown")
        await trunk.call("fake.echo")
    assert (seen[0].url, seen[0].host, seen[0].tool) == (VISIT.params["url"], "example.com", "fake.files")
    assert news == [("fake", {"elicitationId": "v1"})]
    assert len(server.calls) == 3


@pytest.mark.parametrize("handlers", ["none", "form", "decline", "fails"])
async def test_without_consent_the_error_holds_the_urls_and_nothing_is_sent_again(handlers: str):
    def boom(_: Any) -> None:
        raise ZeroDivisionError

    given = {
        "none": trunkline.Handlers(),
        "form": trunkline.Handlers(elicit=boom, elicit_modes=("form",)),
        "decline": trunkline.Handlers(elicit=lambda _: None),
        "fails": trunkline.Handlers(elicit=boom),
    }
    server = requiring(VISIT)
    async with trunkline.connect({"fake": server}, handlers=given[handlers]) as trunk:
        with pytest.raises(trunkline.ElicitationRequiredError) as caught:
            await trunk.call("fake.files")
    (visit,) = caught.value.elicitations
    assert (visit.url, visit.elicitation_id) == ("https://example.com/login", "v1")
    assert (caught.value.rpc_code, caught.value.delivery, caught.value.retryable) == (
        -32042,
        "refused",
        False,
    )
    assert len(server.calls) == 1


async def test_urls_that_deceive_are_in_no_error_and_nobody_is_asked():
    def boom(_: Any) -> None:
        raise AssertionError("a person was asked")

    server = requiring(VISIT, Ask.visit("w", "Log in", "https://good.com@evil.com/", "w1"))
    async with trunkline.connect(
        {"fake": server}, handlers=trunkline.Handlers(elicit=lambda _: None)
    ) as trunk:
        with pytest.raises(trunkline.ElicitationRequiredError, match="user name") as caught:
            await trunk.call("fake.files")
    assert (caught.value.elicitations, caught.value.data) == ((), None)


async def test_a_server_that_wants_the_visit_again_is_not_obeyed_twice():
    server = requiring(VISIT, again=True)

    def elicit(_: Any) -> trunkline.ElicitResult:
        loop.call_soon_threadsafe(completed, server)
        return trunkline.ElicitResult.accept()

    loop = asyncio.get_running_loop()
    async with trunkline.connect({"fake": server}, handlers=trunkline.Handlers(elicit=elicit)) as trunk:
        with pytest.raises(trunkline.ElicitationRequiredError, match="again"):
            await trunk.call("fake.files")
    assert len(server.calls) == 2


def test_a_visit_that_is_never_completed_ends_the_call_with_its_url():
    async def main() -> None:
        server = requiring(VISIT)
        handlers = trunkline.Handlers(elicit=lambda _: later())
        async with trunkline.connect({"fake": server}, handlers=handlers) as trunk:
            await trunk.ready()
            began = asyncio.get_running_loop().time()
            with pytest.raises(trunkline.ElicitationRequiredError, match="did not say"):
                await trunk.call("fake.files")
            assert asyncio.get_running_loop().time() - began == pytest.approx(300, abs=1)

    async def later() -> trunkline.ElicitResult:
        return trunkline.ElicitResult.accept()

    async def elicit(_: Any) -> trunkline.ElicitResult:
        return await later()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


@pytest.mark.parametrize("end", ["cancel", "close", "lost"])
async def test_waiting_for_a_visit_ends_with_its_caller_and_its_connection(end: str):
    agreed, lose = asyncio.Event(), asyncio.Event()
    server = requiring(VISIT)

    async def elicit(_: Any) -> trunkline.ElicitResult:
        agreed.set()
        return trunkline.ElicitResult.accept()

    async def serve(receive: Any, send: Any) -> None:
        serving = asyncio.create_task(FakeServer.serve(server, receive, send))
        losing = asyncio.create_task(lose.wait())
        try:
            await asyncio.wait({serving, losing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (serving, losing):
                task.cancel()
            await asyncio.wait({serving, losing})

    server.serve = serve  # type: ignore[method-assign]
    async with trunkline.connect({"fake": server}, handlers=trunkline.Handlers(elicit=elicit)) as trunk:
        call = asyncio.create_task(trunk.call("fake.files"))
        async with asyncio.timeout(5):
            await agreed.wait()
            for _ in range(5):
                await asyncio.sleep(0)
            if end == "cancel":
                call.cancel()
            elif end == "close":
                await trunk.aclose()
            else:
                lose.set()
            await asyncio.wait({call})
        if end == "cancel":
            assert call.cancelled()
            assert trunk._fleet.get("fake").connection._incoming.completions._known == {}
            assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
        else:
            assert isinstance(call.exception(), trunkline.UnavailableError)
