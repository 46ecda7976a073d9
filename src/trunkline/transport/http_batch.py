"""Requests that leave in one POST and are answered in one response (2025-03-26), each with its own fate.

Source: specification 2025-03-26, basic/transports, "Sending Messages to the Server".
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import aiohttp

from trunkline.core.batch import Bundle
from trunkline.core.call import Flight
from trunkline.errors import CallError, OutcomeUnknownError, UnavailableError
from trunkline.protocol.frames import Frame
from trunkline.transport.bundling import MOST_BYTES, encode_batch
from trunkline.transport.group import Group, Member
from trunkline.transport.http_answer import AnswerReader, CutStreamError
from trunkline.transport.link import Request, SessionLostError

Answer = TypeVar("Answer")


class HttpBatching:
    """The batching half of `HttpLink`, which sets the attributes below and gives the methods at the end.

    A POST belongs to no caller: a task of the link carries it, and ends when nobody waits for it any more.
    """

    _loop: asyncio.AbstractEventLoop
    _headers: dict[str, str]
    _answers: AnswerReader
    _reading: set[aiohttp.ClientResponse]
    _server: str

    def __init__(self) -> None:
        self._collected: list[Member] = []
        self._posts: dict[asyncio.Task[None], Group] = {}

    async def request_together(self, request: Request) -> Frame:
        """Send one request with those of its bundle that come in the same turn; see `Link.request`."""
        member = Member(request)
        if not self._collected:
            self._loop.call_soon(self._send_collected)
        self._collected.append(member)
        try:
            return await member.future
        except asyncio.CancelledError:
            self._take_back(member)
            raise

    async def end_batches(self) -> None:
        """End what is being posted; who waits for an answer is told."""
        posts = tuple(self._posts)
        for post in posts:
            post.cancel()
        if posts:
            await asyncio.wait(posts)

    def _send_collected(self) -> None:
        collected, self._collected = self._collected, []
        bundles: dict[Bundle | None, list[Member]] = {}
        for member in collected:
            bundles.setdefault(member.request.flight.bundle, []).append(member)
        for bundle, members in bundles.items():
            for part in _cut(members, 1 if bundle is None else bundle.size):
                group = Group(self._server, part)
                task = self._loop.create_task(self._carry(part, group))
                self._posts[task] = group
                task.add_done_callback(self._posts.pop)

    async def _carry(self, members: list[Member], group: Group) -> None:
        """Post the requests of a group and give each its answer, or the error of the whole."""
        requests = [member.request for member in members]
        response: aiohttp.ClientResponse | None = None
        try:
            body = encode_batch([request.body for request in requests])
            response = await self._post(body, [request.flight for request in requests], self._headers)
            response = await self._read_each(response, group)
        except asyncio.CancelledError:
            _discard(response)
            group.fail(self._closed_error)
            raise
        except SessionLostError as lost:
            current = lost.current
            group.fail(lambda _: SessionLostError(current=current))
        except CallError as error:
            failed = error
            group.fail(lambda _: _again(failed))
        except (aiohttp.ClientError, OSError) as cause:
            broken = cause
            group.fail(lambda flight: self._network_error(broken, flight))
        except (
            Exception
        ) as fault:  # boundary: whatever it is, who waits must hear of it and not wait for ever
            told = fault
            group.fail(lambda _: told)
        else:
            self._drain(response)
            return
        _discard(response)

    async def _read_each(self, response: aiohttp.ClientResponse, group: Group) -> aiohttp.ClientResponse:
        async def read(source: aiohttp.ClientResponse) -> None:
            self._reading.add(source)
            try:
                await self._answers.read_group(source, group)
            finally:
                self._reading.discard(source)

        self._check_session(response)
        try:
            await read(response)
        except CutStreamError as cut:
            response.close()
            response, _ = await self._resume(cut, read)
        return response

    def _take_back(self, member: Member) -> None:
        """One caller has stopped waiting: its request is not sent, or cancelled at the server."""
        if member in self._collected:
            self._collected.remove(member)
            return
        for post, group in tuple(self._posts.items()):
            if group.find(member.request.id) is not None:
                group.drop(member.request)
                if not group.waits:
                    post.cancel()
        self._abandon(member.request, None)

    def _closed_error(self, flight: Flight) -> CallError:
        if flight.delivery == "never_sent":
            return UnavailableError("the link is closed", server=self._server)
        return OutcomeUnknownError(
            "the link was closed before the answer",
            server=self._server,
            hint="The tool may have run; check its effect before calling again.",
        )

    async def _post(
        self, body: bytes, flights: Sequence[Flight], headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        raise NotImplementedError

    def _check_session(self, response: aiohttp.ClientResponse) -> None:
        raise NotImplementedError

    async def _resume(
        self, cut: CutStreamError, read: Callable[[aiohttp.ClientResponse], Awaitable[Answer]]
    ) -> tuple[aiohttp.ClientResponse, Answer]:
        raise NotImplementedError

    def _network_error(self, cause: Exception, flight: Flight) -> CallError:
        raise NotImplementedError

    def _abandon(self, request: Request, response: aiohttp.ClientResponse | None) -> None:
        raise NotImplementedError

    def _drain(self, response: aiohttp.ClientResponse) -> None:
        raise NotImplementedError


def _cut(members: list[Member], most: int) -> list[list[Member]]:
    """Give parts of at most so many members, and of few bytes where they have more than one."""
    parts: list[list[Member]] = []
    size = 0
    for member in members:
        size += len(member.request.body)
        if not parts or len(parts[-1]) >= most or size > MOST_BYTES:
            parts.append([])
            size = len(member.request.body)
        parts[-1].append(member)
    return parts


def _again(error: CallError) -> CallError:
    """Give an equal error: each call completes its own."""
    twin = copy.copy(error)
    twin.__cause__ = error.__cause__
    return twin


def _discard(response: aiohttp.ClientResponse | None) -> None:
    if response is not None:
        response.close()
