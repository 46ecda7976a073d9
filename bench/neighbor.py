"""A healthy server beside a sick one: how much longer its calls take while the neighbor is at its worst.

Small blocks with the neighbor at rest and at its worst alternate in one process, so that whatever else the
machine does meets both. A call's time is what its caller waits.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from bench.contenders import entry
from bench.target import server_env, stdio_target
from bench.verdict import Verdict
from bench.worker import Worker, WorkerError, last_line
from trunkline.testing import FakeServer

Command = dict[str, Any]
_SETTLE = 0.05
P50_MUST, P99_MUST, P99_MS = 1.10, 2.0, 5.0
"""The median may grow by a tenth; the 99th percentile to its double, or by 5 ms."""


@dataclass(frozen=True, kw_only=True)
class NeighborResult:
    """Milliseconds of each call, one list per block, in the order of the rounds."""

    kind: str
    rest: list[list[float]] = field(default_factory=list)
    worst: list[list[float]] = field(default_factory=list)
    invalid: str = ""

    @property
    def p50(self) -> float:
        """The median of the ratios of the blocks' medians, each with its neighbors in time."""
        return median(median(worst) / median(rest) for rest, worst in zip(self.rest, self.worst, strict=True))

    @property
    def p99(self) -> tuple[float, float]:
        """The 99th percentile over all blocks, at rest and at its worst."""
        rest, worst = (
            quantiles(chain.from_iterable(blocks), n=100)[98] for blocks in (self.rest, self.worst)
        )
        return rest, worst

    @property
    def p99_growth(self) -> float:
        """How much of what is allowed the 99th percentile has grown: 1 is all of it."""
        rest, worst = self.p99
        return (worst - rest) / max(rest * (P99_MUST - 1), P99_MS)

    def describe(self) -> str:
        """Give one line for people."""
        if self.invalid:
            return f"{self.kind}: INVALID: {last_line(self.invalid)}"
        rest, worst = self.p99
        middle = median(median(block) for block in self.rest)
        return (
            f"{self.kind}: p50 {middle:.2f} ms x {self.p50:.3f}; p99 {rest:.2f} ms, at worst {worst:.2f} ms"
        )


class Neighbor(NamedTuple):
    """One neighbor, and what brings it to its worst: so many callers at a time, patient for so long."""

    entry: Callable[[AsyncExitStack], Command]
    callers: int = 8
    patience: float = 60.0
    pause: float = 0.0
    """Seconds between two calls of one caller."""
    aftermath: float = 0.03
    """Seconds until it is at rest again."""


