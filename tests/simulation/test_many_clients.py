"""Many clients of one server that goes away: they come back spread out, unless somebody waits for them."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from typing import Any

import pytest

import trunkline
from trunkline.runtime import assembly
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

CLIENTS = 50


@pytest.fixture(autouse=True)
def draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "_draw", random.Random(5).random)


def noting(server: FakeServer, method: str) -> list[float]:
    """Note the moment of every such request from now on."""
    seen: list[float] = []
    strike = server.strike

    def strike_and_note(struck: str, name: str | None) -> Any:
        if struck == method:
            seen.append(asyncio.get_running_loop().time())
        return strike(struck, name)

    server.strike = strike_and_note  # type: ignore[method-assign]
    return seen


async def connect_all(stack: AsyncExitStack, server: FakeServer, **policy: Any) -> list[trunkline.Trunk]:
    trunks = [trunkline.connect({"fake": server}, policy={"defaults": policy}) for _ in range(CLIENTS)]
    for trunk in trunks:
        await stack.enter_async_context(trunk)
        await trunk.ready()
    return trunks


def legacy() -> FakeServer:
    server = FakeServer(eras=["legacy"])
    server.tool("echo", reports="arguments")
    server.tool("die")
    server.fault("die", Fault.crash_before_reply)
    return server


async def test_clients_of_a_server_that_was_restarted_come_back_spread_over_more_than_a_second():
    server = legacy()
    async with AsyncExitStack() as stack:
        trunks = await connect_all(stack, server)
        for trunk in trunks:
            with pytest.raises(trunkline.OutcomeUnknownError):
                await trunk.call("fake.die")
        seen = noting(server, "initialize")
        await asyncio.sleep(5)
        assert len(seen) == CLIENTS
        assert max(seen) - min(seen) >= 1.0
        assert {trunk.status()["fake"].restarts for trunk in trunks} == {1}


async def test_a_caller_does_not_wait_for_the_spread():
    server = legacy()
    async with AsyncExitStack() as stack:
        (trunk, *_) = await connect_all(stack, server)
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("fake.die")
        lost = asyncio.get_running_loop().time()
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
        assert asyncio.get_running_loop().time() - lost < 0.01


async def test_health_checks_of_many_clients_do_not_come_together():
    server = legacy()
    async with AsyncExitStack() as stack:
        await connect_all(stack, server, health_check_interval=30)
        seen = noting(server, "ping")
        await asyncio.sleep(16)
        assert len(seen) >= CLIENTS
        assert max(seen) - min(seen) >= 1.0


async def test_five_restarts_in_thirty_seconds_end_in_failed_and_a_slow_probe_brings_it_back():
    server = legacy()
    async with trunkline.connect({"fake": server}) as trunk:
        for _ in range(6):
            with pytest.raises(trunkline.OutcomeUnknownError):
                await trunk.call("fake.die")
        await asyncio.sleep(0.1)
        status = trunk.status()["fake"]
        assert (status.state, status.restarts) == ("failed", 5)
        assert "started again 5 times in 30 s" in (status.last_error or "")
        with pytest.raises(trunkline.UnavailableError) as caught:
            await trunk.call("fake.echo", {"n": 1})
        assert (caught.value.code, caught.value.delivery) == ("restarts_exhausted", "never_sent")
        assert 30 <= (status.retry_in or 0) <= 60
        await asyncio.sleep(61)
        assert trunk.status()["fake"].state == "ready"
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}


async def test_a_call_may_try_a_failed_server_before_the_probe_is_due():
    server = legacy()
    async with trunkline.connect({"fake": server}) as trunk:
        for _ in range(6):
            with pytest.raises(trunkline.OutcomeUnknownError):
                await trunk.call("fake.die")
        await asyncio.sleep(5.1)
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
