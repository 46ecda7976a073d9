"""Streamable HTTP: every request is one POST with a fate of its own, answered as JSON or as SSE.

Imported only when a server is reached over HTTP, since aiohttp is not small.
Sources: specification 2026-07-28 and 2025-11-25, basic/transports ("Streamable HTTP").
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from trunkline._version import __version__
from trunkline.core.call import Flight
from trunkline.core.limits import Limits
from trunkline.errors import CallError, UnavailableError
from trunkline.protocol.eras import Era
from trunkline.protocol.frames import Frame, encode_notification
from trunkline.protocol.headers import encode_value
from trunkline.protocol.tasks import CANCEL, GET, UPDATE
from trunkline.transport.http_answer import AnswerReader, CutStreamError, cut_off
from trunkline.transport.http_batch import Answer, HttpBatching
from trunkline.transport.http_client import DIRECT, Egress, FreshConnector, TrackedBody, make_client
from trunkline.transport.http_resume import Waits, listen, take_up
from trunkline.transport.link import Inbox, Request, SessionLostError
from trunkline.transport.network import cannot_connect, lost_connection

_SESSION = "Mcp-Session-Id"
_FAREWELL = 2.0
"""Seconds that leaving messages (a cancellation, the end of a session, a drained stream) may take."""
_NAMED = frozenset({"tools/call", "resources/read", "prompts/get", GET, UPDATE, CANCEL})


class HttpTransport(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach one server over Streamable HTTP."""

    server: str
    url: str
    headers: Mapping[str, str] = {}
    limits: Limits = Limits()
    egress: Egress = DIRECT
    client: Callable[[Egress], aiohttp.ClientSession] = make_client
    answers: Callable[[str, Limits, Inbox], AnswerReader] = AnswerReader
    jitter: Callable[[], float] = lambda: 0.5
    """Gives a number from 0 to 1, drawn anew each time."""

    async def open(self) -> HttpLink:
        """Prepare the link; nothing is sent before the first request."""
        return HttpLink(self)


