"""Deadlines on virtual time: total and idle, what moves them, and what the error says."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

SLACK = 0.05
POLICY = {"defaults": {"timeout": 100, "idle": 10, "connect": 30}}


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
def server() -> FakeServer:
    fake = FakeServer()
    fake.tool("echo", reports="arguments")
    fake.tool("silent", delay=10_000)
    fake.tool("chatty", delay=10_000, progress=[(n, None, None) for n in range(2_000)])
    fake.tool("busy", returns="done", delay=60, progress=[(n, 12, None) for n in range(12)])
    return fake


async def fail_timed(trunk: trunkline.Trunk, tool: str, **options: Any) -> tuple[trunkline.CallError, float]:
    started = now()
    with pytest.raises(trunkline.DeadlineExceededError) as caught:
        await trunk.call(tool, **options)
    return caught.value, now() - started


async def test_a_silent_call_ends_at_its_idle_limit(server: FakeServer):
    async with trunkline.connect({"fake": server}, policy=POLICY) as trunk:
        await trunk.ready()
        error, elapsed = await fail_timed(trunk, "fake.silent")
    assert 10 <= elapsed <= 10 + SLACK
    assert (error.code, error.delivery, error.retryable) == ("idle_exceeded", "unknown", False)
    assert "waiting for the answer" in str(error)
    assert error.elapsed == pytest.approx(elapsed)


async def test_a_time_that_is_no_number_leaves_the_idle_limit_and_the_timers_of_others(server: FakeServer):
    async with trunkline.connect({"fake": server}, policy=POLICY) as trunk:
        await trunk.ready()
        other = asyncio.ensure_future(fail_timed(trunk, "fake.silent", timeout=3))
        error, elapsed = await fail_timed(trunk, "fake.silent", timeout=math.nan)
        assert 10 <= elapsed <= 10 + SLACK
        assert error.code == "idle_exceeded"
        assert 3 <= (await other)[1] <= 3 + SLACK


async def test_progress_extends_the_idle_limit(server: FakeServer):
    async with trunkline.connect({"fake": server}, policy=POLICY) as trunk:
        assert (await trunk.call("fake.busy")).text == "done"


async def test_progress_never_extends_the_total_limit(server: FakeServer):
    async with trunkline.connect({"fake": server}, policy=POLICY) as trunk:
        await trunk.ready()
        error, elapsed = await fail_timed(trunk, "fake.chatty")
    assert 100 <= elapsed <= 100 + SLACK
    assert (error.code, error.delivery) == ("deadline_exceeded", "unknown")


@pytest.mark.parametrize("seconds", [0.0, 0.001, 1.0, 15.0])
async def test_a_timeout_of_the_call_is_kept_whatever_the_server_does(server: FakeServer, seconds: float):
    async with trunkline.connect({"fake": server}, policy=POLICY) as trunk:
        await trunk.ready()
        for tool in ("fake.silent", "fake.chatty"):
            error, elapsed = await fail_timed(trunk, tool, timeout=seconds)
            assert seconds <= elapsed + 0.001 <= seconds + SLACK
            assert error.code == "deadline_exceeded"


async def test_a_flood_of_progress_does_not_hold_up_the_deadline(server: FakeServer):
    server.tool("flood", delay=20, progress=[(n, None, None) for n in range(20_000)])
    async with trunkline.connect({"fake": server}, policy=POLICY) as trunk:
        await trunk.ready()
        _, elapsed = await fail_timed(trunk, "fake.flood", timeout=5)
    assert 5 <= elapsed <= 5 + SLACK


async def test_a_server_that_never_answers_the_handshake_fails_at_the_connect_limit_with_its_phase():
    server = FakeServer(discover="silent")
    server.tool("echo", reports="arguments")
    server.fault("initialize", Fault.hang)
    async with trunkline.connect({"fake": server}, policy=POLICY) as trunk:
        started = now()
        with pytest.raises(trunkline.UnavailableError) as caught:
            await trunk.call("fake.echo")
        assert 30 <= now() - started <= 30 + SLACK
    assert (caught.value.delivery, caught.value.code) == ("never_sent", "connect_timeout")
    assert "negotiating" in str(caught.value)


async def test_a_deadline_while_connecting_names_the_phase_the_server_is_really_in():
    server = FakeServer(discover="silent")
    server.tool("echo", reports="arguments")
    server.fault("initialize", Fault.hang)
    async with trunkline.connect({"fake": server}, policy=POLICY) as trunk:
        error, elapsed = await fail_timed(trunk, "fake.echo", timeout=5)
    assert elapsed <= 5 + SLACK
    assert (error.delivery, error.retryable) == ("never_sent", True)
    assert "negotiating" in str(error)


async def test_a_list_that_never_comes_fails_the_start_at_the_connect_limit():
    server = FakeServer()
    server.tool("echo", reports="arguments")
    server.fault("tools/list", Fault.hang)
    async with trunkline.connect({"fake": server}, policy=POLICY) as trunk:
        started = now()
        with pytest.raises(trunkline.UnavailableError, match="listing tools"):
            await trunk.call("fake.echo")
        assert 30 <= now() - started <= 30 + SLACK


async def test_a_bare_name_and_its_call_share_one_deadline(server: FakeServer):
    slow = FakeServer("slow")
    slow.tool("other", returns="x")
    slow.fault("tools/list", Fault.delay(4))
    async with trunkline.connect({"fake": server, "slow": slow}, policy=POLICY) as trunk:
        error, elapsed = await fail_timed(trunk, "silent", timeout=5)
    assert elapsed <= 5 + SLACK
    assert error.server == "fake"


async def test_a_bare_name_that_cannot_be_resolved_in_time_says_who_is_late(server: FakeServer):
    slow = FakeServer("slow")
    slow.fault("tools/list", Fault.hang)
    async with trunkline.connect({"fake": server, "slow": slow}, policy=POLICY) as trunk:
        error, elapsed = await fail_timed(trunk, "echo", timeout=5)
    assert elapsed <= 5 + SLACK
    assert error.delivery == "never_sent"
    assert "slow" in str(error)


async def test_a_slow_async_progress_handler_does_not_outlive_the_deadline(server: FakeServer):
    async def stall(_: trunkline.Progress) -> None:
        await asyncio.Event().wait()

    async with trunkline.connect({"fake": server}, policy=POLICY) as trunk:
        await trunk.ready()
        started = now()
        assert (await trunk.call("fake.busy", timeout=80, on_progress=stall)).text == "done"
        assert now() - started <= 80 + SLACK


async def test_a_call_while_its_server_hangs_does_not_delay_the_next_server(server: FakeServer):
    hung = FakeServer("hung", discover="silent")
    hung.fault("initialize", Fault.hang)
    async with trunkline.connect({"hung": hung, "fake": server}, policy=POLICY) as trunk:
        started = now()
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
        assert now() - started < 1


async def test_a_thousand_calls_end_within_slack_of_their_own_deadlines(server: FakeServer):
    late: list[float] = []

    async def one(number: int, trunk: trunkline.Trunk) -> None:
        timeout = 0.1 + number / 50
        _, elapsed = await fail_timed(trunk, "fake.chatty", timeout=timeout)
        late.append(elapsed - timeout)

    async with trunkline.connect({"fake": server}, policy=POLICY) as trunk:
        await trunk.ready()
        async with asyncio.TaskGroup() as group:
            for number in range(1_000):
                group.create_task(one(number, trunk))
    assert max(late) <= SLACK
