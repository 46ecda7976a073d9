"""Machine-independent costs of one call against a stored budget: tasks, timers, callbacks, function calls.

`python -m bench.counts` prints them, `--write` stores them in `bench/budgets.json`. They are counted on the
default stack, through the public API, one call at a time, in a process of its own. The same code gives the
same counts on any machine, so CI can hold them where it cannot hold microseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from bench.answers import Family
from bench.contenders import CONTENDERS, CallTool
from bench.tally import Tally
from bench.target import ROOT, Kind, Target, serve_url, stdio_target
from bench.worker import Worker
from trunkline.telemetry.journal import MOST_CALLS

Counts = dict[str, float]
"""Per call: see `MEANING`."""

MEANING: Mapping[str, str] = {
    "tasks": "asyncio tasks created",
    "timers": "timers set on the loop (call_later and call_at)",
    "callbacks": "callbacks put on the loop's ready queue (call_soon, also from threads)",
    "own_calls": "Python frames entered in the trunkline package, resumed coroutines included",
    "all_calls": "Python frames entered in any code, asyncio and the transport's library included",
    "kept_blocks": "memory blocks still allocated afterwards; more than a trace is a leak",
}
SCENARIOS: Mapping[str, tuple[Kind, Family]] = {
    "stdio legacy": ("stdio", "legacy"),
    "stdio modern": ("stdio", "modern"),
    "http legacy": ("http", "legacy"),
    "http modern": ("http", "modern"),
    "sse legacy": ("sse", "legacy"),
    "websocket modern": ("websocket", "modern"),
}
TOLERANCE = 0.10
SLACK = 0.25
"""Absolute slack per call, for what happens once in a while and for budgets of zero."""
_BUDGETS = Path(__file__).with_name("budgets.json")
_CALLS = 200
_WARM = 50
_KEPT_CALLS = 1_000
"""So many that what is allocated once, and not per call, is a trace."""


def measure(scenario: str, contender: str = "trunkline") -> Counts:
    """Count one scenario in a fresh process.

    Raises WorkerError when that process fails or the server did not see every call.
    """
    kind, family = SCENARIOS[scenario]
    with tempfile.TemporaryDirectory() as place, _target(kind, family, Path(place) / "tally") as target:
        with Worker("bench.counts:job", contender=contender, target=target) as worker:
            worker.wait_ready()
            counts: Counts = worker.ask()
        return counts


def exceeded(counts: Counts, budget: Counts) -> list[str]:
    """Say, one sentence each, which counts are above their budget by more than the tolerance."""
    return [
        f"{name} per call: {value:.2f}, budget {budget.get(name, 0.0):.2f} ({MEANING[name]})"
        for name, value in counts.items()
        if value > budget.get(name, 0.0) * (1 + TOLERANCE) + SLACK
    ]


def read_budgets() -> dict[str, Counts]:
    """Give the stored budget of every scenario."""
    budgets: dict[str, Counts] = json.loads(_BUDGETS.read_text())
    return budgets


@asynccontextmanager
async def job(spec: dict[str, Any]) -> AsyncIterator[Callable[[dict[str, Any]], Awaitable[Counts]]]:
    """The child's part: connect, warm up, and count."""
    async with CONTENDERS[spec["contender"]].connect(Target(**spec["target"])) as connection:

        async def run(_: dict[str, Any]) -> Counts:
            numbers = iter(range(1, 1_000_000))
            await _make_calls(connection.call, numbers, _WARM)
            counts = await _count_loop(connection.call, numbers)
            counts |= await _count_frames(connection.call, numbers)
            return counts | await _count_blocks(connection.call, numbers)

        yield run


async def _make_calls(call: CallTool, numbers: Iterator[int], count: int) -> None:
    for _ in range(count):
        number = next(numbers)
        if await call("echo", {"n": number, "text": f"call {number}"}) != f"call {number}":
            raise RuntimeError(f"call {number} was answered with the text of another call")


async def _count_loop(call: CallTool, numbers: Iterator[int]) -> Counts:
    """Count what the loop is asked to do, by standing in front of its methods."""
    loop: Any = asyncio.get_running_loop()
    names = {"create_task": "tasks", "call_at": "timers"}
    names |= {"call_soon": "callbacks", "call_soon_threadsafe": "callbacks"}
    counts = dict.fromkeys(names.values(), 0.0)

    def count(name: str) -> Callable[..., Any]:
        original = getattr(loop, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            counts[names[name]] += 1 / _CALLS
            return original(*arguments, **options)

        return counted

    for name in names:
        setattr(loop, name, count(name))
    try:
        await _make_calls(call, numbers, _CALLS)
    finally:
        for name in names:
            delattr(loop, name)
    return counts


async def _count_frames(call: CallTool, numbers: Iterator[int]) -> Counts:
    counts = {"own_calls": 0.0, "all_calls": 0.0}

    def enter(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            counts["all_calls"] += 1 / _CALLS
            if "/trunkline/" in frame.f_code.co_filename:
                counts["own_calls"] += 1 / _CALLS

    sys.setprofile(enter)
    try:
        await _make_calls(call, numbers, _CALLS)
    finally:
        sys.setprofile(None)
    return counts


async def _count_blocks(call: CallTool, numbers: Iterator[int]) -> Counts:
    # The journal keeps the last calls: it must be full before what is kept for ever can be seen.
    await _make_calls(call, numbers, MOST_CALLS)
    gc.collect()
    before = sys.getallocatedblocks()
    await _make_calls(call, numbers, _KEPT_CALLS)
    gc.collect()
    return {"kept_blocks": max(0.0, (sys.getallocatedblocks() - before) / _KEPT_CALLS)}


@contextmanager
def _target(kind: Kind, family: Family, tally: Path) -> Iterator[Target]:
    Tally.create(tally).close()
    if kind == "stdio":
        yield stdio_target(family, tally=tally)
        return
    with serve_url(kind, family, tally) as target:
        yield target


def main() -> int:
    """Print every scenario beside its budget; with `--write`, make them the budget."""
    parser = argparse.ArgumentParser(prog="python -m bench.counts", description=__doc__)
    parser.add_argument(
        "--write", action="store_true", help=f"store the counts in {_BUDGETS.relative_to(ROOT)}"
    )
    parser.add_argument("--contender", default="trunkline", choices=sorted(CONTENDERS))
    options = parser.parse_args()
    budgets = read_budgets() if _BUDGETS.exists() else {}
    found = {scenario: measure(scenario, options.contender) for scenario in SCENARIOS}
    for scenario, counts in found.items():
        print(scenario)
        for name, value in counts.items():
            limit = budgets.get(scenario, {}).get(name, 0.0)
            print(f"  {name:<12} {value:8.2f}  budget {limit:8.2f}  {MEANING[name]}")
    if options.write:
        rounded = {
            name: {key: round(value, 2) for key, value in counts.items()} for name, counts in found.items()
        }
        _BUDGETS.write_text(json.dumps(rounded, indent=2) + "\n")
        return 0
    return 1 if any(exceeded(found[name], budgets.get(name, {})) for name in found) else 0


if __name__ == "__main__":
    sys.exit(main())
