"""Ten thousand calls in real time: dripped, flooded and commented on until their deadlines, or cancelled.

`tests/simulation/test_ten_thousand.py` does the same on virtual time, where nothing costs anything.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault
from trunkline.testing.meters import fair_time, percentile
from trunkline.testing.server_process import ServerProcess

pytestmark = [pytest.mark.anyio, pytest.mark.alone, pytest.mark.usefixtures("own_garbage")]

SHARES = {"stdio": 4_000, "json": 2_000, "sse": 2_000, "older": 1_000, "websocket": 1_000}
CANCELLED = {"stdio": 1_000, "json": 1_500, "sse": 1_500, "older": 500, "websocket": 5_500}
LONGEST = {"stdio": 0.05, "json": 0.2, "sse": 0.2, "older": 0.4, "websocket": 0.05}
"""Seconds after which a call is cancelled at the latest; a request over HTTP costs both sides more."""
AT_ONCE = 25
ON_ONE_STREAM = {"older": 12, "websocket": 12}
"""So many at once where all share a stream that drips: of more, next to none is answered."""
NO_BREAKER = {"defaults": {"breaker": {"enabled": False}}}
"""So many calls that end at their deadline would open it, and then be turned away at once."""
LATE = 0.05
ATTEMPTS = 5
"""On a busy machine one attempt of a few is undisturbed."""


def test_the_shares_of_all_carriers_are_ten_thousand_calls():
    assert sum(SHARES.values()) == sum(CANCELLED.values()) == 10_000


async def in_parallel(count: int, one: Callable[[int], Awaitable[None]], at_once: int = AT_ONCE) -> None:
    """Run `one(number)` so many times, some at once."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await one(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())


def tiresome(carrier: str) -> FakeServer:
    server = FakeServer(eras=["legacy" if carrier in ("sse", "older") else "modern"])
    server.tool("echo", reports="arguments")
    server.tool("silent", delay=600)
    server.tool("flood", delay=0.001, progress=[(n, None, None) for n in range(10)], returns="done")
    # Where all calls share one stream, that stream drips, and has comments or pings.
    if carrier in ("stdio", "json", "sse"):
        server.tool("drip", returns="x" * 100)
        server.fault("drip", Fault.drip(0.0005 if carrier == "stdio" else 0.01))
    if carrier in ("json", "sse"):
        server.tool("comments", returns="x")
        server.fault("comments", Fault.comments(0.01))
    return server


async def call_all(entry: Any, tools: list[str], count: int, at_once: int) -> tuple[float, int]:
    """Make the calls; give by how many seconds one outlived its deadline, and how many had a reply."""
    chance = random.Random(count)
    latest, replied = 0.0, 0

    async with trunkline.connect({"fake": entry}, policy=NO_BREAKER) as trunk:
        await trunk.ready("fake")

        async def one(_: int) -> None:
            nonlocal latest, replied
            # What drips takes its stream for itself, so over a shared one it is seldom asked for.
            tool = chance.choices(tools, [1 if name == "drip" else 20 for name in tools])[0]
            timeout = chance.choice((0.005, 0.02, 0.1, 0.2)) * chance.random()
            started = fair_time()
            try:
                await trunk.call(f"fake.{tool}", timeout=timeout, on_progress=lambda _: None)
                replied += 1
            except trunkline.DeadlineExceededError:
                pass
            latest = max(latest, fair_time() - started - timeout)

        await in_parallel(count, one, at_once)
        assert (await trunk.call("fake.echo", {"n": 1}, timeout=20)).value == {"n": 1}
    return latest, replied


@pytest.mark.parametrize("carrier", SHARES)
async def test_no_call_outlives_its_deadline_by_more_than_50_ms(carrier: Any, tmp_path: Path):
    server = tiresome(carrier)
    tools = list(server.tools)
    with ServerProcess() as process:
        if carrier == "stdio":
            entry = server.to_stdio_entry(tmp_path)
        else:
            kind = {"type": "sse"} if carrier == "older" else {}
            entry = {"url": process.serve(server, carrier, tiresome=True), **kind}
        for _ in range(ATTEMPTS):
            at_once = ON_ONE_STREAM.get(carrier, AT_ONCE)
            latest, replied = await call_all(entry, tools, SHARES[carrier], at_once)
            if latest <= LATE:
                break
    assert latest <= LATE
    assert 0 < replied < SHARES[carrier]


@asynccontextmanager
async def reach(server: FakeServer, carrier: str, relayed: Any) -> AsyncIterator[Any]:
    """Serve in this process, so that one fair clock tells the moments of both sides."""
    match carrier:
        case "stdio":
            async with relayed(server) as entry:
                yield entry
        case "older":
            async with server.sse() as url:
                yield {"url": url, "type": "sse"}
        case "websocket":
            async with server.websocket() as url:
                yield {"url": url}
        case _:
            async with server.http(json=carrier == "json") as url:
                yield {"url": url}


async def cancel_all(carrier: str, count: int, relayed: Any) -> list[float]:
    """Cancel so many calls; give the seconds after which the server knew, of those it had begun."""
    chance = random.Random(7)
    server = FakeServer("fake", eras=["legacy" if carrier in ("sse", "older") else "modern"])
    server.tool("echo", reports="arguments")
    server.tool("silent", delay=600)
    given_up: dict[int, float] = {}
    told: dict[int, float] = {}

    def learn(what: str, message: Any) -> None:
        if what == "cancelled":
            told[message.arguments["number"]] = fair_time()

    async with reach(server, carrier, relayed) as entry, trunkline.connect({"fake": entry}) as trunk:
        await trunk.ready("fake")
        server.ledger.sink = learn

        async def one(number: int) -> None:
            call = asyncio.create_task(trunk.call("fake.silent", {"number": number}))
            await asyncio.sleep(LONGEST[carrier] * chance.random())
            call.cancel()
            given_up[number] = fair_time()
            with pytest.raises(asyncio.CancelledError):
                await call

        await in_parallel(count, one)
        assert (await trunk.call("fake.echo", {"n": 1}, timeout=20)).value == {"n": 1}
        ran = server.ledger.of("tools/call", "silent")
        await server.wait_for(lambda _: len(told) == len(ran), timeout=20)
    return [told[number] - given_up[number] for number in told]


@pytest.mark.parametrize("carrier", CANCELLED)
async def test_a_server_learns_of_a_cancelled_call_within_50_ms(carrier: str, relayed: Any):
    for _ in range(ATTEMPTS):
        spans = await cancel_all(carrier, CANCELLED[carrier], relayed)
        if percentile(spans, 99) <= LATE:
            break
    assert len(spans) > CANCELLED[carrier] / 4
    assert percentile(spans, 99) <= LATE
