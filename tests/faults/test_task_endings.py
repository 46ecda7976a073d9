"""What ends the waiting for a task from outside, and what that says of the call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.core.call import Call, Flight
from trunkline.runtime.polling import Polling
from trunkline.testing import FakeServer, TaskScript

pytestmark = pytest.mark.anyio


async def failure(awaitable: Any) -> trunkline.CallError:
    with pytest.raises(trunkline.CallError) as caught:
        await awaitable
    return caught.value


async def test_a_trunk_that_is_closed_ends_who_waits_for_a_task_at_once():
    server = FakeServer("ci", eras=["modern"])
    server.tool("build", task=TaskScript(ends="never"))
    async with trunkline.connect({"ci": server}) as trunk:
        waiting = asyncio.create_task(trunk.call("ci.build"))
        await server.wait_for(lambda ledger: ledger.of("tasks/get"))
    error = await failure(asyncio.wait_for(waiting, 20))
    assert (error.code, error.delivery, error.task) == ("task_lost", "unknown", "ci/build/ci-task-1")


async def test_what_becomes_of_a_poll_says_nothing_of_the_delivery_of_the_call():
    flight = Flight(asyncio.get_running_loop().time())
    flight.delivery = "answered"
    call = Call(
        id="1",
        server="ci",
        name="build",
        public_name="ci.build",
        arguments={},
        principal=trunkline.Principal(name="me"),
        deadline=1e9,
        idle=60.0,
        flight=flight,
    )

    async def dispatch(request: Call) -> trunkline.Reply:
        request.flight.delivery = "refused"
        request.flight.attempts += 1
        raise trunkline.ServerError("no", rpc_code=-32601, rpc_message="no", delivery="refused")

    polling = Polling(call, trunkline.Task(server="ci", id="1"), dispatch, None)
    error = await failure(polling.finish(at_once=True))
    assert (error.delivery, flight.delivery, flight.attempts) == ("unknown", "answered", 0)
