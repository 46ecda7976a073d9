"""A hundred thousand fuzzed frames per transport: no hang, no crash, no answer to the wrong call."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any

import aiohttp
import msgspec
import pytest

import trunkline
from trunkline.core.call import Flight
from trunkline.core.limits import Limits
from trunkline.protocol.eras import ERAS
from trunkline.protocol.lines import LineFramer
from trunkline.transport.http_answer import AnswerReader
from trunkline.transport.link import Inbox, Request
from trunkline.transport.sse import SseLink, SseTransport
from trunkline.transport.stream import StreamCore
from trunkline.transport.websocket import WebSocketLink, WebSocketTransport

pytestmark = pytest.mark.anyio

LIMITS = Limits(frame_bytes=8_192, depth=16, nodes=500)
BURST = 500
SEEDS = [
    b'{"jsonrpc":"2.0","id":1000001,"result":{"content":[{"type":"text","text":"x"}]}}',
    b'{"jsonrpc":"2.0","id":"1000002","result":{"structuredContent":{"n":-1},"content":[]}}',
    b'{"jsonrpc":"2.0","id":1000003,"error":{"code":-32601,"message":"no","data":{"a":[1,2,3]}}}',
    b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1000004,"progress":0.5}}',
    b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}',
    b'{"jsonrpc":"2.0","id":7000000,"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}',
    b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"\xc3\xa9"}}',
    b'[{"jsonrpc":"2.0","id":1000005,"result":{}},{"jsonrpc":"2.0","method":"ping","id":1000006}]',
    b'{"result":{"a":{"b":{"c":[[[[[]]]]]}}},"jsonrpc":"2.0","id":1000007}',
]
PIECES = [
    *(
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\",
        b"\\ud800",
        b"\x00",
        b"\xff",
        b"\xc3",
        b"1e999",
        b"null",
    ),
    *(b'"id":1000009', b'"method":"x"', b'"error":{}', b"[" * 40, b"9" * 400, b"\xef\xbb\xbf", b"NaN", b"\t"),
]


def mutate(frame: bytes, chance: random.Random) -> bytes:
    """Give a frame that is a little, or wholly, wrong."""
    data = bytearray(frame)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                data[at:at] = chance.choice(PIECES)
            case 1:
                del data[at : at + chance.randrange(1, 20)]
            case 2 if at < len(data):
                data[at] = chance.randrange(256)
            case 3:
                data = data[:at] + bytearray(chance.choice(SEEDS))[at:]
            case 4:
                data = data[:at]
            case _:
                data += data[at : at + 30]
    return bytes(data).replace(b"\n", b"").replace(b"\r", b"")


def frames(seed: int, count: int, in_flight: Callable[[], set[int]]) -> Iterator[bytes]:
    """Give fuzzed frames, none of which names a call in flight: what names one may settle it."""
    chance = random.Random(seed)
    while count:
        frame = mutate(chance.choice(SEEDS), chance)
        if not {int(one) for one in re.findall(rb'"id"\s*:\s*(\d{1,9})(?!\d)', frame)} & in_flight():
            count -= 1
            yield frame


def request(number: int) -> Request:
    return Request(id=number, method="tools/call", body=b"%d" % number, flight=Flight(0.0))


def good(number: int) -> bytes:
    return b'{"jsonrpc":"2.0","id":%d,"result":{"structuredContent":{"n":%d}}}' % (number, number)


async def taken(waiting: asyncio.Queue[Any], core: StreamCore) -> None:
    """Wait until all that waits has been taken."""
    while waiting.qsize() or core.behind:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0)
    await asyncio.sleep(0)


class Lines:
    """What reads a pipe: frames end with newlines, wherever a piece ends."""

    def __init__(self, chance: random.Random) -> None:
        self.core = StreamCore("s", LIMITS, lambda _: None)
        self._framer = LineFramer(LIMITS.frame_bytes)
        self._chance = chance

    async def open(self) -> StreamCore:
        return self.core

    async def feed(self, frames: list[bytes]) -> None:
        stream = b"".join(frame + b"\n" for frame in frames)
        while stream:
            size = self._chance.randrange(1, 5_000)
            self.core.receive(self._framer.feed(stream[:size]))
            self.core.catch_up()
            stream = stream[size:]

    async def close(self) -> None:
        """Nothing is open."""


class Sockets:
    """What reads a WebSocket: each frame is a message."""

    closed = False

    def __init__(self, _: random.Random) -> None:
        self._waiting: asyncio.Queue[aiohttp.WSMessage] = asyncio.Queue()

    async def open(self) -> WebSocketLink:
        settings = WebSocketTransport(server="s", url="ws://s", limits=LIMITS, client=lambda _: self)  # type: ignore[arg-type, return-value]
        self._link = await settings.open()
        self.core = self._link._core
        return self._link

    async def ws_connect(self, *_: Any, **__: Any) -> Sockets:
        return self

    def receive(self) -> Any:
        return self._waiting.get()

    async def send_frame(self, *_: Any) -> None:
        """Take everything at once."""

    def get_extra_info(self, _: str) -> None:
        """There is no socket."""

    async def feed(self, frames: list[bytes]) -> None:
        for frame in frames:
            self._waiting.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, frame, None))
        await taken(self._waiting, self.core)

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            await self._link.close()


class Events:
    """What reads an event stream beside the posts, in pieces of any size."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()
        self._waiting.put_nowait(b"event: endpoint\ndata: /posts\n\n")

    async def open(self) -> SseLink:
        settings = SseTransport(server="s", url="http://s/", limits=LIMITS, client=lambda _: self)  # type: ignore[arg-type, return-value]
        self._link = await settings.open()
        self.core = self._link._core
        return self._link

    async def get(self, *_: Any, **__: Any) -> Any:
        return Response("text/event-stream", iter(self._waiting.get, None))

    async def post(self, *_: Any, **__: Any) -> Any:
        return Response("text/plain", iter([]))

    async def feed(self, frames: list[bytes]) -> None:
        stream = b"".join(b"event: message\ndata: " + frame + b"\n\n" for frame in frames)
        while stream:
            size = self._chance.randrange(1, 5_000)
            self._waiting.put_nowait(stream[:size])
            stream = stream[size:]
        await taken(self._waiting, self.core)

    async def close(self) -> None:
        if self._link._closing is None:
            await self._link.close()


