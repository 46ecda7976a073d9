"""Resources, prompts, completion and any other request: on every way, with true errors and deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio
ONE_TRY = {"defaults": {"retry": {"attempts": 1}}}

PICTURE = bytes(range(256)) * 40


def offering(**options: Any) -> FakeServer:
    server = FakeServer(**options)
    server.tool("echo", reports="arguments")
    server.resource("mem://text", "hello\nworld", mime_type="text/plain")
    server.resource("mem://picture", data=PICTURE, mime_type="image/png")
    server.resource("mem://items/{id}", "an item")
    server.prompt("greet", "Say {what} kindly", arguments=["what"], description="A greeting.")
    server.completion("greet", "what", [f"word{number}" for number in range(150)])
    server.completion("mem://items/{id}", "id", ["1", "10", "2"])
    return server


Ask = Callable[[trunkline.Trunk], Awaitable[Any]]
READ: Ask = lambda trunk: trunk.read("mem://text")  # noqa: E731
PROMPT: Ask = lambda trunk: trunk.get_prompt("fake.greet", {"what": "hi"})  # noqa: E731
COMPLETE: Ask = lambda trunk: trunk.complete("fake.greet", "what", "w")  # noqa: E731
REQUEST: Ask = lambda trunk: trunk.request("fake", "tools/list")  # noqa: E731
ASKS = {
    "resources/read": READ,
    "prompts/get": PROMPT,
    "completion/complete": COMPLETE,
    "tools/list": REQUEST,
}
EVERY = pytest.mark.parametrize(("method", "ask"), ASKS.items(), ids=list(ASKS))


async def test_a_resource_is_read_as_text_or_bytes_whichever_way(way: Any, reach: Any):
    async with reach(offering(eras=[way.family]), way) as trunk:
        reply = await trunk.read("mem://text")
        assert (reply.text, reply.uri, reply.server) == ("hello\nworld", "mem://text", "fake")
        assert [one.mime_type for one in reply.contents] == ["text/plain"]
        assert reply.data == b"hello\nworld"
        picture = await trunk.read("mem://picture", "fake")
        assert picture.data == picture.contents[0].data == PICTURE
        assert picture.text == "[resource mem://picture image/png 10 KB]"
        assert (await trunk.read("mem://items/7")).text == "an item"
        assert (reply.ttl_ms, reply.scope) == ((0, "private") if way.family == "modern" else (None, None))


async def test_a_prompt_is_made_and_completed_whichever_way(way: Any, reach: Any):
    async with reach(offering(eras=[way.family]), way) as trunk:
        reply = await trunk.get_prompt("greet", {"what": "no"})
        assert [(one.role, one.text) for one in reply.messages] == [("user", "Say no kindly")]
        assert reply.text == "user: Say no kindly"
        assert reply.tool == "fake.greet"
        found = await trunk.complete("greet", "what", "word14", context={"other": "x"})
        assert found.values == ("word14", *(f"word14{number}" for number in range(10)))
        assert (found.total, found.has_more) == (11, False)
        many = await trunk.complete(trunk.prompts[0], "what", "")
        assert (len(many.values), many.total, many.has_more) == (100, 150, True)
        for ref in (trunk.templates[0], "mem://items/{id}"):
            assert (await trunk.complete(ref, "id", "1")).values == ("1", "10")


@pytest.mark.over("json", "sse", families=("modern",))
async def test_the_headers_of_a_modern_request_name_what_it_is_about(way: Any, reach: Any):
    server = offering(eras=[way.family])
    server.resource("mem://caf\u00e9", "x")
    async with reach(server, way) as trunk:
        await trunk.read("mem://text")
        await trunk.read("mem://caf\u00e9")
        await trunk.get_prompt("fake.greet", {"what": "x"})
        await trunk.complete("greet", "what", "x")
        await trunk.request("fake", "prompts/get", {"name": "greet", "arguments": {"what": "y"}})
    named = {}
    for method in ("resources/read", "prompts/get", "completion/complete"):
        named[method] = [one.headers.get("mcp-name") for one in server.ledger.of(method)]
        assert {one.headers["mcp-method"] for one in server.ledger.of(method)} == {method}
    assert named == {
        "resources/read": ["mem://text", "=?base64?bWVtOi8vY2Fmw6k=?="],
        "prompts/get": ["greet", "greet"],
        "completion/complete": [None],
    }


@EVERY
async def test_every_request_carries_what_its_era_wants_and_asks_for_progress(
    way: Any, reach: Any, method: str, ask: Ask
):
    server = offering(eras=[way.family])
    async with reach(server, way) as trunk:
        await trunk.ready()
        await ask(trunk)
    if way.carrier == "stdio":
        return
    meta = server.ledger.of(method)[-1].meta
    assert meta["progressToken"] == server.ledger.of(method)[-1].request_id
    assert ("io.modelcontextprotocol/protocolVersion" in meta) == (way.family == "modern")


@EVERY
@pytest.mark.over("memory", "json")
async def test_a_request_ends_at_its_deadline_and_says_what_is_known(
    way: Any, reach: Any, method: str, ask: Ask
):
    server = offering(eras=[way.family])
    async with reach(server, way, policy={"defaults": {"timeout": 0.4}}) as trunk:
        await trunk.ready()
        server.fault(method, Fault.hang)
        with pytest.raises(trunkline.DeadlineExceededError) as caught:
            await ask(trunk)
        assert caught.value.delivery == "unknown"
        assert caught.value.server == "fake"
        assert caught.value.call_id
        assert (await trunk.call("fake.echo", {"a": 1})).value == {"a": 1}
    await server.wait_for(lambda ledger: ledger.of(method)[-1].cancelled)


@EVERY
@pytest.mark.over("memory", "sse")
async def test_cancelling_a_request_reaches_the_server_and_leaves_the_link_usable(
    way: Any, reach: Any, method: str, ask: Ask
):
    server = offering(eras=[way.family])
    async with reach(server, way) as trunk:
        await trunk.ready()
        server.fault(method, Fault.hang)
        before = len(server.ledger.of(method))
        running = asyncio.ensure_future(ask(trunk))
        await server.wait_for(lambda ledger: len(ledger.of(method)) > before)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await server.wait_for(lambda ledger: ledger.of(method)[-1].cancelled)
        server.heal()
        await ask(trunk)


@EVERY
@pytest.mark.over("memory")
async def test_a_server_lost_during_a_request_is_told_truly_and_the_next_one_works(
    way: Any, reach: Any, method: str, ask: Ask
):
    server = offering(eras=[way.family])
    async with reach(server, way, policy=ONE_TRY) as trunk:
        await trunk.ready()
        server.fault(method, Fault.crash_before_reply, times=1)
        with pytest.raises(trunkline.OutcomeUnknownError) as caught:
            await ask(trunk)
        assert caught.value.delivery == "unknown"
        await ask(trunk)


@pytest.mark.parametrize("method", [method for method in ASKS if method != "tools/list"])
@pytest.mark.over("stdio")
async def test_a_process_that_exits_during_a_request_is_told_truly(way: Any, reach: Any, method: str):
    server = offering(eras=[way.family])
    server.fault(method, Fault.crash_before_reply)
    async with reach(server, way, policy=ONE_TRY) as trunk:
        await trunk.ready()
        with pytest.raises(trunkline.OutcomeUnknownError) as caught:
            await ASKS[method](trunk)
        assert caught.value.delivery == "unknown"


@EVERY
@pytest.mark.over("memory", "json")
async def test_an_error_of_the_server_is_told_with_its_code(way: Any, reach: Any, method: str, ask: Ask):
    server = offering(eras=[way.family])
    async with reach(server, way) as trunk:
        await trunk.ready()
        server.fault(method, Fault.rpc_error(-32603, "it broke"))
        with pytest.raises(trunkline.ServerError, match="it broke") as caught:
            await ask(trunk)
        assert (caught.value.rpc_code, caught.value.delivery) == (-32603, "answered")


@EVERY
async def test_a_request_to_a_server_that_cannot_be_started_is_never_sent(method: str, ask: Ask):
    del method
    async with trunkline.connect({"fake": {"command": "/no/such/program"}}) as trunk:
        with pytest.raises((trunkline.UnavailableError, trunkline.NotFoundError)) as caught:
            await ask(trunk)
        assert caught.value.delivery == "never_sent"


@pytest.mark.parametrize("code", [-32002, -32602])
async def test_a_resource_the_server_does_not_know_is_not_found(way: Any, reach: Any, code: int):
    server = offering(eras=[way.family])
    server.fault("resources/read", Fault.rpc_error(code, "Resource not found"))
    async with reach(server, way) as trunk:
        with pytest.raises(trunkline.NotFoundError) as caught:
            await trunk.read("mem://gone", "fake")
        assert caught.value.delivery == "answered"
        assert isinstance(caught.value.__cause__, trunkline.ServerError)


@pytest.mark.over("memory")
async def test_the_fakes_own_code_for_an_unknown_resource_is_understood(way: Any, reach: Any):
    async with reach(offering(eras=[way.family]), way) as trunk:
        with pytest.raises(trunkline.NotFoundError) as caught:
            await trunk.read("mem://gone", "fake")
        assert isinstance(caught.value.__cause__, trunkline.ServerError)
        assert caught.value.__cause__.rpc_code == (-32602 if way.family == "modern" else -32002)


async def test_missing_arguments_of_a_prompt_are_refused_before_anything_is_sent():
    server = offering()
    async with trunkline.connect({"fake": server}) as trunk:
        for arguments in ({}, {"wht": "x"}, {"what": 7}):
            with pytest.raises(trunkline.InvalidArgumentsError) as caught:
                await trunk.get_prompt("greet", arguments)  # type: ignore[arg-type]
            assert caught.value.delivery == "never_sent"
            assert "'what'" in str(caught.value)
        assert server.ledger.of("prompts/get") == []


async def test_a_prompt_that_is_new_is_found_and_one_that_is_not_there_is_not_asked_for():
    server = offering()
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        server.prompt("new", "Hello")
        assert (await trunk.get_prompt("fake.new")).messages[0].text == "Hello"
        server.prompt("newer", "Hello")
        assert (await trunk.get_prompt("newer")).messages[0].text == "Hello"
        with pytest.raises(trunkline.NotFoundError) as caught:
            await trunk.get_prompt("fake.gret", {"what": "x"})
        assert caught.value.candidates == ("fake.greet",)
        assert len(server.ledger.of("prompts/get")) == 2


async def test_a_prompt_whose_list_hangs_is_still_got(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trunkline.runtime.interpret._PATIENCE", 0.05)
    server = offering()
    server.fault("prompts/list", Fault.hang)
    async with trunkline.connect({"fake": server}) as trunk:
        async with asyncio.timeout(10):
            assert (await trunk.get_prompt("fake.greet", {"what": "x"})).text == "user: Say x kindly"


async def test_a_new_resource_is_found_without_a_notification():
    one, two = offering(), FakeServer("two")
    two.resource("other://a", "a")
    async with trunkline.connect({"one": one, "two": two}) as trunk:
        await trunk.ready()
        two.resource("other://new", "fresh")
        reply = await trunk.read("other://new")
        assert (reply.text, reply.server) == ("fresh", "two")
        with pytest.raises(trunkline.NotFoundError) as caught:
            await trunk.read("other://nwe")
        assert caught.value.candidates[0] == "other://new"
        assert caught.value.delivery == "never_sent"


async def test_the_same_uri_on_two_servers_needs_its_server_named():
    one, two = offering(), offering()
    async with trunkline.connect({"one": one, "two": two}) as trunk:
        with pytest.raises(trunkline.AmbiguousNameError) as caught:
            await trunk.read("mem://text")
        assert caught.value.candidates == ("one", "two")
        assert (await trunk.read("mem://text", "two")).server == "two"
        with pytest.raises(trunkline.AmbiguousNameError):
            await trunk.get_prompt("greet", {"what": "x"})
        with pytest.raises(trunkline.AmbiguousNameError):
            await trunk.complete("mem://items/{id}", "id", "")
        assert (await trunk.complete("mem://items/{id}", "id", "", server="one")).server == "one"


async def test_reading_from_a_named_server_waits_for_no_list_and_no_other_server():
    server, slow = offering(), offering()
    for method in ("resources/list", "resources/templates/list"):
        server.fault(method, Fault.hang)
    slow.fault("tools/list", Fault.hang)
    async with trunkline.connect({"fake": server, "slow": slow}) as trunk:
        async with asyncio.timeout(5):
            assert (await trunk.read("mem://text", "fake")).text == "hello\nworld"
        with pytest.raises(trunkline.DeadlineExceededError) as caught:
            await trunk.read("mem://text", timeout=0.2)
        assert caught.value.delivery == "never_sent"
        assert "fake" in str(caught.value)


async def test_what_a_server_does_not_offer_is_not_asked_of_it():
    bare = FakeServer("bare")
    bare.tool("t")
    async with trunkline.connect({"bare": bare}) as trunk:
        asks = (
            trunk.read("mem://x", "bare"),
            trunk.get_prompt("bare.x"),
            trunk.complete("x", "a", "", server="bare"),
        )
        for ask in asks:
            with pytest.raises(trunkline.NotFoundError) as caught:
                await ask
            assert (caught.value.code, caught.value.delivery) == ("not_offered", "never_sent")
        assert {one.method for one in bare.ledger} <= {"server/discover", "tools/list"}


async def test_a_malformed_answer_is_told_and_its_usable_parts_are_given():
    class Strange(FakeServer):
        def complete(self, result: Any, method: str) -> dict[str, Any]:
            return super().complete(self.odd.get(method, result), method)

    server = Strange(eras=["modern"])
    server.resource("mem://a", "x")
    server.prompt("p", "x")
    server.completion("p", "a", ["x"])
    server.odd = {}  # type: ignore[attr-defined]
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        server.odd = {  # type: ignore[attr-defined]
            "resources/read": {"contents": [7, {"uri": "u"}, {"text": "good"}, {"uri": "u", "blob": "!!"}]},
            "prompts/get": {
                "messages": [{"role": "user"}, {"role": "user", "content": "odd"}],
                "description": 3,
            },
            "completion/complete": {"completion": {"values": [1, "a"], "total": -1, "hasMore": "yes"}},
        }
        read = await trunk.read("mem://a")
        assert [one.uri for one in read.contents] == ["mem://a", "u"]
        assert read.warnings == ("2 of its contents were neither text nor base64",)
        with pytest.raises(ValueError, match="base64"):
            _ = read.data
        prompt = await trunk.get_prompt("p")
        assert [one.text for one in prompt.messages] == ["[str]"]
        assert (prompt.description, len(prompt.warnings)) == ("", 1)
        found = await trunk.complete("p", "a", "")
        assert (found.values, found.total, found.has_more) == (("a",), None, False)
        server.odd = {method: {} for method in server.odd}  # type: ignore[attr-defined]
        for ask in (trunk.read("mem://a"), trunk.get_prompt("p"), trunk.complete("p", "a", "")):
            with pytest.raises(trunkline.ProtocolError) as caught:
                await ask
            assert (caught.value.code, caught.value.delivery) == ("malformed_answer", "answered")


@pytest.mark.parametrize(("method", "ask"), [("resources/read", READ), ("prompts/get", PROMPT)])
async def test_what_the_server_wants_to_know_first_is_answered_in_the_same_call(method: str, ask: Ask):
    class Curious(FakeServer):
        def complete(self, result: Any, method_: str) -> dict[str, Any]:
            if method_ == method and len(self.ledger.of(method)) == 1:
                question = {"message": "Sure?", "requestedSchema": {"type": "object", "properties": {}}}
                asked = {"q": {"method": "elicitation/create", "params": {"mode": "form", **question}}}
                return {"resultType": "input_required", "inputRequests": asked, "requestState": "s\u00e9"}
            return super().complete(result, method_)

    server = Curious(eras=["modern"])
    server.resource("mem://text", "hello")
    server.prompt("greet", "Say {what}", arguments=["what"])
    handlers = trunkline.Handlers(elicit=lambda _: trunkline.ElicitResult(action="accept", content={}))
    async with trunkline.connect({"fake": server}, handlers=handlers) as trunk:
        reply = await ask(trunk)
        assert reply.text in ("hello", "user: Say hi")
        first, second = server.ledger.of(method)
        assert second.params["requestState"] == "s\u00e9"
        assert second.params["inputResponses"]["q"]["action"] == "accept"
        assert second.name == first.name
        assert "requestState" not in first.params
