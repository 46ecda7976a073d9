"""What a client does not take from a server: its word, its names, its addresses, its answers for another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.testing import Ask, FakeServer, Fault

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
