"""What a client says over Streamable HTTP, read from the requests that arrive, in each revision of it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

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
