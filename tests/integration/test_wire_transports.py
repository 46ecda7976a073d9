"""`--wire` and `call --curl` for servers behind HTTP+SSE and WebSocket."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.telemetry.wire import WireRecord
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio


def make_server() -> FakeServer:
    server = FakeServer("fake", eras=["legacy"])
    server.tool("echo", reports="arguments")
    return server


def heads(records: list[WireRecord]) -> list[str]:
    """Give direction, HTTP side and summary of each record; posts and their answers may interleave."""
    lines = []
    for record in records:
        http = record.http
        words = [record.direction, "", record.summary]
        if http is not None:
            words[1] = str(http.status) if http.status is not None else f"{http.method} {http.url}"
        lines.append(" ".join(word for word in words if word))
    return lines


@pytest.mark.parametrize("kind", ["sse", None])
async def test_the_older_http_transport_shows_its_stream_its_posts_and_every_message(kind: str | None):
    records: list[WireRecord] = []
    async with make_server().sse() as url:
        entry = {"url": url, "headers": {"Authorization": "Bearer secret"}} | ({"type": kind} if kind else {})
        async with trunkline.connect({"older": entry}, wire=records.append) as trunk:
            await trunk.call("older.echo", {"n": 1})
    seen = heads([record for record in records if record.transport == "sse"])
    origin = url.removesuffix("/sse")
    assert seen[:2] == [f"sent GET {url}", "received 200"]
    for method in ("initialize #", "notifications/initialized", "tools/list #", "tools/call #"):
        assert any(line.startswith(f"sent POST {origin}/[endpoint] {method}") for line in seen)
    assert sum(line == "received 202" for line in seen) == 4
    assert sum(line.startswith("received result #") for line in seen) == 3
    assert "/messages/" not in str(records)
    assert "Bearer secret" not in str(records)
    tried = heads([record for record in records if record.transport == "http"])
    assert ([line for line in tried if line == "received 405"] != []) is (kind is None)


async def test_a_websocket_shows_its_handshake_and_every_message():
    records: list[WireRecord] = []
    async with (
        make_server().websocket() as url,
        trunkline.connect({"ws": {"url": url}}, wire=records.append) as trunk,
    ):
        await trunk.call("ws.echo", {"n": 1})
    seen = heads(records)
    assert seen[:2] == [f"sent GET {url}", "received 101"]
    assert seen[-3:] == ["sent tools/call #4", "received result #4", "note ended: it was closed"]
    assert {record.transport for record in records} == {"websocket"}


async def test_a_refused_handshake_is_shown():
    records: list[WireRecord] = []
    async with make_server().websocket() as url:
        entry = {"url": url.replace("/ws", "/elsewhere")}
        async with trunkline.connect({"ws": entry}, wire=records.append) as trunk:
            with pytest.raises(trunkline.UnavailableError, match="HTTP 404"):
                await trunk.call("ws.echo")
    assert "received 404" in heads(records)


@pytest.mark.parametrize(("way", "kind"), [("sse", "sse"), ("sse", None), ("websocket", None)])
async def test_a_call_that_no_single_request_makes_is_not_printed_as_one(
    way: str, kind: str | None, tmp_path: Path
):
    server = make_server()
    async with server.sse() if way == "sse" else server.websocket() as url:
        entry: dict[str, Any] = {"url": url} | ({"type": kind} if kind else {})
        (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"it": entry}}))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "trunkline", "call", "it.echo", "n=1", "--curl"),
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
                "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", ""),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 50)
    assert (process.returncode, out) == (2, b"")
    assert f"reached over {way}".encode() in err
    assert b"--wire" in err
    assert server.calls == []
