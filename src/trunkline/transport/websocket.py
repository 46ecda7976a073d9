"""websocket: one message per text frame over `ws://` or `wss://`, as servers of every family offer it.

The revisions define no WebSocket transport; this is the custom one that SDKs share: subprotocol `mcp`,
a JSON-RPC message in each text frame, the rules of stdio for everything else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal

import aiohttp
import msgspec

from trunkline.core.limits import Limits
from trunkline.protocol.lines import Endless, Oversized
from trunkline.transport.http_client import make_client
from trunkline.transport.link import Inbox
from trunkline.transport.network import cannot_connect
from trunkline.transport.stream import StreamCore
from trunkline.transport.verdict import judge_status

_HEARTBEAT = 30.0
"""Seconds between pings of the WebSocket protocol; one that is not answered ends the link."""
_MOST_WAITING = 256
"""Messages that wait to be written before the rest is held back, where a cancelled call can take it back."""
_FAREWELL = 2.0
"""Seconds the closing handshake may take."""
_EDGE = 2048


class WebSocketTransport(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach one server over WebSocket."""

    server: str
    url: str
    headers: Mapping[str, str] = {}
    limits: Limits = Limits()
    client: Callable[[], aiohttp.ClientSession] = lambda: make_client(traces=(refuse_redirects(),))
    core: Callable[[str, Limits, Callable[[bytes], None]], StreamCore] = StreamCore

    async def open(self) -> WebSocketLink:
        """Shake hands.

        Raises:
            CallError: nobody listens there, or the server refused with an HTTP status.
        """
        client = self.client()
        try:
            socket = await client.ws_connect(
                self.url,
                protocols=("mcp",),
                headers=self.headers,
                heartbeat=_HEARTBEAT,
                max_msg_size=2 * self.limits.frame_bytes + 1,
                compress=0,
                decode_text=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=_FAREWELL),
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
    """One open WebSocket. One task reads and one writes, both owned by the link."""

    kind = "websocket"

    def __init__(
        self,
        settings: WebSocketTransport,
        client: aiohttp.ClientSession,
        socket: aiohttp.ClientWebSocketResponse[Literal[False]],
    ) -> None:
        self._limits = settings.limits
        self._client = client
        self._socket = socket
        self._core = settings.core(settings.server, settings.limits, self._write)
        self._waiting: deque[bytes] = deque()
        self._wanted = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self.next_id = self._core.next_id
        self.request = self._core.request
        self.adopt = self._core.adopt
        self.wait_closed = self._core.wait_lost
        loop = asyncio.get_running_loop()
        self._tasks = (loop.create_task(self._read_all()), loop.create_task(self._write_all()))

    @property
    def lost(self) -> bool:
        """Whether the socket has ended."""
        return self._core.lost

    @property
    def unsolicited(self) -> Inbox:
        """What the server sends outside exchanges."""
        return self._core.inbox

    def stderr_tail(self) -> str:
        """A remote server's standard error is not ours to see."""
        return ""

    def listen(self) -> None:
        """Everything comes on the one stream."""

    async def notify(self, body: bytes) -> None:
        """Send a message that has no answer."""
        self._core.notify(body)

    async def close(self) -> None:
        """Close in good order, bounded in time, and end both tasks."""
        if self._closing is None:
            self._core.lose("it was closed")
            self._closing = asyncio.ensure_future(self._end())
        await asyncio.shield(self._closing)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self._socket.close()
        await self._client.close()

    def _write(self, data: bytes) -> None:
        self._waiting.extend(frame for frame in data.split(b"\n") if frame)
        self._wanted.set()
        if len(self._waiting) >= _MOST_WAITING:
            self._core.pause()

    async def _write_all(self) -> None:
        while True:
            while self._waiting:
                frame = self._waiting.popleft()
                try:
                    await self._socket.send_frame(frame, aiohttp.WSMsgType.TEXT)
                except (aiohttp.ClientError, OSError) as cause:
                    self._core.lose(f"writing failed: {cause}")
                    return
                if len(self._waiting) == _MOST_WAITING // 2:
                    self._core.resume()
            self._wanted.clear()
            if not self._waiting:
                await self._wanted.wait()

    async def _read_all(self) -> None:
        reason = "its reading was stopped"
        try:
            while (message := await self._socket.receive()).type in (
                aiohttp.WSMsgType.TEXT,
                aiohttp.WSMsgType.BINARY,
            ):
                self._take(message.data)
            reason = self._describe_end(message)
        except (aiohttp.ClientError, OSError) as cause:
            reason = f"reading failed: {cause}"
        finally:
            self._core.lose(reason)

    def _take(self, data: bytes) -> None:
        arrived: bytes | Oversized | Endless = data
        if len(data) > self._limits.frame_bytes:
            arrived = Oversized(head=data[:_EDGE], tail=data[-_EDGE:], ended=True)
        self._core.receive([arrived])

    def _describe_end(self, message: Any) -> str:
        if message.type is aiohttp.WSMsgType.ERROR:
            code = getattr(message.data, "code", None)
            if code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
                return f"it sent a message of over {2 * self._limits.frame_bytes:,} bytes"
            return f"its WebSocket broke: {message.data}"
        code = self._socket.close_code
        if code in (None, aiohttp.WSCloseCode.ABNORMAL_CLOSURE):
            return "its WebSocket ended without a closing handshake"
        return f"it closed the WebSocket with code {code}"
