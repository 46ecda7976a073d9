"""A call that a server makes wait for visits to URLs (-32042): with consent, once, and never for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.testing import Ask, FakeServer, required_error
from trunkline.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio

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
