"""The calling half of the blocking library, of a trunk as of a lease."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncGenerator, Collection, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar, overload

from trunkline.core.call import LogLevel, Progress
from trunkline.core.completion import CompletionReply
from trunkline.core.fallback import Cause
from trunkline.core.principal import Principal
from trunkline.core.prompt import Prompt, PromptReply
from trunkline.core.reply import Reply
from trunkline.core.resource import Chunk, ReadReply, Resource, Template
from trunkline.core.task import Task
from trunkline.errors import TrunklineError
from trunkline.runtime.lease import Lease as AsyncLease
from trunkline.runtime.progress import ProgressHandler
from trunkline.runtime.requests import CHUNK_BYTES
from trunkline.runtime.stream import Event
from trunkline.runtime.trunk import Trunk as AsyncTrunk
from trunkline.runtime.typed import check_type, convert_reply
from trunkline.sync.batch import Batch
from trunkline.sync.callable import ToolFunction
from trunkline.sync.handle import Handle
from trunkline.sync.loop_thread import LoopThread
from trunkline.sync.mirror import mirrors
from trunkline.sync.task_handle import TaskHandle

logger = logging.getLogger("trunkline.call")

Value = TypeVar("Value")


class Calling:
    """What calls, reads and asks; each method blocks until it has its result."""

    _trunk: AsyncTrunk | AsyncLease
    _thread: LoopThread

    @overload
    def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        priority: int | None = None,
        as_: None = None,
        cache: bool = True,
        max_age: float | None = None,
        fallback: Sequence[object] | None = None,
        fallback_on: Collection[Cause] = (),
    ) -> Reply: ...

    @overload
    def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        priority: int | None = None,
        as_: type[Value],
        cache: bool = True,
        max_age: float | None = None,
        fallback: Sequence[object] | None = None,
        fallback_on: Collection[Cause] = (),
    ) -> Value: ...

    @overload
    def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        priority: int | None = None,
        as_: Any,
        cache: bool = True,
        max_age: float | None = None,
        fallback: Sequence[object] | None = None,
        fallback_on: Collection[Cause] = (),
    ) -> Any: ...

    @mirrors(AsyncTrunk.call)
    def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        priority: int | None = None,
        as_: Any = None,
        cache: bool = True,
        max_age: float | None = None,
        fallback: Sequence[object] | None = None,
        fallback_on: Collection[Cause] = (),
    ) -> Any:
        rest: dict[str, Any] = {"priority": priority, "cache": cache, "max_age": max_age}
        rest |= {"fallback": fallback, "fallback_on": fallback_on}
        if on_progress is None or inspect.iscoroutinefunction(on_progress):
            return self._thread.run(
                lambda: self._trunk.call(
                    tool, arguments, timeout=timeout, on_progress=on_progress, as_=as_, **rest
                )
            )
        if as_ is not None:
            check_type(as_)
        return self._call_watched(self.start(tool, arguments, timeout=timeout, **rest), on_progress, as_)

    @mirrors(AsyncTrunk.call_many)
    def call_many(
        self,
        calls: Sequence[tuple[str, Mapping[str, Any] | None]],
        *,
        max_concurrency: int = 8,
        timeout: float | None = None,
    ) -> list[Reply | TrunklineError]:
        return self._thread.run(
            lambda: self._trunk.call_many(calls, max_concurrency=max_concurrency, timeout=timeout)
        )

    @mirrors(AsyncTrunk.batch)
    def batch(self) -> Batch:
        return Batch(self._thread, self._trunk.batch(), self)

    @mirrors(AsyncTrunk.start)
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
        rest: dict[str, Any] = {"priority": priority, "cache": cache, "max_age": max_age}
        rest |= {"fallback": fallback, "fallback_on": fallback_on}
        handle = self._thread.ask(lambda: self._trunk.start(tool, arguments, timeout=timeout, **rest))
        return Handle(self._thread, handle, self)

    @mirrors(AsyncTrunk.start_task)
    def start_task(
        self, tool: str, arguments: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> TaskHandle:
        handle = self._thread.run(lambda: self._trunk.start_task(tool, arguments, timeout=timeout))
        return TaskHandle(self._thread, handle, self)

    @mirrors(AsyncTrunk.task)
    def task(
        self,
        handle: str | Task | TaskHandle,
        *,
        server: str | None = None,
        timeout: float | None = None,
    ) -> TaskHandle:
        known = handle.task if isinstance(handle, TaskHandle) else handle
        found = self._thread.run(lambda: self._trunk.task(known, server=server, timeout=timeout))
        return TaskHandle(self._thread, found, self)

    @mirrors(AsyncTrunk.stream)
    def stream(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        log_level: LogLevel = "info",
    ) -> Generator[Event, None, None]:
        return self._steps(self._trunk.stream(tool, arguments, timeout=timeout, log_level=log_level))

    @mirrors(AsyncTrunk.tool)
    def tool(self, name: str, *, timeout: float | None = None) -> ToolFunction:
        function = self._thread.ask(lambda: self._trunk.tool(name, timeout=timeout))
        return ToolFunction(self._thread, function, self)

    @mirrors(AsyncTrunk.acting_as)
    def acting_as(self, principal: Principal) -> AbstractContextManager[None]:
        return self._trunk.acting_as(principal)

    @property
    @mirrors(AsyncTrunk.resources)
    def resources(self) -> tuple[Resource, ...]:
        return self._thread.ask(lambda: self._trunk.resources)

    @property
    @mirrors(AsyncTrunk.templates)
    def templates(self) -> tuple[Template, ...]:
        return self._thread.ask(lambda: self._trunk.templates)

    @property
    @mirrors(AsyncTrunk.prompts)
    def prompts(self) -> tuple[Prompt, ...]:
        return self._thread.ask(lambda: self._trunk.prompts)

    @mirrors(AsyncTrunk.read)
    def read(
        self,
        uri: str,
        server: str | None = None,
        timeout: float | None = None,
        *,
        on_progress: ProgressHandler | None = None,
        cache: bool = True,
        max_age: float | None = None,
    ) -> ReadReply:
        return self._thread.run(
            lambda: self._trunk.read(
                uri, server, timeout, on_progress=on_progress, cache=cache, max_age=max_age
            )
        )

    @mirrors(AsyncTrunk.read_chunks)
    def read_chunks(
        self,
        uri: str,
        server: str | None = None,
        timeout: float | None = None,
        *,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> Generator[Chunk, None, None]:
        return self._steps(self._trunk.read_chunks(uri, server, timeout, chunk_bytes=chunk_bytes))

    @mirrors(AsyncTrunk.get_prompt)
    def get_prompt(
        self,
        name: str,
        arguments: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
        cache: bool = True,
        max_age: float | None = None,
    ) -> PromptReply:
        return self._thread.run(
            lambda: self._trunk.get_prompt(name, arguments, timeout=timeout, cache=cache, max_age=max_age)
        )

    @mirrors(AsyncTrunk.complete)
    def complete(
        self,
        ref: str | Prompt | Template,
        argument: str,
        value: str,
        *,
        context: Mapping[str, str] | None = None,
        server: str | None = None,
        timeout: float | None = None,
    ) -> CompletionReply:
        return self._thread.run(
            lambda: self._trunk.complete(
                ref, argument, value, context=context, server=server, timeout=timeout
            )
        )

    @mirrors(AsyncTrunk.request)
    def request(
        self,
        server: str,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
    ) -> Reply:
        return self._thread.run(
            lambda: self._trunk.request(server, method, params, timeout=timeout, on_progress=on_progress)
        )

    @mirrors(AsyncTrunk.notify)
    def notify(
        self,
        server: str,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        self._thread.run(lambda: self._trunk.notify(server, method, params, timeout=timeout))

    def _call_watched(self, handle: Handle, handler: ProgressHandler, wanted: Any) -> Any:
        """Report progress in the thread that called, as it would be without another thread."""
        try:
            for progress in handle.progress:
                self._report(progress, handler)
        except KeyboardInterrupt:
            handle.cancel("the user interrupted the call")
            raise
        return handle.result() if wanted is None else convert_reply(handle.result(), wanted)

    def _report(self, progress: Progress, handler: ProgressHandler) -> None:
        try:
            running = handler(progress)
            if running is not None:
                self._thread.run(lambda: running)
        except Exception:  # boundary: the application's handler must not end the call it is told of
            logger.exception("the progress handler failed")

    def _steps(self, events: AsyncGenerator[Value, None]) -> Generator[Value, None, None]:
        try:
            while (event := self._thread.run(lambda: anext(events, None))) is not None:
                yield event
        finally:
            # Not waited for: the garbage collector may end this in any thread.
            self._thread.post(events.aclose)
