"""Plays exchanges on the running asyncio loop: tool functions, waits, and one connection in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from trunkline.testing import eras
from trunkline.testing.asking import (
    Answers,
    Ask,
    InputRequired,
    read_answers,
    read_response,
    request_message,
    write_question,
)
from trunkline.testing.dialogue import Conversation
from trunkline.testing.effects import Await, Effect, End, Ending, Invoke, Pause, Write, advance
from trunkline.testing.exchange import Exchange
from trunkline.testing.framing import Lines, decode, encode, error_message, note_message
from trunkline.testing.script import Function, RpcError, Tool
from trunkline.testing.watching import Outlet

if TYPE_CHECKING:
    from trunkline.testing.fake import FakeServer

Writer = Callable[[Write], Awaitable[None]]


class Context:
    """What a tool's function may do and see while it runs."""

    def __init__(self, exchange: Exchange, write: Writer) -> None:
        self.request_id = exchange.request.id
        self.version = exchange.request.version
        """Protocol revision of this call."""
        self.meta: Mapping[str, Any] = exchange.received.meta
        self.headers: Mapping[str, str] = exchange.received.headers
        """HTTP request headers, names in lower case; empty on other transports."""
        self.cancelled = asyncio.Event()
        """Set when the client cancels. A cancellable tool's task is cancelled at the same time."""
        self._exchange = exchange
        self._write = write

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Send progress; silent if the client did not ask for any."""
        await self._send(self._exchange.progress(progress, total, message))

    async def log(self, level: str, data: Any, logger: str | None = None) -> None:
        """Send a log message; silent if the client did not ask for this level."""
        await self._send(self._exchange.log(level, data, logger))

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Send any notification as part of this exchange."""
        await self._send(self._exchange.note(method, params or {}))

    async def ask(self, *asks: Ask, timeout: float | None = None) -> Answers:  # noqa: ASYNC109 - it cancels
        """Ask the client and give its answers by key; a modern call starts again with them.

        Args:
            timeout: seconds after which a legacy request is cancelled at the client.

        Raises:
            TimeoutError: the client did not answer in time.
        """
        if eras.family(self.version or "") == "modern":
            answered = read_answers(self._exchange.request.params)
            if missing := [one for one in asks if one.key not in answered]:
                raise InputRequired(missing, answered)
            return answered
        numbers = [self._exchange.conversation.number_request() for _ in asks]
        for number, ask in zip(numbers, asks, strict=True):
            await self._send(write_question(self._exchange, number, ask))
        try:
            async with asyncio.timeout(timeout):
                return {
                    ask.key: read_response(await _await(self._exchange, number))
                    for number, ask in zip(numbers, asks, strict=True)
                }
        except TimeoutError:
            for number in numbers:
                await self.notify("notifications/cancelled", {"requestId": number, "reason": "too late"})
            raise

    async def _send(self, data: bytes) -> None:
        await self._write(Write(data))


async def play(exchange: Exchange, write: Writer) -> Ending | None:
    """Play one exchange to its end.

    Args:
        write: puts bytes on the wire, in pieces where the effect says so.

    Returns:
        How the connection has to end, or None if it goes on.
    """
    task = asyncio.current_task()
    context = Context(exchange, write)

    def cancel() -> None:
        context.cancelled.set()
        if exchange.cancellable and task is not None:
            task.cancel()

    exchange.on_cancel = cancel
    if exchange.received.cancelled:
        context.cancelled.set()
    try:
        effect = None if exchange.stopped else advance(exchange.steps)
        while effect is not None:
            if isinstance(effect, End):
                return effect.how
            effect = await _take(effect, exchange, context, write)
    finally:
        exchange.finish()
    return None


async def serve(
    server: FakeServer, receive: Callable[[], Awaitable[bytes]], send: Callable[[bytes], None]
) -> Ending | None:
    """Serve one connection of whole frames until its input ends, or until a fault ends it and says how."""
    conversation = Conversation(server)
    ended = asyncio.Event()
    ending: Ending | None = None

    async def write(effect: Write) -> None:
        if effect.data and not ended.is_set():
            send(effect.data.removesuffix(b"\n"))

    async def run(exchange: Exchange) -> None:
        nonlocal ending
        ending = await play(exchange, write) or ending
        if ending is not None:
            ended.set()

    async def read() -> None:
        while frame := await receive():
            try:
                exchanges = conversation.open_each(decode(frame), lambda: Lines(whole=True))
            except RpcError as error:
                send(encode(error_message(None, error)))
                continue
            for exchange in exchanges:
                task = group.create_task(run(exchange))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        ended.set()

    def broadcast(method: str, params: Mapping[str, Any]) -> None:
        send(encode(note_message(method, params)))

    def put(ask: Ask) -> None:
        send(encode(request_message(conversation.number_request(), ask)))

    outlet = Outlet(conversation, broadcast)
    server.watchers.outlets.add(outlet)
    server.broadcasts.add(broadcast)
    server.askers.add(put)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = {group.create_task(read())}
            await ended.wait()
            for task in tasks:
                task.cancel()
    finally:
        server.watchers.outlets.discard(outlet)
        server.broadcasts.discard(broadcast)
        server.askers.discard(put)
    return ending


async def _take(effect: Effect, exchange: Exchange, context: Context, write: Writer) -> Effect | None:
    """Carry out one effect and give the next."""
    steps = exchange.steps
    match effect:
        case Pause(seconds):
            await (asyncio.sleep(seconds) if seconds is not None else asyncio.Event().wait())
        case Write():
            await write(effect)
        case Invoke(tool, arguments):
            try:
                value = await _invoke(tool, arguments, context)
            except Exception as error:  # boundary: the exchange turns a tool's own failure into its reply
                return steps.throw(error)
            return advance(steps, value)
        case Await(number):
            return advance(steps, await _await(exchange, number))
    return advance(steps)


async def _await(exchange: Exchange, number: str) -> Mapping[str, Any]:
    future: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()

    def take(response: Mapping[str, Any]) -> None:
        if not future.done():
            future.set_result(response)

    exchange.conversation.await_response(number, take)
    return await future


async def _invoke(tool: Tool, arguments: dict[str, Any], context: Context) -> Any:
    function = cast(Function, tool.function)
    value = function(*(arguments, context)[: tool.takes])
    return await value if hasattr(value, "__await__") else value
