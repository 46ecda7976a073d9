"""Calls that leave together: in one message where the revision has batches, each with its own fate."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.connection import batching
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

CARRIERS = ("memory", "stdio", "json", "sse", "websocket", "older")
ARRAYS = ("memory", "json", "sse", "websocket")
"""Where the fake counts batches in this process and they leave as such."""


def offering(revision: str = "2025-03-26", **options: Any) -> FakeServer:
    family = "modern" if revision == "2026-07-28" else "legacy"
    server = FakeServer("fake", eras=[family], versions=[revision], **options)
    server.tool("echo", reports="arguments")
    server.tool("slow", delay=30, returns="late")
    return server


async def told(calls: list[Any]) -> list[Any]:
    return [json.loads((await call).text) for call in calls]


@asynccontextmanager
async def reached(server: FakeServer, carrier: str, folder: Path, **options: Any) -> Any:
    if carrier == "memory":
        async with trunkline.connect({"fake": server}, **options) as trunk:
            yield trunk
        return
    if carrier == "stdio":
        async with trunkline.connect({"fake": server.to_stdio_entry(folder)}, **options) as trunk:
            yield trunk
        return
    ways = {
        "json": server.http,
        "sse": lambda: server.http(json=False),
        "websocket": server.websocket,
        "older": server.sse,
    }
    async with ways[carrier]() as url:
        entry = {"url": url, **({"type": "sse"} if carrier == "older" else {})}
        async with trunkline.connect({"fake": entry}, **options) as trunk:
            yield trunk


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_calls_of_a_batch_leave_in_one_message_and_each_gets_its_own_reply(
    carrier: str, tmp_path: Path
):
    server = offering()
    async with reached(server, carrier, tmp_path) as trunk:
        await trunk.ready("fake")
        async with trunk.batch() as batch:
            calls = [batch.call("fake.echo", {"n": n}) for n in range(5)]
            assert not any(call.done for call in calls)
        assert all(call.done for call in calls)
        assert await told(calls) == [{"n": n} for n in range(5)]
    assert server.batches == ([2, 5] if carrier in ARRAYS else [])


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-06-18", "2025-11-25", "2026-07-28"])
@pytest.mark.parametrize("carrier", ["memory", "json"])
async def test_with_another_revision_they_are_sent_one_by_one(carrier: str, revision: str, tmp_path: Path):
    server = offering(revision)
    async with reached(server, carrier, tmp_path) as trunk:
        async with trunk.batch() as batch:
            calls = [batch.call("fake.echo", {"n": n}) for n in range(5)]
        assert await told(calls) == [{"n": n} for n in range(5)]
    assert server.batches == []
    assert server.ledger.of("ping") == []


@pytest.mark.parametrize("carrier", ["memory", "json"])
async def test_a_server_that_cannot_read_batches_is_found_out_before_a_call_is_risked(
    carrier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(batching, "_PATIENCE", 0.1)
    server = offering(reads_batches=False)
    async with reached(server, carrier, tmp_path) as trunk:
        for _ in range(2):
            async with trunk.batch() as batch:
                calls = [batch.call("fake.echo", {"n": n}) for n in range(5)]
            assert await told(calls) == [{"n": n} for n in range(5)]
    assert len(server.calls) == 10
    assert server.batches == []


@pytest.mark.parametrize("carrier", ["memory", "json", "sse"])
async def test_an_error_costs_its_own_call_and_none_beside_it(carrier: str, tmp_path: Path):
    server = offering()
    server.tool("fails", returns="never")
    server.fault("fails", Fault.rpc_error(-32000, "no"))
    async with reached(server, carrier, tmp_path) as trunk:
        async with trunk.batch() as batch:
            good = [batch.call("fake.echo", {"n": n}) for n in range(3)]
            bad = batch.call("fake.fails")
            unknown = batch.call("fake.nothing")
            nowhere = batch.call("elsewhere.echo", timeout=5)
        assert await told(good) == [{"n": n} for n in range(3)]
        with pytest.raises(trunkline.ServerError):
            await bad
        for call in (unknown, nowhere):
            with pytest.raises(trunkline.NotFoundError):
                await call


@pytest.mark.parametrize("carrier", ["memory", "sse"])
async def test_a_cancelled_call_of_a_batch_is_cancelled_alone(carrier: str, tmp_path: Path):
    server = offering()
    async with reached(server, carrier, tmp_path) as trunk:
        batch = trunk.batch()
        async with asyncio.timeout(10), batch:
            slow, echo = batch.call("fake.slow"), batch.call("fake.echo", {"n": 1})
            batch.send()
            assert await told([echo]) == [{"n": 1}]
            assert slow.cancel("not wanted")
        with pytest.raises(asyncio.CancelledError):
            await slow
        await server.wait_for(lambda ledger: bool(ledger.of("notifications/cancelled")))
        (word,) = server.ledger.of("notifications/cancelled")
        (ran,) = server.ledger.of("tools/call", "slow")
        assert word.params == {"requestId": ran.request_id, "reason": "not wanted"}
        assert (await trunk.call("fake.echo", {"n": 2})).text == '{"n": 2}'


@pytest.mark.parametrize("carrier", ["memory", "json", "sse"])
async def test_each_call_of_a_batch_has_a_deadline_of_its_own(carrier: str, tmp_path: Path):
    server = offering()
    async with reached(server, carrier, tmp_path) as trunk:
        await trunk.ready("fake")
        async with asyncio.timeout(10), trunk.batch() as batch:
            slow = batch.call("fake.slow", timeout=0.2)
            echo = batch.call("fake.echo", {"n": 1}, timeout=20)
        with pytest.raises(trunkline.DeadlineExceededError) as caught:
            await slow
        assert caught.value.delivery == "unknown"
        assert await told([echo]) == [{"n": 1}]
