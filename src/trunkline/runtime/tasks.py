"""Tool calls that a server answers with a task: the innermost wrapper of such calls, around the fleet.

A call that is not detached is answered with the result of its task. Whoever ceases to wait before that
lets the server know, once and without waiting for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec.structs import replace

from trunkline.connection.answers import Answers
from trunkline.core.call import Call, Flight
from trunkline.core.reply import Reply
from trunkline.core.task import Task
from trunkline.errors import CallError, ProtocolError, TrunklineError
from trunkline.pipeline.service import Service
from trunkline.protocol.tasks import CANCEL, TASK, MalformedTaskError, created_task, read_task, wants_task
from trunkline.runtime.inventory import Inventory
from trunkline.runtime.polling import Polling
from trunkline.runtime.task_outcome import request_about
from trunkline.supervision.fleet import Fleet

_TOOLS_CALL = "tools/call"
_FAREWELL = 2.0
"""Seconds that asking a server to cancel a task may take."""

SeeOff = Callable[[Coroutine[Any, Any, None]], None]
"""Runs something short that nobody waits for; its owner bounds and ends it."""


class Tasks:
    """Follows the tasks that become of calls.

    Args:
        see_off: takes what asks a server to cancel a task.
    """

    def __init__(self, fleet: Fleet, inventory: Inventory, see_off: SeeOff) -> None:
        self._fleet = fleet
        self._inventory = inventory
        self._see_off = see_off

    def follow(self, dispatch: Service) -> Service:
        """Give a service that waits for the tasks of `dispatch`, and takes up those known by their id."""
        inventory = self._inventory

        async def follow(call: Call) -> Reply:
            if call.method != _TOOLS_CALL:
                return await self._take_up(call, dispatch)
            execution = inventory.executions.get(call.public_name)
            if execution is not None and wants_task(execution, detach=call.detach):
                call = replace(call, augment=True)
            reply = await dispatch(call)
            if not call.augment and reply.raw.get("resultType") != TASK:
                return reply
            members = created_task(reply.raw, reply.era, asked=call.augment)
            if members is None:
                return reply
            task = _read_created(members, call)
            if call.detach:
                return replace(reply, task=task)
            return await self._wait(Polling(call, task, dispatch, self._answers(call)))

        return follow

    async def _take_up(self, call: Call, dispatch: Service) -> Reply:
        """Serve what is asked about a task that another call made."""
        task = Task(server=call.server, id=call.name)
        polling = Polling(call, task, dispatch, self._answers(call))
        if call.method == CANCEL:
            return await polling.cancel()
        return await (polling.look() if call.detach else polling.finish(at_once=True))

    async def _wait(self, polling: Polling) -> Reply:
        """Wait for a task on behalf of its own call; who gives up asks the server to give up too."""
        flight, task = polling.call.flight, polling.task
        flight.task, flight.plain = task.handle, False
        try:
            reply = await polling.finish()
        except asyncio.CancelledError as gone:
            gone.add_note(f"The task {task.handle} may still run; its server was asked to cancel it.")
            self._cancel(polling.call, task)
            raise
        except CallError:
            if polling.over:
                flight.task = None
            else:
                self._cancel(polling.call, task)
            raise
        flight.task = None
        return reply

    def _answers(self, call: Call) -> Answers | None:
        supervisor = self._fleet.get(call.server)
        return None if supervisor is None else supervisor.answers

    def _cancel(self, call: Call, task: Task) -> None:
        now = asyncio.get_running_loop().time()
        request = request_about(call, task, CANCEL)
        request = replace(request, flight=Flight(now), deadline=now + _FAREWELL)
        self._see_off(_say(self._fleet, request))


async def _say(fleet: Fleet, request: Call) -> None:
    try:
        async with asyncio.timeout(_FAREWELL):
            await fleet.call(request)
    except (TrunklineError, TimeoutError):
        return  # it was only a wish


def _read_created(members: Any, call: Call) -> Task:
    try:
        return read_task(members, Task(server=call.server, tool=call.name, id=""), first=True)
    except MalformedTaskError as cause:
        raise ProtocolError(
            f"the server {cause}",
            code="malformed_answer",
            server=call.server,
            delivery="answered",
            hint="The tool may run; report the malformed answer to the server's author.",
        ) from cause
