"""Starting and stopping over and over leaves a process as it was: descriptors, threads, children, memory."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trunkline.testing import FakeServer

pytestmark = [pytest.mark.anyio, pytest.mark.alone]

MOST_MB = 2.0
CYCLES = """
import asyncio, ctypes, gc, json, os, sys
import trunkline

ENTRIES, COUNT, WARM = json.loads(sys.argv[1]), int(sys.argv[2]), 30

def census():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    tasks = os.listdir("/proc/self/task")
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": len(tasks),
        "children": sum(len(open(f"/proc/self/task/{task}/children").read().split()) for task in tasks),
        "tasks": len(asyncio.all_tasks()),
        "mb": int(status["VmRSS"].split()[0]) / 1024,
    }

async def main():
    for number in range(WARM + COUNT):
        if number == WARM:
            before = census()
        entries = ENTRIES[number % len(ENTRIES)]
        async with trunkline.connect({"mcpServers": entries}) as trunk:
            replies = await asyncio.gather(*(trunk.call(f"{name}.echo", {"n": number}) for name in entries))
            assert [reply.value["n"] for reply in replies] == [number] * len(entries)
    await asyncio.sleep(0)
    print(json.dumps([before, census()]))

asyncio.run(main())
"""


def echoing(name: str, family: Any) -> FakeServer:
    server = FakeServer(name, eras=[family], keep=10)
    server.tool("echo", reports="arguments")
    return server


async def cycle(folder: Path, count: int) -> tuple[dict[str, float], dict[str, float]]:
    """Start and stop a runtime in a process of its own, over pipes and HTTP; give its census twice."""
    async with echoing("web", "legacy").http() as old, echoing("web", "modern").http() as new:
        entries = [
            {"piped": echoing("old", "legacy").to_stdio_entry(folder), "web": {"url": new}},
            {"piped": echoing("new", "modern").to_stdio_entry(folder), "web": {"url": old}},
        ]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CYCLES, json.dumps(entries), str(count)), stdout=subprocess.PIPE
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    before, after = json.loads(output)
    return before, after


async def check(folder: Path, count: int) -> None:
    before, after = await cycle(folder, count)
    grown = after.pop("mb") - before.pop("mb")
    assert after == before
    assert grown <= MOST_MB


async def test_a_hundred_starts_and_stops_leave_nothing(tmp_path: Path):
    await check(tmp_path, 100)


@pytest.mark.soak
async def test_a_thousand_starts_and_stops_leave_nothing(tmp_path: Path):
    await check(tmp_path, 1000)
