"""Twenty servers, three of them sick, against the seventeen healthy ones alone: time until those are ready.

The sick cost almost no CPU of their own (a shell each), so the ratio shows what the client makes of
them: one never answers, one exits at once, one answers every line with broken JSON.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.contenders import entry
from bench.target import stdio_target
from bench.verdict import Verdict
from bench.worker import Worker, WorkerError, last_line

HEALTHY = 17
SICK = {
    "hung": "exec sleep 600",
    "crashing": "exit 3",
    "malformed": """while read line; do echo '{"jsonrpc": "2.0", "id": 1, "result": '; done""",
}


@dataclass(frozen=True, kw_only=True)
class FleetResult:
    """Seconds until the healthy servers are ready, one entry per round."""

    alone: list[float] = field(default_factory=list)
    mixed: list[float] = field(default_factory=list)
    invalid: str = ""

    def describe(self) -> str:
        """Give one line for people."""
        if self.invalid:
            return f"INVALID: {last_line(self.invalid)}"
        return f"17 alone {median(self.alone):.2f} s; with 3 sick servers {median(self.mixed):.2f} s"


@asynccontextmanager
async def job(spec: dict[str, Any]) -> AsyncIterator[Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]]:
    """The child's part: `{"sick": bool}` gives seconds from `connect` until all healthy servers are ready."""
    import trunkline

    healthy = {f"server{number}": spec["entry"] for number in range(HEALTHY)}
    sick = {name: {"command": "/bin/sh", "args": ["-c", script]} for name, script in SICK.items()}

    async def run(command: dict[str, Any]) -> dict[str, Any]:
        start = time.monotonic()
        async with trunkline.connect({**sick, **healthy} if command["sick"] else healthy) as trunk:
            await asyncio.gather(*(trunk.ready(name, timeout=60) for name in healthy))
            seconds = time.monotonic() - start
            states = trunk.status()
            return {"seconds": seconds, "ready": sum(states[name].state == "ready" for name in healthy)}

    yield run


def measure(*, rounds: int, uvloop: bool) -> FleetResult:
    """Alternate both fleets in one process."""
    result = FleetResult()
    try:
        with Worker("bench.fleet:job", entry=entry(stdio_target("legacy")), uvloop=uvloop) as worker:
            worker.wait_ready()
            worker.ask(sick=False)
            for _ in range(rounds):
                for sick, seconds in ((False, result.alone), (True, result.mixed)):
                    answer = worker.ask(sick=sick)
                    if answer["ready"] != HEALTHY:
                        return FleetResult(
                            invalid=f"{answer['ready']} of {HEALTHY} healthy servers were ready"
                        )
                    seconds.append(answer["seconds"])
    except WorkerError as error:
        return FleetResult(invalid=str(error))
    return result


def judge(result: FleetResult) -> list[Verdict]:
    """Hold the ratio against its budget."""
    value = None if result.invalid else median(result.mixed) / median(result.alone)
    what = "17 servers ready beside 3 sick ones / 17 alone"
    note = last_line(result.invalid)
    return [Verdict(what=what, value=value, unit="x", must=1.5, aim=1.2, note=note)]
