"""A thousand calls at once on one connection: each gets its own answer, and afterwards nothing is left."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio

CALLS = 1_000


class Census:
    """Tasks, descriptors, threads and children of this process."""

    def __init__(self) -> None:
        gc.collect()
        self.tasks = len(asyncio.all_tasks())
        self.descriptors = len(os.listdir("/proc/self/fd"))
        self.threads = threading.active_count()
        self.children = sum(
            len(path.read_text().split()) for path in Path("/proc/self/task").glob("*/children")
        )

    def __repr__(self) -> str:
        return repr(vars(self))


async def settle(before: Census) -> Census:
    """Give the census once it is what it was, or after a second."""
    after = Census()
    for _ in range(50):
        if vars(after) == vars(before):
            break
        await asyncio.sleep(0.02)
        after = Census()
    return after


def echoing(family: str) -> FakeServer:
    server = FakeServer(eras=[family])
    server.tool("echo", reports="arguments")
    return server


async def open_entry(stack: AsyncExitStack, server: FakeServer, carrier: str, folder: Path) -> Any:
    if carrier == "memory":
        return server
    if carrier == "stdio":
        return server.to_stdio_entry(folder)
    return {"url": await stack.enter_async_context(server.http(json=carrier == "json"))}


@pytest.mark.parametrize("family", ["legacy", "modern"])
@pytest.mark.parametrize("carrier", ["memory", "stdio", "json", "sse"])
async def test_a_thousand_concurrent_calls_are_not_mixed_up_and_leave_nothing(
    tmp_path: Path, carrier: str, family: str
):
    server = echoing(family)
    async with AsyncExitStack() as stack:
        entry = await open_entry(stack, server, carrier, tmp_path)
        async with trunkline.connect({"fake": entry}) as warm:
            await warm.call("fake.echo", {"n": 0})
        await asyncio.sleep(0)
        before = await settle(Census())
        async with trunkline.connect({"fake": entry}) as trunk:
            await trunk.ready()
            arguments = [{"n": n, "text": f"value {n} " * (n % 50)} for n in range(CALLS)]
            replies = await asyncio.gather(*(trunk.call("fake.echo", one) for one in arguments))
            assert [reply.value for reply in replies] == arguments
            assert len({reply.call_id for reply in replies}) == CALLS
            assert trunk.status()["fake"].restarts == 0
        after = await settle(before)
        assert vars(after) == vars(before)
    if carrier != "stdio":
        assert server.ledger.executed("echo") == CALLS + 1


async def test_calls_of_every_size_at_once_over_stdio_keep_their_own_answers(tmp_path: Path):
    server = echoing("modern")
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path)}) as trunk:
        await trunk.ready()
        arguments = [{"n": n, "text": chr(97 + n % 26) * (7**n % 300_000)} for n in range(60)]
        replies = await asyncio.gather(*(trunk.call("fake.echo", one) for one in arguments))
        assert [reply.value for reply in replies] == arguments


async def test_call_many_keeps_the_order_and_gives_errors_as_values():
    server = echoing("modern")
    server.tool("bad", rpc_error=(-32000, "no"))
    async with trunkline.connect({"fake": server}) as trunk:
        calls = [("fake.bad" if n % 3 == 0 else "fake.echo", {"n": n}) for n in range(100)]
        outcomes = await trunk.call_many([*calls, ("ghost.echo", None)], max_concurrency=7)
    assert len(outcomes) == 101
    for n, outcome in enumerate(outcomes[:-1]):
        if n % 3 == 0:
            assert isinstance(outcome, trunkline.ServerError)
        else:
            assert isinstance(outcome, trunkline.Reply)
            assert outcome.value == {"n": n}
    assert isinstance(outcomes[-1], trunkline.NotFoundError)


@pytest.mark.parametrize("carrier", ["memory", "stdio", "json", "sse"])
async def test_opening_and_closing_many_times_leaves_what_there_was(tmp_path: Path, carrier: str):
    server = echoing("legacy")
    async with AsyncExitStack() as stack:
        entry = await open_entry(stack, server, carrier, tmp_path)
        before = None
        for round_ in range(8):
            async with trunkline.connect({"fake": entry}) as trunk:
                await trunk.call("fake.echo", {"n": round_})
            if round_ == 0:
                before = await settle(Census())
        assert before is not None
        assert vars(await settle(before)) == vars(before)
