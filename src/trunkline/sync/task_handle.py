"""A task at a server, for code that does not await."""

from __future__ import annotations

from trunkline.core.reply import Reply
from trunkline.core.task import Task, TaskStatus
from trunkline.runtime.task_handle import TaskHandle as AsyncTaskHandle
from trunkline.sync.loop_thread import LoopThread
from trunkline.sync.mirror import mirrors


class TaskHandle:
    """One task, made by `Trunk.start_task` or found by `Trunk.task`; `wait()` blocks until its end.

    `str(handle)` is one word that any other process with the same configuration can give to `Trunk.task`.
    """

    def __init__(self, thread: LoopThread, handle: AsyncTaskHandle, owner: object) -> None:
        self._thread = thread
        self._handle = handle
        self._owner = owner  # a trunk nobody holds ends

    @property
    @mirrors(AsyncTaskHandle.task)
    def task(self) -> Task:
        return self._handle.task

    @property
    @mirrors(AsyncTaskHandle.status)
    def status(self) -> TaskStatus:
        return self._handle.status

    @property
    @mirrors(AsyncTaskHandle.done)
    def done(self) -> bool:
        return self._handle.done

    @mirrors(AsyncTaskHandle.refresh)
    def refresh(self, timeout: float | None = None) -> Task:
        return self._thread.run(lambda: self._handle.refresh(timeout))

    @mirrors(AsyncTaskHandle.wait)
    def wait(self, timeout: float | None = None) -> Reply:
        return self._thread.run(lambda: self._handle.wait(timeout))

    @mirrors(AsyncTaskHandle.cancel)
    def cancel(self, timeout: float | None = None) -> None:
        self._thread.run(lambda: self._handle.cancel(timeout))

    def __str__(self) -> str:
        return str(self._handle)

    def __repr__(self) -> str:
        return repr(self._handle)
