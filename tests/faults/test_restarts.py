"""A server that somebody restarts: what becomes of calls in flight, and of those that wait."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import trunkline
from trunkline.core.events import ServerChanged
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio


def working(name: str = "fake") -> FakeServer:
    server = FakeServer(name)
    server.tool("pid", reports="pid")
    server.tool("brief", delay=0.15, returns="done")
    server.tool("work", delay=600)
    return server


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - seen from outside only
            await asyncio.sleep(0.005)


async def started(server: FakeServer, calls: int) -> None:
    await server.wait_for(lambda ledger: len(ledger.of("tools/call")) == calls)


async def test_a_restart_gives_a_new_process_and_the_old_one_is_gone(tmp_path: Path):
    server = working()
    entry = server.to_stdio_entry(tmp_path)
    async with trunkline.connect({"fake": entry}) as trunk:
        before = (await trunk.call("fake.pid")).text
        report = await trunk.restart("fake")
        assert (report.finished, report.cut) == (0, 0)
        assert trunk.status()["fake"].state == "ready"
        assert (await trunk.call("fake.pid")).text != before
        assert len(server.journal(tmp_path).pids) == 2
        assert trunk.status()["fake"].restarts == 1


async def test_calls_that_end_within_the_grace_are_not_touched_and_new_ones_wait_for_the_new_start():
    server = working()
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        brief = asyncio.create_task(trunk.call("fake.brief"))
        await started(server, 1)
        restart = asyncio.create_task(trunk.restart("fake", grace=30))
        await until(lambda: trunk.status()["fake"].state == "draining")
        late = asyncio.create_task(trunk.call("fake.brief"))
        assert (await brief).text == "done"
        report = await restart
        assert (report.finished, report.cut) == (1, 0)
        assert (await late).text == "done"
        waited = trunk.journal.find((await late).call_id)
        assert waited is not None
        assert "waited for a connection" in [hop.name for hop in waited.hops]


async def test_a_call_that_does_not_end_in_time_is_cut_and_its_outcome_is_unknown():
    server = working()
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        work = asyncio.create_task(trunk.call("fake.work"))
        await started(server, 1)
        report = await trunk.restart("fake", grace=0.02)
        assert (report.finished, report.cut) == (0, 1)
        with pytest.raises(trunkline.OutcomeUnknownError, match="restarted") as caught:
            await work
        assert caught.value.delivery == "unknown"
        assert (await trunk.call("fake.brief")).text == "done"
        assert len(server.ledger.of("tools/call", "work")) == 1, "it is not sent again"


async def test_two_who_restart_at_once_share_one_restart(tmp_path: Path):
    server = working()
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path)}) as trunk:
        await trunk.ready()
        await asyncio.gather(*(trunk.restart("fake") for _ in range(5)))
        assert len(server.journal(tmp_path).pids) == 2


async def test_the_way_of_a_restart_is_told_without_a_reason_of_failure():
    server = working()
    async with trunkline.connect({"fake": server}) as trunk, trunk.events(ServerChanged) as events:
        await trunk.ready()
        await trunk.restart("fake")
        seen = [await anext(events) for _ in range(6)]
    assert [event.state for event in seen[1:]] == ["ready", "draining", "stopped", "connecting", "ready"]
    assert {event.reason for event in seen} == {None}


async def test_a_server_that_was_given_up_is_started_at_once_with_a_clean_record():
    server = working()
    server.fault("work", Fault.crash_before_reply)
    policy = {"defaults": {"max_restarts": 1}}
    async with trunkline.connect({"fake": server}, policy=policy) as trunk:
        await trunk.ready()
        for _ in range(3):
            with pytest.raises(trunkline.CallError):
                await trunk.call("fake.work")
        await until(lambda: trunk.status()["fake"].state == "failed")
        await trunk.restart("fake")
        assert trunk.status()["fake"].state == "ready"
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("fake.work")
        await until(lambda: trunk.status()["fake"].state != "ready")
        assert (await trunk.call("fake.brief")).text == "done", "one loss counts as the first again"


async def test_a_restart_that_fails_says_why():
    async with trunkline.connect({"gone": {"command": "trunkline-test-no-such-command"}}) as trunk:
        await trunk.ready()
        with pytest.raises(trunkline.UnavailableError, match="was not found") as caught:
            await trunk.restart("gone")
        assert caught.value.code == "command_not_found"
        with pytest.raises(trunkline.NotFoundError):
            await trunk.restart("none")


async def test_a_restart_goes_on_when_nobody_waits_for_it_any_more():
    server = working()
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        work = asyncio.create_task(trunk.call("fake.work"))
        await started(server, 1)
        restart = asyncio.create_task(trunk.restart("fake", grace=0.1))
        await until(lambda: trunk.status()["fake"].state == "draining")
        restart.cancel()
        await asyncio.wait({restart})
        with pytest.raises(trunkline.OutcomeUnknownError):
            await work
        await until(lambda: trunk.status()["fake"].state == "ready")
        work = asyncio.create_task(trunk.call("fake.work"))
        await started(server, 2)
        with pytest.raises(trunkline.DeadlineExceededError):
            await trunk.restart("fake", grace=0.1, timeout=0.02)
        await asyncio.gather(work, return_exceptions=True)


@pytest.mark.parametrize("how", ["close", "remove", "drain"])
async def test_the_end_of_a_server_ends_its_restart(how: str):
    server = working()
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        work = asyncio.create_task(trunk.call("fake.work"))
        await started(server, 1)
        restart = asyncio.create_task(trunk.restart("fake", grace=0.1 if how == "drain" else 30))
        await until(lambda: trunk.status()["fake"].state == "draining")
        async with asyncio.timeout(10):
            endings: dict[str, Callable[[], Awaitable[None]]] = {
                "close": trunk.aclose,
                "remove": lambda: trunk.remove("fake"),
                "drain": lambda: trunk.drain(0.1),
            }
            await endings[how]()
            done = await asyncio.gather(work, restart, return_exceptions=True)
        assert isinstance(done[0], trunkline.OutcomeUnknownError)
        assert isinstance(done[1], trunkline.UnavailableError | trunkline.NotFoundError)


async def test_a_server_that_is_lost_while_its_calls_end_is_started_anew_at_once(tmp_path: Path):
    server = working()
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path)}) as trunk:
        await trunk.ready()
        work = asyncio.create_task(trunk.call("fake.work"))
        await until(lambda: len(server.journal(tmp_path).read().calls) == 1)
        restart = asyncio.create_task(trunk.restart("fake", grace=30))
        await until(lambda: trunk.status()["fake"].state == "draining")
        os.kill(server.journal(tmp_path).pids[0], signal.SIGKILL)
        async with asyncio.timeout(10):
            await asyncio.wait({work})
            await restart
        assert isinstance(work.exception(), trunkline.OutcomeUnknownError)
        assert trunk.status()["fake"].state == "ready"
