"""What a client does not take from a server: its word, its names, its addresses, its answers for another."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from typing import Any

import pytest

import trunkline
from trunkline.testing import Ask, FakeServer, Fault
from trunkline.testing.script import Result

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("TOOL-ANNOTATIONS")
async def test_a_tool_that_calls_itself_harmless_is_not_repeated_for_it():
    server = FakeServer()
    claims = {"readOnlyHint": True, "idempotentHint": True, "destructiveHint": False}
    server.tool("pay", returns="paid", annotations=claims)
    server.fault("pay", Fault.crash_after_commit, nth=1)
    async with trunkline.connect({"fake": server}) as trunk:
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("fake.pay")
    assert server.ledger.executed("pay") == 1


@pytest.mark.requirement("SERVER-INFO", "SERVER-INFO-META", "TOOL-DISAMBIGUATION", "SERVER-NAME")
async def test_two_servers_that_bear_one_name_are_told_apart_by_ours():
    first, second = FakeServer("same"), FakeServer("same")
    first.tool("who", returns="first")
    second.tool("who", returns="second")
    async with trunkline.connect({"a": first, "b": second}) as trunk:
        await trunk.ready()
        assert [tool.public_name for tool in trunk.catalog.tools] == ["a.who", "b.who"]
        assert (await trunk.call("a.who")).text == "first"
        assert (await trunk.call("b.who")).text == "second"
        with pytest.raises(trunkline.AmbiguousNameError):
            await trunk.call("who")


@pytest.mark.requirement("TOOL-NAMES-CASE")
async def test_tools_whose_names_differ_in_case_alone_are_two_tools():
    server = FakeServer()
    server.tool("Get", returns="upper")
    server.tool("get", returns="lower")
    async with trunkline.connect({"fake": server}) as trunk:
        assert (await trunk.call("fake.Get")).text == "upper"
        assert (await trunk.call("fake.get")).text == "lower"


@pytest.mark.requirement("SCHEMA-NO-NETWORK", "ELICIT-NO-PREFETCH", "ELICIT-CONSENT")
async def test_no_address_that_a_server_names_is_fetched(serve: Any):
    from aiohttp import web

    fetched: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        fetched.append(request.path)
        return web.json_response({"type": "object"})

    server = FakeServer()
    async with serve(handle) as url:
        icons = [{"src": f"{url}/icon.png", "mimeType": "image/png"}]
        schema = {"type": "object", "properties": {"who": {"$ref": f"{url}/who.json"}}}
        link = {"type": "resource_link", "uri": f"{url}/linked", "name": "linked"}
        outward = {"$schema": f"{url}/dialect.json", "$ref": f"{url}/out.json"}
        definition = {"name": "look", "inputSchema": schema, "outputSchema": outward, "icons": icons}
        server.raw_tool(definition)
        server.tool("link", returns=[link])
        server.tool("visit", asks=[Ask.visit("page", "Log in", f"{url}/login")], reports="answers")
        handlers = trunkline.Handlers(elicit=lambda _: None)
        async with trunkline.connect({"fake": server}, handlers=handlers) as trunk:
            await trunk.ready()
            await asyncio.gather(trunk.call("fake.look", {"who": 1}), return_exceptions=True)
            assert (await trunk.call("fake.link")).content
            await asyncio.gather(trunk.call("fake.visit"), return_exceptions=True)
    assert fetched == []


@pytest.mark.requirement("SCHEMA-DIALECT-ERROR", "SCHEMA-UNRESOLVED")
@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "https://example.com/my-dialect", "type": "object"},
        {"type": "object", "properties": {"who": {"$ref": "https://example.com/who.json"}}},
    ],
    ids=["dialect", "reference"],
)
async def test_arguments_that_could_not_be_checked_are_said_to_be_unchecked(schema: Any):
    server = FakeServer()
    server.raw_tool({"name": "look", "inputSchema": schema})
    async with trunkline.connect({"fake": server}) as trunk:
        reply = await trunk.call("fake.look", {"who": 1})
    assert reply.warnings


@pytest.mark.requirement("CACHE-NOT-ROUNDS", "MRTR-NOT-PARALLEL")
async def test_an_answer_that_took_questions_is_not_kept_for_the_next_call():
    server = FakeServer(eras=["modern"])
    schema = {"day": {"type": "string"}}
    server.tool("ask", asks=[Ask.form("day", "Which day?", schema)], reports="answers")
    days = iter(["mon", "tue"])
    handlers = trunkline.Handlers(elicit=lambda _: {"action": "accept", "content": {"day": next(days)}})
    async with trunkline.connect({"fake": server}, handlers=handlers) as trunk:
        replies = [await trunk.call("fake.ask"), await trunk.call("fake.ask")]
    assert [reply.value["day"]["content"]["day"] for reply in replies] == ["mon", "tue"]
    assert not any(reply.cached for reply in replies)


@pytest.mark.requirement("TOOL-ERRORS-TO-MODELS")
async def test_the_error_of_a_tool_is_a_reply_that_a_model_can_read():
    server = FakeServer()
    server.tool("fail", error="no such city: Rmoe")
    async with trunkline.connect({"fake": server}) as trunk:
        reply = await trunk.call("fake.fail")
    assert (reply.is_error, reply.text) == (True, "no such city: Rmoe")


@pytest.mark.requirement("ERROR-CODES-RESERVED", "ERROR-CODES-LEGACY")
@pytest.mark.parametrize(
    ("family", "code"),
    [
        *itertools.product(("legacy", "modern"), (-32000, -32001, -32002, -32019, -32025, -32099, 7)),
        ("modern", -32042),
    ],
)
async def test_a_code_without_agreed_meaning_is_an_error_of_the_server_and_nothing_more(
    family: Any, code: int
):
    server = FakeServer(eras=[family])
    server.tool("odd", rpc_error=(code, "no", None))
    async with trunkline.connect({"fake": server}) as trunk:
        with pytest.raises(trunkline.ServerError) as caught:
            await trunk.call("fake.odd")
        assert trunk.status()["fake"].state == "ready"
    assert type(caught.value) is trunkline.ServerError
    assert (caught.value.rpc_code, caught.value.delivery, len(server.calls)) == (code, "answered", 1)


@pytest.mark.requirement("META-NO-ASSUMPTIONS")
async def test_what_stands_under_reserved_keys_of_a_result_is_given_as_it_came():
    odd = {"io.modelcontextprotocol/serverInfo": 7, "modelcontextprotocol.io/x": [1], "mcp.dev/y": None}
    server = FakeServer(eras=["modern"])
    server.tool("odd", returns=Result(content=[], _meta=odd))
    async with trunkline.connect({"fake": server}) as trunk:
        reply = await trunk.call("fake.odd")
    assert reply.raw["_meta"].items() >= odd.items()


@pytest.mark.requirement("META-PREFIX", "META-REVERSE-DNS")
async def test_every_key_of_our_meta_is_spelled_as_the_rules_ask(tap: Any):
    async with trunkline.connect({"fake": tap}) as trunk:
        await trunk.call("fake.echo")
    label = r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    name = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
    keys = {key for one in tap.requests for key in one.get("params", {}).get("_meta", {})}
    assert keys >= {"progressToken"}
    assert not [key for key in keys if not re.fullmatch(rf"({label}(\.{label})*/)?{name}", key)]
    assert {key.partition("/")[0] for key in keys if "/" in key} <= {"io.modelcontextprotocol"}


PREFIXED = {"type": "array", "prefixItems": [{"type": "integer"}]}
"""Only dialects from 2020-12 on know `prefixItems`; draft 7 lets anything through."""


@pytest.mark.requirement("SCHEMA-2020-12", "SCHEMA-DECLARED")
@pytest.mark.parametrize(
    ("dialect", "fits"),
    [
        (None, False),
        ("https://json-schema.org/draft/2020-12/schema", False),
        ("http://json-schema.org/draft-07/schema#", True),
    ],
)
async def test_a_schema_is_read_in_the_dialect_it_names_and_else_in_2020_12(dialect: str | None, fits: bool):
    server = FakeServer()
    schema: dict[str, Any] = {"type": "object", "properties": {"pair": PREFIXED}}
    server.tool("pair", schema=schema | ({"$schema": dialect} if dialect else {}), reports="arguments")
    async with trunkline.connect({"fake": server}) as trunk:
        assert (await trunk.call("fake.pair", {"pair": [1]})).is_error is False
        if fits:
            assert (await trunk.call("fake.pair", {"pair": ["x"]})).is_error is False
        else:
            with pytest.raises(trunkline.InvalidArgumentsError):
                await trunk.call("fake.pair", {"pair": ["x"]})


@pytest.mark.requirement("PAGE-OPAQUE", "PAGE-EMPTY-CURSOR")
async def test_a_cursor_goes_back_as_it_came_and_an_empty_one_is_one():
    cursors = [" padded ", "", "=?base64?eA==?=", "\u2028é\n", "null"]
    given: list[Any] = []

    class Paging:
        async def serve(self, receive: Any, send: Any) -> None:
            while frame := await receive():
                message = json.loads(frame)
                results: dict[str, Any] = {
                    "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}},
                    "tools/list": self.page(message.get("params") or {}),
                }
                if "id" in message and message["method"] == "server/discover":
                    answer = {"error": {"code": -32601, "message": "no"}}
                    send(json.dumps({"jsonrpc": "2.0", "id": message["id"]} | answer).encode())
                elif "id" in message:
                    answer = {"result": results[message["method"]]}
                    send(json.dumps({"jsonrpc": "2.0", "id": message["id"]} | answer).encode())

        def page(self, params: dict[str, Any]) -> dict[str, Any]:
            given.append(params.get("cursor"))
            number = 0 if given[-1] is None else cursors.index(given[-1]) + 1
            tool = {"name": f"t{number}", "inputSchema": {"type": "object"}}
            return {"tools": [tool]} | ({"nextCursor": cursors[number]} if number < len(cursors) else {})

    async with trunkline.connect({"fake": Paging()}) as trunk:
        await trunk.ready()
        assert len(trunk.catalog.tools) == 6
    assert [one for one in given if one is not None] == cursors


@pytest.mark.requirement("CACHE-KEY")
async def test_a_read_is_never_answered_with_what_another_one_gave():
    server = FakeServer(eras=["modern"], ttl_ms=3_600_000, cache_scope="public")
    server.resource("memo://a", "first")
    server.resource("memo://b", "second")
    async with trunkline.connect({"fake": server}) as trunk:
        texts = [(await trunk.read(f"memo://{name}", server="fake")).text for name in "abab"]
    assert texts == ["first", "second", "first", "second"]
