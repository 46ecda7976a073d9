"""The calling half of the front door: one call, many, one that runs on its own, one as a stream."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from msgspec.structs import replace

from trunkline.core.call import Call, Flight, LogLevel
from trunkline.core.fallback import Cause, read_fallback
from trunkline.core.principal import Principal
from trunkline.core.reply import Reply
from trunkline.errors import TrunklineError
from trunkline.runtime.feed import Feed
from trunkline.runtime.handle import Handle, Handles
from trunkline.runtime.inventory import Inventory
from trunkline.runtime.progress import ProgressHandler, call_with_progress
from trunkline.runtime.routes import Route, Routes
from trunkline.supervision.fleet import Fleet

if TYPE_CHECKING:
    from trunkline.runtime.callable import ToolFunction
    from trunkline.runtime.stream import Event

Value = TypeVar("Value")


class Calls:
    """What `Trunk` does with tools; it sets the attributes below when it is entered."""

    _loop: asyncio.AbstractEventLoop
    _fleet: Fleet
    _inventory: Inventory
    _routes: Routes
    _handles: Handles
    _call_ids: Iterator[str]
    _principal: Principal
    _acting: ContextVar[Principal]

    @overload
    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - spent by the Deadline layer, from one clock
        on_progress: ProgressHandler | None = None,
        priority: int | None = None,
        as_: None = None,
        cache: bool = True,
        max_age: float | None = None,
        fallback: Sequence[object] | None = None,
        fallback_on: Collection[Cause] = (),
    ) -> Reply: ...

    @overload
    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
        on_progress: ProgressHandler | None = None,
        priority: int | None = None,
        as_: type[Value],
        cache: bool = True,
        max_age: float | None = None,
        fallback: Sequence[object] | None = None,
        fallback_on: Collection[Cause] = (),
    ) -> Value: ...

    @overload
    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
        on_progress: ProgressHandler | None = None,
        priority: int | None = None,
        as_: Any,
        cache: bool = True,
        max_age: float | None = None,
        fallback: Sequence[object] | None = None,
        fallback_on: Collection[Cause] = (),
    ) -> Any: ...

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
        on_progress: ProgressHandler | None = None,
        priority: int | None = None,
        as_: Any = None,
        cache: bool = True,
        max_age: float | None = None,
        fallback: Sequence[object] | None = None,
        fallback_on: Collection[Cause] = (),
    ) -> Any:
        """Call a tool by its public name `server.tool`, or by its bare name where that is unique.

        Args:
            arguments: an object of JSON values; checked against the tool's schema before it is sent.
            timeout: seconds for the whole call; without it the policy's (600).
            on_progress: called with each `Progress` the server reports; sync or async.
            priority: where calls wait for their turn the greatest goes first; without it the policy's.
            as_: give the reply's value as an instance of this type instead of the Reply: a msgspec
                Struct, dataclass, TypedDict or pydantic class, a builtin, or a generic of these. It is
                made from the structured content, else from the text read as JSON, else from the text.
            cache: whether an answer may be given that policy let be kept; False asks the server, and what
                it says is kept in its place.
            max_age: oldest such answer that is taken, in seconds; without it policy's.
            fallback: what is tried, in this order, if the call fails, in place of what policy says: a str
                names another tool, or a server that has one of the same name; a function, sync or async,
                is given the call and the error; any other JSON value, or a `Constant`, stands for itself.
                The reply then is `degraded` and says why in `reason`.
            fallback_on: what it is for beside failures of servers and links; see `fallback.Cause`.

        Raises:
            CallError: the call failed; `delivery` says what is known of it. A tool that reports a
                failure of its own (`isError`) gives a Reply, or with `as_` an error with the code
                `tool_error`. A reply that does not fit `as_` is a ProtocolError with the code
                `unexpected_result`. Both hold the reply as `error.reply`.
            TypeError: `as_` is no type that JSON can become.
        """
        max_age = max_age if cache else 0.0
        if as_ is not None:
            rest: dict[str, Any] = {"priority": priority, "max_age": max_age}
            rest |= {"fallback": fallback, "fallback_on": fallback_on}
            return await self._call_typed(tool, arguments, timeout, on_progress, as_, rest)
        asked = begun = self._loop.time()
        route = self._routes.recall(tool)
        if route is None:
            route = await self._routes.find(tool, timeout)
            begun = self._loop.time()
        call = self._make_call(route, arguments, timeout, asked, Flight(begun), priority, max_age)
        if fallback is not None:
            route, call = self._falling(route, call, **read_fallback(fallback, fallback_on))
        if on_progress is None:
            return await route.service(call)
        return await call_with_progress(route.service, call, on_progress)

    async def call_many(
        self,
        calls: Sequence[tuple[str, Mapping[str, Any] | None]],
        *,
        max_concurrency: int = 8,
        timeout: float | None = None,  # noqa: ASYNC109 - as in `call`
    ) -> list[Reply | TrunklineError]:
        """Make several calls, at most `max_concurrency` at a time; errors stand as values, in order.

        Args:
            timeout: seconds for each call, counted from when its turn comes.
        """
        if max_concurrency < 1:
            raise ValueError("max_concurrency must be at least 1")
        results: list[Reply | TrunklineError | None] = [None] * len(calls)
        waiting = iter(enumerate(calls))

        async def work() -> None:
            for place, (tool, arguments) in waiting:
                try:
                    results[place] = await self.call(tool, arguments, timeout=timeout)
                except TrunklineError as error:
                    results[place] = error

        async with asyncio.TaskGroup() as group:
            for _ in range(min(max_concurrency, len(calls))):
                group.create_task(work())
        return [result for result in results if result is not None]

    def start(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        priority: int | None = None,
        cache: bool = True,
        max_age: float | None = None,
        fallback: Sequence[object] | None = None,
        fallback_on: Collection[Cause] = (),
    ) -> Handle:
        """Start a call and return at once; awaiting the handle gives the Reply, or raises as `call` does.

        The call belongs to the trunk: it runs whether or not anybody waits for it, and ends at the
        latest when the trunk is closed. `handle.progress` is a stream of Progress, and
        `handle.cancel("reason")` ends the call at the server too. For `fallback` see `call`.

        Args:
            timeout, cache, max_age: as in `call`.

        Raises:
            UnavailableError: the trunk is closed.
        """
        age = max_age if cache else 0.0
        falling = None
        if fallback is not None:
            falling = partial(self._falling, **read_fallback(fallback, fallback_on))
        return self._launch(tool, arguments, timeout, Feed(), priority=priority, max_age=age, falling=falling)

    def stream(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        log_level: LogLevel = "info",
    ) -> AsyncGenerator[Event, None]:
        """Call a tool and follow it with `async for`: any number of Progress and Log, then one Reply.

        The call starts with the first step. Ending the generator early cancels it at the server. Log
        messages come where it is certain that they belong to this call: always over HTTP, if the
        server streams its answer; on streams that calls share, from servers of the modern era while
        no other call asks for logs. A reader slower than its server misses the oldest of more than
        256 waiting reports; `reply.warnings` then says how many.

        Args:
            log_level: the mildest log messages to give.

        Raises:
            CallError: from the step that would have given the Reply; as `call`.
        """
        from trunkline.runtime.stream import stream_events

        context = contextvars.copy_context()

        def launch(events: Feed[Any]) -> Handle:
            return context.run(self._launch, tool, arguments, timeout, events, log_level)

        return stream_events(launch, log_level)

    def tool(self, name: str, *, timeout: float | None = None) -> ToolFunction:
        """Give a tool as an async function with a signature, annotations and docstring of its own.

        Calling it gives the Reply. A name may be public (`server.tool`), bare, or a part of one that
        fits one tool only; while servers are still connecting it is looked up by the first call.

        Args:
            timeout: seconds for each call.

        Raises:
            NotFoundError: no tool has this name; `candidates` holds near ones.
            AmbiguousNameError: several tools fit; `candidates` holds them.
        """
        from trunkline.runtime.callable import ToolFunction
        from trunkline.runtime.selection import Selection

        selection = Selection(name, self._fleet, self._inventory, self._routes)
        selection.look()
        return ToolFunction(selection, self.call, timeout)

    @contextmanager
    def acting_as(self, principal: Principal) -> Iterator[None]:
        """Make every call that begins in this block, also in tasks it starts, on behalf of a principal."""
        token = self._acting.set(principal)
        try:
            yield
        finally:
            self._acting.reset(token)

    async def _call_typed(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None,
        timeout: float | None,  # noqa: ASYNC109
        on_progress: ProgressHandler | None,
        wanted: Any,
        rest: Mapping[str, Any],
    ) -> Any:
        from trunkline.runtime.typed import check_type, convert_reply

        check_type(wanted)
        reply = await self.call(tool, arguments, timeout=timeout, on_progress=on_progress, **rest)
        return convert_reply(reply, wanted)

    def _falling(self, route: Route, call: Call, **how: Any) -> tuple[Route, Call]:
        """Give the way by which alternatives of the caller are tried."""
        return replace(route, service=self._routes.falling(route)), replace(call, **how)

    def _launch(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None,
        timeout: float | None,
        progress: Feed[Any],
        log_level: LogLevel | None = None,
        priority: int | None = None,
        max_age: float | None = None,
        falling: Callable[[Route, Call], tuple[Route, Call]] | None = None,
    ) -> Handle:
        flight = Flight(self._loop.time())
        handle = Handle(next(self._call_ids), tool, flight, progress)
        given = None if arguments is None else dict(arguments)

        async def call() -> Reply:
            route = self._routes.recall(tool) or await self._routes.find(tool, timeout)
            flight.activity = self._loop.time()
            made = self._make_call(route, given, timeout, flight.started, flight, priority, max_age)
            if falling is not None:
                route, made = falling(route, made)
            return await route.service(replace(made, id=handle.call_id, log_level=log_level))

        self._handles.start(handle, call)
        return handle

    def _make_call(
        self,
        route: Route,
        arguments: Mapping[str, Any] | None,
        timeout: float | None,
        asked: float,
        flight: Flight,
        priority: int | None,
        max_age: float | None,
    ) -> Call:
        return Call(
            id=next(self._call_ids),
            server=route.server,
            name=route.tool,
            public_name=route.public_name,
            arguments={} if arguments is None else arguments,
            principal=self._acting.get(self._principal),
            deadline=asked + (route.timeout if timeout is None else timeout),
            idle=route.idle if timeout is None else max(route.idle, timeout),
            flight=flight,
            priority=priority,
            max_age=max_age,
        )
