"""What a server sends of its own accord: requests to the application's handlers, and notifications.

Owned by `Connection.serve`: it reads the messages, and everything started here ends with it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Mapping
from contextvars import Context
from typing import Any

from trunkline.connection.answers import DURING_CALLS, ELICIT, Answers
from trunkline.connection.completions import Completions
from trunkline.connection.news import News
from trunkline.connection.refusal import RefusalError, malformed
from trunkline.connection.tally import Source
from trunkline.core.call import Call, Flight
from trunkline.errors import TrunklineError
from trunkline.protocol.eras import INTERNAL_ERROR, INVALID_REQUEST, Family
from trunkline.protocol.frames import RequestId, encode_error, encode_result
from trunkline.telemetry.escape import escape_text
from trunkline.transport.link import Link

logger = logging.getLogger("trunkline.connection")

COMPLETE = "notifications/elicitation/complete"
_MOST_TASKS = 64
_LONGEST_ID = 8 * 1024
"""Characters of a request's id beyond which it is not answered: every answer would hold it."""
_SENDING = 30.0
"""Seconds that sending one answer may take."""
_ENDED = "the call it belonged to has ended"


class _Work:
    """One request of the server that is being answered."""

    __slots__ = ("reason", "source", "task")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.reason: str | None = None
        """What the server is told when it is ended, or None to tell it nothing."""
        self.task: asyncio.Task[None] | None = None


class Incoming:
    """Answers one connection's server.

    Attributes:
        calls: the calls in flight; the connection adds and removes them.
    """

    def __init__(self, server: str, link: Link, answers: Answers) -> None:
        self._server = server
        self._link = link
        self._answers = answers
        self.calls: dict[Flight, Call] = {}
        self.completions = Completions(server)
        self.misdirected = 0
        """Requests that the era does not let a server send."""
        self._working: dict[RequestId, _Work] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = News(server, answers.handlers.notifications)

    async def take_request(self, request_id: RequestId, method: str, params: object, family: Family) -> None:
        """Begin to answer a request; waits only while very many are being answered.

        A modern server must not send any, and gets no response (2026-07-28, basic/patterns/mrtr).
        """
        if family == "modern":
            self.misdirected += 1
            return
        if request_id in self._working or (isinstance(request_id, str) and len(request_id) > _LONGEST_ID):
            return
        while len(self._tasks) >= _MOST_TASKS:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        source = self._source() if method in DURING_CALLS else Source()
        work = self._working[request_id] = _Work(source)
        work.task = asyncio.get_running_loop().create_task(
            self._answer(request_id, method, params, work), context=_context_of(source)
        )
        self._tasks.add(work.task)
        work.task.add_done_callback(functools.partial(self._finish, request_id))

    def take_notification(self, method: str, params: object) -> None:
        """Act on a notification and hand it to the application, if it takes this one."""
        members = params if isinstance(params, dict) else {}
        if method == "notifications/cancelled":
            self._cancel(members.get("requestId"))
        elif method == COMPLETE and not self.completions.complete(members.get("elicitationId")):
            return
        self._news.put(method, members)

    def release(self, flight: Flight) -> None:
        """A call that led to questions has ended: what was asked for it alone is asked no longer."""
        self._answers.tally.forget(flight)
        for work in self._working.values():
            flights = work.source.flights
            if flight in flights and work.task is not None and self.calls.keys().isdisjoint(flights):
                work.reason = _ENDED
                work.task.cancel()

    async def end(self) -> None:
        """End everything; whoever waits for a person to come back from a URL is told."""
        self.completions.end()
        tasks = {*self._tasks, *self._news.tasks()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _finish(self, request_id: RequestId, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._working.pop(request_id, None)

    def _source(self) -> Source:
        calls = tuple(self.calls.values())
        tool = calls[0].public_name if len(calls) == 1 else None
        return Source(flights=tuple(self.calls), tool=tool)

    def _cancel(self, request_id: object) -> None:
        """End the work on a request that the server cancelled; it gets no response."""
        work = self._working.get(request_id) if isinstance(request_id, int | str) else None
        if work is not None and work.task is not None:
            work.task.cancel()

    async def _answer(self, request_id: RequestId, method: str, params: object, work: _Work) -> None:
        try:
            body = await self._respond(request_id, method, params, work.source)
        except asyncio.CancelledError:
            if work.reason is None:
                raise
            body = encode_error(request_id, INVALID_REQUEST, work.reason)
        try:
            async with asyncio.timeout(_SENDING):
                await self._link.notify(body)
        except (TrunklineError, TimeoutError) as error:
            line = escape_text(f"{self._server}: could not answer {method}: {error}")
            logger.debug("%s", line, extra={"server": self._server})

    async def _respond(self, request_id: RequestId, method: str, params: object, source: Source) -> bytes:
        if method == "ping":
            return encode_result(request_id, {})
        try:
            if self._answers.offers(method) and self.calls.keys().isdisjoint(source.flights):
                raise malformed("no call of this client is in flight")
            result = await self._ask(method, params, source)
            return encode_result(request_id, result)
        except RefusalError as refusal:
            why = refusal.detail or refusal.message
            line = escape_text(f"{self._server}: refused its {method}: {why}")
            level = logging.WARNING if refusal.detail else logging.INFO
            logger.log(level, "%s", line, extra={"server": self._server})
            return encode_error(request_id, refusal.rpc_code, refusal.message)
        except (TypeError, ValueError, RecursionError) as cause:
            line = escape_text(f"{self._server}: the answer to {method} is not JSON ({type(cause).__name__})")
            logger.warning("%s", line, extra={"server": self._server})
            return encode_error(request_id, INTERNAL_ERROR, "this client could not answer")

    async def _ask(self, method: str, params: object, source: Source) -> Mapping[str, Any]:
        """Let the application answer; a visit to a URL is known from before its answer is."""
        number = params.get("elicitationId") if isinstance(params, dict) and method == ELICIT else None
        if not isinstance(number, str):
            return await self._answers.answer(method, params, source)
        self.completions.expect(number)
        accepted = False
        try:
            result = await self._answers.answer(method, params, source)
            accepted = result.get("action") == "accept"
            return result
        finally:
            if not accepted:
                self.completions.forget([number])


def _context_of(source: Source) -> Context | None:
    """Give the context of the one call a question belongs to, as if its caller ran the handler."""
    context = source.flights[0].context if len(source.flights) == 1 else None
    return None if context is None else context.copy()