def _black_holed(stack: AsyncExitStack) -> Command:
    """What takes connections and never says anything."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
    return {"url": f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"}


def _slow(stack: AsyncExitStack) -> Command:
    server = FakeServer("slow")
    server.tool("echo", delay=0.2, returns="done")
    return server.to_stdio_entry(Path(stack.enter_context(tempfile.TemporaryDirectory())))


def _flapping(_: AsyncExitStack) -> Command:
    return _bare("bench.server_flap")


def _flooding(_: AsyncExitStack) -> Command:
    return _bare("bench.server_flood")


def _flooding_over(way: str) -> Callable[[AsyncExitStack], Command]:
    """Give a neighbor that floods over a network."""

    def start(stack: AsyncExitStack) -> Command:
        server = subprocess.Popen(
            [sys.executable, "-S", "-m", "bench.server_flood_network"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **server_env()},
        )
        stack.enter_context(server)
        assert server.stdin is not None
        assert server.stdout is not None
        stack.callback(server.stdin.close)
        return {"url": way.format(int(server.stdout.readline()))}

    return start


def _bare(module: str) -> Command:
    return {"command": sys.executable, "args": ["-S", "-m", module], "env": server_env()}


KINDS: Mapping[str, Neighbor] = {
    "black-holed": Neighbor(_black_holed, patience=0.1),
    "slow": Neighbor(_slow),
    "flapping": Neighbor(_flapping, callers=1, pause=0.25),
    "flooding": Neighbor(_flooding, callers=1, aftermath=0.7),
    **{
        f"flooding over {name}": Neighbor(_flooding_over(way), callers=1, aftermath=0.7)
        for name, way in (
            ("the answer of a POST", "http://127.0.0.1:{}/post"),
            ("the stream of a GET", "http://127.0.0.1:{}/get"),
            ("HTTP+SSE", "http://127.0.0.1:{}/sse"),
            ("WebSocket", "ws://127.0.0.1:{}/ws"),
        )
    },
}


@asynccontextmanager
async def job(spec: Command) -> AsyncIterator[Callable[[Command], Awaitable[Command]]]:
    """The child's part: `{"worst": bool, "calls": n}` gives the milliseconds of each call of one block."""
    import trunkline

    neighbor = KINDS[spec["kind"]]
    async with AsyncExitStack() as stack:
        servers = {"well": spec["entry"], "sick": neighbor.entry(stack)}
        policy = {"servers": {"sick": {"max_restarts": 0}}}
        trunk = await stack.enter_async_context(trunkline.connect({"mcpServers": servers}, policy=policy))
        await trunk.ready("well")

        async def run(command: Command) -> Command:
            if not command["worst"]:
                return {"ms": await _time_calls(trunk, command["calls"])}
            callers = [asyncio.create_task(_call_on(trunk, neighbor)) for _ in range(neighbor.callers)]
            await asyncio.sleep(_SETTLE)
            times = await _time_calls(trunk, command["calls"])
            if any(caller.done() for caller in callers):
                raise RuntimeError(f"the neighbor is not {spec['kind']}: {callers[0].exception()}")
            for caller in callers:
                caller.cancel()
            await asyncio.wait(callers)
            await asyncio.sleep(neighbor.aftermath)
            return {"ms": times}

        yield run


async def _call_on(trunk: Any, neighbor: Neighbor) -> None:
    import trunkline

    lost = (trunkline.DeadlineExceededError, trunkline.OutcomeUnknownError, trunkline.UnavailableError)
    while True:
        with suppress(*lost):
            await trunk.call("sick.echo", {"n": 1, "text": ""}, timeout=neighbor.patience)
        await asyncio.sleep(neighbor.pause)


async def _time_calls(trunk: Any, count: int) -> list[float]:
    times = []
    for number in range(count):
        text = f"the text of call {number}"
        began = time.perf_counter()
        reply = await trunk.call("well.echo", {"n": number, "text": text})
        times.append(1000 * (time.perf_counter() - began))
        if reply.text != text:
            raise RuntimeError(f"call {number} was answered with {reply.text!r}")
    return times


def measure(kind: str, *, rounds: int, calls: int = 300, uvloop: bool = False) -> NeighborResult:
    """Alternate blocks with the neighbor at rest and at its worst, in one process."""
    result = NeighborResult(kind=kind)
    try:
        target = stdio_target("legacy")
        with Worker("bench.neighbor:job", kind=kind, entry=entry(target), uvloop=uvloop) as worker:
            worker.wait_ready()
            worker.ask(worst=False, calls=calls)
            worker.ask(worst=True, calls=calls)
            for _ in range(rounds):
                for worst, blocks in ((False, result.rest), (True, result.worst)):
                    blocks.append(worker.ask(worst=worst, calls=calls)["ms"])
    except WorkerError as error:
        return NeighborResult(kind=kind, invalid=str(error))
    return result


def judge(result: NeighborResult) -> list[Verdict]:
    """Hold the growth of the median and of the 99th percentile against what is allowed."""
    what = f"calls beside a {result.kind} neighbor"
    note = last_line(result.invalid)
    p50 = None if result.invalid else result.p50
    p99 = None if result.invalid else result.p99_growth
    return [
        Verdict(what=f"{what}: p50", value=p50, unit="x", must=P50_MUST, note=note),
        Verdict(
            what=f"{what}: growth of p99 over all that is allowed", value=p99, unit="", must=1.0, note=note
        ),
    ]
