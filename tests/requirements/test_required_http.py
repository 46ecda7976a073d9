"""What a client says over Streamable HTTP, read from the requests that arrive, in each revision of it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from aiohttp import web

import trunkline

pytestmark = pytest.mark.anyio

HTTP = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
LEGACY = HTTP[:3]


async def converse(make_web: Any, serve: Any, revision: str, **options: Any) -> Any:
    server = make_web(revision, **options)
    async with serve(server.handle) as url, trunkline.connect({"web": {"url": url}}) as trunk:
        await asyncio.gather(*(trunk.call("web.echo", {"n": n}) for n in range(3)))
    return server


@pytest.mark.requirement("HTTP-POST", "HTTP-ONE-MESSAGE", "HTTP-ACCEPT")
@pytest.mark.parametrize("revision", HTTP)
async def test_every_message_is_a_post_of_its_own_that_accepts_json_and_event_streams(
    make_web: Any, serve: Any, revision: str
):
    server = await converse(make_web, serve, revision)
    posts = [one for one in server.seen if one.verb == "POST"]
    assert len(posts) >= 5
    for post in posts:
        assert isinstance(post.message, dict)
        assert {"application/json", "text/event-stream"} <= set(post.headers["accept"].split(", "))
    assert not [one for one in server.seen if one.verb != "POST" and one.message is not None]


@pytest.mark.requirement("HTTP-GET-ACCEPT")
@pytest.mark.parametrize("revision", LEGACY)
async def test_the_stream_for_all_else_is_asked_for_as_an_event_stream(
    make_web: Any, serve: Any, revision: str
):
    server = await converse(make_web, serve, revision)
    gets = [one for one in server.seen if one.verb == "GET"]
    assert gets
    assert all("text/event-stream" in one.headers["accept"] for one in gets)


@pytest.mark.requirement("HTTP-VERSION-HEADER", "LIFECYCLE-VERSION-HEADER")
@pytest.mark.parametrize("revision", LEGACY)
async def test_everything_after_the_handshake_names_the_agreed_revision_from_2025_06_18_on(
    make_web: Any, serve: Any, revision: str
):
    server = await converse(make_web, serve, revision)
    start = server.seen.index(server.of("initialize")[0])
    named = {one.headers.get("mcp-protocol-version") for one in server.seen[start + 1 :]}
    assert named == {revision if revision >= "2025-06-18" else None}


@pytest.mark.requirement("HTTP-SESSION-HEADER", "HTTP-SESSION-DELETE")
@pytest.mark.parametrize("revision", LEGACY)
async def test_everything_after_the_handshake_names_the_session_and_its_end_is_told(
    make_web: Any, serve: Any, revision: str
):
    server = await converse(make_web, serve, revision)
    start = server.seen.index(server.of("initialize")[0])
    assert "mcp-session-id" not in server.seen[start].headers
    assert {one.headers.get("mcp-session-id") for one in server.seen[start + 1 :]} == {"s-1"}
    assert server.seen[-1].verb == "DELETE"


@pytest.mark.requirement("HTTP-MODERN-VERSION-HEADER", "HTTP-STANDARD-HEADERS", "HTTP-NO-RESPONSES")
async def test_every_modern_post_mirrors_version_method_and_name(make_web: Any, serve: Any):
    server = await converse(make_web, serve, "2026-07-28")
    assert {one.verb for one in server.seen} == {"POST"}
    for post in server.seen:
        version = post.message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"]
        assert post.headers["mcp-protocol-version"] == version == "2026-07-28"
        assert post.headers["mcp-method"] == post.method
        assert post.headers.get("mcp-name") == post.message["params"].get("name")
        assert "mcp-session-id" not in post.headers


ODD = [
    ("plain", "plain"),
    ("two words", "two words"),
    (" padded", "=?base64?IHBhZGRlZA==?="),
    ("grün", "=?base64?Z3LDvG4=?="),
    ("a\r\nX-Evil: 1", "=?base64?YQ0KWC1FdmlsOiAx?="),
    ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
]


@pytest.mark.requirement("HTTP-NAME-BASE64", "HTTP-PARAM-BASE64", "HTTP-PARAM-SENTINEL", "HTTP-PARAM-ENCODE")
@pytest.mark.parametrize(("value", "header"), ODD)
async def test_a_value_that_no_header_can_carry_is_encoded(
    make_web: Any, serve: Any, value: str, header: str
):
    field = {"type": "string", "x-mcp-header": "Place"}
    tool = {"name": value, "inputSchema": {"type": "object", "properties": {"place": field}}}
    server = make_web("2026-07-28", tool)
    async with serve(server.handle) as url, trunkline.connect({"web": {"url": url}}) as trunk:
        await trunk.ready()
        await trunk.call(f"web.{value}", {"place": value})
    (call,) = server.of("tools/call")
    assert call.message["params"]["name"] == value
    assert (call.headers["mcp-name"], call.headers["mcp-param-place"]) == (header, header)
    assert "x-evil" not in call.headers


@pytest.mark.requirement("HTTP-PARAM-MIRROR", "HTTP-PARAM-OMIT", "HTTP-PARAM-PATH")
@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"deep": {"city": "Rome"}, "n": 3, "yes": True}, {"city": "Rome", "n": "3", "yes": "true"}),
        ({"deep": {"city": "Rome"}}, {"city": "Rome"}),
        ({"deep": {}, "n": -1, "yes": False}, {"n": "-1", "yes": "false"}),
        ({}, {}),
    ],
)
async def test_marked_arguments_that_are_given_are_mirrored_and_no_others(
    make_web: Any, serve: Any, arguments: Any, headers: Any
):
    city = {"type": "string", "x-mcp-header": "City"}
    fields = {
        "deep": {"type": "object", "properties": {"city": city}},
        "n": {"type": "integer", "x-mcp-header": "N"},
        "yes": {"type": "boolean", "x-mcp-header": "Yes"},
        "plain": {"type": "string"},
    }
    server = make_web("2026-07-28", {"name": "t", "inputSchema": {"type": "object", "properties": fields}})
    async with serve(server.handle) as url, trunkline.connect({"web": {"url": url}}) as trunk:
        await trunk.call("web.t", arguments | {"plain": "x"})
    sent = {
        name.removeprefix("mcp-param-"): value
        for name, value in server.of("tools/call")[0].headers.items()
        if name.startswith("mcp-param-")
    }
    assert sent == headers


@pytest.mark.requirement("HTTP-PARAM-INVALID-WARNING")
async def test_a_tool_whose_marks_are_invalid_is_left_out_and_logged_with_the_reason(
    make_web: Any, serve: Any, caplog: pytest.LogCaptureFixture
):
    field = {"type": "number", "x-mcp-header": "Price"}
    tool = {"name": "dear", "inputSchema": {"type": "object", "properties": {"price": field}}}
    server = make_web("2026-07-28", tool)
    with caplog.at_level(logging.WARNING, "trunkline"):
        async with serve(server.handle) as url, trunkline.connect({"web": {"url": url}}) as trunk:
            await trunk.ready()
            assert trunk.catalog.tools == ()
    (warning,) = [one.getMessage() for one in caplog.records if "dear" in one.getMessage()]
    assert "Price" in warning or "price" in warning


@pytest.mark.requirement("HTTP-PARAM-SAFE-INTEGER")
@pytest.mark.parametrize(
    ("n", "fits"), [(2**53 - 1, True), (1 - 2**53, True), (2**53, False), (-(2**53), False)]
)
async def test_an_integer_that_doubles_cannot_hold_is_not_mirrored(
    make_web: Any, serve: Any, n: int, fits: bool
):
    fields = {"n": {"type": "integer", "x-mcp-header": "N"}}
    server = make_web("2026-07-28", {"name": "t", "inputSchema": {"type": "object", "properties": fields}})
    async with serve(server.handle) as url, trunkline.connect({"web": {"url": url}}) as trunk:
        if fits:
            await trunk.call("web.t", {"n": n})
            assert server.of("tools/call")[0].headers["mcp-param-n"] == str(n)
            return
        with pytest.raises(trunkline.InvalidArgumentsError, match="n: ") as caught:
            await trunk.call("web.t", {"n": n})
    assert caught.value.delivery == "never_sent"
    assert server.of("tools/call") == []


def mismatch(message: Any) -> web.Response:
    error = {"code": -32020, "message": "Header mismatch: Mcp-Param-New is missing"}
    return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error}, status=400)


@pytest.mark.requirement("HTTP-HEADER-MISMATCH")
@pytest.mark.parametrize("changes", [True, False], ids=["changed", "the same"])
async def test_headers_that_do_not_fit_lead_to_a_new_list_and_one_more_call(
    make_web: Any, serve: Any, changes: bool
):
    marked = {"place": {"type": "string", "x-mcp-header": "New"}}
    server = make_web("2026-07-28", {"name": "t", "inputSchema": {"type": "object"}})

    async def handle(request: web.Request) -> web.StreamResponse:
        answer = await server.handle(request)
        last = server.seen[-1]
        if last.method != "tools/call" or "mcp-param-new" in last.headers:
            return answer
        if changes:
            server._tool = {"name": "t", "inputSchema": {"type": "object", "properties": marked}}
        return mismatch(last.message)

    async with serve(handle) as url, trunkline.connect({"web": {"url": url}}) as trunk:
        await trunk.ready()
        if changes:
            assert (await trunk.call("web.t", {"place": "Rome"})).text == "done"
        else:
            with pytest.raises(trunkline.ServerError) as caught:
                await trunk.call("web.t", {"place": "Rome"})
            assert (caught.value.rpc_code, caught.value.delivery) == (-32020, "refused")
    assert len(server.of("tools/list")) == 2
    assert [one.headers.get("mcp-param-new") for one in server.of("tools/call")] == (
        [None, "Rome"] if changes else [None]
    )


@pytest.mark.requirement("HTTP-HEADER-CASE")
async def test_the_names_of_a_servers_headers_may_be_spelled_in_any_case(serve: Any, make_web: Any):
    server = make_web("2025-11-25", session=None)

    async def handle(request: web.Request) -> web.StreamResponse:
        answer = await server.handle(request)
        if server.seen[-1].method == "initialize":
            answer.headers["mCP-SESSION-iD"] = "s-2"
        return answer

    async with serve(handle) as url, trunkline.connect({"web": {"url": url}}) as trunk:
        await trunk.call("web.echo")
    assert server.of("tools/call")[0].headers["mcp-session-id"] == "s-2"


@pytest.mark.requirement("HTTP-400-BODY")
@pytest.mark.parametrize("code", [-32020, -32021, -32022])
async def test_a_400_is_read_before_it_means_an_older_server(make_web: Any, serve: Any, code: int):
    server = make_web("2026-07-28")

    async def handle(request: web.Request) -> web.StreamResponse:
        answer = await server.handle(request)
        if server.seen[-1].method != "server/discover":
            return answer
        data = {"supported": ["2026-07-28"], "requested": "2026-07-28"}
        error = {"code": code, "message": "no", "data": data}
        reply = {"jsonrpc": "2.0", "id": server.seen[-1].message["id"], "error": error}
        return web.json_response(reply, status=400)

    async with serve(handle) as url, trunkline.connect({"web": {"url": url}}) as trunk:
        assert (await trunk.call("web.echo")).era == "2026-07-28"
    assert server.of("initialize") == []


@pytest.mark.requirement("HTTP-DISCONNECT-NO-CANCEL", "HTTP-CANCEL-CLOSES")
@pytest.mark.parametrize("revision", HTTP)
async def test_what_is_given_up_is_cancelled_as_its_revision_wants(make_web: Any, serve: Any, revision: str):
    server = make_web(revision)
    left, told = asyncio.Event(), asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        answer = await server.handle(request)
        if server.seen[-1].method == "notifications/cancelled":
            told.set()
        if server.seen[-1].method == "tools/call":
            try:
                await asyncio.sleep(30)
            finally:
                left.set()
        return answer

    async with serve(handle) as url, trunkline.connect({"web": {"url": url}}) as trunk:
        with pytest.raises(trunkline.DeadlineExceededError):
            await trunk.call("web.echo", timeout=0.3)
        async with asyncio.timeout(5):
            await (left if server.modern else told).wait()
    cancelled = [one.message["params"]["requestId"] for one in server.of("notifications/cancelled")]
    assert cancelled == ([] if server.modern else [server.of("tools/call")[0].message["id"]])
