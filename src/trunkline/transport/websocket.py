"""websocket: one message per text frame over `ws://` or `wss://`, as servers of every family offer it.

The revisions define no WebSocket transport; this is the custom one that SDKs share: subprotocol `mcp`,
a JSON-RPC message in each text frame, the rules of stdio for everything else. A server that answers
without naming the subprotocol, or in binary frames, is understood all the same.
"""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal

import aiohttp
import msgspec

from trunkline._version import __version__
from trunkline.core.limits import Limits
from trunkline.protocol.lines import Endless, Oversized
from trunkline.telemetry.escape import escape_text
from trunkline.transport.http_client import DIRECT, Egress, make_client
from trunkline.transport.link import Inbox
from trunkline.transport.network import cannot_connect, describe
from trunkline.transport.pace import Pacing
from trunkline.transport.stream import StreamCore
from trunkline.transport.verdict import judge_status

_EDGE = 2048
_SIGNS = (aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG)
_GOES_ON = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY, *_SIGNS)
_CLOSES = {
    1000: "its work is done",
    1001: "it is going away",
    1002: "a protocol error",
    1003: "a kind of message it does not take",
    1007: "text it cannot read",
    1008: "its policy",
    1009: "a message that is too big for it",
    1011: "an error of its own",
    1012: "it restarts",
    1013: "it is overloaded",
    1014: "a bad gateway",
    3000: "authorization is missing",
    3003: "it is forbidden",
}
"""What close codes mean. Sources: RFC 6455, section 7.4.1, and IANA's registry of WebSocket close codes."""


