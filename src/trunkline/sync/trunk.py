"""Trunk for code that does not await: the same methods, each of which blocks until it has its result."""

from __future__ import annotations

import inspect
import logging
import weakref
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.search import Match
from trunkline.config.changes import Changes
from trunkline.config.explanation import Explanation
from trunkline.config.loading import Config
from trunkline.core.call import LogLevel, Progress
from trunkline.core.completion import CompletionReply
from trunkline.core.events import Event as ServerEvent
from trunkline.core.principal import Principal
from trunkline.core.prompt import Prompt, PromptReply
from trunkline.core.reply import Reply
from trunkline.core.resource import Chunk, ReadReply, Resource, Template
from trunkline.core.status import ConfigStatus, ServerStatus
from trunkline.core.task import Task
from trunkline.errors import TrunklineError
from trunkline.runtime.events import MOST_WAITING
from trunkline.runtime.progress import ProgressHandler
from trunkline.runtime.requests import CHUNK_BYTES
from trunkline.runtime.stream import Event
from trunkline.runtime.trunk import Trunk as AsyncTrunk
from trunkline.runtime.typed import check_type, convert_reply
from trunkline.sync.callable import ToolFunction
from trunkline.sync.handle import Handle
from trunkline.sync.inspecting import Inspecting
from trunkline.sync.loop_thread import LoopThread
from trunkline.sync.mirror import mirrors
from trunkline.sync.task_handle import TaskHandle
from trunkline.sync.watching import Subscription, Watch

logger = logging.getLogger("trunkline.call")

Value = TypeVar("Value")
Kind = TypeVar("Kind", bound=ServerEvent)


class Trunk(Inspecting):
    """Many servers behind one front door; made by `trunkline.sync.connect`, open from the start.

    Every method may be called from any thread, by several at once. Ctrl-C in a call that blocks
    cancels it at the server. In a thread that runs an event loop every method raises RuntimeError,
    since it would block that loop; a notebook's cells are the exception, as there blocking is meant.
    """

    def __init__(self, trunk: AsyncTrunk) -> None:
        self._trunk = trunk
        self._thread = LoopThread(trunk.aclose)
        self._finalizer = weakref.finalize(self, self._thread.abandon)
        self._finalizer.atexit = False
        try:
            self._thread.run(trunk.__aenter__)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every server, the thread and its loop; callable from any thread, more than once."""
        self._finalizer.detach()
        self._thread.close()

    @mirrors(AsyncTrunk.reload)
    def reload(self) -> Changes:
        return self._thread.run(self._trunk.reload)

    @mirrors(AsyncTrunk.drain)
    def drain(self, grace: float) -> None:
        self._thread.run(lambda: self._trunk.drain(grace))
        self.close()

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._trunk.config

    @property
    @mirrors(AsyncTrunk.catalog)
    def catalog(self) -> Catalog:
        return self._thread.ask(lambda: self._trunk.catalog)

    @mirrors(AsyncTrunk.status)
    def status(self) -> dict[str, ServerStatus]:
        return self._thread.ask(self._trunk.status)

    @mirrors(AsyncTrunk.config_status)
    def config_status(self) -> ConfigStatus:
        return self._thread.ask(self._trunk.config_status)

    @mirrors(AsyncTrunk.explain)
    def explain(self, name: str) -> Explanation:
        return self._thread.ask(lambda: self._trunk.explain(name))

    @mirrors(AsyncTrunk.ready)
    def ready(
        self, server: str | None = None, timeout: float | None = None, *, lists: bool | None = None
    ) -> None:
        self._thread.run(lambda: self._trunk.ready(server, timeout, lists=lists))

    @overload
    def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        as_: None = None,
    ) -> Reply: ...

    @overload
    def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        as_: type[Value],
    ) -> Value: ...

    @overload
    def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        as_: Any,
    ) -> Any: ...

    @mirrors(AsyncTrunk.call)
    def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressHandler | None = None,
        as_: Any = None,
    ) -> Any:
        if on_progress is None or inspect.iscoroutinefunction(on_progress):
            return self._thread.run(
                lambda: self._trunk.call(tool, arguments, timeout=timeout, on_progress=on_progress, as_=as_)
            )
        if as_ is not None:
            check_type(as_)
        return self._call_watched(self.start(tool, arguments, timeout=timeout), on_progress, as_)

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

    @mirrors(AsyncTrunk.start)
    def start(
        self, tool: str, arguments: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> Handle:
        handle = self._thread.ask(lambda: self._trunk.start(tool, arguments, timeout=timeout))
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
    ) -> ReadReply:
        return self._thread.run(lambda: self._trunk.read(uri, server, timeout, on_progress=on_progress))

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
        self, name: str, arguments: Mapping[str, str] | None = None, *, timeout: float | None = None
    ) -> PromptReply:
        return self._thread.run(lambda: self._trunk.get_prompt(name, arguments, timeout=timeout))

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

    @mirrors(AsyncTrunk.search)
    def search(
        self, query: str | Sequence[str], *, limit: int = 5, min_score: float | None = None
    ) -> tuple[Match, ...]:
        return self._thread.run(lambda: self._trunk.search(query, limit=limit, min_score=min_score))

    @overload
    def events(self, *, max_waiting: int = MOST_WAITING) -> Watch[ServerEvent]: ...

    @overload
    def events(self, *kinds: type[Kind], max_waiting: int = MOST_WAITING) -> Watch[Kind]: ...

    @mirrors(AsyncTrunk.events)
    def events(self, *kinds: type[Any], max_waiting: int = MOST_WAITING) -> Watch[Any]:
        watch = self._thread.ask(lambda: self._trunk.events(*kinds, max_waiting=max_waiting))
        return Watch(self._thread, watch, self)

    @mirrors(AsyncTrunk.subscribe)
    def subscribe(self, uri: str, server: str | None = None, timeout: float | None = None) -> Subscription:
        subscription = self._thread.run(lambda: self._trunk.subscribe(uri, server, timeout))
        return Subscription(self._thread, subscription, self)

    @mirrors(AsyncTrunk.set_log_level)
    def set_log_level(self, level: LogLevel, server: str | None = None) -> None:
        self._thread.run(lambda: self._trunk.set_log_level(level, server))

    @mirrors(AsyncTrunk.add)
    def add(self, name: str, entry: object) -> None:
        self._thread.run(lambda: self._trunk.add(name, entry))

    @mirrors(AsyncTrunk.remove)
    def remove(self, name: str) -> None:
        self._thread.run(lambda: self._trunk.remove(name))

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
