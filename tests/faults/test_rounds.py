"""Multi-round-trip requests to the letter: what goes back to the server, and what never leaves its call."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import trunkline
from trunkline.core.limits import Limits
from trunkline.protocol.frames import Encoder, Frame, decode_frame
from trunkline.protocol.rounds import MalformedRoundError, continue_with, read_round
from trunkline.testing import Ask, FakeServer, Result

pytestmark = pytest.mark.anyio

FORM = '{"method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object"}}}'
STATES = [
    '"plain"',
    '""',
    '"\\u00e9\\/\\ud83d\\ude00"',
    '"é/😀"',
    "1.0",
    "1e300",
    "100000000000000000000000000000",
    "-0",
    "null",
    "true",
    '{"b":1,"a":[ 1.50 ,2]}',
    '{"a":1,"a":2}',
    '" spaced "',
]


class ModernPeer:
    """A modern server with the tool `ask`, whose answers are text in which `$ID` is the request's id."""

    def __init__(self, *answers: str) -> None:
        self.answers = answers
        self.frames: list[bytes] = []
        self.calls: list[bytes] = []

    async def serve(self, receive: Callable[[], Awaitable[bytes]], send: Callable[[bytes], None]) -> None:
        while frame := await receive():
            self.frames.append(frame)
            message = json.loads(frame)
            number = str(message.get("id"))
            match message["method"]:
                case "server/discover":
                    text = '{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}'
                case "tools/list":
                    text = '{"tools":[{"name":"ask","inputSchema":{"type":"object"}}]}'
                case "tools/call":
                    self.calls.append(frame)
                    text = self.answers[min(len(self.calls), len(self.answers)) - 1]
                case _:
                    continue
            send(f'{{"jsonrpc":"2.0","id":{number},"result":{text}}}'.encode())


def asks(state: str | None = None, requests: str = f'{{"q":{FORM}}}') -> str:
    kept = "" if state is None else f',"requestState":{state}'
    return f'{{"resultType":"input_required","inputRequests":{requests}{kept}}}'


DONE = '{"content":[{"type":"text","text":"done"}],"resultType":"complete"}'
HANDLERS = trunkline.Handlers(elicit=lambda _: {"action": "accept", "content": {}})


@pytest.mark.parametrize("state", STATES)
async def test_the_state_goes_back_byte_for_byte(state: str):
    peer = ModernPeer(asks(state), DONE)
    async with trunkline.connect({"fake": peer}, handlers=HANDLERS) as trunk:
        assert (await trunk.call("fake.ask", {"x": 1})).text == "done"
    first, second = peer.calls
    assert b'"requestState":' + state.encode() + b"," in second
    assert b"requestState" not in first


async def test_the_repeated_request_differs_in_id_answers_and_state_only():
    peer = ModernPeer(asks('"s"'), asks('"t"', requests="{}"), asks(), DONE)
    async with trunkline.connect({"fake": peer}, handlers=HANDLERS) as trunk:
        reply = await trunk.call("fake.ask", {"x": 1})
        await trunk.call("fake.ask", {"x": 2})
    assert (reply.text, reply.attempts, reply.raw["resultType"]) == ("done", 1, "complete")
    messages = [json.loads(call) for call in peer.calls]
    assert len({message["id"] for message in messages}) == 5
    added = [
        {key: value for key, value in message["params"].items() if key in ("inputResponses", "requestState")}
        for message in messages
    ]
    answer = {"q": {"action": "accept", "content": {}}}
    assert added == [
        {},
        {"inputResponses": answer, "requestState": "s"},
        {"requestState": "t"},
        {"inputResponses": answer},
        {},
    ]
    for message in messages[1:4]:
        assert message["params"]["arguments"] == {"x": 1}
        assert message["params"]["_meta"]["progressToken"] == message["id"]


async def test_the_answers_stand_in_the_order_of_the_questions_and_are_asked_side_by_side():
    together = asyncio.Barrier(3)

    async def elicit(_: Any) -> dict[str, Any]:
        async with asyncio.timeout(5):
            await together.wait()
        return {"action": "decline"}

    requests = ",".join(f'"{key}":{FORM}' for key in ("z", "a", "m"))
    peer = ModernPeer(asks(requests=f"{{{requests}}}"), DONE)
    async with trunkline.connect({"fake": peer}, handlers=trunkline.Handlers(elicit=elicit)) as trunk:
        await trunk.call("fake.ask")
    assert list(json.loads(peer.calls[1])["params"]["inputResponses"]) == ["z", "a", "m"]


async def test_nothing_of_a_round_reaches_a_call_beside_it():
    """Both calls are in the middle of a round of their own when either goes on."""
    together = asyncio.Barrier(2)

    async def elicit(_: Any) -> dict[str, Any]:
        async with asyncio.timeout(5):
            await together.wait()
        return {"action": "decline"}

    server = FakeServer(eras=["modern"])

    @server.tool
    def ask(arguments: Any, context: Any) -> Any:
        params = context._exchange.request.params
        if "requestState" in params:
            return params["requestState"]
        question = {
            "method": "elicitation/create",
            "params": {"message": "?", "requestedSchema": {"type": "object"}},
        }
        return Result(
            resultType="input_required", inputRequests={"q": question}, requestState=f"of {arguments['n']}"
        )

    async with trunkline.connect({"fake": server}, handlers=trunkline.Handlers(elicit=elicit)) as trunk:
        replies = await trunk.call_many([("fake.ask", {"n": 1}), ("fake.ask", {"n": 2})])
        assert [reply.text for reply in replies] == ["of 1", "of 2"]