class HttpLink(HttpBatching):
    """One server behind one URL; loses no request but the one that fails."""

    kind = "http"
    exceeded = None

    def __init__(self, settings: HttpTransport) -> None:
        super().__init__()
        self._settings = settings
        self._server = settings.server
        self._loop = asyncio.get_running_loop()
        self._url = settings.url
        self._client = settings.client(settings.egress)
        self._era: Era | None = None
        self._session_id: str | None = None
        self._headers = self._common_headers()
        self._last_id = 0
        self._farewells: set[asyncio.Task[None]] = set()
        self._reading: set[aiohttp.ClientResponse] = set()
        self._draining: set[aiohttp.ClientResponse] = set()
        self._closed: asyncio.Future[str] = self._loop.create_future()
        self.unsolicited = Inbox()
        self._answers = settings.answers(settings.server, settings.limits, self.unsolicited)
        self._listening: asyncio.Task[None] | None = None

    @property
    def lost(self) -> bool:
        """Whether the link was closed; nothing else ends it."""
        return self._closed.done()

    def next_id(self) -> int:
        """Give an id no request of this link has had."""
        self._last_id += 1
        return self._last_id

    def adopt(self, era: Era) -> None:
        """Follow this era's headers and way of cancelling from now on."""
        self._era = era
        self._answers.batches = era.batches
        self._headers = self._common_headers()

    def frozen(self) -> bool:
        """Nothing is known of its process."""
        return False

    def distrust(self) -> None:
        """Use no connection of the pool again that was opened before now."""
        connector = self._client.connector
        if isinstance(connector, FreshConnector):
            connector.distrust()

    def stderr_tail(self) -> str:
        """A remote server's standard error is not ours to see."""
        return ""

    async def wait_closed(self) -> str:
        """Wait until the link is closed by us; a network error ends one request, never the link."""
        return await asyncio.shield(self._closed)

    async def request(self, request: Request) -> Frame:
        """POST one request and wait for its answer.

        Raises:
            CallError: with a true `delivery`.
            SessionLostError: the server no longer knows our session.
        """
        if self._closed.done():
            raise UnavailableError("the link is closed", server=self._settings.server)
        flight = request.flight
        if flight.bundle is not None:
            return await self.request_together(request)
        response: aiohttp.ClientResponse | None = None
        try:
            response = await self._post(request.body, (flight,), self._headers_of(request))
            self._reading.add(response)
            try:
                frame = await self._read(response, request)
            except CutStreamError as cut:
                self._reading.discard(response)
                response.close()
                response, frame = await self._resume(cut, lambda more: self._read_more(more, request))
        except asyncio.CancelledError:
            self._abandon(request, response)
            raise
        except (aiohttp.ClientError, OSError) as cause:
            _discard(response)
            raise self._network_error(cause, flight) from cause
        except BaseException:
            _discard(response)
            raise
        finally:
            self._reading.discard(response)
        self._drain(response)
        return frame

    def listen(self) -> None:
        """Open the stream on which a legacy server sends what belongs to no request; 405 means it has none.

        Source: specification 2025-11-25, basic/transports, "Listening for Messages from the Server".
        """
        if self._listening is not None:
            self._listening.cancel()
        if not self._closed.done() and self._era is not None and self._era.family == "legacy":
            settings = self._settings
            waiting = listen(
                self._get,
                self._answers.take_message,
                self.unsolicited.miss,
                settings.limits.frame_bytes,
                Waits(settings.jitter),
                self._answers.pacing,
            )
            self._listening = self._loop.create_task(waiting)

    async def notify(self, body: bytes) -> None:
        """POST a message that has no answer; what the server says to it is not looked at."""
        flight = Flight(self._loop.time())
        try:
            response = await self._post(body, (flight,), self._headers)
            response.release()
        except (aiohttp.ClientError, OSError) as cause:
            raise self._network_error(cause, flight) from cause

    async def close(self, reason: str = "it was closed") -> None:
        """End the session at the server, where there is one, and every connection."""
        if self._closed.done():
            return
        self._closed.set_result(reason)
        self.unsolicited.close()
        try:
            await self._part()
        finally:
            for response in self._reading:
                # aiohttp tells a reader of a lost connection, and nothing of one that is closed beneath it.
                response.content.set_exception(aiohttp.ClientConnectionError("it was closed"))
            for response in tuple(self._draining):
                response.close()
            await self._client.close()

    async def _part(self) -> None:
        """End what was begun besides calls, and tell the server."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})
        await self.end_batches()
        if self._session_id is not None:
            self._say_farewell(self._end_session())
        if self._farewells:
            _, late = await asyncio.wait(self._farewells, timeout=_FAREWELL)
            for task in late:
                task.cancel()

    async def _post(
        self, body: bytes, flights: Sequence[Flight], headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        return await self._client.post(
            self._url, data=TrackedBody(body, flights), headers=headers, allow_redirects=False
        )

    async def _get(self, last_id: str | None) -> aiohttp.ClientResponse:
        headers = {key: value for key, value in self._headers.items() if key != "Content-Type"}
        headers["Accept"] = "text/event-stream"
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        return await self._client.get(self._url, headers=headers, allow_redirects=False)

    async def _read_more(self, response: aiohttp.ClientResponse, request: Request) -> Frame:
        self._reading.add(response)
        try:
            return await self._answers.read(response, request)
        finally:
            self._reading.discard(response)

    async def _resume(
        self, cut: CutStreamError, read: Callable[[aiohttp.ClientResponse], Awaitable[Answer]]
    ) -> tuple[aiohttp.ClientResponse, Answer]:
        if self._closed.done() or self._era is None or self._era.family != "legacy":
            raise cut_off(self._settings.server, cut.reason)

        async def pause(seconds: float) -> None:
            await asyncio.wait({self._closed}, timeout=seconds)
            if self._closed.done():
                raise cut_off(self._settings.server, f"{cut.reason}; {self._closed.result()}")

        waits = Waits(self._settings.jitter)
        return await take_up(cut, self._get, read, self._settings.server, waits, pause)

    def _common_headers(self) -> dict[str, str]:
        headers = {"User-Agent": f"trunkline/{__version__}", **self._settings.headers}
        headers["Content-Type"] = "application/json"
        headers["Accept"] = "application/json, text/event-stream"
        if self._era is not None and self._era.version_header:
            headers["MCP-Protocol-Version"] = self._era.revision
        if self._session_id is not None:
            headers[_SESSION] = self._session_id
        return headers

    def _headers_of(self, request: Request) -> Mapping[str, str]:
        if self._era is None or not self._era.mirrored_headers:
            return self._headers
        headers = {**self._headers, "Mcp-Method": request.method, **request.headers}
        if request.name is not None and request.method in _NAMED:
            headers["Mcp-Name"] = encode_value(request.name)
        return headers

    async def _read(self, response: aiohttp.ClientResponse, request: Request) -> Frame:
        if response.status == 404:
            self._check_session(response)
        frame = await self._answers.read(response, request)
        if request.method == "initialize" and (session := response.headers.get(_SESSION)):
            self._session_id = session
            self._headers = self._common_headers()
        return frame

    def _check_session(self, response: aiohttp.ClientResponse) -> None:
        if response.status == 404 and (session := response.request_info.headers.get(_SESSION)):
            raise SessionLostError(current=self._forget_session(session))

    def _forget_session(self, session: str) -> bool:
        if self._session_id != session:
            return False
        self._session_id = None
        self._headers = self._common_headers()
        return True

    def _network_error(self, cause: Exception, flight: Flight) -> CallError:
        if flight.delivery == "never_sent":
            return cannot_connect(self._settings.server, self._url, cause)
        return lost_connection(self._settings.server, self._url, cause)

    def _abandon(self, request: Request, response: aiohttp.ClientResponse | None) -> None:
        """Cancel at the server: closing the stream does it in modern eras, a notification before."""
        _discard(response)
        sent = request.flight.delivery != "never_sent" and request.method != "initialize"
        if sent and not self._closed.done() and self._era is not None and not self._era.cancels_by_closing:
            params = {"requestId": request.id, "reason": request.flight.cancel_reason}
            self._say_farewell(self.notify(encode_notification("notifications/cancelled", params)))

    def _say_farewell(self, message: Any) -> None:
        """Send something nobody waits for, in a task this link owns and ends."""

        async def send() -> None:
            try:
                async with asyncio.timeout(_FAREWELL):
                    await message
            except (CallError, TimeoutError, aiohttp.ClientError, OSError):
                return

        task = self._loop.create_task(send())
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    async def _end_session(self) -> None:
        response = await self._client.delete(self._url, headers=self._headers, allow_redirects=False)
        response.release()

    def _drain(self, response: aiohttp.ClientResponse) -> None:
        """Let an event stream end by itself, so that its connection can be used again."""
        if response.content.is_eof():
            return
        self._draining.add(response)
        timer = self._loop.call_later(_FAREWELL, self._stop_draining, response)

        def settled() -> None:
            timer.cancel()
            self._draining.discard(response)

        response.content.on_eof(settled)

    def _stop_draining(self, response: aiohttp.ClientResponse) -> None:
        self._draining.discard(response)
        response.close()


def _discard(response: aiohttp.ClientResponse | None) -> None:
    if response is not None:
        response.close()
