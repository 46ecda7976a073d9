"""Servers that are kept alive by other settings from now on, and stay connected meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.config.changes import Changes
from trunkline.core.events import ServerChanged
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

ADJUSTED = Changes(adjusted=("fake",))


def working() -> FakeServer:
    server = FakeServer(eras=["legacy"])
    server.tool("echo", reports="arguments")
    server.tool("crash")
    server.fault("crash", Fault.crash_before_reply)
    return server


@pytest.mark.parametrize(("before", "after"), [(0, 2), (600, 2)])
async def test_health_checks_begin_and_come_more_often_without_a_new_connection(before: float, after: float):
    server = working()
    policy: dict[str, Any] = {"defaults": {"health_check_interval": before}}
    async with trunkline.connect({"fake": server}, policy=policy) as trunk:
        await trunk.ready()
        asked = len(server.ledger.of("ping"))
        await asyncio.sleep(60)
        assert len(server.ledger.of("ping")) == asked
        policy["defaults"]["health_check_interval"] = after
        assert await trunk.reload() == ADJUSTED
        await asyncio.sleep(10)
        assert len(server.ledger.of("ping")) - asked >= 5
        assert trunk.status()["fake"].restarts == 0


async def test_health_checks_end_without_a_new_connection():
    server = working()
    policy: dict[str, Any] = {"defaults": {"health_check_interval": 2}}
    async with trunkline.connect({"fake": server}, policy=policy) as trunk:
        await trunk.ready()
        policy["defaults"]["health_check_interval"] = 0
        assert await trunk.reload() == ADJUSTED
        asked = len(server.ledger.of("ping"))
        await asyncio.sleep(600)
        assert len(server.ledger.of("ping")) == asked


async def test_settings_of_restarts_hold_for_the_next_loss_and_patience_for_the_next_start():
    server = working()
    policy: dict[str, Any] = {"defaults": {}}
    async with trunkline.connect({"fake": server}, policy=policy) as trunk:
        await trunk.ready()
        policy["defaults"] = {"auto_reconnect": False, "connect": 5}
        assert await trunk.reload() == ADJUSTED
        async with trunk.events(ServerChanged) as events:
            with pytest.raises(trunkline.OutcomeUnknownError):
                await trunk.call("fake.crash")
            assert (await anext(events)).state == "stopped"
        server.fault("initialize", Fault.hang)
        begun = asyncio.get_running_loop().time()
        with pytest.raises(trunkline.UnavailableError, match="within 5 s"):
            await trunk.call("fake.echo")
        assert asyncio.get_running_loop().time() - begun == pytest.approx(5, abs=1)
