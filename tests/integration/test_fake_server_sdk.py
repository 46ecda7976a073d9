"""The official SDK's client, an independent peer, talks to the fake in both families over every transport."""

# Which kind of block it is shows in the comparison.
# mypy: disable-error-code="union-attr"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from trunkline.testing import FakeServer, Journal, Ledger

pytestmark = pytest.mark.anyio

TRANSPORTS = ("memory", "stdio", "http-json", "http-sse")
FAMILIES = {"legacy": "2025-11-25", "modern": "2026-07-28"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def fake() -> FakeServer:
    fake = FakeServer("alpha", page_size=2, instructions="be kind")
    fake.tool("add", schema={"type": "object", "properties": {"a": {"type": "integer"}}}, reports="arguments")
    fake.tool("steps", progress=[(1, 3, "a"), (2, 3, "b"), (3, 3, "c")], returns="done")
    fake.tool("fail", error="no such city")
    fake.tool("rpc", rpc_error=(-32050, "broken", {"why": "test"}))
    fake.tool("slow", delay=30.0)
    fake.resource("memo://one", "first memo", mime_type="text/plain")
    fake.prompt("greet", "Say hello to {who}.", arguments=["who"])
    return fake


@asynccontextmanager
async def memory_transport(fake: FakeServer) -> AsyncIterator[Any]:
    """An SDK transport whose other end is `fake.serve`."""
    to_client, client_reads = anyio.create_memory_object_stream[Any](1000)
    client_writes, from_client = anyio.create_memory_object_stream[SessionMessage](1000)

    def send(frame: bytes) -> None:
        to_client.send_nowait(SessionMessage(jsonrpc_message_adapter.validate_json(frame)))

    async def receive() -> bytes:
        try:
            one = await from_client.receive()
        except anyio.EndOfStream:
            return b""
        return one.message.model_dump_json(by_alias=True, exclude_unset=True).encode()

    async with asyncio.TaskGroup() as group, client_reads, client_writes, to_client, from_client:
        serving = group.create_task(fake.serve(receive, send))
        yield client_reads, client_writes
        await client_writes.aclose()
        await asyncio.wait_for(serving, 5)


@asynccontextmanager
async def connected(
    fake: FakeServer, transport: str, family: str, folder: Path, **options: Any
) -> AsyncIterator[Client]:
    async with AsyncExitStack() as stack, asyncio.timeout(20):
        if transport == "memory":
            target: Any = memory_transport(fake)
        elif transport == "stdio":
            target = StdioServerParameters(**fake.to_stdio_entry(folder))
        else:
            url = await stack.enter_async_context(fake.http(json=transport == "http-json"))
            target = streamable_http_client(url)
        mode = "legacy" if family == "legacy" else "auto"
        yield await stack.enter_async_context(Client(target, mode=mode, cache=None, **options))


def ledger_of(fake: FakeServer, transport: str, folder: Path) -> Ledger:
    return Journal(str(folder / "alpha.journal")).read() if transport == "stdio" else fake.ledger


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_sdk_agrees_on_the_revision_and_walks_every_page(
    fake: FakeServer, transport: str, family: str, tmp_path: Path
) -> None:
    async with connected(fake, transport, family, tmp_path) as client:
        assert client.protocol_version == FAMILIES[family]
        assert client.instructions == "be kind"
        names, cursor = [], None
        while True:
            page = await client.list_tools(cursor=cursor)
            names += [tool.name for tool in page.tools]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert names == ["add", "steps", "fail", "rpc", "slow"]
    assert len(ledger_of(fake, transport, tmp_path).of("tools/list")) == 3


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_sdk_calls_tools_reads_resources_and_gets_prompts(
    fake: FakeServer, transport: str, family: str, tmp_path: Path
) -> None:
    async with connected(fake, transport, family, tmp_path) as client:
        reply = await client.call_tool("add", {"a": 1})
        failed = await client.call_tool("fail", {})
        with pytest.raises(MCPError) as broken:
            await client.call_tool("rpc", {})
        read = await client.read_resource("memo://one")
        prompt = await client.get_prompt("greet", {"who": "Ada"})
    assert reply.structured_content == {"a": 1}
    assert (failed.is_error, failed.content[0].text) == (True, "no such city")
    assert (broken.value.error.code, broken.value.error.data) == (-32050, {"why": "test"})
    assert read.contents[0].text == "first memo"
    assert prompt.messages[0].content.text == "Say hello to Ada."
    ledger = ledger_of(fake, transport, tmp_path)
    assert [(one.name, one.executed) for one in ledger.calls] == [
        ("add", True),
        ("fail", True),
        ("rpc", False),
    ]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("transport", ["memory", "stdio", "http-sse"])
async def test_sdk_sees_progress_in_order(
    fake: FakeServer, transport: str, family: str, tmp_path: Path
) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async with connected(fake, transport, family, tmp_path) as client:
        reply = await client.call_tool("steps", {}, progress_callback=note)
    assert reply.content[0].text == "done"
    assert seen == [(1, 3, "a"), (2, 3, "b"), (3, 3, "c")]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_sdk_timeout_reaches_the_server_as_a_cancellation_and_the_connection_goes_on(
    fake: FakeServer, transport: str, family: str, tmp_path: Path
) -> None:
    async with connected(fake, transport, family, tmp_path) as client:
        with pytest.raises(MCPError):
            await client.call_tool("slow", {}, read_timeout_seconds=0.2)
        if transport != "stdio":
            await fake.wait_for(lambda ledger: ledger.of("tools/call", "slow")[0].cancelled)
        reply = await client.call_tool("add", {"a": 2})
    assert reply.structured_content == {"a": 2}
    slow = ledger_of(fake, transport, tmp_path).of("tools/call", "slow")[0]
    assert (slow.cancelled, slow.executed) == (True, False)


@pytest.mark.parametrize("discover", ["error", "answer"])
@pytest.mark.parametrize("transport", ["memory", "stdio", "http-json"])
async def test_sdk_falls_back_to_the_handshake_with_a_legacy_server(
    transport: str, discover: Any, tmp_path: Path
) -> None:
    fake = FakeServer("alpha", eras=["legacy"], versions=["2025-06-18"], discover=discover)
    fake.tool("add", reports="arguments")
    async with connected(fake, transport, "modern", tmp_path) as client:
        assert client.protocol_version == "2025-06-18"
        assert (await client.call_tool("add", {"a": 3})).structured_content == {"a": 3}


@pytest.mark.parametrize("transport", ["memory", "stdio", "http-json"])
async def test_modern_only_server_names_its_revisions_to_a_legacy_client(
    transport: str, tmp_path: Path
) -> None:
    fake = FakeServer("alpha", eras=["modern"])
    with pytest.raises((MCPError, ExceptionGroup)) as refused:
        async with connected(fake, transport, "legacy", tmp_path):
            pass
    error: BaseException = refused.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, MCPError)
    assert (error.error.code, error.error.data["supported"]) == (-32022, ["2026-07-28"])


async def test_sdk_receives_log_messages_of_a_function_tool(tmp_path: Path) -> None:
    fake, seen = FakeServer("alpha"), []

    @fake.tool
    async def noisy(_: Any, context: Any) -> str:
        await context.log("debug", "quiet")
        await context.log("error", {"loud": True})
        return "said"

    async def log(params: Any) -> None:
        seen.append((params.level, params.data))

    async with connected(
        fake, "http-sse", "modern", tmp_path, logging_callback=log, log_level="info"
    ) as client:
        assert (await client.call_tool("noisy", {})).content[0].text == "said"
    assert seen == [("error", {"loud": True})]
