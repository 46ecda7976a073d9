"""Growth of the client's memory over many calls."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from bench.calls import Lane
from bench.tally import Tally
from bench.target import stdio_target
from bench.verdict import Verdict
from bench.worker import Worker, WorkerError, last_line

IN_FLIGHT = 50
_SLICES = 10
_WARM = 5_000


@dataclass(frozen=True, kw_only=True)
class MemoryResult:
    """Resident megabytes after each slice of the calls; the first entry is after the warm-up."""

    calls: int
    resident: list[float] = field(default_factory=list)
    invalid: str = ""

    @property
    def growth(self) -> float:
        """Megabytes per 100,000 calls: from the median of the first third to that of the last third."""
        third = max(1, len(self.resident) // 3)
        step = median(self.resident[-third:]) - median(self.resident[:third])
        covered = self.calls * (len(self.resident) - third) / (len(self.resident) - 1)
        return step / covered * 100_000

    def describe(self) -> str:
        """Give one line for people."""
        if self.invalid:
            return f"INVALID: {last_line(self.invalid)}"
        steps = [later - earlier for earlier, later in pairwise(self.resident)]
        return (
            f"{self.calls} calls, {IN_FLIGHT} in flight: {self.resident[0]:.1f} MB at first, "
            f"{self.resident[-1]:.1f} MB at the end, largest step {max(steps):.2f} MB"
        )


@asynccontextmanager
async def job(spec: dict[str, Any]) -> AsyncIterator[Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]]:
    """The child's part: rounds of calls as in `bench.child.calls`, with the resident size after each."""
    from bench.child import calls

    async with calls(spec) as run_calls:

        async def run(command: dict[str, Any]) -> dict[str, Any]:
            answer = await run_calls(command)
            gc.collect()
            return {**answer, "resident": resident_megabytes()}

        yield run


def measure(*, calls: int, uvloop: bool, contender: str = "trunkline") -> MemoryResult:
    """Make `calls` calls over stdio in slices and read the resident size after each."""
    result = MemoryResult(calls=calls)
    try:
        with tempfile.TemporaryDirectory() as place:
            tally = Tally.create(Path(place) / "tally")
            target = stdio_target("legacy", tally=Path(place) / "tally")
            with Worker("bench.memory:job", contender=contender, target=target, uvloop=uvloop) as worker:
                lane = Lane(worker, tally)
                lane.wait_ready()
                for count in (_WARM, *[calls // _SLICES] * _SLICES):
                    result.resident.append(lane.run(count, IN_FLIGHT)["resident"])
    except WorkerError as error:
        return MemoryResult(calls=calls, invalid=str(error))
    return result


def judge(result: MemoryResult) -> list[Verdict]:
    """Hold the growth against its budget."""
    value = None if result.invalid else result.growth
    note = last_line(result.invalid) or f"over {result.calls} calls"
    return [Verdict(what="memory growth per 100,000 calls", value=value, unit="MB", must=1.0, note=note)]


def resident_megabytes() -> float:
    """Give the resident set of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
