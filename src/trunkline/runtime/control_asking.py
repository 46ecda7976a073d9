"""Questions of servers on their way to the client whose call they belong to, and the answers back.

The process that keeps servers warm asks nobody itself: what belongs to no client's call for certain is
declined.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from trunkline.connection.workers import BusyError, Workers
from trunkline.core.elicitation import ElicitRequest, ElicitResult
from trunkline.core.handlers import Handlers
from trunkline.runtime.control_messages import Question, Told, Withdrawn

_MOST = 64
Asker = Callable[[ElicitRequest], Awaitable[ElicitResult]]
_asker: ContextVar[Asker | None] = ContextVar("asker", default=None)


def forwarding() -> Handlers:
    """Give handlers that pass each question to the client in whose call it came."""
    return Handlers(elicit=_forward)


async def _forward(request: ElicitRequest) -> ElicitResult:
    ask = _asker.get()
    return ElicitResult.decline() if ask is None else await ask(request)


class OpenQuestions:
    """The server's side of one connection: what was asked of the client and not answered yet."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[ElicitResult]] = {}

    def serve(self, call: int) -> None:
        """Let what is asked in the course of the current task reach this client, as part of its call."""

        async def ask(request: ElicitRequest) -> ElicitResult:
            return await self._ask(call, request)

        _asker.set(ask)

    def settle(self, told: Told) -> None:
        """The client has answered."""
        future = self._waiting.pop(told.key, None)
        if future is not None and not future.done():
            future.set_result(told.result)

    async def _ask(self, call: int, request: ElicitRequest) -> ElicitResult:
        if len(self._waiting) >= _MOST:
            return ElicitResult.decline()
        key = next(self._numbers)
        future: asyncio.Future[ElicitResult] = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        self._send(Question(id=call, key=key, request=request))
        try:
            return await future
        except asyncio.CancelledError:
            self._send(Withdrawn(id=call, key=key))
            raise
        finally:
            self._waiting.pop(key, None)


class Answering:
    """The client's side of one call: the handlers at work for it, which end with it."""

    def __init__(self, handlers: Handlers, send: Callable[[Any], None]) -> None:
        self._handlers = handlers
        self._send = send
        self._workers = Workers(handlers.limits.concurrency)
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def ask(self, question: Question, number: int) -> None:
        """Begin to answer; `number` is that of the request which carries the answer."""
        self._tasks[question.key] = asyncio.create_task(self._answer(question, number))

    def withdraw(self, key: int) -> None:
        """Nobody waits for this answer any more."""
        if (task := self._tasks.pop(key, None)) is not None:
            task.cancel()

    async def end(self) -> None:
        """End everything."""
        tasks = set(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _answer(self, question: Question, number: int) -> None:
        result: Any = None
        try:
            if self._handlers.elicit is not None:
                result = await self._workers.run(self._handlers.elicit, question.request)
        except BusyError:
            result = None
        answer = result if isinstance(result, ElicitResult) else ElicitResult.decline()
        self._send(Told(id=number, key=question.key, result=answer))
