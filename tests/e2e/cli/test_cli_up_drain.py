"""SIGTERM to `trunkline up`: calls in flight that are short enough end, and none is taken any more."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.runtime.control_client import AttachedTrunk
from trunkline.runtime.control_link import ControlLink
from trunkline.testing import FakeServer

BOUND = 30.0
DELAYS = (0.2, 0.5, 1.0, 3.0)
CALLS = 5


def until(condition: Callable[[], Any]) -> Any:
    for _ in range(int(BOUND / 0.02)):
        if found := condition():
            return found
        threading.Event().wait(0.02)
    return pytest.fail("it did not happen in time")


def waiting() -> FakeServer:
    server = FakeServer("echo")
    server.tool("late")
    for delay in DELAYS:
        server.tool(f"wait-{delay}", delay=delay, returns=f"waited {delay}")
    return server


async def call_late(trunk: AttachedTrunk, ended: asyncio.Event) -> list[trunkline.CallError]:
    """Call again and again while the process ends; give what each was told."""
    errors = []
    while not ended.is_set():
        with pytest.raises(trunkline.CallError) as caught:
            await trunk.call("echo.late", {})
        errors.append(caught.value)
        await asyncio.sleep(0.02)
    return errors


async def end_during_calls(warm: Any, process: Any, *links: ControlLink) -> tuple[list[str], list[Any]]:
    link, other = links
    async with AttachedTrunk(link, ["echo"]) as trunk, AttachedTrunk(other, ["echo"]) as second:
        calls = [asyncio.create_task(trunk.call(f"echo.wait-{delay}", {})) for delay in DELAYS * CALLS]
        await asyncio.to_thread(until, lambda: len(warm.journal().read().calls) == len(calls))
        process.send_signal(signal.SIGTERM)
        with pytest.raises(trunkline.CallError):  # noqa: PT012 - until the signal has come
            while True:
                await second.search("late")
        assert not calls[-1].done()
        ended = asyncio.Event()
        late = asyncio.create_task(call_late(second, ended))
        replies = await asyncio.gather(*calls)
        ended.set()
        return [reply.text for reply in replies], await late


def test_calls_in_flight_end_after_sigterm_and_none_is_accepted_any_more(warm: Any) -> None:
    warm.serve("echo", waiting())
    warm.write()
    folder = Path(warm.environ["XDG_RUNTIME_DIR"], "trunkline")
    with warm.start("up", "--foreground") as process:
        [record] = until(lambda: list(folder.glob("*.json")))
        digest = json.loads(record.read_text())["digest"]
        links = [ControlLink.open(str(record.with_suffix(".sock")), digest) for _ in range(2)]
        texts, late = asyncio.run(end_during_calls(warm, process, *links))
        run = warm.finish(process)
    assert texts == [f"waited {delay}" for delay in DELAYS * CALLS]
    assert late
    assert {(type(error), error.delivery) for error in late} == {(trunkline.UnavailableError, "never_sent")}
    calls = warm.journal().read().calls
    assert len(calls) == len(texts)
    assert all(call.executed for call in calls)
    assert run.code == 0, run.err
    assert "ending: a signal" in run.err
    assert warm.living() == []
