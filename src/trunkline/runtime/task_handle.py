"""A task at a server, for whoever wants to wait for it, look at it or end it: now, later, or elsewhere."""

from __future__ import annotations

from typing import Protocol

from trunkline.core.reply import Reply
from trunkline.core.task import Task, TaskStatus


class Keeper(Protocol):
    """What a handle needs of the runtime it belongs to."""

    async def look_up(self, task: Task, timeout: float | None) -> Task:  # noqa: ASYNC109
        """Give the task as it is now."""
        ...

    async def wait_for_task(self, task: Task, timeout: float | None) -> Reply:  # noqa: ASYNC109
        """Give the reply of the call that became the task."""
        ...

    async def cancel_task(self, task: Task, timeout: float | None) -> None:  # noqa: ASYNC109
        """Ask the server to end the task."""
        ...


class TaskHandle:
    """One task, made by `Trunk.start_task` or found by `Trunk.task`.

    `str(handle)` is one word that any other process with the same configuration can give to `Trunk.task`.
    The task runs at its server, whatever becomes of this handle, of the trunk, or of this process.
    """

    def __init__(self, keeper: Keeper, task: Task, reply: Reply | None = None) -> None:
        self._keeper = keeper
        self._task = task
        self._reply = reply

    @property
    def task(self) -> Task:
        """The task as it was when the server last told of it: `id`, `status`, `message`, `ttl_ms`, ..."""
        return self._task

    @property
    def status(self) -> TaskStatus:
        """How far it was then."""
        return self._task.status

    @property
    def done(self) -> bool:
        """Whether it had ended then."""
        return self._task.done

    async def refresh(self, timeout: float | None = None) -> Task:  # noqa: ASYNC109 - as in `Trunk.call`
        """Ask the server how far it is.

        Raises:
            NotFoundError: the server does not know it, or not any more.
            CallError: the server could not be asked.
        """
        if not self._task.done:
            self._task = await self._keeper.look_up(self._task, timeout)
        return self._task

    async def wait(self, timeout: float | None = None) -> Reply:  # noqa: ASYNC109 - as in `Trunk.call`
        """Wait for its end and give the Reply, as the call itself would have; the task wants its handlers.

        That the time is over, or the waiting is cancelled, ends the waiting and not the task.

        Args:
            timeout: seconds; without it the policy's for its tool (600).

        Raises:
            ServerError: it failed.
            OutcomeUnknownError: it was cancelled, or its server kept it too short a time.
            NotFoundError: the server does not know it, or not any more.
            CallError: the server could not be asked.
        """
        if self._reply is None:
            self._reply = await self._keeper.wait_for_task(self._task, timeout)
        return self._reply

    async def cancel(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as in `Trunk.call`
        """Ask the server to end it; whether and when it does is the server's to decide.

        Raises:
            NotFoundError: the server knows no such task, or none that runs.
            CallError: the server could not be told.
        """
        if self._reply is None:
            await self._keeper.cancel_task(self._task, timeout)

    def __str__(self) -> str:
        return self._task.handle if self._task.id else ""

    def __repr__(self) -> str:
        return f"<task of {self._task.server}.{self._task.tool}: {self._task.status}>"