@pytest.mark.parametrize("rounds", [1, 3, 8])
async def test_a_call_is_sent_again_so_often_and_no_more(rounds: int):
    peer = ModernPeer(asks('"s"'))
    handlers = trunkline.Handlers(
        elicit=HANDLERS.elicit, limits=trunkline.HandlerLimits(rounds=rounds, prompts=99)
    )
    async with trunkline.connect({"fake": peer}, handlers=handlers) as trunk:
        with pytest.raises(trunkline.ProtocolError, match=f"more than {rounds} times") as caught:
            await trunk.call("fake.ask")
    assert (caught.value.code, caught.value.delivery) == ("too_many_rounds", "answered")
    assert len(peer.calls) == rounds + 1


@pytest.mark.parametrize(
    "answer",
    [
        '{"resultType":"input_required"}',
        '{"resultType":"input_required","inputRequests":[]}',
        '{"resultType":"input_required","inputRequests":{"q":7}}',
        '{"resultType":"input_required","inputRequests":{"q":{"params":{}}}}',
        asks(requests='{"q":{"method":"roots/list","params":[]}}'),
        asks(requests="{" + ",".join(f'"{n}":{FORM}' for n in range(65)) + "}"),
    ],
)
async def test_a_malformed_round_is_a_typed_error(answer: str):
    peer = ModernPeer(answer, DONE)
    handlers = trunkline.Handlers(elicit=HANDLERS.elicit, roots=lambda _: [])
    async with trunkline.connect({"fake": peer}, handlers=handlers) as trunk:
        with pytest.raises(trunkline.ProtocolError) as caught:
            await trunk.call("fake.ask")
        assert (await trunk.call("fake.ask")).text == "done"
    assert caught.value.code == "malformed_input_request"


async def test_input_required_of_a_legacy_server_or_another_method_is_refused():
    server = FakeServer(eras=["legacy"])
    server.tool("ask", returns=Result(resultType="input_required", requestState="s"))
    modern = FakeServer(eras=["modern"], result_type="input_required")
    async with trunkline.connect({"fake": server, "modern": modern}, handlers=HANDLERS) as trunk:
        with pytest.raises(trunkline.ProtocolError, match="not asked for"):
            await trunk.call("fake.ask")
        with pytest.raises(trunkline.TrunklineError, match="not asked for"):
            await trunk.ready("modern")
    assert len(server.calls) == 1


async def test_the_first_question_without_an_answer_ends_the_others_and_the_call():
    ended = asyncio.Event()

    async def elicit(_: Any) -> None:
        try:
            await asyncio.sleep(600)
        finally:
            ended.set()

    server = FakeServer(eras=["modern"])
    schema = {"type": "object"}
    server.tool(
        "ask", asks=[Ask.form("a", "?", schema), Ask("b", "vendor/unknown"), Ask.form("c", "?", schema)]
    )
    async with trunkline.connect({"fake": server}, handlers=trunkline.Handlers(elicit=elicit)) as trunk:
        with pytest.raises(trunkline.ProtocolError, match="vendor/unknown"):
            await trunk.call("fake.ask", timeout=10)
        assert ended.is_set()
    assert len(server.calls) == 1


async def test_the_state_is_neither_logged_nor_shown(caplog: pytest.LogCaptureFixture):
    shown: list[Any] = []
    peer = ModernPeer(asks('"s3cret-state"'), asks(requests='{"q":{"method":"x/y"}}', state='"s3cret-state"'))
    caplog.set_level(logging.DEBUG)
    handlers = trunkline.Handlers(elicit=lambda _: {"action": "accept", "content": {"name": "s3cret-name"}})
    async with trunkline.connect({"fake": peer}, handlers=handlers, wire=shown.append) as trunk:
        with pytest.raises(trunkline.CallError) as caught:
            await trunk.call("fake.ask")
    texts = [caplog.text, str(caught.value), repr(caught.value), *(record.body for record in shown)]
    assert any("requestState" in text for text in texts)
    for text in texts:
        assert "s3cret" not in text


def test_reading_and_continuing_are_pure_and_exact():
    frame = decode_frame(f'{{"id":1,"result":{asks("1.50")}}}'.encode(), Limits())
    assert isinstance(frame, Frame)
    asked = read_round(frame.result)
    assert "1.50" not in repr(asked)
    members = continue_with(asked, {"q": {"action": "cancel"}})
    body = Encoder({}).call_tool(2, "ask", {}, more=members)
    assert b'"inputResponses":{"q":{"action":"cancel"}},"requestState":1.50,' in body
    with pytest.raises(KeyError):
        continue_with(asked, {})
    with pytest.raises(MalformedRoundError):
        read_round({"resultType": "input_required"})
