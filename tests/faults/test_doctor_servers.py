"""The doctor with servers that are reached and are sick in their own ways."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from trunkline import Replicas
from trunkline.config.loading import load
from trunkline.runtime.diagnostics import DIAGNOSTICS
from trunkline.runtime.doctor.background import Background
from trunkline.runtime.doctor.checkup import Checkup, Trouble
from trunkline.runtime.doctor.examine import examine
from trunkline.testing import FakeServer, Fault
from trunkline.testing.streams import Quirks, serve_streams
from trunkline.transport import http

assert http  # importing it takes longer than some tests may wait
pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def checked(entry: Any, policy: Mapping[str, Any] | None = None, **options: Any) -> Checkup:
    config = load({"far": entry}, policy={"defaults": {"connect": 20, **(policy or {})}}, profile="")
    (checkup,) = await examine(config, **options)
    return checkup


async def sick(entry: Any, policy: Mapping[str, Any] | None = None, **options: Any) -> Trouble:
    """Examine a server that fails in one phase, and check that nothing behind it was reached."""
    checkup = await checked(entry, policy, **options)
    trouble = checkup.failure
    assert trouble is not None
    names = [phase.name for phase in checkup.phases]
    at = names.index(trouble.phase)
    assert checkup.phases[at].outcome == "failed"
    assert {phase.outcome for phase in checkup.phases[:at]} <= {"ok", "skipped"}
    assert {phase.outcome for phase in checkup.phases[at + 1 :]} <= {"not_reached"}
    assert trouble.code in DIAGNOSTICS
    return trouble


def offering(**options: Any) -> FakeServer:
    server = FakeServer("shop", **options)
    server.tool("greet", returns="Hello")
    return server


@asynccontextmanager
async def answering(
    status: int, headers: Mapping[str, str] | None = None, body: str = ""
) -> AsyncIterator[str]:
    """Serve one answer to everything."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers, text=body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/mcp"  # type: ignore[union-attr]
    finally:
        await runner.cleanup()


def details(checkup: Checkup) -> dict[str, str]:
    return {phase.name: phase.detail for phase in checkup.phases}


# What is healthy


@pytest.mark.parametrize("eras", [["legacy"], ["modern"]])
async def test_a_healthy_server_over_http_passes_every_phase(eras: Any):
    async with offering(eras=eras).http() as url:
        checkup = await checked({"url": url})
    assert checkup.ok
    assert checkup.troubles == ()
    assert {phase.outcome for phase in checkup.phases} == {"ok", "skipped"}
    assert all(phase.seconds is not None for phase in checkup.phases if phase.outcome == "ok")
    assert details(checkup)["authorization"] == "none asked for"
    assert details(checkup)["tools"] == "1 tool"
    assert (checkup.tools, checkup.era) == (1, "2026-07-28" if eras == ["modern"] else "2025-11-25")
    assert sum(phase.seconds or 0 for phase in checkup.phases) <= checkup.seconds + 0.001


async def test_a_healthy_server_over_every_other_transport_passes_every_phase(tmp_path: Path):
    server = offering()
    async with server.sse() as sse, server.websocket() as socket, server.http() as url:
        for entry in ({"type": "sse", "url": sse}, {"url": socket}, server, server.to_stdio_entry(tmp_path)):
            checkup = await checked(entry)
            assert checkup.ok, checkup.troubles
            assert checkup.tools == 1
        checkup = await checked({"url": url, "headers": {"Authorization": "Bearer abcdefghijkl"}})
    assert details(checkup)["authorization"] == "the header of the entry"
    assert "abcdefghijkl" not in str(checkup)


async def test_an_older_server_that_is_configured_by_its_url_alone_is_found_healthy():
    async with offering(eras=["legacy"]).sse() as url:
        checkup = await checked({"url": url})
    assert checkup.ok, checkup.troubles
    assert checkup.transport == "sse"


async def test_a_legacy_process_that_exits_over_discovery_is_started_again(tmp_path: Path):
    server = offering(eras=["legacy"], discover="exit")
    checkup = await checked(server.to_stdio_entry(tmp_path))
    assert checkup.ok, checkup.troubles
    assert checkup.era == "2025-11-25"


