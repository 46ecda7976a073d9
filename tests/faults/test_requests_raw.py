"""Resources in chunks, and requests of any method: whole, bounded, and past no check."""

from __future__ import annotations

import asyncio
import base64
import tracemalloc
from typing import Any

import pytest

import trunkline
from trunkline.runtime.chunks import cut_contents
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

PICTURE = bytes(range(256)) * 40


def offering(**options: Any) -> FakeServer:
    server = FakeServer(**options)
    server.tool("echo", reports="arguments")
    server.resource("mem://text", "hello\nworld", mime_type="text/plain")
    server.resource("mem://picture", data=PICTURE, mime_type="image/png")
    return server


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 1000, 10_000])
@pytest.mark.parametrize("chunk_bytes", [4, 7, 1024])
async def test_a_resource_comes_whole_in_chunks_no_longer_than_asked_for(size: int, chunk_bytes: int):
    server = FakeServer()
    server.resource("mem://bytes", data=(PICTURE * 2)[:size])
    server.resource("mem://text", ("h\u00e9llo \U0001f600 " * 2000)[:size])
    async with trunkline.connect({"fake": server}) as trunk:
        for uri, whole in (
            ("mem://bytes", (PICTURE * 2)[:size]),
            ("mem://text", ("h\u00e9llo \U0001f600 " * 2000)[:size].encode()),
        ):
            chunks = [chunk async for chunk in trunk.read_chunks(uri, chunk_bytes=chunk_bytes)]
            assert b"".join(chunk.data for chunk in chunks) == whole
            assert all(0 < len(chunk.data) <= chunk_bytes for chunk in chunks)
            assert {(chunk.uri, chunk.position) for chunk in chunks} <= {(uri, 0)}


@pytest.mark.parametrize("blob", ["AAAA!AAA", "AA==AAAA", "AAAAA", "AAA\u00e9"])
async def test_broken_base64_ends_the_stream_after_what_was_right(blob: str):
    class Broken(FakeServer):
        def complete(self, result: Any, method: str) -> dict[str, Any]:
            broken = {"contents": [{"uri": "mem://a", "text": "first"}, {"uri": "mem://b", "blob": blob}]}
            return super().complete(broken if method == "resources/read" else result, method)

    server = Broken(eras=["modern"])
    server.resource("mem://a", "x")
    async with trunkline.connect({"fake": server}) as trunk:
        given: list[trunkline.Chunk] = []

        async def follow() -> None:
            async for chunk in trunk.read_chunks("mem://a", chunk_bytes=4):
                given.append(chunk)

        with pytest.raises(trunkline.ProtocolError, match="base64"):
            await follow()
        assert b"".join(chunk.data for chunk in given if chunk.position == 0) == b"first"


async def test_a_stream_that_is_left_early_or_cancelled_leaves_nothing():
    server = offering()
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        stream = trunk.read_chunks("mem://picture", chunk_bytes=100)
        assert (await anext(stream)).data == PICTURE[:99]
        await stream.aclose()
        server.fault("resources/read", Fault.hang)
        stream = trunk.read_chunks("mem://picture")
        step = asyncio.ensure_future(anext(stream))
        await server.wait_for(lambda ledger: len(ledger.of("resources/read")) == 2)
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        await server.wait_for(lambda ledger: ledger.of("resources/read")[-1].cancelled)
        with pytest.raises(ValueError, match="chunk_bytes"):
            trunk.read_chunks("mem://picture", chunk_bytes=3)


