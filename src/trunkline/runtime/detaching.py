"""The half of the front door for calls that outlive their caller: tasks made, found, awaited and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from msgspec.structs import replace

from trunkline.core.call import Call, Flight
from trunkline.core.principal import Principal
from trunkline.core.reply import Reply
from trunkline.core.task import Task, parse_handle
from trunkline.errors import InvalidArgumentsError
from trunkline.protocol.tasks import CANCEL, GET
from trunkline.runtime.routes import Route, Routes
from trunkline.runtime.task_handle import TaskHandle


class Detaching:
    """What `Trunk` does with tasks; it sets the attributes below when it is entered."""

    _loop: asyncio.AbstractEventLoop
    _routes: Routes
    _call_ids: Iterator[str]
    _principal: Principal
    _acting: ContextVar[Principal]

    async def start_task(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - spent by the Deadline layer, from one clock
    ) -> TaskHandle:
        """Call a tool and return as soon as its server has made a task of the call.

        Whether it does is up to the server. Where it answers at once instead, the handle is of a completed
        task without a name: `handle.wait()` gives the reply and `str(handle)` is "".

        Args:
            timeout: seconds for the server to make the task, or to answer.

        Raises:
            CallError: as `call`.
        """
        asked = self._loop.time()
        route = self._routes.recall(tool) or await self._routes.find(tool, timeout)
        call = self._make_about(route, route.tool, "tools/call", timeout, asked)
        reply = await route.service(replace(call, arguments=dict(arguments or {}), detach=True))
        if reply.task is not None:
            return TaskHandle(Desk(self._ask_about), reply.task)
        none = Task(server=route.server, tool=route.tool, id="", status="completed")
        return TaskHandle(Desk(self._ask_about), none, reply)

    async def task(
        self,
        handle: str | Task | TaskHandle,
        *,
        server: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as in `start_task`
    ) -> TaskHandle:
        """Find a task again, also one that another process or another client has started.

        Args:
            handle: `str()` of a handle, `Task.handle`, `error.task`, a task; or, with `server`, the bare id.
            server: whose task it is, where the id is all there is.
            timeout: seconds to ask the server how far it is.

        Raises:
            InvalidArgumentsError: this names no task.
            NotFoundError: there is no such server, or it does not know the task, or not any more.
            CallError: the server could not be asked.
        """
        if isinstance(handle, TaskHandle):
            handle = handle.task
        known = handle if isinstance(handle, Task) else read_handle(handle, server)
        desk = Desk(self._ask_about)
        return TaskHandle(desk, await desk.look_up(known, timeout))

    async def _ask_about(
        self,
        task: Task,
        method: str,
        timeout: float | None,  # noqa: ASYNC109
        *,
        detach: bool = False,
    ) -> Reply:
        route = self._routes.task(task.server, task.tool)
        call = self._make_about(route, task.id, method, timeout, self._loop.time())
        return await route.service(replace(call, detach=detach))

    def _make_about(self, route: Route, name: str, method: str, timeout: float | None, asked: float) -> Call:
        return Call(
            id=next(self._call_ids),
            server=route.server,
            name=name,
            public_name=route.public_name,
            arguments={},
            principal=self._acting.get(self._principal),
            deadline=asked + (route.timeout if timeout is None else timeout),
            idle=route.idle if timeout is None else max(route.idle, timeout),
            flight=Flight(asked),
            method=method,
        )


class Desk:
    """Serves the handles of one runtime; see `Keeper`."""

    def __init__(self, ask: Callable[..., Awaitable[Reply]]) -> None:
        self._ask = ask

    async def look_up(self, task: Task, timeout: float | None) -> Task:  # noqa: ASYNC109
        """See `Keeper`."""
        found = (await self._ask(task, GET, timeout, detach=True)).task
        return task if found is None else replace(found, tool=task.tool)

    async def wait_for_task(self, task: Task, timeout: float | None) -> Reply:  # noqa: ASYNC109
        """See `Keeper`."""
        return await self._ask(task, GET, timeout)

    async def cancel_task(self, task: Task, timeout: float | None) -> None:  # noqa: ASYNC109
        """See `Keeper`."""
        await self._ask(task, CANCEL, timeout)


def read_handle(handle: str, server: str | None) -> Task:
    """Give the task that a handle, or with `server` a bare id, names.

    Raises:
        InvalidArgumentsError: it names none.
    """
    if server is not None:
        return Task(server=server, id=handle)
    try:
        return parse_handle(handle)
    except ValueError as cause:
        raise InvalidArgumentsError(
            f"{handle[:80]!r} names no task: {cause}", hint="Give the word that `str(handle)` is."
        ) from cause