# What answers over HTTP


@pytest.mark.parametrize(
    ("status", "phase", "code"),
    [
        (404, "http", "http_not_found"),
        (405, "http", "http_not_found"),
        (400, "http", "http_refused"),
        (500, "http", "http_server_error"),
        (503, "http", "http_server_error"),
        (501, "http", "http_not_mcp"),
        (429, "http", "http_rate_limited"),
        (401, "authorization", "authorization_required"),
        (403, "authorization", "authorization_required"),
    ],
)
async def test_an_http_status_fails_in_its_phase(status: int, phase: str, code: str):
    async with answering(status) as url:
        trouble = await sick({"url": url})
    assert (trouble.phase, trouble.code) == (phase, code)
    assert str(status) in trouble.message


async def test_a_redirect_says_where_to():
    async with answering(307, {"Location": "https://far.example/mcp/?token=1"}) as url:
        trouble = await sick({"url": url})
    assert (trouble.phase, trouble.code) == ("http", "http_redirect")
    assert trouble.fix == 'Write "url": "https://far.example/mcp/" if you trust it.'


async def test_what_a_server_asks_for_with_401_is_told():
    asked = (
        'Bearer realm="shop", error="invalid_token", scope="read write", '
        'resource_metadata="https://far.example/.well-known/oauth-protected-resource"'
    )
    async with answering(401, {"WWW-Authenticate": asked}) as url:
        trouble = await sick({"url": url})
        assert trouble.cause == (
            "It asks for a Bearer token of the realm 'shop' with the scope 'read write', and says"
            " invalid_token; who gives such tokens stands at https://far.example/.well-known/oauth-protected-resource."
        )
        assert trouble.command == f'trunkline doctor --http {url} -H "Authorization: Bearer $FAR_TOKEN"'
        given = await sick({"url": url, "headers": {"Authorization": "Bearer abcdefghijk"}})
    assert "does not accept the `Authorization` header" in given.fix
    assert "abcdefghijk" not in str(given)


async def test_a_web_page_is_told_from_a_server():
    async with answering(200, {"Content-Type": "text/html"}, "<html>hello</html>") as url:
        trouble = await sick({"url": url})
    assert (trouble.phase, trouble.code) == ("http", "http_not_mcp")


async def test_an_answer_that_is_no_json_is_told():
    async with answering(200, {"Content-Type": "application/json"}, "{oops") as url:
        trouble = await sick({"url": url})
    assert trouble.code == "malformed_answer"


async def test_a_server_that_accepts_and_is_silent_fails_in_http():
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while await reader.read(65536):
                pass
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
        trouble = await sick({"url": url}, timeout=0.5)
    assert (trouble.phase, trouble.code) == ("http", "http_timeout")


async def test_an_endpoint_that_is_never_named_is_told():
    async with serve_streams(offering(eras=["legacy"]), Quirks(endpoint="none")) as streams:
        entry = {"type": "sse", "url": f"{streams.origin}/sse"}
        trouble = await sick(entry, timeout=0.5)
        assert (trouble.phase, trouble.code) == ("negotiation", "no_endpoint")
        trouble = await sick(entry, {"connect": 0.5})
    assert (trouble.phase, trouble.code) == ("negotiation", "no_endpoint")
    assert trouble.message == "the server named no endpoint: nothing came in time"


# What is agreed, listed and answered


async def test_a_server_of_another_revision_fails_in_the_negotiation():
    async with offering(eras=["legacy"]).http() as url:
        trouble = await sick({"url": url}, {"era": "modern"})
    assert (trouble.phase, trouble.code) == ("negotiation", "no_common_revision")


async def test_a_handshake_that_is_refused_fails_in_the_negotiation():
    server = offering(eras=["legacy"])
    server.fault("initialize", Fault.rpc_error(-32000, "not \x1b[31mnow"))
    async with server.http() as url:
        trouble = await sick({"url": url})
    assert (trouble.phase, trouble.code) == ("negotiation", "handshake_refused")
    assert "\x1b" not in trouble.message


