"""Whatever waits because of a process or a WebSocket, cut short at every such place."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.testing import Fault
from trunkline.testing.player import RealScenario
from trunkline.testing.stage import Lose
from trunkline.transport import stdio

HASTY = {"defaults": {"max_restarts": 0, "connect": 0.1}}
CRASH = Fault.crash_before_reply
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


def over_websocket(places: Any, family: str, fault: Fault | None = None) -> Any:
    """A server that has a fault at its first handshake."""

    def serve() -> Any:
        server = places.make_server(family)
        if fault is not None:
            server.fault("initialize", fault, times=1)
        return server.websocket(delay=0.001)

    return places.behind(serve)


def refusing(places: Any) -> Any:
    """A server that refuses every handshake."""

    @asynccontextmanager
    async def serve() -> AsyncIterator[Any]:
        async with over_websocket(places, "modern")() as (entry, lose):
            yield {"url": entry["url"] + "/elsewhere"}, lose

    return serve


def silent(places: Any) -> Any:
    """A server that answers no handshake."""

    @asynccontextmanager
    async def serve() -> AsyncIterator[Any]:
        async with over_websocket(places, "modern")() as found:
            places.answer_nothing()
            yield found

    return serve


def without_own_pipes(serve: Any) -> Any:
    """A process whose pipes are asyncio's, as on Windows."""

    @asynccontextmanager
    async def served() -> AsyncIterator[Any]:
        stdio.OWN_PIPES = False
        try:
            async with serve() as found:
                yield found
        finally:
            stdio.OWN_PIPES = True

    return served


def over_stdio(places: Any, folder: Path, fault: Fault | None = None, wrap: str = "", **options: Any) -> Any:
    """A process; what ends it finds it among the children of this one.

    Args:
        wrap: what a shell does before it becomes the process.
    """
    script = places.make_server("legacy", **options)
    if fault is not None:
        script.fault("resources/list", fault)
        script.fault("tools/list", Fault.delay(0.02))

    @asynccontextmanager
    async def serve() -> AsyncIterator[Any]:
        entry = script.to_stdio_entry(folder)
        if wrap:
            command = [entry["command"], *entry["args"]]
            entry |= {"command": "sh", "args": ["-c", f'{wrap} exec "$0" "$@"', *command]}
        places.stop_reading = lambda: kill_servers(folder, signal.SIGSTOP)
        yield entry, lambda: kill_servers(folder)

    return serve


async def leave_soon(trunk: trunkline.Trunk, _: Lose) -> None:
    """Have servers removed at every turn of their start."""
    await trunk.ready()
    for turns in range(10):
        await trunk.add("more", {"command": "cat"})
        for _ in range(turns):
            await asyncio.sleep(0)
        await trunk.remove("more")


def kill_servers(folder: Path, number: int = signal.SIGKILL) -> None:
    for listing in Path("/proc/self/task").glob("*/children"):
        for pid in listing.read_text().split():
            with suppress(OSError):
                if str(folder).encode() in Path("/proc", pid, "cmdline").read_bytes():
                    os.kill(int(pid), number)


def websocket_scenarios(places: Any, works: Any, known: Any) -> dict[str, dict[str, RealScenario]]:
    """Of servers of each family, and of one that ends over what is remembered of it."""
    ending = over_websocket(places, "legacy", CRASH)
    found = {family: scenarios_of(family, places, works) for family in ("modern", "legacy")}
    found["legacy"]["known"] = RealScenario(ending, works.list_all, options=known)
    return found


def scenarios_of(family: str, places: Any, works: Any) -> dict[str, RealScenario]:
    serve = over_websocket(places, family)
    return {
        "plain": RealScenario(serve, works.use),
        "questions": RealScenario(serve, works.answer),
        "much": RealScenario(serve, works.send_much),
        "deaf": RealScenario(serve, works.tell_the_deaf),
        "to its end": RealScenario(serve, works.end, final=True),
        "deaf end": RealScenario(serve, works.end_before_the_deaf, final=True),
        "refused": RealScenario(refusing(places), works.list_all, final=True),
        "silent": RealScenario(silent(places), works.list_all, final=True, options={"policy": HASTY}),
        "securely": RealScenario(places.securely(serve), works.start_in_vain, final=True),
    }


def process_scenarios(places: Any, works: Any, folder: Path) -> dict[str, dict[str, RealScenario]]:
    plain = over_stdio(places, folder)
    # A child that takes a moment to end.
    child = "(trap 'sleep 0.1; exit' TERM; sleep 60) </dev/null >/dev/null 2>&1 &"
    return {
        "legacy": {
            "plain": RealScenario(plain, works.start),
            "much": RealScenario(plain, works.send_much),
            "deaf": RealScenario(plain, works.tell_the_deaf),
            "to its end": RealScenario(plain, works.end, final=True),
            "leaving soon": RealScenario(plain, leave_soon),
            "with a child": RealScenario(over_stdio(places, folder, wrap=child), works.end, final=True),
            "with other pipes": RealScenario(without_own_pipes(plain), works.start),
            "once more": RealScenario(over_stdio(places, folder, discover="exit"), works.start),
            "dying of a list": RealScenario(over_stdio(places, folder, CRASH), works.list_all),
        }
    }


async def test_whatever_waits_over_a_websocket_can_be_cancelled_and_lose_its_server(
    cutter: Any, places: Any, works: Any, known: Any
):
    await cutter.cut("websocket", websocket_scenarios(places, works, known))


async def test_whatever_waits_for_a_process_can_be_cancelled_and_lose_it(
    cutter: Any, places: Any, works: Any, tmp_path: Path
):
    await cutter.cut("process", process_scenarios(places, works, tmp_path))


@pytest.mark.soak
async def test_all_of_streams_can_be_cut_wherever_anything_waits(
    cutter: Any, places: Any, works: Any, known: Any, tmp_path: Path
):
    await cutter.cut_all(websocket_scenarios(places, works, known))
    await cutter.cut_all(process_scenarios(places, works, tmp_path))
