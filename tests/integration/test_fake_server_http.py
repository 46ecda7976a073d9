"""The fake server on real sockets: what a client sees of endings, disconnects, restarts and slow bodies."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def fake() -> FakeServer:
    fake = FakeServer("alpha")
    fake.tool("add", returns="3")
    fake.tool("slow", delay=60.0)
    return fake


def encode_call(url: str, name: str, request_id: int = 1, **headers: str) -> bytes:
    """A modern call as the bytes of a request."""
    params = {"name": name, "_meta": META}
    message = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
    return encode_post(
        url,
        message,
        **{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": name, **headers},
    )


def encode_post(url: str, message: Any, **headers: str) -> bytes:
    body = json.dumps(message).encode()
    fields = {
        "Host": "127.0.0.1",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "Content-Length": str(len(body)),
        **headers,
    }
    path = "/" + url.split("/", 3)[3]
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return head.encode() + b"\r\n" + body


class Socket:
    """A client that sees bytes; every read is bounded."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def response(self) -> bytes:
        """One response with a length."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        length = re.search(rb"Content-Length: (\d+)", head)
        return head + await asyncio.wait_for(self.reader.readexactly(int(length[1]) if length else 0), 5)

    async def rest(self) -> bytes:
        """All until the connection ends; raises ConnectionResetError if it breaks."""
        return await asyncio.wait_for(self.reader.read(), 5)


@asynccontextmanager
async def open_socket(url: str) -> AsyncIterator[Socket]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2].split("/")[0]))
    try:
        yield Socket(reader, writer)
    finally:
        writer.close()


async def test_one_connection_serves_many_requests_in_order(fake: FakeServer) -> None:
    async with fake.http() as url, open_socket(url) as client:
        client.writer.write(encode_call(url, "add", 1) + encode_call(url, "add", 2))
        assert [json.loads((await client.response()).partition(b"\r\n\r\n")[2])["id"] for _ in range(2)] == [
            1,
            2,
        ]
        client.writer.write(encode_call(url, "add", 3, Connection="close"))
        assert b'"id":3' in await client.rest()


async def test_a_real_http_client_reads_json_streams_and_compressed_replies(fake: FakeServer) -> None:
    fake.fault("add", Fault.gzip_bomb(100_000), nth=3)
    async with fake.http() as plain, fake.http(json=False) as stream, aiohttp.ClientSession() as session:
        seen = []
        for url in (plain, stream, plain):
            head, _, body = encode_call(url, "add").partition(b"\r\n\r\n")
            fields = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
            headers = {name: value for name, value in fields if name not in ("Host", "Content-Length")}
            async with session.post(url, data=body, headers=headers) as response:
                seen.append((response.status, response.content_type, len(await response.read())))
    assert [one[:2] for one in seen] == [
        (200, "application/json"),
        (200, "text/event-stream"),
        (200, "application/json"),
    ]
    assert seen[2][2] == 100_000


async def test_what_is_no_http_ends_the_connection(fake: FakeServer) -> None:
    async with fake.http() as url, open_socket(url) as client:
        client.writer.write(b"HELLO\r\n\r\n")
        assert (await client.rest()).startswith(b"HTTP/1.1 400 ")


async def test_a_closed_connection_ends_in_good_order_without_a_byte(fake: FakeServer) -> None:
    fake.fault("add", Fault.close_connection)
    async with fake.http() as url, open_socket(url) as client:
        client.writer.write(encode_call(url, "add"))
        assert await client.rest() == b""


async def test_a_reset_breaks_one_connection_and_no_other(fake: FakeServer) -> None:
    fake.fault("add", Fault.reset, nth=1)
    async with fake.http() as url, open_socket(url) as broken, open_socket(url) as whole:
        broken.writer.write(encode_call(url, "add"))
        with pytest.raises(ConnectionResetError):
            await broken.rest()
        whole.writer.write(encode_call(url, "add"))
        assert (await whole.response()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("json_mode", [True, False])
@pytest.mark.parametrize("fault", [Fault.cut_after_headers, Fault.truncated])
async def test_a_cut_response_ends_early_and_in_good_order(
    fake: FakeServer, fault: Fault, json_mode: bool
) -> None:
    async with fake.http(json=json_mode) as url, open_socket(url) as client, open_socket(url) as cut:
        client.writer.write(encode_call(url, "add", 1, Connection="close"))
        whole = await client.rest()
        fake.fault("add", fault)
        cut.writer.write(encode_call(url, "add"))
        seen = await cut.rest()
    assert whole.startswith(seen)
    assert len(seen.partition(b"\r\n\r\n")[2]) < len(whole.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("fault", [Fault.crash_after_commit, Fault.kill])
async def test_a_crash_breaks_every_connection_and_closes_the_port(fake: FakeServer, fault: Fault) -> None:
    fake.fault("add", fault)
    async with fake.http() as url, open_socket(url) as client, open_socket(url) as other:
        other.writer.write(encode_call(url, "slow"))
        await fake.wait_for(lambda ledger: len(ledger.calls) == 1)
        client.writer.write(encode_call(url, "add"))
        for one in (client, other):
            with pytest.raises(ConnectionResetError):
                await one.rest()
        with pytest.raises(ConnectionRefusedError):
            async with open_socket(url):
                pass


async def test_a_stopped_server_comes_back_on_its_port_without_its_sessions(fake: FakeServer) -> None:
    server = await fake.listen()
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    named = {"Mcp-Session-Id": "alpha-session-1"}
    try:
        port = server.port
        async with open_socket(server.url) as client:
            client.writer.write(encode_post(server.url, hello) + encode_post(server.url, ping, **named))
            assert b"Mcp-Session-Id: alpha-session-1" in await client.response()
            assert (await client.response()).startswith(b"HTTP/1.1 200 ")
            await server.stop()
            with pytest.raises(ConnectionResetError):
                await client.rest()
        with pytest.raises(ConnectionRefusedError):
            async with open_socket(server.url):
                pass
        await server.start()
        assert server.port == port
        async with open_socket(server.url) as client:
            client.writer.write(encode_post(server.url, ping, **named))
            assert (await client.response()).startswith(b"HTTP/1.1 404 ")
        assert server.accepted == 2
    finally:
        await server.stop()


async def test_expired_sessions_are_not_found_on_any_port(fake: FakeServer) -> None:
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
    async with fake.http() as url, open_socket(url) as client:
        client.writer.write(encode_post(url, hello))
        await client.response()
        fake.expire_sessions()
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        client.writer.write(encode_post(url, ping, **{"Mcp-Session-Id": "alpha-session-1"}))
        assert (await client.response()).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("name", ["slow", "comments", "endless", "hang"])
async def test_a_modern_client_that_leaves_cancels_its_request(fake: FakeServer, name: str) -> None:
    faults = {"comments": Fault.comments(0.01), "endless": Fault.endless, "hang": Fault.hang}
    if name in faults:
        fake.tool(name)
        fake.fault(name, faults[name])
    async with fake.http(json=False) as url, open_socket(url) as client:
        client.writer.write(encode_call(url, name))
        await fake.wait_for(lambda ledger: len(ledger.calls) == 1)
        client.writer.close()
        await fake.wait_for(lambda ledger: ledger.calls[0].cancelled)


async def test_a_client_that_read_its_reply_and_left_cancelled_nothing(fake: FakeServer) -> None:
    async with fake.http(json=False) as url:
        for number in range(20):
            async with open_socket(url) as client:
                client.writer.write(encode_call(url, "add", number, Connection="close"))
                await client.rest()
    assert [(one.executed, one.cancelled) for one in fake.calls] == [(True, False)] * 20


async def test_a_legacy_client_that_leaves_cancels_nothing_but_its_notification_does() -> None:
    fake, gate = FakeServer("alpha"), asyncio.Event()

    @fake.tool
    async def wait() -> str:
        await gate.wait()
        return "done"

    def post(url: str, method: str, request_id: int | None, **params: Any) -> bytes:
        identity = {} if request_id is None else {"id": request_id}
        message = {"jsonrpc": "2.0", **identity, "method": method, "params": params}
        return encode_post(url, message, **{"Mcp-Session-Id": "alpha-session-1"})

    async with fake.http(json=False) as url, open_socket(url) as control, open_socket(url) as stays:
        control.writer.write(post(url, "initialize", 0, protocolVersion="2025-11-25"))
        await asyncio.wait_for(control.reader.readuntil(b"0\r\n\r\n"), 5)
        async with open_socket(url) as leaves:
            leaves.writer.write(post(url, "tools/call", 1, name="wait"))
            stays.writer.write(post(url, "tools/call", 2, name="wait"))
            await fake.wait_for(lambda ledger: len(ledger.calls) == 2)
        control.writer.write(post(url, "notifications/cancelled", None, requestId=2))
        assert (await control.response()).startswith(b"HTTP/1.1 202 ")
        ended = await asyncio.wait_for(stays.reader.readuntil(b"0\r\n\r\n"), 5)
        gate.set()
        await fake.wait_for(lambda ledger: ledger.of("tools/call")[0].executed)
    assert b"data:" not in ended
    by_id = {one.request_id: (one.executed, one.cancelled) for one in fake.calls}
    assert by_id == {1: (True, False), 2: (False, True)}


async def test_a_dripped_body_takes_its_time(fake: FakeServer) -> None:
    fake.fault("add", Fault.drip(0.01, 40))
    async with fake.http() as url, open_socket(url) as client:
        started = asyncio.get_running_loop().time()
        client.writer.write(encode_call(url, "add"))
        response = await client.response()
        took = asyncio.get_running_loop().time() - started
    assert json.loads(response.partition(b"\r\n\r\n")[2])["id"] == 1
    assert took >= 0.01 * (len(response.partition(b"\r\n\r\n")[2]) // 40)


async def test_an_endless_body_waits_for_its_reader(fake: FakeServer) -> None:
    fake.fault("add", Fault.endless)
    async with fake.http() as url, open_socket(url) as client:
        client.writer.write(encode_call(url, "add"))
        assert len(await asyncio.wait_for(client.reader.readexactly(3_000_000), 10)) == 3_000_000


async def test_nothing_is_left_after_the_server_stopped(fake: FakeServer) -> None:
    before = asyncio.all_tasks()
    async with fake.http(json=False) as url, open_socket(url) as client:
        client.writer.write(encode_call(url, "slow"))
        await fake.wait_for(lambda ledger: len(ledger.calls) == 1)
    assert asyncio.all_tasks() == before
    assert not fake.endpoints


async def test_a_thousand_calls_at_once_are_all_answered(fake: FakeServer) -> None:
    async with fake.http() as url:

        async def lane(number: int) -> None:
            async with open_socket(url) as client:
                for call in range(50):
                    client.writer.write(encode_call(url, "add", number * 50 + call))
                    reply = json.loads((await client.response()).partition(b"\r\n\r\n")[2])
                    assert reply["id"] == number * 50 + call

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(lane(number))
    assert fake.ledger.executed("add") == 1000