class WebSocketTransport(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach one server over WebSocket."""

    server: str
    url: str
    headers: Mapping[str, str] = {}
    limits: Limits = Limits()
    egress: Egress = DIRECT
    client: Callable[[Egress], aiohttp.ClientSession] = lambda egress: make_client(
        egress, traces=(refuse_redirects(),)
    )
    core: Callable[[str, Limits, Callable[[bytes], None]], StreamCore] = StreamCore
    heartbeat: float = 30.0
    """Seconds of silence before a ping; one that brings nothing for half as long ends the link."""
    farewell: float = 2.0
    """Seconds the closing handshake may take."""

    async def open(self) -> WebSocketLink:
        """Shake hands.

        Raises:
            CallError: nobody listens there, or the server refused with an HTTP status.
        """
        client = self.client(self.egress)
        try:
            socket = await client.ws_connect(
                self.url,
                protocols=("mcp",),
                headers={"User-Agent": f"trunkline/{__version__}", **self.headers},
                heartbeat=self.heartbeat,
                max_msg_size=2 * self.limits.frame_bytes + 1,
                compress=0,
                decode_text=False,
                autoping=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=self.farewell),
            )
        except (aiohttp.WSServerHandshakeError, _RedirectedError) as refused:
            await client.close()
            raise judge_status(self.server, refused.status, refused.headers or {}) from refused
        except (aiohttp.ClientError, OSError) as cause:
            await client.close()
            raise cannot_connect(self.server, self.url, cause) from cause
        except BaseException:
            await client.close()
            raise
        return WebSocketLink(self, client, socket)


def describe_close(code: int | None, text: str) -> str:
    """Say why a server closed its WebSocket.

    Args:
        code: its close code; None or 0 where it gave none.
        text: what it said besides.
    """
    if not code:
        return "it closed the WebSocket without saying why"
    meaning = f" ({_CLOSES[code]})" if code in _CLOSES else ""
    said = f", saying {escape_text(text)!r}" if text else ""
    return f"it closed the WebSocket with code {code}{meaning}{said}"


def refuse_redirects() -> aiohttp.TraceConfig:
    """Give a trace that ends a request which is redirected: its headers are for one origin only."""
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    return trace


async def _refuse_redirect(_: Any, __: Any, params: Any) -> None:
    raise _RedirectedError(params.response.status, params.response.headers)


class _RedirectedError(aiohttp.ClientError):
    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.status = status
        self.headers = headers


class WebSocketLink:
    """One open WebSocket: callers write in their own tasks, one task of the link reads."""

    kind = "websocket"
    exceeded = None

    def __init__(
        self,
        settings: WebSocketTransport,
        client: aiohttp.ClientSession,
        socket: aiohttp.ClientWebSocketResponse[Literal[False]],
    ) -> None:
        self._settings = settings
        self._client = client
        self._socket = socket
        self._core = settings.core(settings.server, settings.limits, self._write)
        self._pacing = Pacing(settings.limits.notifications, self._core.share)
        self._ping: bytes | None = None
        self._loop = asyncio.get_running_loop()
        self._closing: asyncio.Task[None] | None = None
        self.next_id = self._core.next_id
        self.request = self._core.request
        self.adopt = self._core.adopt
        self.wait_closed = self._core.wait_lost
        self._reader = self._loop.create_task(self._read_all())

    @property
    def lost(self) -> bool:
        """Whether the socket has ended."""
        return self._core.lost

    @property
    def unsolicited(self) -> Inbox:
        """What the server sends outside exchanges."""
        return self._core.inbox

    def frozen(self) -> bool:
        """Nothing is known of its process."""
        return False

    def distrust(self) -> None:
        """There is nothing to open anew but the link itself."""

    def stderr_tail(self) -> str:
        """A remote server's standard error is not ours to see."""
        return ""

    def listen(self) -> None:
        """Everything comes on the one stream."""

    async def notify(self, body: bytes) -> None:
        """Send a message that has no answer."""
        await self._core.deliver(body)

    async def close(self, reason: str = "it was closed") -> None:
        """Close in good order, bounded in time, and end the reading."""
        if self._closing is None:
            self._core.lose(reason)
            self._closing = asyncio.ensure_future(self._end())
        await asyncio.shield(self._closing)

    async def _end(self) -> None:
        raw = self._socket.get_extra_info("socket")
        self._reader.cancel()
        try:
            await asyncio.wait({self._reader})
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.farewell):
                    await self._socket.close()
        finally:
            _cut(raw)
            await self._client.close()

    def _write(self, data: bytes) -> None:
        for frame in data.split(b"\n"):
            if frame:
                self._send(frame)

    def _answer_ping(self) -> None:
        """Answer the last ping; while the peer takes nothing, no other is (RFC 6455, section 5.5.3)."""
        if self._ping is not None and not self._core.paused:
            data, self._ping = self._ping, None
            self._send(data, aiohttp.WSMsgType.PONG)

    def _send(self, frame: bytes, kind: aiohttp.WSMsgType = aiohttp.WSMsgType.TEXT) -> None:
        """Hand one frame to the socket at once; while the peer takes no more, the rest stays in the core.

        The frame is written in the first step of aiohttp's coroutine. It stops there only to wait for the
        peer, which a callback does as well, without a task.
        """
        sending = self._socket.send_frame(frame, kind)
        try:
            drained: asyncio.Future[None] = sending.send(None)
        except StopIteration:
            return
        except (aiohttp.ClientError, OSError) as cause:
            self._core.lose(f"writing failed: {describe(cause)}")
            return
        sending.close()
        self._core.pause()
        drained.add_done_callback(self._go_on)

    def _go_on(self, drained: asyncio.Future[None]) -> None:
        # Asked for here, so that nobody is told of an error that was never looked at; reading meets it too.
        if not drained.cancelled() and drained.exception() is None:
            self._core.resume()
            self._answer_ping()

    async def _read_all(self) -> None:
        reason = "its reading was stopped"
        try:
            while (message := await self._socket.receive()).type in _GOES_ON:
                began = self._loop.time()
                behind = self._take(message)
                self._pacing.spent += self._loop.time() - began
                if behind:
                    await self._core.rest(self._pacing)
            reason = self._describe_end(message)
        except (aiohttp.ClientError, OSError) as cause:
            reason = f"reading failed: {describe(cause)}"
        finally:
            self._core.lose(reason)

    def _take(self, message: Any) -> bool:
        if message.type in _SIGNS:
            if message.type is aiohttp.WSMsgType.PING:
                self._ping = bytes(message.data)
                self._answer_ping()
            self._core.share.take(0)
            return self._core.behind
        data: bytes = message.data
        arrived: bytes | Oversized | Endless = data
        if len(data) > self._settings.limits.frame_bytes:
            arrived = Oversized(head=data[:_EDGE], tail=data[-_EDGE:], ended=True)
        return self._core.receive([arrived])

    def _describe_end(self, message: Any) -> str:
        if message.type is aiohttp.WSMsgType.CLOSE:
            return describe_close(message.data, message.extra or "")
        if message.type is not aiohttp.WSMsgType.ERROR:
            return "its WebSocket ended without a closing handshake"
        if isinstance(message.data, aiohttp.ServerTimeoutError):
            return f"it did not answer a ping within {self._settings.heartbeat / 2:g} s"
        if getattr(message.data, "code", None) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
            return f"it sent a message of over {2 * self._settings.limits.frame_bytes:,} bytes"
        return f"its WebSocket broke ({describe(message.data)})"


def _cut(raw: Any) -> None:
    """End a socket whose peer may not have read all that was to be sent, which would keep it open."""
    if raw is not None:
        with suppress(OSError, TypeError):  # uvloop's sockets have no shutdown
            raw.shutdown(sockets.SHUT_RDWR)
