"""Calls that never left say so, and never run later."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio
ONE_TRY = {"defaults": {"retry": {"attempts": 1}}}

PIPE = 70_000
"""More bytes than a pipe takes from us while nobody reads it."""


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def fail(trunk: trunkline.Trunk, tool: str, **options: Any) -> trunkline.CallError:
    with pytest.raises(trunkline.CallError) as caught:
        await trunk.call(tool, {"n": 1}, **options)
    return caught.value


async def test_a_missing_command_never_sends_and_says_what_to_install():
    async with trunkline.connect({"ghost": {"command": "/nonexistent/server"}}) as trunk:
        error = await fail(trunk, "ghost.echo")
    assert type(error) is trunkline.UnavailableError
    assert (error.delivery, error.code, error.server) == ("never_sent", "command_not_found", "ghost")
    assert "/nonexistent/server" in str(error)
    assert "Install" in (error.hint or "")
    assert isinstance(error.__cause__, trunkline.TrunklineError)


async def test_a_refused_connection_never_sends_and_names_host_and_port():
    port = unused_port()
    async with trunkline.connect({"far": {"url": f"http://127.0.0.1:{port}/mcp"}}) as trunk:
        error = await fail(trunk, "far.echo")
    assert type(error) is trunkline.UnavailableError
    assert (error.delivery, error.code) == ("never_sent", "connect_failed")
    assert f"127.0.0.1:{port}" in str(error)
    assert error.hint


@pytest.mark.parametrize("crash", ["exit", "SIGKILL"])
async def test_a_server_that_dies_at_every_start_never_sends_and_shows_its_stderr(tmp_path: Path, crash: str):
    server = FakeServer()
    server.tool("echo", reports="arguments")
    server.fault("*", Fault.crash_before_reply if crash == "exit" else Fault.kill)
    entry = server.to_stdio_entry(tmp_path, stderr=["no database at db:5432"])
    async with trunkline.connect({"fake": entry}) as trunk:
        error = await fail(trunk, "fake.echo")
    assert type(error) is trunkline.UnavailableError
    assert error.delivery == "never_sent"
    assert "no database at db:5432" in error.stderr
    assert error.hint


@pytest.mark.alone
async def test_a_deadline_that_passes_while_connecting_never_sent(tmp_path: Path):
    server = FakeServer()
    server.tool("echo", reports="arguments")
    entry = server.to_stdio_entry(tmp_path, start_delay=600, stderr=["waiting for a license"])
    async with trunkline.connect({"fake": entry}) as trunk:
        started = time.perf_counter()
        error = await fail(trunk, "fake.echo", timeout=0.4)
        elapsed = time.perf_counter() - started
    assert type(error) is trunkline.DeadlineExceededError
    assert (error.delivery, error.retryable) == ("never_sent", True)
    assert elapsed <= 0.45
    assert "waiting for a license" in error.stderr


async def test_calls_queued_behind_a_full_pipe_are_taken_back_and_never_run(tmp_path: Path):
    server = FakeServer()
    server.tool("pid", reports="pid")
    server.tool("echo", reports="arguments")
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path)}) as trunk:
        pid = int((await trunk.call("fake.pid")).text)
        os.kill(pid, signal.SIGSTOP)
        try:
            filler = asyncio.create_task(trunk.call("fake.echo", {"n": 0, "fill": "x" * PIPE}))
            await asyncio.sleep(0)
            queued = await asyncio.gather(
                *(trunk.call("fake.echo", {"n": n}, timeout=0.1) for n in range(1, 21)),
                return_exceptions=True,
            )
        finally:
            os.kill(pid, signal.SIGCONT)
        assert {type(error) for error in queued} == {trunkline.DeadlineExceededError}
        assert {error.delivery for error in queued if isinstance(error, trunkline.CallError)} == {
            "never_sent"
        }
        assert (await filler).value["n"] == 0
        assert (await trunk.call("fake.echo", {"n": 99})).value == {"n": 99}
    ran = [call.arguments["n"] for call in server.journal(tmp_path).read().calls if call.name == "echo"]
    assert ran == [0, 99]


async def test_the_call_that_fills_the_pipe_and_is_not_read_is_unknown(tmp_path: Path):
    server = FakeServer()
    server.tool("pid", reports="pid")
    server.tool("echo", reports="arguments")
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path)}) as trunk:
        pid = int((await trunk.call("fake.pid")).text)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(trunkline.DeadlineExceededError) as caught:
                await trunk.call("fake.echo", {"fill": "x" * PIPE}, timeout=0.1)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert (caught.value.delivery, caught.value.retryable) == ("unknown", False)


async def test_a_call_queued_behind_a_full_pipe_of_a_server_that_dies_was_never_sent(tmp_path: Path):
    server = FakeServer()
    server.tool("pid", reports="pid")
    server.tool("echo", reports="arguments")
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path)}, policy=ONE_TRY) as trunk:
        pid = int((await trunk.call("fake.pid")).text)
        os.kill(pid, signal.SIGSTOP)
        filler = asyncio.create_task(trunk.call("fake.echo", {"fill": "x" * PIPE}))
        await asyncio.sleep(0)
        queued = [asyncio.create_task(trunk.call("fake.echo", {"n": n})) for n in range(20)]
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        errors = await asyncio.gather(filler, *queued, return_exceptions=True)
    assert [type(error) for error in errors] == [
        trunkline.OutcomeUnknownError,
        *[trunkline.UnavailableError] * 20,
    ]
    assert {error.delivery for error in errors[1:] if isinstance(error, trunkline.CallError)} == {
        "never_sent"
    }
