"""The rules of one shared stream, against peers that break them byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import trunkline
from trunkline.core.call import Flight
from trunkline.core.limits import Limits
from trunkline.protocol.lines import LineFramer
from trunkline.transport.link import Request
from trunkline.transport.stream import StreamCore

pytestmark = pytest.mark.anyio

Send = Callable[[bytes], None]
CAP = 5_000
SMALL = {"servers": {"raw": {"limits": {"frame_bytes": CAP}}}}


class RawPeer:
    """A legacy server whose answers to `tools/call` are whatever a test writes."""

    def __init__(self, answer: Callable[[dict[str, Any], Send], Any]) -> None:
        self.answer = answer
        self.received: list[dict[str, Any]] = []
        self.arrived = asyncio.Event()

    async def serve(self, receive: Callable[[], Awaitable[bytes]], send: Send) -> None:
        while frame := await receive():
            message = json.loads(frame)
            self.received.append(message)
            self.arrived.set()
            match message.get("method"):
                case "initialize":
                    reply(send, message, {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}})
                case "tools/list":
                    schema = {"type": "object"}
                    tools = [{"name": name, "inputSchema": schema} for name in ("a", "b", "c")]
                    reply(send, message, {"tools": tools})
                case "tools/call":
                    self.answer(message, send)
                case "server/discover":
                    error = {"code": -32601, "message": "no"}
                    send(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}).encode())

    async def wait_for(self, condition: Callable[[list[dict[str, Any]]], Any]) -> None:
        async with asyncio.timeout(5):
            while not condition(self.received):
                self.arrived.clear()
                await self.arrived.wait()


def reply(send: Send, message: dict[str, Any], result: Any) -> None:
    send(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode())


def said(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}]}


def named(message: dict[str, Any]) -> str:
    return str(message["params"]["name"])


DEEP = "[" * 100 + "]" * 100


@pytest.mark.parametrize(
    "request_of_the_server",
    [
        '{"jsonrpc":"2.0","id":$ID,"method":"sampling/createMessage","params":' + DEEP + "}",
        '{"jsonrpc":"2.0","method":"sampling/createMessage","params":' + DEEP + ',"id":$ID}',
        '{"id":$ID,"jsonrpc":"2.0","method":"roots/list","params":{"x":"' + "y" * CAP + '"}}',
        '{"method":"roots/list","jsonrpc":"2.0","params":{"x":"' + "y" * CAP + '"},"id":$ID}',
    ],
    ids=["deep, id first", "deep, id last", "large, id first", "large, id last"],
)
async def test_a_broken_request_of_the_server_with_our_id_fails_no_call_of_ours(request_of_the_server: str):
    def answer(message: dict[str, Any], send: Send) -> None:
        send(request_of_the_server.replace("$ID", str(message["id"])).encode())
        reply(send, message, said("mine"))

    async with trunkline.connect({"raw": RawPeer(answer)}, policy=SMALL) as trunk:
        assert (await trunk.call("raw.a", timeout=2)).text == "mine"


async def test_an_oversized_answer_without_a_readable_id_costs_one_call_and_not_the_next():
    ended = asyncio.Event()

    def answer(message: dict[str, Any], send: Send) -> None:
        if named(message) == "a":
            send(b'{"result":{"x":"' + b"y" * (CAP + 10) + b'"},"id":%d,"more":1}' % message["id"])
            ended.set()
        else:
            reply(send, message, said("fine"))

    async with trunkline.connect({"raw": RawPeer(answer)}, policy=SMALL) as trunk:
        await trunk.ready()
        with pytest.raises(trunkline.ProtocolError):
            await trunk.call("raw.a", timeout=2)
        assert (await trunk.call("raw.b", timeout=2)).text == "fine"


async def test_the_end_of_an_oversized_frame_fails_no_call_that_was_sent_after_its_beginning():
    core = StreamCore("raw", Limits(frame_bytes=CAP), lambda _: None)
    framer = LineFramer(CAP)

    def ask() -> asyncio.Task[Any]:
        number = core.next_id()
        request = Request(id=number, method="tools/call", body=b"{}", flight=Flight(0.0))
        return asyncio.create_task(core.request(request))

    first = ask()
    await asyncio.sleep(0)
    core.receive(framer.feed(b'{"result":{"x":"' + b"y" * (CAP + 10)))
    with pytest.raises(trunkline.ProtocolError):
        await first
    second = ask()
    await asyncio.sleep(0)
    core.receive(framer.feed(b'"},"id":1,"more":{"id":1}}\n{"jsonrpc":"2.0","id":2,"result":{}}\n'))
    assert (await second).result == {}


async def test_answers_in_any_order_find_their_calls():
    waiting: list[dict[str, Any]] = []

    def answer(message: dict[str, Any], send: Send) -> None:
        waiting.append(message)
        if len(waiting) == 50:
            for one in reversed(waiting):
                reply(send, one, said(str(one["params"]["arguments"]["n"])))

    async with trunkline.connect({"raw": RawPeer(answer)}) as trunk:
        replies = await asyncio.gather(*(trunk.call("raw.a", {"n": n}) for n in range(50)))
    assert [one.text for one in replies] == [str(n) for n in range(50)]


@pytest.mark.parametrize("identity", ['"$ID"', "$ID.0", "[$ID]", "null", "true", "9999", "-1", '"x"', "1e3"])
async def test_an_id_of_another_type_or_number_is_nobodys_answer(identity: str):
    def answer(message: dict[str, Any], send: Send) -> None:
        foreign = identity.replace("$ID", str(message["id"]))
        send(b'{"jsonrpc":"2.0","id":' + foreign.encode() + b',"result":{"content":[]}}')
        reply(send, message, said("mine"))

    async with trunkline.connect({"raw": RawPeer(answer)}) as trunk:
        assert (await trunk.call("raw.a", timeout=2)).text == "mine"


async def test_an_answer_to_a_cancelled_call_is_dropped():
    held: list[dict[str, Any]] = []

    def answer(message: dict[str, Any], send: Send) -> None:
        if named(message) == "a":
            held.append(message)
        else:
            for one in held:
                reply(send, one, said("too late"))
            reply(send, message, said("mine"))

    peer = RawPeer(answer)
    async with trunkline.connect({"raw": peer}) as trunk:
        call = asyncio.create_task(trunk.call("raw.a"))
        await peer.wait_for(lambda _: held)
        call.cancel()
        await asyncio.wait({call})
        assert (await trunk.call("raw.b", timeout=2)).text == "mine"
        told = [one for one in peer.received if one.get("method") == "notifications/cancelled"]
        assert [one["params"]["requestId"] for one in told] == [held[0]["id"]]


async def test_a_servers_ping_is_answered_and_what_was_not_offered_is_refused():
    def answer(message: dict[str, Any], send: Send) -> None:
        send(b'{"jsonrpc":"2.0","id":"p1","method":"ping"}')
        send(b'{"jsonrpc":"2.0","id":7,"method":"sampling/createMessage","params":{}}')
        reply(send, message, said("mine"))

    peer = RawPeer(answer)
    async with trunkline.connect({"raw": peer}) as trunk:
        await trunk.call("raw.a")
        await peer.wait_for(lambda seen: len([one for one in seen if "method" not in one]) == 2)
    answers = {one["id"]: one for one in peer.received if "method" not in one}
    assert answers["p1"]["result"] == {}
    assert answers[7]["error"]["code"] == -32601


async def test_ten_thousand_stray_messages_harm_nothing_and_are_bounded():
    def answer(message: dict[str, Any], send: Send) -> None:
        for number in range(2_000):
            send(b'{"jsonrpc":"2.0","id":%d,"result":{}}' % (100_000 + number))
            send(b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":%d}}' % number)
            send(b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":77}}')
            send(b"not json at all")
            send(b'{"jsonrpc":"2.0"}')
        reply(send, message, said("mine"))

    async with trunkline.connect({"raw": RawPeer(answer)}) as trunk:
        assert (await trunk.call("raw.a", timeout=10)).text == "mine"
        link = trunk._fleet.get("raw").connection.link
        assert link.unsolicited.dropped > 0
        assert len(link.unsolicited._frames) <= 1024


@pytest.mark.parametrize(
    "params",
    [
        {"progressToken": "$ID", "progress": "soon"},
        {"progressToken": "$ID"},
        {"progressToken": "$ID", "progress": 1, "total": {}},
        {"progressToken": "$ID", "progress": [], "message": 7},
        [],
    ],
)
async def test_malformed_progress_reaches_no_handler_and_harms_no_call(params: Any):
    seen: list[Any] = []

    def answer(message: dict[str, Any], send: Send) -> None:
        mine = json.dumps(params).replace('"$ID"', str(message["id"]))
        send(b'{"jsonrpc":"2.0","method":"notifications/progress","params":' + mine.encode() + b"}")
        reply(send, message, said("mine"))

    async with trunkline.connect({"raw": RawPeer(answer)}) as trunk:
        assert (await trunk.call("raw.a", timeout=2, on_progress=seen.append)).text == "mine"
    assert seen == []


async def test_a_peer_that_returns_raises_or_answers_and_returns_is_told_apart():
    class Ends(RawPeer):
        async def serve(self, receive: Any, send: Send) -> None:
            await super().serve(self.until_call(receive, send), send)
            if self.how == "raises":
                raise ZeroDivisionError("inside the peer")

        def until_call(self, receive: Any, send: Send) -> Any:
            async def get() -> bytes:
                frame = await receive()
                if b"tools/call" not in frame:
                    return frame
                if self.how == "answers":
                    reply(send, json.loads(frame), said("last words"))
                return b""

            return get

    for how in ("returns", "raises", "answers"):
        peer = Ends(lambda *_: None)
        peer.how = how
        async with trunkline.connect({"raw": peer}) as trunk:
            if how == "answers":
                assert (await trunk.call("raw.a", timeout=2)).text == "last words"
                continue
            with pytest.raises(trunkline.OutcomeUnknownError) as caught:
                await trunk.call("raw.a", timeout=2)
            assert ("inside the peer" in str(caught.value)) == (how == "raises")


async def test_a_peer_that_does_not_read_holds_back_frames_that_can_be_taken_back():
    gate = asyncio.Event()

    class Slow(RawPeer):
        async def serve(self, receive: Any, send: Send) -> None:
            async def gated() -> bytes:
                if len(self.received) >= 4:
                    await gate.wait()
                return await receive()

            await super().serve(gated, send)

    peer = Slow(lambda message, send: reply(send, message, said(str(message["params"]["arguments"]["n"]))))
    async with trunkline.connect({"raw": peer}) as trunk:
        await trunk.ready()
        kept = [asyncio.create_task(trunk.call("raw.a", {"n": n})) for n in range(1_500)]
        await asyncio.sleep(0)
        late = [asyncio.create_task(trunk.call("raw.a", {"n": -n}, timeout=0.05)) for n in range(1, 500)]
        errors = await asyncio.gather(*late, return_exceptions=True)
        deliveries = {error.delivery for error in errors if isinstance(error, trunkline.CallError)}
        assert deliveries == {"never_sent"}
        gate.set()
        assert [reply.text for reply in await asyncio.gather(*kept)] == [str(n) for n in range(1_500)]
    assert not [one for one in peer.received if one.get("params", {}).get("arguments", {}).get("n", 0) < 0]


async def test_answers_to_a_server_that_asks_and_never_reads_are_bounded():
    stopped = asyncio.Event()

    class Asking(RawPeer):
        async def serve(self, receive: Callable[[], Awaitable[bytes]], send: Send) -> None:
            async def until_listed() -> bytes:
                if self.received and self.received[-1].get("method") == "tools/list":
                    for number in range(6_000):
                        send(json.dumps({"jsonrpc": "2.0", "id": f"p{number}", "method": "ping"}).encode())
                        await asyncio.sleep(0)
                    stopped.set()
                    await asyncio.Event().wait()
                return await receive()

            await super().serve(until_listed, send)

    async with trunkline.connect({"raw": Asking(lambda *_: None)}) as trunk:
        await trunk.ready()
        await asyncio.wait_for(stopped.wait(), 20)
        core = trunk._fleet.get("raw").connection.link._core  # type: ignore[union-attr]
        assert len(core._outbox) <= 1024 + 64


@pytest.mark.parametrize("end", ["resumed", "lost", "cancelled"])
async def test_a_message_that_waits_for_room_leaves_when_there_is_some_and_ends_with_the_stream(end: str):
    written: list[bytes] = []
    core = StreamCore("s", Limits(), written.append)
    core.pause()
    for number in range(1024):
        await core.deliver(b"%d" % number)
    waiting = asyncio.ensure_future(core.deliver(b"last"))
    await asyncio.sleep(0)
    assert not waiting.done()
    match end:
        case "resumed":
            core.resume()
        case "lost":
            core.lose("it is gone")
        case _:
            waiting.cancel()
    await asyncio.wait({waiting}, timeout=5)
    assert waiting.done()
    await asyncio.sleep(0)
    assert (b"last" in b"".join(written)) == (end == "resumed")


async def test_a_request_with_an_endless_id_is_not_answered():
    def ask(message: dict[str, Any], send: Send) -> None:
        for number in ("x" * 100_000, "short"):
            send(json.dumps({"jsonrpc": "2.0", "id": number, "method": "ping"}).encode())
        reply(send, message, {"content": []})

    peer = RawPeer(ask)
    async with trunkline.connect({"raw": peer}) as trunk:
        await trunk.call("raw.a")
        await peer.wait_for(lambda received: any(one.get("id") == "short" for one in received))
        assert not any(len(str(one.get("id"))) > 10_000 for one in peer.received)
