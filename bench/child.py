"""The process of one contender in one row: it connects once and then runs rounds as it is told.

Standard input brings one JSON command per line, standard output takes one JSON answer per command. All
that is measured happens between two readings of this process's own CPU clock, so neither the server nor
the bench counts, and all threads of the contender do.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from bench.contenders import CONTENDERS, Connection
from bench.placement import pin
from bench.target import Target

Command = dict[str, Any]
Job = Callable[[Command], AbstractAsyncContextManager[Callable[[Command], Awaitable[Command]]]]
"""Opens what the job needs and gives the function that answers its commands."""

_MASK = (1 << 64) - 1


@asynccontextmanager
async def calls(spec: Command) -> AsyncIterator[Callable[[Command], Awaitable[Command]]]:
    """Rounds of small calls: `{"calls": n, "in_flight": k}` gives CPU and wall seconds of that round."""
    target = Target(**spec["target"])
    async with CONTENDERS[spec["contender"]].connect(target) as connection:
        if connection.revision != target.revision:
            raise RuntimeError(f"negotiated {connection.revision!r}, the row is about {target.revision!r}")
        numbers = itertools.count(1)

        async def run(command: Command) -> Command:
            return await run_round(connection, numbers, command["calls"], command["in_flight"])

        yield run


@asynccontextmanager
async def large(spec: Command) -> AsyncIterator[Callable[[Command], Awaitable[Command]]]:
    """One large result: `{"size": n}` gives the moment at which its text was in hand, decoded."""
    target = Target(**spec["target"])
    async with CONTENDERS[spec["contender"]].connect(target) as connection:
        numbers = itertools.count(1)

        async def run(command: Command) -> Command:
            gc.collect()
            text = await connection.call("large", {"n": next(numbers), "size": command["size"]})
            return {"done": time.monotonic(), "size": len(text)}

        yield run


async def run_round(connection: Connection, numbers: Iterator[int], count: int, in_flight: int) -> Command:
    """Make `count` calls with `in_flight` of them open at any time; every answer is compared."""
    mine = list(itertools.islice(numbers, count))
    queue = iter(mine)
    call = connection.call

    async def work() -> None:
        for number in queue:
            text = f"the text of call {number}, long enough to look like a short sentence of a real argument"
            if await call("echo", {"n": number, "text": text}) != text:
                raise RuntimeError(f"call {number} was answered with the text of another call")

    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"calls": count, "total": sum(mine) & _MASK, "cpu": cpu, "wall": wall}


def _job(name: str) -> Job:
    """Find the job `calls`, or `module:function` of the sections that bring their own."""
    if ":" not in name:
        return {"calls": calls, "large": large}[name]
    module, function = name.split(":")
    job: Job = getattr(importlib.import_module(module), function)
    return job


async def _serve(spec: Command) -> None:
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async with _job(spec["job"])(spec) as run:
        _answer({"ready": True, "loop": f"{type(loop).__module__}.{type(loop).__qualname__}"})
        while line := await commands.readline():
            _answer(await run(json.loads(line)))


def _answer(message: Command) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the job described by the JSON in the first argument."""
    spec: Command = json.loads(sys.argv[1])
    pin(spec.get("processor"))
    factory = None
    if spec.get("uvloop"):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(spec))


if __name__ == "__main__":
    main()
