"""A catalog of 5,000 tools: CPU until it is listed, named and indexed, and how long a search takes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.contenders import entry
from bench.target import stdio_target
from bench.verdict import Verdict
from bench.worker import Worker, WorkerError, last_line

if TYPE_CHECKING:
    from trunkline import Trunk

TOOLS = 5_000
_QUERIES = (
    "export the {} as a spreadsheet",
    "which {} changed since yesterday",
    "delete one {} from the archive",
    "share a {} with the whole office",
    "what does approve {} do",
)
_NOUNS = ("invoice", "pull request", "customer ticket", "sensor report", "backup certificate", "contract")


@dataclass(frozen=True, kw_only=True)
class CatalogResult:
    """CPU seconds until the first search was answered, and CPU and wall seconds of each search after it."""

    cpu: float = 0.0
    searches: list[float] = field(default_factory=list)
    walls: list[float] = field(default_factory=list)
    invalid: str = ""
    skipped: str = ""
    """Why it was not run, if that is no failure."""

    @property
    def p99(self) -> float:
        """Milliseconds of CPU, in all threads, that 99 of 100 searches stay below."""
        return _percentile(self.searches, 0.99)

    def describe(self) -> str:
        """Give one line for people."""
        if self.invalid or self.skipped:
            return f"INVALID: {last_line(self.invalid)}" if self.invalid else f"skipped: {self.skipped}"
        wall = ", ".join(f"p{part * 100:.0f} {_percentile(self.walls, part):.1f} ms" for part in (0.5, 0.99))
        cpu = f"p50 {_percentile(self.searches, 0.5):.1f} ms, p99 {self.p99:.1f} ms"
        return f"{TOOLS} tools ready in {self.cpu:.2f} s of CPU; search: CPU {cpu}; wall {wall}"


@asynccontextmanager
async def job(spec: dict[str, Any]) -> AsyncIterator[Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]]:
    """The child's part: `{"searches": n}` connects, builds the catalog, and searches."""
    import trunkline

    async def run(command: dict[str, Any]) -> dict[str, Any]:
        cpu = time.process_time()
        async with trunkline.connect({"neutral": spec["entry"]}) as trunk:
            if not hasattr(trunk, "search"):
                return {"skipped": "this version has no search"}
            await trunk.ready()
            listed = len(trunk.catalog.tools)
            await trunk.search("export the invoice", limit=5)
            cpu = time.process_time() - cpu
            return {"cpu": cpu, "listed": listed, **await _search(trunk, command["searches"])}

    yield run


async def _search(trunk: Trunk, count: int) -> dict[str, list[float]]:
    searches, walls = [], []
    for number in range(count):
        query = _QUERIES[number % len(_QUERIES)].format(_NOUNS[number % len(_NOUNS)]) + f" {number}"
        wall, cpu = time.perf_counter(), time.process_time()
        await trunk.search(query, limit=5)
        searches.append(time.process_time() - cpu)
        walls.append(time.perf_counter() - wall)
    return {"searches": searches, "walls": walls}


def _percentile(values: list[float], part: float) -> float:
    return sorted(values)[int(len(values) * part)] * 1000


def measure(*, searches: int, uvloop: bool) -> CatalogResult:
    """Run it once in a process of its own."""
    try:
        server = entry(stdio_target("modern", tools=TOOLS))
        with Worker("bench.catalog:job", entry=server, uvloop=uvloop) as worker:
            worker.wait_ready()
            answer = worker.ask(searches=searches)
    except WorkerError as error:
        return CatalogResult(invalid=str(error))
    if "skipped" in answer:
        return CatalogResult(skipped=answer["skipped"])
    if answer["listed"] != TOOLS:
        return CatalogResult(invalid=f"{answer['listed']} tools listed instead of {TOOLS}")
    return CatalogResult(cpu=answer["cpu"], searches=answer["searches"], walls=answer["walls"])


def judge(result: CatalogResult) -> list[Verdict]:
    """Hold both numbers against their budgets."""
    missing = bool(result.invalid or result.skipped)
    cpu, p99 = (None, None) if missing else (result.cpu, result.p99)
    note = result.skipped or last_line(result.invalid)
    skipped = bool(result.skipped)
    listed, searched = "5,000 tools listed, named, indexed (CPU)", "search of 5,000 tools, p99 of CPU"
    return [
        Verdict(what=listed, value=cpu, unit="s", must=2.0, aim=1.0, note=note, skipped=skipped),
        Verdict(what=searched, value=p99, unit="ms", must=5.0, aim=2.0, note=note, skipped=skipped),
    ]