async def test_a_negotiation_that_never_ends_is_told():
    server = offering(eras=["legacy"], discover="error")
    server.fault("initialize", Fault.hang)
    trouble = await sick(server, timeout=0.5)
    assert (trouble.phase, trouble.code) == ("negotiation", "negotiation_timeout")


async def test_tools_that_are_not_listed_fail_in_their_phase():
    server = offering()
    server.fault("tools/list", Fault.rpc_error(-32603, "database is gone"))
    trouble = await sick(server)
    assert (trouble.phase, trouble.code) == ("tools", "server_error")
    assert "database is gone" in trouble.message
    server = offering()
    server.fault("tools/list", Fault.hang)
    trouble = await sick(server, timeout=0.5)
    assert (trouble.phase, trouble.code) == ("tools", "list_timeout")


async def test_a_process_that_dies_over_its_tools_fails_there(tmp_path: Path):
    server = offering()
    server.fault("tools/list", Fault.crash_before_reply)
    trouble = await sick(server.to_stdio_entry(tmp_path))
    assert (trouble.phase, trouble.code) == ("tools", "process_exited")
    assert trouble.message == "its process exited with code 70"


async def test_schemas_that_cannot_be_used_are_told_by_tool_and_the_server_still_answers():
    server = offering()
    server.raw_tool({"name": "bad", "inputSchema": {"type": "object", "properties": {"n": {"type": "nope"}}}})
    server.raw_tool({"name": "none"})
    server.raw_tool({"name": "out", "inputSchema": {"type": "object"}, "outputSchema": {"$ref": "#/nowhere"}})
    checkup = await checked(server, backgrounds={"far": Background(file="mcp.json", line=3)})
    phases = {phase.name: phase.outcome for phase in checkup.phases}
    assert (checkup.ok, phases["schemas"], phases["ping"]) == (False, "failed", "ok")
    assert [trouble.code for trouble in checkup.troubles] == [
        "malformed_tool",
        "invalid_schema",
        "invalid_schema",
    ]
    assert "inputSchema is missing" in checkup.troubles[0].message
    assert checkup.troubles[1].message.startswith("bad: the input schema is invalid")
    assert checkup.troubles[1].command == "trunkline info far.bad --json"
    assert checkup.troubles[2].message.startswith("out: the output schema")


async def test_a_flood_of_bad_tools_is_cut_short():
    server = offering()
    for number in range(40):
        server.raw_tool({"name": f"t{number}"})
    checkup = await checked(server)
    assert len(checkup.troubles) == 21
    assert "20 more" in checkup.troubles[-1].message


async def test_a_list_whose_pages_do_not_end_is_a_warning():
    server = offering(page_size=1, cursors="cyclic")
    server.tool("other", returns="x")
    checkup = await checked(server)
    (warning,) = [trouble for trouble in checkup.troubles if trouble.severity == "warning"]
    assert (warning.phase, warning.code) == ("tools", "list_incomplete")
    assert "repeats a cursor" in warning.message


async def test_a_ping_that_is_not_answered_fails_last():
    server = offering(eras=["legacy"])
    server.fault("ping", Fault.hang)
    trouble = await sick(server, timeout=0.5)
    assert (trouble.phase, trouble.code) == ("ping", "silent")
    server = offering(eras=["legacy"])
    server.fault("ping", Fault.rpc_error(-32601, "no"))
    assert (await checked(server)).ok


async def test_a_replica_that_is_sick_is_found_beside_healthy_endpoints_and_a_pool_is_examined_once():
    entry = Replicas(offering(), {"url": "http://127.0.0.1:1/mcp"}, offering())
    policy = {"defaults": {"pool": {"max": 3}}}
    checkups = await examine(load({"far": entry, "near": offering()}, policy=policy))
    told = [(one.server, one.replica, one.ok) for one in checkups]
    assert told == [("far", 0, True), ("far", 1, False), ("far", 2, True), ("near", 0, True)]
    assert checkups[1].failure is not None
    assert checkups[1].failure.code == "connect_failed"
