"""Of three servers one hangs and one does not exist: the third answers at once, the sick say what to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

SLACK = 0.05


@pytest.fixture
async def trunk(tmp_path: Path) -> AsyncIterator[trunkline.Trunk]:
    well = FakeServer("well")
    well.tool("echo", reports="arguments")
    hung = FakeServer("hung")
    hung.tool("echo", reports="arguments")
    hung.fault("*", Fault.hang)
    entries: dict[str, Any] = {
        "hung": hung.to_stdio_entry(
            tmp_path, stderr=["loading the model", "waiting for a GPU \x1b[31mthat is busy"]
        ),
        "ghost": {"command": "no-such-mcp-server", "args": ["--fast"]},
        "well": well.to_stdio_entry(tmp_path),
    }
    async with trunkline.connect(entries) as opened:
        yield opened


async def fail_timed(trunk: trunkline.Trunk, tool: str, **options: Any) -> tuple[trunkline.CallError, float]:
    started = time.perf_counter()
    with pytest.raises(trunkline.CallError) as caught:
        await trunk.call(tool, {"n": 1}, **options)
    return caught.value, time.perf_counter() - started


async def test_the_healthy_one_answers_at_once_while_the_others_are_sick(trunk: trunkline.Trunk):
    started = time.perf_counter()
    assert (await trunk.call("well.echo", {"n": 1})).value == {"n": 1}
    assert time.perf_counter() - started < 2
    assert trunk.status()["well"].state == "ready"
    assert trunk.status()["hung"].state == "connecting"
    assert trunk.status()["ghost"].state == "failed"


async def test_the_hung_one_fails_by_its_deadline_with_server_phase_stderr_and_remedy(
    trunk: trunkline.Trunk,
):
    await trunk.call("well.echo", {"n": 1})
    error, elapsed = await fail_timed(trunk, "hung.echo", timeout=0.5)
    assert 0.5 <= elapsed <= 0.5 + SLACK
    assert type(error) is trunkline.DeadlineExceededError
    assert (error.server, error.tool, error.delivery) == ("hung", "hung.echo", "never_sent")
    assert "negotiating" in str(error)
    assert error.stderr.splitlines()[0] == "loading the model"
    assert "waiting for a GPU" in error.stderr
    assert "\x1b" not in error.stderr
    assert error.hint
    assert error.call_id
    assert error.elapsed == pytest.approx(elapsed, abs=SLACK)


async def test_the_missing_one_fails_at_once_with_server_and_remedy(trunk: trunkline.Trunk):
    error, elapsed = await fail_timed(trunk, "ghost.echo", timeout=5)
    assert elapsed < 1
    assert type(error) is trunkline.UnavailableError
    assert (error.server, error.tool, error.delivery) == ("ghost", "ghost.echo", "never_sent")
    assert "no-such-mcp-server" in str(error)
    assert "Install" in (error.hint or "")


async def test_twenty_callers_of_each_fail_alike_and_none_is_late(trunk: trunkline.Trunk):
    await trunk.call("well.echo", {"n": 0})
    outcomes = await asyncio.gather(
        *(fail_timed(trunk, "hung.echo", timeout=0.4) for _ in range(20)),
        *(fail_timed(trunk, "ghost.echo", timeout=0.4) for _ in range(20)),
        trunk.call("well.echo", {"n": 1}),
    )
    assert all(elapsed <= 0.4 + SLACK for _, elapsed in outcomes[:-1])
    assert len({error.call_id for error, _ in outcomes[:-1]}) == 40


async def test_the_status_of_the_sick_says_what_is_wrong_and_what_to_do(trunk: trunkline.Trunk):
    await trunk.call("well.echo", {"n": 1})
    status = trunk.status()
    assert "no-such-mcp-server" in (status["ghost"].last_error or "")
    assert status["ghost"].hint
    assert (status["well"].tools, status["well"].era) == (1, "2026-07-28")
    assert status["hung"].tools is None


async def test_a_hung_call_of_a_ready_server_shows_the_phase_and_what_it_wrote(tmp_path: Path):
    server = FakeServer()
    server.tool("work", delay=600)
    entry = server.to_stdio_entry(tmp_path, stderr=["disk is full"])
    async with trunkline.connect({"fake": entry}) as opened:
        await opened.ready()
        error, elapsed = await fail_timed(opened, "fake.work", timeout=0.3)
    assert elapsed <= 0.3 + SLACK
    assert (type(error), error.delivery) == (trunkline.DeadlineExceededError, "unknown")
    assert "waiting for the answer" in str(error)
    assert error.stderr == "disk is full"
    assert "check its effect" in (error.hint or "")