@pytest.mark.parametrize("kind", ["text", "blob"])
def test_beyond_the_message_a_stream_holds_a_chunk_at_a_time(kind: str):
    whole = base64.b64encode(bytes(6_000_000)).decode() if kind == "blob" else "x" * 6_000_000
    contents = [{"uri": "mem://a", kind: whole}, {"uri": "mem://b", kind: whole}]
    reply = trunkline.ReadReply(raw={"contents": contents}, server="s", tool="s mem://a", uri="mem://a")
    tracemalloc.start()
    try:
        sizes = [len(chunk.data) for chunk in cut_contents(reply, 65_536)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(sizes) == 12_000_000
    assert peak < 8 * 65_536


async def test_any_method_can_be_asked_and_its_result_comes_as_it_is(way: Any, reach: Any):
    server = offering(eras=[way.family])
    async with reach(server, way) as trunk:
        reply = await trunk.request("fake", "tools/list", {"_meta": {"mine": 1}})
        assert [one["name"] for one in reply.raw["tools"]] == ["echo"]
        with pytest.raises(trunkline.ServerError) as caught:
            await trunk.request("fake", "no/such", {"a": 1})
        assert (caught.value.rpc_code, caught.value.delivery) == (-32601, "refused")
        assert (await trunk.request("fake", "tools/call", {"name": "echo", "arguments": {"a": 1}})).value == {
            "a": 1
        }
        await trunk.notify("fake", "notifications/own", {"b": 2})
        if way.carrier != "stdio":
            assert server.ledger.of("tools/list")[-1].meta["mine"] == 1
            await server.wait_for(lambda ledger: ledger.of("notifications/own"))
            assert server.ledger.of("notifications/own")[0].params == {"b": 2}


async def test_a_raw_call_of_a_tool_passes_by_no_check():
    server = FakeServer()
    server.tool("strict", schema={"type": "object", "required": ["a"]}, reports="arguments")
    async with trunkline.connect({"fake": server}) as trunk:
        with pytest.raises(trunkline.InvalidArgumentsError):
            await trunk.request("fake", "tools/call", {"name": "strict", "arguments": {}})
        with pytest.raises(trunkline.InvalidArgumentsError):
            await trunk.request("fake", "tools/call", {"name": "strict", "arguments": {"a": 1}, "task": {}})
        assert server.calls == []


async def test_what_is_no_json_or_goes_to_no_server_is_refused_at_once():
    async with trunkline.connect({"fake": offering()}) as trunk:
        with pytest.raises(trunkline.InvalidArgumentsError):
            await trunk.request("fake", "x/y", {"a": object()})
        with pytest.raises(trunkline.InvalidArgumentsError):
            await trunk.notify("fake", "x/y", {"a": object()})
        for ask in (trunk.request("none", "x"), trunk.notify("none", "x"), trunk.read("a:b", "none")):
            with pytest.raises(trunkline.NotFoundError) as caught:
                await ask
            assert caught.value.candidates == ("fake",)
        await trunk.aclose()
        for ask in (trunk.read("mem://text"), trunk.request("fake", "tools/list"), trunk.notify("fake", "x")):
            with pytest.raises(trunkline.CallError) as caught:
                await asyncio.wait_for(ask, 2)
            assert caught.value.delivery == "never_sent"


async def test_a_result_of_an_unknown_type_is_given_to_who_asked_raw_and_refused_else():
    class Extended(FakeServer):
        def complete(self, result: Any, method: str) -> dict[str, Any]:
            return (
                {**super().complete(result, method), "resultType": "task"}
                if self.odd
                else super().complete(result, method)
            )

    server = Extended(eras=["modern"])
    server.odd = False  # type: ignore[attr-defined]
    server.resource("mem://a", "x")
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        server.odd = True  # type: ignore[attr-defined]
        assert (await trunk.request("fake", "resources/list")).raw["resultType"] == "task"
        with pytest.raises(trunkline.ProtocolError):
            await trunk.read("mem://a")


@pytest.mark.over("memory", "sse")
async def test_progress_of_a_read_is_reported(way: Any, reach: Any):
    class Slow(FakeServer):
        pass

    server = Slow(eras=[way.family])
    server.tool("work", delay=0.02, progress=[(1, 2, None), (2, 2, None)])
    async with reach(server, way) as trunk:
        seen: list[Any] = []
        params = {"name": "work"}
        await trunk.request("fake", "tools/call", params, on_progress=seen.append)
        assert [one.progress for one in seen] == [1, 2]


async def test_a_raw_tool_call_never_reaches_another_server_whose_name_is_longer():
    near, far = FakeServer(), FakeServer()
    near.tool("b.c", returns="near")
    far.tool("c", returns="far")
    async with trunkline.connect({"a": near, "a.b": far}) as trunk:
        with pytest.raises(trunkline.NotFoundError, match=r"belongs to the server 'a\.b'") as caught:
            await trunk.request("a", "tools/call", {"name": "b.c"})
        assert (caught.value.server, caught.value.delivery) == ("a", "never_sent")
        assert (near.calls, far.calls) == ([], [])
        assert (await trunk.request("a.b", "tools/call", {"name": "c"})).text == "far"


@pytest.mark.parametrize("params", [{}, {"name": ""}, {"name": 7}])
async def test_a_raw_tool_call_without_a_name_is_refused(params: dict[str, Any]):
    async with trunkline.connect({"fake": offering()}) as trunk:
        with pytest.raises(trunkline.InvalidArgumentsError, match="name"):
            await trunk.request("fake", "tools/call", params)
