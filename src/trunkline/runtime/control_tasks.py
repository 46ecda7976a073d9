"""Tasks over a control socket: the handles that a client has, and what the server does for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, assert_never

import msgspec

from trunkline.core.reply import Reply
from trunkline.core.task import Task
from trunkline.runtime.control_messages import About
from trunkline.runtime.detaching import Desk, read_handle
from trunkline.runtime.task_handle import TaskHandle
from trunkline.runtime.trunk import Trunk


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The value of an answer about a task."""

    task: Task
    reply: Reply | None = None


class RemoteDesk:
    """Serves the handles of an attached runtime.

    Args:
        ask: sends one `About` with these members and gives the value of its answer.
    """

    def __init__(self, ask: Callable[..., Awaitable[msgspec.Raw]]) -> None:
        self._ask = ask

    async def start(self, tool: str, arguments: Any, timeout: float | None) -> TaskHandle:  # noqa: ASYNC109
        """Make a call and give the handle of what became of it."""
        found = await self._exchange(timeout, action="start", tool=tool, arguments=arguments or {})
        return TaskHandle(self, found.task, found.reply)

    async def find(self, handle: str | Task, server: str | None, timeout: float | None) -> TaskHandle:  # noqa: ASYNC109
        """Give the handle of a task that is known."""
        known = handle if isinstance(handle, Task) else read_handle(handle, server)
        return TaskHandle(self, await self.look_up(known, timeout))

    async def look_up(self, task: Task, timeout: float | None) -> Task:  # noqa: ASYNC109
        """See `Keeper`."""
        return (await self._exchange(timeout, action="get", task=task)).task

    async def wait_for_task(self, task: Task, timeout: float | None) -> Reply:  # noqa: ASYNC109
        """See `Keeper`."""
        reply = (await self._exchange(timeout, action="wait", task=task)).reply
        assert reply is not None  # noqa: S101 - as `serve` answers
        return reply

    async def cancel_task(self, task: Task, timeout: float | None) -> None:  # noqa: ASYNC109
        """See `Keeper`."""
        await self._exchange(timeout, action="cancel", task=task)

    async def _exchange(self, timeout: float | None, **members: Any) -> Found:  # noqa: ASYNC109
        return msgspec.json.decode(await self._ask(timeout, **members), type=Found)


async def serve(trunk: Trunk, request: About) -> Found:
    """Do what a client asks about a task."""
    if request.action == "start":
        started = await trunk.start_task(request.tool, request.arguments, timeout=request.timeout)
        return Found(task=started.task, reply=None if str(started) else await started.wait())
    if request.task is None:
        raise ValueError("which task?")
    if request.action == "get":
        return Found(task=(await trunk.task(request.task, timeout=request.timeout)).task)
    handle = TaskHandle(Desk(trunk._ask_about), request.task)
    match request.action:
        case "wait":
            return Found(task=request.task, reply=await handle.wait(request.timeout))
        case "cancel":
            await handle.cancel(request.timeout)
            return Found(task=request.task)
        case _:
            assert_never(request.action)
