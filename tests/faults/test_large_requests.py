"""Requests of megabytes: they arrive whole, warn of nothing, and hold nobody up while they leave."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from trunkline.core.call import Flight
from trunkline.telemetry import WireRecord
from trunkline.testing import FakeServer
from trunkline.transport.http_client import TrackedBody

pytestmark = pytest.mark.anyio

TEXT = "x" * 2_500_000


class Writer:
    """Takes what is written, and notes in which turn of the loop it came."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.turns: list[int] = []
        self._turn = 0

    async def write(self, chunk: bytes | memoryview) -> None:
        self.pieces.append(bytes(chunk))
        self.turns.append(self._turn)

    async def count_turns(self) -> None:
        while True:
            await asyncio.sleep(0)
            self._turn += 1


def echoing(family: str) -> FakeServer:
    server = FakeServer(eras=[family])
    server.tool("length", reports="arguments")
    return server


async def test_a_large_request_arrives_whole(way: Any, reach: Any):
    server = echoing(way.family)
    async with reach(server, way) as trunk:
        reply = await trunk.call("fake.length", {"text": TEXT}, timeout=30)
    assert reply.value == {"text": TEXT}


@pytest.mark.parametrize(
    ("size", "length"), [(0, None), (100, None), (100, 60), (2**21 + 1, None), (2**20, 9)]
)
async def test_a_body_leaves_as_it_is_and_no_turn_of_the_loop_writes_much(size: int, length: int | None):
    body = (b"0123456789" * (size // 10 + 1))[:size]
    writer, flight = Writer(), Flight(0.0)
    counting = asyncio.ensure_future(writer.count_turns())
    await asyncio.sleep(0)
    payload = TrackedBody(body, [flight])
    assert (payload.size, flight.delivery) == (size, "never_sent")
    await payload.write_with_length(writer, length)
    counting.cancel()
    assert b"".join(writer.pieces) == body[:length]
    assert flight.delivery == "unknown"
    assert max(map(len, writer.pieces), default=0) <= 2**18
    assert len(set(writer.turns)) == len(writer.turns)


@pytest.mark.over("json", "older")
async def test_the_wire_log_shows_a_large_request_once(way: Any, reach: Any):
    records: list[WireRecord] = []
    async with reach(echoing(way.family), way, wire=records.append) as trunk:
        await trunk.call("fake.length", {"text": TEXT}, timeout=30)
    large = [record for record in records if record.direction == "sent" and record.size > 100_000]
    assert len(large) == 1
    assert large[0].size > len(TEXT)
    assert large[0].http is not None
    assert large[0].http.method == "POST"
    assert '"tools/call"' in large[0].body
