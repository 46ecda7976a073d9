"""Servers that others wrote, over every transport they have: the replies are those the SDK's client gets."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import trunkline

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

SHOP = str(Path(__file__).parents[2] / "peers/servers/shop.py")
SHOP_CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("add", {"a": 2, "b": 3}),
    ("add", {"a": -7}),
    ("greet", {"who": "Ada \U0001f600 \u2028 \x00"}),
    ("describe", {"depth": 3}),
    ("fail", {"why": "no such shelf"}),
)
EVERYTHING_CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("echo", {"message": "hello"}),
    ("get-sum", {"a": 2, "b": 3}),
    ("get-tiny-image", {}),
    ("get-structured-content", {"location": "New York"}),
    ("get-annotated-message", {"messageType": "error", "includeImage": True}),
    ("get-resource-links", {"count": 2}),
)


URIS = {
    "shop": ("shop://sign", "shop://photo", "shop://shelf/7"),
    "everything": ("demo://resource/static/document/features.md", "demo://resource/dynamic/text/1"),
}
PROMPTS: dict[str, tuple[tuple[str, dict[str, str]], ...]] = {
    "shop": (("order", {"thing": "tea", "count": "2"}), ("order", {"thing": "\U0001f600"})),
    "everything": (("simple-prompt", {}), ("args-prompt", {"city": "Rome"})),
}


class Server(NamedTuple):
    """One server that others wrote, and how it is started."""

    library: str
    transport: str

    @property
    def kind(self) -> str:
        return "everything" if self.library == "everything" else "shop"

    @property
    def calls(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        return EVERYTHING_CALLS if self.kind == "everything" else SHOP_CALLS

    def command(self, peers: Any, port: int) -> list[str]:
        if self.library == "everything":
            names = {"http": "streamableHttp"}
            return [*peers.everything, names.get(self.transport, self.transport)]
        python = peers.older if self.library == "sdk 1" else sys.executable
        kind = "fastmcp" if self.library == "fastmcp" else "sdk"
        return [python, SHOP, kind, self.transport, str(port)]


SERVERS = [
    Server(library, transport)
    for library in ("sdk 1", "sdk 2", "fastmcp", "everything")
    for transport in ("stdio", "http", "sse")
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def listening(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(60):
        while True:
            assert process.returncode is None, "the server ended"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return


@asynccontextmanager
async def started(server: Server, peers: Any) -> AsyncIterator[dict[str, Any]]:
    """Give the entry of a server; one over HTTP runs for the length of the context."""
    port = free_port()
    command, *args = server.command(peers, port)
    if server.transport == "stdio":
        yield {"command": command, "args": args}
        return
    process = await asyncio.create_subprocess_exec(
        command,
        *args,
        env={**os.environ, "PORT": str(port)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await listening(port, process)
        yield {"url": f"http://127.0.0.1:{port}/{'sse' if server.transport == 'sse' else 'mcp'}"}
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def sdk_client(entry: dict[str, Any], transport: str) -> AsyncIterator[Any]:
    from mcp import Client, StdioServerParameters
    from mcp.client.sse import sse_client

    if transport == "stdio":
        target: Any = StdioServerParameters(command=entry["command"], args=entry["args"])
    else:
        target = sse_client(entry["url"]) if transport == "sse" else entry["url"]
    async with Client(target, mode="legacy" if transport == "sse" else "auto") as client:
        yield client


class Answers(NamedTuple):
    """What a client got from a server, as it came."""

    tools: list[Any]
    lists: list[list[Any]]
    """Resources, templates and prompts."""
    calls: list[Any]
    given: list[Any]
    """Resources that were read, and prompts."""


async def ask_with_sdk(server: Server, entry: dict[str, Any]) -> tuple[Answers, str]:
    """Give what the SDK's client gets, and the revision it speaks."""
    async with sdk_client(entry, server.transport) as client:
        lists = [
            (await client.list_resources()).resources,
            (await client.list_resource_templates()).resource_templates,
            (await client.list_prompts()).prompts,
        ]
        read = [await client.read_resource(uri) for uri in URIS[server.kind]]
        got = [await client.get_prompt(name, arguments) for name, arguments in PROMPTS[server.kind]]
        theirs = Answers(
            tools=[_dump(tool) for tool in (await client.list_tools()).tools],
            lists=[[_dump(one) for one in listed] for listed in lists],
            calls=[_dump(await client.call_tool(name, arguments)) for name, arguments in server.calls],
            given=[_dump(one) for one in (*read, *got)],
        )
        return theirs, client.protocol_version


async def ask(server: Server, trunk: trunkline.Trunk) -> Answers:
    """Give what Trunkline gets."""
    await trunk.ready("peer", timeout=60)
    replies = [await trunk.call(f"peer.{name}", arguments) for name, arguments in server.calls]
    read = [await trunk.read(uri) for uri in URIS[server.kind]]
    got = [await trunk.get_prompt(f"peer.{name}", arguments) for name, arguments in PROMPTS[server.kind]]
    assert all(one.warnings == () for one in (*replies, *read, *got))
    assert trunk.catalog.warnings == ()
    if server.kind == "shop":
        assert read[1].data == bytes(range(256)) * 16
    return Answers(
        tools=[tool.raw for tool in trunk.catalog.tools],
        lists=[[one.raw for one in listed] for listed in (trunk.resources, trunk.templates, trunk.prompts)],
        calls=[reply.raw for reply in replies],
        given=[reply.raw for reply in (*read, *got)],
    )


async def ask_for_what_is_absent(trunk: trunkline.Trunk) -> None:
    """Each is refused with an error that says so."""
    with pytest.raises(trunkline.NotFoundError):
        await trunk.call("peer.absent")
    with pytest.raises(trunkline.CallError):
        await trunk.read("absent://nothing")
    with pytest.raises(trunkline.NotFoundError):
        await trunk.get_prompt("peer.absent")


@pytest.mark.parametrize("server", SERVERS, ids=lambda one: f"{one.library} {one.transport}")
async def test_lists_and_replies_are_those_the_sdk_gets(server: Server, peers: Any):
    async with started(server, peers) as entry:
        theirs, revision = await ask_with_sdk(server, entry)
        async with trunkline.connect(entry, name="peer") as trunk:
            ours = await ask(server, trunk)
            status = trunk.status()["peer"]
            await ask_for_what_is_absent(trunk)
    assert (status.era, status.transport) == (revision, server.transport)
    assert (ours.tools, ours.lists) == (theirs.tools, theirs.lists)
    assert [_plain(mine) for mine in ours.calls] == [_plain(other) for other in theirs.calls]
    assert [_stable(_plain(mine)) for mine in ours.given] == [_stable(_plain(one)) for one in theirs.given]


def _stable(result: dict[str, Any]) -> dict[str, Any]:
    """Leave out the time of day, which server-everything writes into some of its texts."""
    return json.loads(re.sub(r"\d+:\d+:\d+ [AP]M", "", json.dumps(result)))


def _dump(model: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped


def _plain(result: Any) -> dict[str, Any]:
    """Leave out what one of the two adds by itself: defaults that were not on the wire."""
    plain = {key: value for key, value in result.items() if key not in ("_meta", "resultType")}
    return {"isError": False, "ttlMs": 0, "cacheScope": "private", **plain}
