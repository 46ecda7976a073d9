"""Reads the answer to one POST: a JSON body, or an event stream that ends with the response."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeGuard, TypeVar

import aiohttp
from msgspec import UNSET

from trunkline.core.limits import Limits
from trunkline.core.timing import read_server_timing
from trunkline.errors import OutcomeUnknownError, ProtocolError
from trunkline.protocol.frames import IN_AN_ARRAY, Broken, Frame, decode_frames
from trunkline.protocol.sse import EventParser, EventTooLarge
from trunkline.transport.group import Group
from trunkline.transport.link import Inbox, Request, advance, report_log
from trunkline.transport.network import describe
from trunkline.transport.pace import Pacing
from trunkline.transport.share import Share, cut_lines
from trunkline.transport.stream import oversized
from trunkline.transport.verdict import judge_status

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

_FIELDS = 1024
"""Bytes of an event that are not its message: the names of its fields, its type and its id."""


class CutStreamError(Exception):
    """An event stream ended before its answer, and may be taken up again.

    Attributes:
        last_id: the id of its last event.
        retry_ms: when the server wants it to be taken up, or None.
        reason: why it ended.
    """

    def __init__(self, last_id: str, retry_ms: int | None, reason: str) -> None:
        super().__init__(reason)
        self.last_id = last_id
        self.retry_ms = retry_ms
        self.reason = reason


class AnswerReader:
    """Reads the answers of one server; what is no answer goes to `inbox`."""

    def __init__(self, server: str, limits: Limits, inbox: Inbox) -> None:
        self._server = server
        self._limits = limits
        self._inbox = inbox
        self._loop = asyncio.get_running_loop()
        self._share = Share()
        self.pacing = Pacing(limits.notifications, self._share)
        self.batches = False
        """Whether a message may be an array of them."""

    async def read(self, response: aiohttp.ClientResponse, request: Request) -> Frame:
        """Give the response to this request.

        Raises:
            CallError: the answer is a refusal, malformed, too large, or cut.
            CutStreamError: it is cut, in a stream whose events have ids.
        """
        if response.content_type == "text/event-stream" and response.status < 400:
            return await self._read_events(response, request, self._take_event)
        return await self._read_json(response, request)

    async def read_group(self, response: aiohttp.ClientResponse, group: Group) -> None:
        """Give each request of a group its response; returns when nobody waits any more.

        Raises:
            CallError: what is true of those that wait still: refused, malformed, too large, or cut.
            CutStreamError: it is cut, in a stream whose events have ids.
        """
        if response.content_type == "text/event-stream" and response.status < 400:
            await self._read_events(response, group, self._take_part)
            return
        data = await self._read_body(response)
        status = response.status
        is_json = response.content_type == "application/json"
        if is_json and status not in (401, 403, 429, 503):
            await self._take_answers(data, group)
        if not group.waits:
            return
        if status < 400 and is_json:
            raise ProtocolError(
                "the answer holds no JSON-RPC response to this request",
                code="malformed_answer",
                server=self._server,
                status=status,
                hint="The tool may have run; report the malformed answer to the server's author.",
            )
        error = judge_status(self._server, status, response.headers)
        if is_json and status in (429, 503):
            error.delivery, error.retryable = "refused", True
        raise error

    async def _read_json(self, response: aiohttp.ClientResponse, request: Request) -> Frame:
        data = await self._read_body(response)
        server = self._server
        if (told := response.headers.get("Server-Timing")) is not None:
            request.flight.server = read_server_timing(told)
        if response.status >= 400 or response.content_type != "application/json":
            is_json = response.content_type == "application/json"
            frame = await self._answer_in(data, request) if is_json else None
            if frame is None:
                raise judge_status(server, response.status, response.headers)
            return self._with_status(frame, response)
        frame = await self._answer_in(data, request)
        if frame is None:
            raise ProtocolError(
                "the answer cannot be read: it is no JSON-RPC response to this request",
                code="malformed_answer",
                server=server,
                status=response.status,
                hint="The tool may have run; report the malformed answer to the server's author.",
            )
        return frame

    async def _answer_in(self, data: bytes, request: Request) -> Frame | None:
        """Find the answer to this request; an error without an id can only be its own."""
        answer: Frame | None = None
        began = self._loop.time()
        for number, (frame, size) in enumerate(decode_frames(data, self._limits, batches=self.batches)):
            if isinstance(frame, Broken):
                continue
            if frame.method is not UNSET:
                if number or size < len(data):
                    self._hear(frame, size, request)
            elif answer is None and _answers(frame, request):
                answer = frame
                continue
            if self._share.fill(size):
                began = await self._give_way(began)
        return answer

    def _with_status(self, frame: Frame, response: aiohttp.ClientResponse) -> Frame:
        """Let a throttling status outrank the JSON-RPC error it came with; a true answer stands."""
        if response.status in (401, 403, 429) or (response.status == 503 and frame.error is not UNSET):
            error = judge_status(self._server, response.status, response.headers)
            if response.status in (429, 503):
                error.delivery, error.retryable = "refused", True
            raise error
        return frame

    async def _read_body(self, response: aiohttp.ClientResponse) -> bytes:
        limit = self._limits.frame_bytes
        length = response.content_length
        compressed = "Content-Encoding" in response.headers
        if length is not None and not compressed and length <= limit:
            return await response.read()
        cap = min(limit, length * self._limits.inflation) if length and compressed else limit
        parts: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > cap:
                raise oversized(self._server, cap)
            parts.append(chunk)
        return b"".join(parts)

    async def _read_events(
        self,
        response: aiohttp.ClientResponse,
        asked: Asked,
        take: Callable[[bytes, Asked], Awaitable[Answer | None]],
    ) -> Answer:
        parser = EventParser(self._limits.frame_bytes + _FIELDS)
        reason = "the response stream ended before the answer"
        try:
            async for chunk in response.content.iter_any():
                for piece in cut_lines(chunk):
                    for event in self.pacing.parse(parser, piece):
                        if (answer := await take(event.data, asked)) is not None:
                            return answer
                    if piece is not chunk or self.pacing.is_behind:
                        await self.pacing.turn()
        except EventTooLarge as cause:
            raise oversized(self._server, self._limits.frame_bytes) from cause
        except (aiohttp.ClientError, OSError) as cause:
            if not parser.last_id:
                raise
            reason = f"the response stream broke before the answer ({describe(cause)})"
        if parser.last_id:
            raise CutStreamError(parser.last_id, parser.retry_ms, reason)
        raise cut_off(self._server, reason)

    async def take_message(self, data: bytes) -> None:
        """Take one message of a stream that answers nothing; an answer in it is nobody's."""
        if len(data) > self._limits.frame_bytes:
            return
        began = self._loop.time()
        for frame, size in decode_frames(data, self._limits, batches=self.batches):
            if not isinstance(frame, Broken) and frame.method is not UNSET:
                self._inbox.put(frame, size)
            if self._share.fill(size):
                began = await self._give_way(began)
        self.pacing.spent += self._loop.time() - began

    async def _take_event(self, data: bytes, request: Request) -> Frame | None:
        """Take one event whole, whatever of it comes after the answer; give the answer if it is there."""
        if len(data) > self._limits.frame_bytes:
            raise oversized(self._server, self._limits.frame_bytes)
        answer: Frame | Broken | None = None
        began = self._loop.time()
        for frame, size in decode_frames(data, self._limits, batches=self.batches):
            if not isinstance(frame, Broken) and frame.method is not UNSET:
                self._hear(frame, size, request)
            elif answer is None and frame.id == request.id:
                answer = frame
                continue
            elif isinstance(frame, Broken) and frame.array is not None and not self.batches:
                answer = answer or await self._find_refused(frame.array, request)
            if self._share.fill(size):
                began = await self._give_way(began)
        self.pacing.spent += self._loop.time() - began
        if isinstance(answer, Broken):
            raise ProtocolError(
                f"the answer cannot be read: {answer.reason}", code="malformed_answer", server=self._server
            )
        return answer

    async def _find_refused(self, array: bytes, request: Request) -> Broken | None:
        """Find the answer to this request in an array where the revision has none."""
        began = self._loop.time()
        for frame, size in decode_frames(array, self._limits):
            if frame.id == request.id and (isinstance(frame, Broken) or frame.method is UNSET):
                return Broken(reason=IN_AN_ARRAY, id=request.id)
            if self._share.fill(size):
                began = await self._give_way(began)
        return None

    async def _take_part(self, data: bytes, group: Group) -> Group | None:
        """Take one event of a stream that answers several; give the group when nobody waits any more."""
        if len(data) > self._limits.frame_bytes:
            raise oversized(self._server, self._limits.frame_bytes)
        await self._take_answers(data, group)
        return None if group.waits else group

    async def _take_answers(self, data: bytes, group: Group) -> None:
        """Take a message, or a batch of them; an error without an id that stands alone answers all."""
        began = self._loop.time()
        for frame, size in decode_frames(data, self._limits, batches=self.batches):
            asked = False
            if not isinstance(frame, Broken) and frame.method is not UNSET:
                self._hear_group(frame, size, group)
            elif size == len(data) and _tells_all(frame):
                group.settle_all(frame)
            else:
                asked = group.settle(frame)
            if self._share.fill(size, asked=asked):
                began = await self._give_way(began)

    def _hear_group(self, frame: Frame, size: int, group: Group) -> None:
        """Take what came with answers and is none: progress names whose it is, all else is everybody's."""
        token = frame.params.get("progressToken") if isinstance(frame.params, dict) else None
        request = group.find(token) if frame.method == "notifications/progress" else None
        if request is not None:
            self._hear(frame, size, request)
        elif frame.method != "notifications/progress":
            self._inbox.put(frame, size)

    async def _give_way(self, began: float) -> float:
        """Let others have a turn, and more of them in a flood; give the moment from which time counts."""
        self.pacing.spent += self._loop.time() - began
        self._share.renew()
        await self.pacing.turn()
        return self._loop.time()

    def _hear(self, frame: Frame, size: int, request: Request) -> None:
        """Take what came with an answer and is none."""
        if frame.method == "notifications/progress" and isinstance(frame.params, dict):
            if frame.params.get("progressToken") == request.id:
                advance(request.flight, frame.params, self._loop.time())
            return
        if frame.method == "notifications/message":
            report_log(request.flight, frame.params)
        self._inbox.put(frame, size)


def _tells_all(frame: Frame | Broken) -> TypeGuard[Frame]:
    """Whether it is an error of a message as a whole."""
    return not isinstance(frame, Broken) and frame.error is not UNSET and frame.id in (None, UNSET)


def _answers(frame: Frame, request: Request) -> bool:
    return frame.id == request.id or (frame.error is not UNSET and frame.id in (None, UNSET))


def cut_off(server: str, reason: str) -> OutcomeUnknownError:
    """Give the error of a request whose response ended before the answer."""
    return OutcomeUnknownError(
        reason, server=server, hint="The tool may have run; check its effect before calling again."
    )
