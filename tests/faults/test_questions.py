"""What servers ask of us, over every transport, in both families: asked once, answered truly, or refused."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.testing import Ask, FakeServer

pytestmark = pytest.mark.anyio

DAY = {"day": {"type": "string", "enum": ["mon", "tue"], "default": "tue"}}
AGE = {"age": {"type": "integer", "minimum": 18}}
MODEL = trunkline.SampleResult(content="Paris", model="small")


def asking(family: str, *asks: Any, **options: Any) -> FakeServer:
    server = FakeServer(eras=[family], **options)
    server.tool("ask", asks=list(asks), reports="answers")
    server.tool("echo", reports="arguments")
    return server


def capabilities(server: FakeServer, family: str) -> Mapping[str, Any]:
    """Give the client capabilities the server was shown."""
    if family == "legacy":
        return server.ledger.of("initialize")[0].params["capabilities"]
    return server.ledger.of("server/discover")[0].meta["io.modelcontextprotocol/clientCapabilities"]


def accept(request: trunkline.ElicitRequest) -> trunkline.ElicitResult:
    return trunkline.ElicitResult.accept(request.defaults)


@pytest.mark.over("memory", "stdio", "sse", "websocket", "older")
async def test_every_question_of_a_call_is_answered_and_the_call_goes_on(way: Any, reach: Any):
    seen: list[Any] = []

    def elicit(request: trunkline.ElicitRequest) -> trunkline.ElicitResult:
        seen.append(request)
        return accept(request)

    server = asking(
        way.family,
        [Ask.form("day", "Which day?", DAY), Ask.sample("capital", "Capital?"), Ask.roots()],
        [Ask.visit("page", "Log in", "https://example.com/login", "v1")],
    )
    handlers = trunkline.Handlers(elicit=elicit, sample=lambda _: MODEL, roots=lambda _: [Path("/srv/a b")])
    async with reach(server, way, handlers=handlers) as trunk:
        reply = await trunk.call("fake.ask")
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
    assert reply.value == {
        "day": {"action": "accept", "content": {"day": "tue"}},
        "capital": {
            "role": "assistant",
            "content": {"type": "text", "text": "Paris"},
            "model": "small",
            "stopReason": "endTurn",
        },
        "roots": {"roots": [{"uri": "file:///srv/a%20b"}]},
        "page": {"action": "accept"},
    }
    assert reply.attempts == 1
    form, page = seen
    assert (form.server, form.tool, form.mode, form.message) == ("fake", "fake.ask", "form", "Which day?")
    assert (page.mode, page.host, page.elicitation_id) == ("url", "example.com", "v1")


@pytest.mark.over("json", families=("modern",))
async def test_rounds_need_no_stream_of_events(way: Any, reach: Any):
    server = asking(way.family, [Ask.form("a", "?", DAY)], [Ask.form("b", "?", DAY)])
    async with reach(server, way, handlers=trunkline.Handlers(elicit=accept)) as trunk:
        assert {key: one["action"] for key, one in (await trunk.call("fake.ask")).value.items()} == {
            "a": "accept",
            "b": "accept",
        }
    for call in server.calls:
        assert call.headers["mcp-name"] == "ask"


@pytest.mark.over("memory")
@pytest.mark.parametrize("kind", ["sync", "async", "partial", "object", "late", "dict"])
async def test_a_handler_may_be_any_kind_of_function(way: Any, reach: Any, kind: str):
    async def later(request: Any) -> Any:
        await asyncio.sleep(0)
        return accept(request)

    class Callable:
        async def __call__(self, request: Any) -> Any:
            return accept(request)

    functions = {
        "sync": accept,
        "async": later,
        "partial": functools.partial(later),
        "object": Callable(),
        "late": lambda request: later(request),
        "dict": lambda request: {"action": "accept", "content": request.defaults},
    }
    server = asking(way.family, Ask.form("day", "?", DAY))
    async with reach(server, way, handlers=trunkline.Handlers(elicit=functions[kind])) as trunk:
        reply = await trunk.call("fake.ask")
    assert reply.value == {"day": {"action": "accept", "content": {"day": "tue"}}}


@pytest.mark.over("memory")
async def test_a_blocking_handler_holds_nobody_else(way: Any, reach: Any):
    asked, answered = threading.Event(), threading.Event()

    def elicit(request: trunkline.ElicitRequest) -> trunkline.ElicitResult:
        asked.set()
        assert answered.wait(10)
        return accept(request)

    server = asking(way.family, Ask.form("day", "?", DAY))
    async with reach(server, way, handlers=trunkline.Handlers(elicit=elicit)) as trunk:
        call = asyncio.create_task(trunk.call("fake.ask"))
        await asyncio.to_thread(asked.wait, 5)
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
        answered.set()
        assert (await call).value["day"]["action"] == "accept"


@pytest.mark.parametrize("family", ["legacy", "modern"])
@pytest.mark.parametrize(
    ("handlers", "legacy", "modern"),
    [
        ({}, {}, {}),
        ({"elicit": accept}, *2 * [{"elicitation": {"form": {}, "url": {}}}]),
        ({"elicit": accept, "elicit_modes": ("form",)}, *2 * [{"elicitation": {"form": {}}}]),
        ({"elicit": accept, "elicit_modes": ("url",)}, *2 * [{"elicitation": {"url": {}}}]),
        ({"sample": lambda _: None}, *2 * [{"sampling": {}}]),
        ({"sample": lambda _: None, "sample_tools": True}, *2 * [{"sampling": {"tools": {}}}]),
        ({"roots": lambda _: []}, {"roots": {"listChanged": True}}, {"roots": {}}),
        ({"notifications": {"x": print}, "requests": {"y": print}}, {}, {}),
    ],
)
async def test_what_is_declared_follows_from_what_is_given(
    family: str, handlers: Any, legacy: Any, modern: Any
):
    server = asking(family)
    async with trunkline.connect({"fake": server}, handlers=trunkline.Handlers(**handlers)) as trunk:
        await trunk.ready()
    extended = {**modern, "extensions": {"io.modelcontextprotocol/tasks": {}}}
    assert capabilities(server, family) == (legacy if family == "legacy" else extended)


@pytest.mark.over("memory")
@pytest.mark.parametrize("ask", [Ask.form("q", "?", DAY), Ask.sample("q", "?"), Ask.roots("q")])
async def test_what_was_not_given_is_refused_by_name(way: Any, reach: Any, ask: Ask):
    async with reach(asking(way.family, ask), way) as trunk:
        if way.family == "legacy":
            answer = (await trunk.call("fake.ask")).value["q"]
            assert answer["error"]["code"] == -32601
            assert ask.method in answer["error"]["message"]
        else:
            with pytest.raises(trunkline.ProtocolError, match=ask.method) as caught:
                await trunk.call("fake.ask")
            assert (caught.value.code, caught.value.delivery) == ("undeclared_input_request", "answered")


@pytest.mark.over("memory")
async def test_an_unknown_kind_of_question_is_an_error_that_names_it(way: Any, reach: Any):
    async with reach(asking(way.family, Ask("q", "vendor/guess")), way) as trunk:
        if way.family == "legacy":
            assert (await trunk.call("fake.ask")).value["q"]["error"]["code"] == -32601
        else:
            with pytest.raises(trunkline.ProtocolError, match="vendor/guess") as caught:
                await trunk.call("fake.ask")
            assert caught.value.code == "unknown_input_request"


@pytest.mark.over("memory")
async def test_requests_of_an_extension_reach_their_handler(way: Any, reach: Any):
    async def guess(server: str, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"server": server, "guess": params["of"] + 1}

    handlers = trunkline.Handlers(requests={"vendor/guess": guess})
    async with reach(
        asking(way.family, Ask("q", "vendor/guess", {"of": 6})), way, handlers=handlers
    ) as trunk:
        assert (await trunk.call("fake.ask")).value == {"q": {"server": "fake", "guess": 7}}


@pytest.mark.over("memory")
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (trunkline.ElicitResult.decline(), {"action": "decline"}),
        (trunkline.ElicitResult.cancel(), {"action": "cancel"}),
        (None, {"action": "decline"}),
        (
            trunkline.ElicitResult(action="decline", content={"day": "mon"}),
            {"action": "decline"},
        ),
    ],
)
async def test_a_no_is_told_to_the_server_without_content(way: Any, reach: Any, given: Any, sent: Any):
    handlers = trunkline.Handlers(elicit=lambda _: given)
    async with reach(asking(way.family, Ask.form("day", "?", DAY)), way, handlers=handlers) as trunk:
        assert (await trunk.call("fake.ask")).value == {"day": sent}


def boom(_: Any) -> Any:
    raise ZeroDivisionError("the application's own secret")


UNFIT = {
    "raises": (Ask.form("q", "?", DAY), {"elicit": boom}),
    "no result": (Ask.form("q", "?", DAY), {"elicit": lambda _: "mon"}),
    "unknown action": (Ask.form("q", "?", DAY), {"elicit": lambda _: {"action": "agree"}}),
    "wrong choice": (
        Ask.form("q", "?", DAY),
        {"elicit": lambda _: {"action": "accept", "content": {"day": "s3cret"}}},
    ),
    "missing field": (Ask.form("q", "?", DAY), {"elicit": lambda _: {"action": "accept"}}),
    "too young": (Ask.form("q", "?", AGE), {"elicit": lambda _: {"action": "accept", "content": {"age": 7}}}),
    "model raises": (Ask.sample("q", "?"), {"sample": boom}),
    "no model": (Ask.sample("q", "?"), {"sample": lambda _: {"content": "x", "model": ""}}),
    "no blocks": (Ask.sample("q", "?"), {"sample": lambda _: {"content": [{"text": "x"}], "model": "m"}}),
    "a number": (Ask.sample("q", "?"), {"sample": lambda _: {"content": 7, "model": "m"}}),
    "http root": (Ask.roots("q"), {"roots": lambda _: ["https://example.com/"]}),
    "climbing root": (Ask.roots("q"), {"roots": lambda _: ["file:///srv/%2e%2e/etc"]}),
    "remote root": (Ask.roots("q"), {"roots": lambda _: ["file://host/share"]}),
    "one root": (Ask.roots("q"), {"roots": lambda _: "/srv"}),
    "no mapping": (Ask("q", "x/y"), {"requests": {"x/y": lambda *_: 7}}),
}


@pytest.mark.over("memory")
@pytest.mark.parametrize("case", UNFIT)
async def test_what_a_handler_may_not_give_is_never_sent(
    way: Any, reach: Any, case: str, caplog: pytest.LogCaptureFixture
):
    ask, given = UNFIT[case]
    server = asking(way.family, ask)
    async with reach(server, way, handlers=trunkline.Handlers(**given)) as trunk:
        if way.family == "legacy":
            error = (await trunk.call("fake.ask")).value["q"]["error"]
            assert error == {"code": -32603, "message": "this client could not answer"}
            assert any(one.levelname == "WARNING" and "fake" in one.message for one in caplog.records)
            assert "s3cret" not in caplog.text
        else:
            with pytest.raises(trunkline.CallError) as caught:
                await trunk.call("fake.ask")
            assert (caught.value.code, caught.value.delivery) == ("handler_failed", "answered")
            assert "s3cret" not in str(caught.value)
            assert len(server.calls) == 1
            if "raises" in case:
                assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}


MALFORMED = [
    Ask("q", "elicitation/create", {"mode": "form", "message": "?"}),
    Ask("q", "elicitation/create", {"message": "?", "requestedSchema": {"type": "string"}}),
    Ask("q", "elicitation/create", {"message": 7, "requestedSchema": {"type": "object"}}),
    Ask("q", "elicitation/create", {"mode": "video", "message": "?"}),
    Ask("q", "elicitation/create", {"message": "?", "requestedSchema": {"type": "object", "$ref": "#/a"}}),
    Ask("q", "sampling/createMessage", {"messages": [], "maxTokens": 5}),
    Ask("q", "sampling/createMessage", {"messages": [{"role": "system", "content": {}}], "maxTokens": 5}),
    Ask.sample("q", "?", max_tokens=0),
    Ask.sample("q", "?", max_tokens=True),
    Ask.sample("q", "?", tools=[{"name": "x"}]),
    Ask.sample("q", "?", toolChoice={"mode": "required"}),
]


@pytest.mark.over("memory")
@pytest.mark.parametrize("ask", MALFORMED, ids=range(len(MALFORMED)))
async def test_a_malformed_question_reaches_nobody(way: Any, reach: Any, ask: Ask):
    handlers = trunkline.Handlers(elicit=boom, sample=boom)
    async with reach(asking(way.family, ask), way, handlers=handlers) as trunk:
        if way.family == "legacy":
            assert (await trunk.call("fake.ask")).value["q"]["error"]["code"] == -32602
        else:
            with pytest.raises(trunkline.ProtocolError) as caught:
                await trunk.call("fake.ask")
            assert caught.value.code == "malformed_input_request"


@pytest.mark.over("memory")
@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([("assistant", "tool_use"), ("user", "text")], "missing"),
        ([("assistant", "tool_use"), ("user", "tool_result", "text")], "mixed"),
        ([("assistant", "tool_use"), ("user", "tool_result")], None),
    ],
)
async def test_tool_results_in_sampling_follow_their_uses(way: Any, reach: Any, messages: Any, problem: Any):
    blocks = {
        "tool_use": {"type": "tool_use", "id": "1", "name": "t", "input": {}},
        "tool_result": {"type": "tool_result", "toolUseId": "1", "content": []},
        "text": {"type": "text", "text": "x"},
    }
    said = [{"role": role, "content": [blocks[kind] for kind in kinds]} for role, *kinds in messages]
    ask = Ask("q", "sampling/createMessage", {"messages": said, "maxTokens": 5, "tools": [{"name": "t"}]})
    handlers = trunkline.Handlers(sample=lambda _: MODEL, sample_tools=True)
    async with reach(asking(way.family, ask), way, handlers=handlers) as trunk:
        if problem is None:
            assert (await trunk.call("fake.ask")).value["q"]["model"] == "small"
        elif way.family == "legacy":
            assert problem in (await trunk.call("fake.ask")).value["q"]["error"]["message"]
        else:
            with pytest.raises(trunkline.ProtocolError, match=problem):
                await trunk.call("fake.ask")


async def test_a_question_while_no_call_is_in_flight_is_refused():
    server = asking("legacy")
    handlers = trunkline.Handlers(elicit=boom, sample=boom, roots=lambda _: ["/srv"])
    async with trunkline.connect({"fake": server}, handlers=handlers) as trunk:
        await trunk.ready()
        await trunk.call("fake.echo")
        for ask in (Ask.form("a", "?", DAY), Ask.sample("b", "?"), Ask.roots(), Ask("p", "ping")):
            server.ask(ask)
        await server.wait_for(lambda ledger: len(ledger.of("response")) == 4)
    refused = [one.params for one in server.ledger.of("response") if "error" in one.params]
    assert [one["error"]["message"] for one in refused] == ["no call of this client is in flight"] * 2
    answers = [one.params["result"] for one in server.ledger.of("response") if "result" in one.params]
    assert sorted(answers, key=len) == [{}, {"roots": [{"uri": "file:///srv"}]}]


async def test_requests_of_a_modern_server_get_no_response_and_reach_nobody():
    server = asking("modern")
    handlers = trunkline.Handlers(elicit=boom, roots=boom)
    async with trunkline.connect({"fake": server}, handlers=handlers) as trunk:
        await trunk.ready()
        for ask in (Ask.form("a", "?", DAY), Ask.roots(), Ask("p", "ping")):
            server.ask(ask)
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
        assert trunk._fleet.get("fake").connection._incoming.misdirected == 3
    assert server.ledger.of("response") == []


async def test_an_answer_shows_in_no_repr():
    result = trunkline.ElicitResult.accept({"name": "s3cret"})
    sampled = trunkline.SampleResult(content="s3cret", model="m")
    assert "s3cret" not in f"{result!r} {sampled!r}"
