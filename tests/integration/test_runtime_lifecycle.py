"""Readiness, status and closing as an application sees them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

import trunkline
from trunkline.runtime.importing import import_off_loop
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio


def echo_server() -> FakeServer:
    fake = FakeServer("echo")
    fake.tool("hello", returns="hello")
    fake.tool("pid", returns="unused")
    return fake


async def test_ready_starts_a_lost_server_again(tmp_path: Path) -> None:
    fake = echo_server()
    entry = fake.to_stdio_entry(tmp_path)
    async with trunkline.connect({"echo": entry}) as trunk:
        await trunk.ready("echo")
        (first,) = fake.journal(tmp_path).pids
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(5):
            while trunk.status()["echo"].state == "ready":  # noqa: ASYNC110 - there is no event to wait for yet
                await asyncio.sleep(0)
        lost = trunk.status()["echo"]
        assert (lost.state, lost.hint) == ("backoff", "The next call starts it again.")
        assert "SIGKILL" in (lost.last_error or "")
        await trunk.ready("echo")
        assert trunk.status()["echo"].state == "ready"
        assert trunk.status()["echo"].restarts == 1
        assert len(fake.journal(tmp_path).pids) == 2


async def test_ready_tells_why_a_server_failed_once_and_with_its_last_words(tmp_path: Path) -> None:
    entry = echo_server().to_stdio_entry(tmp_path, stderr=["no license"], failing_starts=9, exit_code=3)
    async with trunkline.connect({"echo": entry}) as trunk:
        with pytest.raises(trunkline.UnavailableError) as caught:
            await trunk.ready("echo")
    error = caught.value
    assert str(error).count("echo") == 1
    assert "exited with code 3" in str(error)
    assert error.stderr == "no license"
    assert error.hint


async def test_an_unset_variable_is_named_in_the_status_with_its_field() -> None:
    entry = {"command": "server", "env": {"TOKEN": "${TRUNKLINE_TEST_UNSET}"}}
    async with trunkline.connect({"git": entry}) as trunk:
        await trunk.ready()
        status = trunk.status()["git"]
    assert status.state == "failed"
    assert "env.TOKEN" in (status.last_error or "")
    assert "TRUNKLINE_TEST_UNSET" in (status.last_error or "")


async def test_a_server_that_never_spoke_is_not_waited_for_when_closing(tmp_path: Path) -> None:
    entry = FakeServer("mute", discover="silent", eras=("modern",)).to_stdio_entry(tmp_path, ignore_eof=True)
    loop = asyncio.get_running_loop()
    async with trunkline.connect({"mute": entry}) as trunk:
        with pytest.raises(trunkline.DeadlineExceededError):
            await trunk.ready("mute", timeout=0.2)
        started = loop.time()
    assert loop.time() - started < 1.9


async def test_a_large_module_is_read_in_another_thread_and_its_failure_reaches_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "large_module.py").write_text("import threading\nREAD_IN = threading.get_ident()\n")
    (tmp_path / "broken_module.py").write_text("import nothing_of_this_name\n")
    await import_off_loop("large_module")
    assert threading.get_ident() != sys.modules["large_module"].READ_IN
    with pytest.raises(ImportError, match="nothing_of_this_name"):
        await import_off_loop("broken_module")


async def test_calls_made_together_share_a_timeout_each() -> None:
    fake = FakeServer("slow")
    fake.tool("quick", returns="done")
    fake.tool("never", delay=3600)
    async with trunkline.connect({"slow": fake}) as trunk:
        replies = await trunk.call_many([("slow.never", {}), ("slow.quick", {})], timeout=0.3)
    assert isinstance(replies[0], trunkline.DeadlineExceededError)
    assert isinstance(replies[1], trunkline.Reply)
