"""Over HTTP every request has a fate of its own: one that breaks costs itself and nothing else."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault
from trunkline.testing.http import HttpServer

pytestmark = [pytest.mark.anyio, pytest.mark.over("json", "sse")]
ONE_TRY = {"defaults": {"retry": {"attempts": 1}}}

BREAKS = {
    "reset": Fault.reset,
    "close": Fault.close_connection,
    "cut after headers": Fault.cut_after_headers,
    "truncated": Fault.truncated,
}


def echoing(family: str) -> FakeServer:
    server = FakeServer(eras=[family])
    server.tool("echo", reports="arguments")
    return server


async def vanish(listener: HttpServer) -> None:
    """Stop a server and wait until every connection of it is broken."""
    await listener.stop()
    while listener.connections:  # noqa: ASYNC110 - they break within a turn or two
        await asyncio.sleep(0)


@pytest.mark.parametrize("broken", BREAKS)
async def test_one_aborted_of_twenty_concurrent_calls_fails_alone(way: Any, reach: Any, broken: str):
    server = echoing(way.family)
    server.fault("echo", BREAKS[broken].after_commit(), nth=11)
    async with reach(server, way) as trunk:
        await trunk.ready()
        outcomes = await asyncio.gather(
            *(trunk.call("fake.echo", {"n": n}) for n in range(20)), return_exceptions=True
        )
        after = [await trunk.call("fake.echo", {"n": n}) for n in range(20, 25)]
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [type(error) for error in errors] == [trunkline.OutcomeUnknownError]
    assert errors[0].delivery == "unknown"
    replies = [(n, one) for n, one in enumerate(outcomes) if not isinstance(one, BaseException)]
    assert all(reply.value == {"n": n} for n, reply in replies)
    assert [reply.value["n"] for reply in after] == [20, 21, 22, 23, 24]
    assert server.ledger.executed("echo") == 25


async def test_a_server_restarted_while_idle_is_not_noticed_by_the_next_call(way: Any):
    server = echoing(way.family)
    listener = await server.listen(json=way.carrier == "json")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(listener.stop)
        trunk = await stack.enter_async_context(trunkline.connect({"fake": {"url": listener.url}}))
        await asyncio.gather(*(trunk.call("fake.echo", {"n": n}) for n in range(5)))
        await vanish(listener)
        await listener.start()
        reply = await trunk.call("fake.echo", {"n": 7})
        assert reply.value == {"n": 7}
        assert server.ledger.executed("echo") == 6


async def test_a_server_that_is_down_is_never_sent_to_and_works_once_it_is_back(way: Any):
    server = echoing(way.family)
    listener = await server.listen(json=way.carrier == "json")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(listener.stop)
        trunk = await stack.enter_async_context(trunkline.connect({"fake": {"url": listener.url}}))
        await trunk.call("fake.echo", {"n": 1})
        await vanish(listener)
        for _ in range(3):
            with pytest.raises(trunkline.UnavailableError) as caught:
                await trunk.call("fake.echo", {"n": 2})
            assert (caught.value.delivery, caught.value.code) == ("never_sent", "connect_failed")
        await listener.start()
        assert (await trunk.call("fake.echo", {"n": 3})).value == {"n": 3}
        assert server.ledger.executed("echo") == 2


async def test_a_killed_http_server_leaves_the_outcome_of_its_calls_unknown(way: Any, reach: Any):
    server = echoing(way.family)
    server.tool("work", delay=600)
    async with reach(server, way) as trunk:
        calls = [asyncio.create_task(trunk.call("fake.work")) for _ in range(10)]
        await server.wait_for(lambda ledger: len(ledger.of("tools/call", "work")) == 10)
        server.endpoints[0].crash()
        errors = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(error) for error in errors} == {trunkline.OutcomeUnknownError}


@pytest.mark.parametrize(
    ("status", "headers", "kind", "delivery", "wait"),
    [
        (401, {}, trunkline.AuthorizationRequiredError, "refused", None),
        (403, {}, trunkline.AuthorizationRequiredError, "refused", None),
        (429, {"Retry-After": "7"}, trunkline.RejectedError, "refused", 7.0),
        (429, {}, trunkline.RejectedError, "unknown", None),
        (503, {"Retry-After": "3"}, trunkline.UnavailableError, "refused", 3.0),
        (503, {}, trunkline.OutcomeUnknownError, "unknown", None),
        (500, {}, trunkline.OutcomeUnknownError, "unknown", None),
        (502, {}, trunkline.OutcomeUnknownError, "unknown", None),
        (307, {"Location": "http://127.0.0.1:9/"}, trunkline.ProtocolError, "unknown", None),
    ],
)
async def test_an_http_status_decides_what_the_call_is_told_and_the_next_call_works(
    way: Any, reach: Any, status: int, headers: dict[str, str], kind: type, delivery: str, wait: float | None
):
    server = echoing(way.family)
    server.fault("echo", Fault.http_status(status, headers), nth=1)
    async with reach(server, way, policy=ONE_TRY) as trunk:
        with pytest.raises(trunkline.CallError) as caught:
            await trunk.call("fake.echo")
        assert type(caught.value) is kind
        error = caught.value
        assert (error.delivery, error.status, error.retry_after) == (delivery, status, wait)
        assert error.retryable == (delivery == "refused" and kind is not trunkline.AuthorizationRequiredError)
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