async def fuzz_a_stream(seed: int, count: int, carrier: Any, revision: str) -> None:
    """Feed a shared stream, with calls in flight that are answered in random order."""
    chance = random.Random(-seed)
    peer = carrier(chance)
    link = await peer.open()
    link.adopt(ERAS[revision])
    pending: dict[int, asyncio.Task[Any]] = {}
    fuzz = frames(seed, count, lambda: set(pending))
    while count > 0:
        for _ in range(5):
            number = link.next_id()
            pending[number] = asyncio.create_task(link.request(request(number)))
        await asyncio.sleep(0)
        await peer.feed([frame for _, frame in zip(range(BURST), fuzz, strict=False)])
        count -= BURST
        assert not [number for number, task in pending.items() if task.done()]
        for number in chance.sample(sorted(pending), len(pending)):
            await peer.feed([good(number)])
            answer = await asyncio.wait_for(pending.pop(number), 5)
            assert answer.result == {"structuredContent": {"n": number}}
    assert not peer.core.lost
    assert len(peer.core.inbox._frames) <= 1_024
    await peer.close()


class Response:
    """An HTTP response as far as `AnswerReader` looks at it."""

    status = 200
    headers: dict[str, str] = {}  # noqa: RUF012 - a stand-in

    def __init__(self, content_type: str, chunks: Iterable[bytes | Awaitable[bytes]]) -> None:
        self.content_type = content_type
        self.content_length = sum(map(len, chunks)) if isinstance(chunks, list) else None
        self._chunks = chunks
        self.content = self

    async def iter_any(self) -> Any:
        for chunk in self._chunks:
            yield chunk if isinstance(chunk, bytes) else await chunk

    async def read(self) -> bytes:
        assert isinstance(self._chunks, list)
        return b"".join(self._chunks)

    def at_eof(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing is open."""


async def fuzz_event_streams(seed: int, count: int) -> None:
    """Each response is a stream of fuzzed events with one true answer somewhere in it."""
    chance = random.Random(-seed)
    number = 0
    fuzz = frames(seed, count, lambda: {number})
    while count > 0:
        number += 1
        lines = [b"data: " + frame for _, frame in zip(range(BURST), fuzz, strict=False)]
        count -= BURST
        place = chance.randrange(len(lines) + 1)
        lines.insert(place, b"data: " + good(number))
        stream = b"\n\n".join(lines) + b"\n\n"
        cut = chance.randrange(1, 5_000)
        response = Response("text/event-stream", [stream[at : at + cut] for at in range(0, len(stream), cut)])
        inbox = Inbox()
        frame = await AnswerReader("s", LIMITS, inbox).read(response, request(number))  # type: ignore[arg-type]
        assert frame.result == {"structuredContent": {"n": number}}


async def fuzz_bodies(seed: int, count: int) -> None:
    """Each body is one fuzzed frame: it is the answer only if it says so, else a typed error."""
    reader = AnswerReader("s", LIMITS, Inbox())
    failures: set[str] = set()
    for body in frames(seed, count, lambda: {1}):
        response = Response("application/json", [body])
        try:
            frame = await reader.read(response, request(1))  # type: ignore[arg-type]
        except trunkline.CallError as error:
            failures.add(error.delivery)
        else:
            # Only an error that names no request may be taken for an answer to the one that was asked.
            assert frame.error is not msgspec.UNSET
            assert frame.id in (None, msgspec.UNSET)
    assert failures == {"unknown"}


STREAMS = {
    "stdio": partial(fuzz_a_stream, carrier=Lines, revision="2026-07-28"),
    "websocket": partial(fuzz_a_stream, carrier=Sockets, revision="2025-03-26"),
    "older": partial(fuzz_a_stream, carrier=Events, revision="2024-11-05"),
    "event streams": fuzz_event_streams,
    "bodies": fuzz_bodies,
}


@pytest.mark.parametrize("kind", STREAMS)
async def test_a_hundred_thousand_fuzzed_frames_hang_crash_and_misdeliver_nothing(kind: str):
    await STREAMS[kind](20_260_728, 100_000)


@pytest.mark.soak
@pytest.mark.parametrize("kind", STREAMS)
async def test_a_million_fuzzed_frames_hang_crash_and_misdeliver_nothing(kind: str):
    for seed in range(10):
        await STREAMS[kind](seed, 100_000)
