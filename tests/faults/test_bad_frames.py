"""A frame that breaks the rules costs the one call it answers; the connection lives."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

CAP = 20_000
SMALL = {"servers": {"fake": {"limits": {"frame_bytes": CAP}}}}
ID_LAST = (
    '{"result":{"content":[{"type":"text","text":"' + "y" * (CAP + 500) + '"}]},"jsonrpc":"2.0","id":$ID}'
)
ID_MIDDLE = '{"result":{"content":[],"pad":"' + "y" * (CAP + 500) + '"},"id":$ID,"extra":1}'


def offering(family: str) -> FakeServer:
    server = FakeServer(eras=[family])
    server.tool("echo", reports="arguments")
    server.tool("bad", reports="arguments")
    server.tool("slow", returns="done", delay=0.15)
    return server


async def fail_beside_others(trunk: trunkline.Trunk) -> tuple[trunkline.CallError, float]:
    """Make the bad call while a slow one is in flight, which must not be harmed; then one more."""
    await trunk.ready()
    slow = asyncio.create_task(trunk.call("fake.slow"))
    await asyncio.sleep(0)
    started = time.perf_counter()
    with pytest.raises(trunkline.CallError) as caught:
        await trunk.call("fake.bad", timeout=5)
    elapsed = time.perf_counter() - started
    assert (await slow).text == "done"
    assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
    return caught.value, elapsed


@pytest.mark.parametrize(
    "fault",
    [Fault.oversized(CAP + 1), Fault.oversized(2 * CAP), Fault.raw(ID_LAST)],
    ids=["by one byte", "twofold", "id last"],
)
async def test_an_answer_over_the_limit_fails_its_call_within_a_second(way: Any, reach: Any, fault: Fault):
    await check_an_oversized_answer(way, reach, fault)


@pytest.mark.over("json", "sse")
async def test_over_http_an_answer_of_any_size_fails_its_call_alone(way: Any, reach: Any):
    await check_an_oversized_answer(way, reach, Fault.oversized(10 * CAP))


async def check_an_oversized_answer(way: Any, reach: Any, fault: Fault) -> None:
    server = offering(way.family)
    server.fault("bad", fault)
    async with reach(server, way, policy=SMALL) as trunk:
        error, elapsed = await fail_beside_others(trunk)
        assert trunk.status()["fake"].restarts == 0
    assert type(error) is trunkline.ProtocolError
    assert (error.code, error.delivery) == ("answer_too_large", "unknown")
    assert f"{CAP:,}" in str(error)
    assert "frame_bytes" in (error.hint or "")
    assert elapsed < 1


async def test_an_answer_of_exactly_the_limit_is_taken(way: Any, reach: Any):
    server = offering(way.family)
    server.fault("bad", Fault.oversized(CAP))
    async with reach(server, way, policy=SMALL) as trunk:
        assert (await trunk.call("fake.bad")).text.endswith("x")


@pytest.mark.over("stdio", "json", "sse")
async def test_a_frame_without_end_fails_its_call_and_the_next_one_works(way: Any, reach: Any):
    server = offering(way.family)
    server.fault("bad", Fault.endless)
    async with reach(server, way, policy=SMALL) as trunk:
        await trunk.ready()
        started = time.perf_counter()
        with pytest.raises(trunkline.CallError) as caught:
            await trunk.call("fake.bad", timeout=5)
        assert time.perf_counter() - started < 1
        assert (caught.value.delivery, caught.value.code) == ("unknown", "answer_too_large")
        assert (await trunk.call("fake.echo", {"n": 1}, timeout=10)).value == {"n": 1}


@pytest.mark.over("stdio")
async def test_a_frame_without_end_closes_the_link_at_twice_the_limit(way: Any, reach: Any):
    server = offering(way.family)
    server.fault("bad", Fault.endless)
    async with reach(server, way, policy=SMALL) as trunk:
        await trunk.ready()
        other = asyncio.create_task(trunk.call("fake.slow"))
        await asyncio.sleep(0)
        with pytest.raises(trunkline.ProtocolError):
            await trunk.call("fake.bad", timeout=5)
        with pytest.raises(trunkline.OutcomeUnknownError, match="without end"):
            await other


UNREADABLE = {
    "deep": Fault.deep(10_000),
    "just too deep": Fault.deep(65),
    "invalid UTF-8": Fault.invalid_utf8,
    "wide": Fault.raw('{"jsonrpc":"2.0","id":$ID,"result":{"content":[],"w":[' + "[]," * 300_000 + "[]]}}"),
    "error that is no object": Fault.raw('{"jsonrpc":"2.0","id":$ID,"error":"boom"}'),
    "method that is a number": Fault.raw('{"jsonrpc":"2.0","id":$ID,"method":7,"result":{}}'),
    "huge number": Fault.raw('{"jsonrpc":"2.0","id":$ID,"result":{"n":' + "9" * 5000 + "}}"),
    "result that is null": Fault.raw('{"jsonrpc":"2.0","id":$ID,"result":null}'),
    "result that is a list": Fault.raw('{"jsonrpc":"2.0","id":$ID,"result":[]}'),
    "neither result nor error": Fault.raw('{"jsonrpc":"2.0","id":$ID}'),
}


@pytest.mark.parametrize("kind", UNREADABLE)
async def test_an_unreadable_answer_fails_its_call_at_once_with_a_typed_error(
    way: Any, reach: Any, kind: str
):
    server = offering(way.family)
    server.fault("bad", UNREADABLE[kind])
    async with reach(server, way) as trunk:
        error, elapsed = await fail_beside_others(trunk)
        assert trunk.status()["fake"].restarts == 0
    assert type(error) is trunkline.ProtocolError
    assert error.code == "malformed_answer"
    assert error.delivery in ("unknown", "answered")
    assert elapsed < 1


@pytest.mark.over("memory", "stdio")
@pytest.mark.parametrize("fault", [Fault.garbage, Fault.wrong_id], ids=["garbage", "wrong id"])
async def test_an_answer_to_nobody_leaves_its_call_to_the_deadline(way: Any, reach: Any, fault: Fault):
    server = offering(way.family)
    server.fault("bad", fault)
    async with reach(server, way) as trunk:
        await trunk.ready()
        with pytest.raises(trunkline.DeadlineExceededError) as caught:
            await trunk.call("fake.bad", timeout=0.2)
        assert caught.value.delivery == "unknown"
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}


@pytest.mark.over("json", "sse")
@pytest.mark.parametrize("fault", [Fault.garbage, Fault.wrong_id], ids=["garbage", "wrong id"])
async def test_an_http_answer_to_nobody_fails_its_call_at_once(way: Any, reach: Any, fault: Fault):
    server = offering(way.family)
    server.fault("bad", fault)
    async with reach(server, way) as trunk:
        error, elapsed = await fail_beside_others(trunk)
    assert type(error) in (trunkline.ProtocolError, trunkline.OutcomeUnknownError)
    assert error.delivery == "unknown"
    assert elapsed < 1


@pytest.mark.over("memory", "stdio", "sse")
async def test_a_second_answer_to_the_same_call_is_dropped(way: Any, reach: Any):
    server = offering(way.family)
    server.fault("bad", Fault.duplicate_reply)
    async with reach(server, way) as trunk:
        for n in range(5):
            assert (await trunk.call("fake.bad", {"n": n})).value == {"n": n}
            assert (await trunk.call("fake.echo", {"n": n})).value == {"n": n}


@pytest.mark.over("json")
async def test_a_compressed_bomb_fails_its_call_and_no_other(way: Any, reach: Any):
    server = offering(way.family)
    server.fault("bad", Fault.gzip_bomb(5_000_000))
    async with reach(server, way) as trunk:
        error, elapsed = await fail_beside_others(trunk)
    assert (type(error), error.code) == (trunkline.ProtocolError, "answer_too_large")
    assert elapsed < 1


@pytest.mark.over("stdio")
async def test_text_on_stdout_before_and_between_frames_is_skipped(way: Any, tmp_path: Any):
    server = offering(way.family)
    entry = server.to_stdio_entry(tmp_path, prelude="starting up\n\n{not json}\n[1,2]\nnull\n")
    async with trunkline.connect({"fake": entry}) as trunk:
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
