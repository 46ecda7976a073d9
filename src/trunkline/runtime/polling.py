"""Polling: asks about one task until it has ended, and answers what the task wants to know meanwhile.

One rule holds: only what is safe to repeat is repeated. The tool call itself is never sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from trunkline.connection.answers import Answers
from trunkline.connection.rounds import answer_all
from trunkline.connection.tally import Source
from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.core.task import Task
from trunkline.errors import (
    CallError,
    OutcomeUnknownError,
    RejectedError,
    ServerError,
    UnavailableError,
)
from trunkline.pipeline.service import Service
from trunkline.protocol.eras import INTERNAL_ERROR, INVALID_PARAMS
from trunkline.protocol.rounds import MalformedRoundError, read_round
from trunkline.protocol.tasks import (
    CANCEL,
    EXPERIMENTAL,
    GET,
    RESULT,
    UPDATE,
    MalformedTaskError,
    pause,
    read_task,
)
from trunkline.runtime.task_outcome import (
    broken,
    cancelled,
    expired,
    failed,
    lost,
    not_found,
    request_about,
    result_of,
)

_MOST_FAULTS = 3
"""Answers in a row that are an internal error of the server, after which the task is given up."""


class Polling:
    """Follows one task for one caller.

    Args:
        call: the tool call that became the task, or what stands for it where a task is picked up. Its
            flight, its deadline and its idle time are those of the whole.
        dispatch: sends one request.
        answers: puts questions to the application, or None where there is nobody to ask.
    """

    def __init__(self, call: Call, task: Task, dispatch: Service, answers: Answers | None) -> None:
        self.call = call
        self.task = task
        self._own = call.method == "tools/call"
        """Whether the tool call itself is what is waited for."""
        self._dispatch = dispatch
        self._answers = answers
        self._loop = asyncio.get_running_loop()
        self._seen = self._loop.time()
        self._asked_to_wait: float | None = None
        self._faults = 0
        self._rounds = self._prompts = 0
        self._given: dict[str, Mapping[str, Any]] = {}
        """Answers by the server's key, so that nobody is asked twice."""
        self._taken: set[str] = set()
        """Keys whose answers the server has acknowledged."""
        self._settled = False

    @property
    def over(self) -> bool:
        """Whether the task is known to have ended, however it did."""
        return self._settled or self.task.done

    async def finish(self, *, at_once: bool = False) -> Reply:
        """Poll until the task has ended and give its result.

        Args:
            at_once: do not wait before the first poll.

        Raises:
            CallError: the task failed or was cancelled, or cannot be followed to its end.
        """
        resting = not at_once and self.task.status == "working"
        while True:
            if resting:
                await self._rest()
            resting = True
            if (polled := await self._poll()) is not None and (reply := await self._act(polled)) is not None:
                return reply

    async def look(self) -> Reply:
        """Ask about the task once; `reply.task` is what it is now.

        Raises:
            CallError: it is not known.
        """
        polled = self._read(await self._send(GET))
        return replace(polled, task=self.task)

    async def cancel(self) -> Reply:
        """Ask the server to end the task; that it was told is all that is known.

        Raises:
            CallError: it was not, or the task is not running.
        """
        return await self._send(CANCEL)

    async def _act(self, polled: Reply) -> Reply | None:
        """Do what a status asks for; give the reply that ends the call, or None to go on."""
        task = self.task
        if polled.era == EXPERIMENTAL and task.status in ("completed", "failed", "input_required"):
            return await self._fetch()
        match task.status:
            case "completed":
                return result_of(polled, task)
            case "failed":
                raise failed(polled.raw.get("error"), task)
            case "cancelled":
                raise cancelled(task)
            case "input_required":
                await self._answer(polled.raw.get("inputRequests"))
        left = self._ttl_left()
        if left is not None and left <= 0:
            raise expired(task)
        return None

    async def _rest(self) -> None:
        flight = self.call.flight
        flight.phase = f"waiting for its task {self.task.id}: {self.task.status}"
        flight.answering += 1  # nobody is silent: it is we who wait
        try:
            await asyncio.sleep(pause(self.task, self._ttl_left(), asked_to_wait=self._asked_to_wait))
        finally:
            flight.answering -= 1
            flight.activity = self._loop.time()

    def _ttl_left(self) -> float | None:
        ttl = self.task.ttl_ms
        return None if not ttl else self._seen + ttl / 1000 - self._loop.time()

    async def _poll(self) -> Reply | None:
        """Ask about the task; None where that has to be tried again."""
        if (polled := await self._try(GET)) is None:
            return None
        return self._read(polled)

    async def _fetch(self) -> Reply | None:
        """Get the result of a 2025-11-25 task; on the way there the server may ask what it wants to know.

        Source: specification 2025-11-25, basic/utilities/tasks, "Input Required Status".
        """
        self.call.flight.answering += 1  # it is answered when the task has ended, and not before
        try:
            reply = await self._try(RESULT)
        except ServerError as error:
            self._settled = True
            members = {"code": error.rpc_code, "message": error.rpc_message, "data": error.data}
            raise failed(members, self.task) from error
        finally:
            self.call.flight.answering -= 1
        self._settled = reply is not None
        return reply

    async def _answer(self, requests: object) -> None:
        """Answer what is new among the task's questions, and tell the server."""
        if not requests:
            return
        try:
            asked = read_round({"inputRequests": requests})
        except MalformedRoundError as cause:
            raise broken(f"the server {cause}", self.task, "malformed_input_request") from cause
        keys = [key for key in asked.questions if key not in self._taken]
        new = {key: asked.questions[key] for key in keys if key not in self._given}
        if new:
            await self._ask(replace(asked, questions=new))
        if keys and await self._try(UPDATE, inputResponses={key: self._given[key] for key in keys}):
            self._taken.update(keys)

    async def _ask(self, asked: Any) -> None:
        answers, flight = self._answers, self.call.flight
        if answers is None:
            raise broken("the server asks for input and is gone", self.task, "malformed_input_request")
        if self._rounds >= (most := answers.handlers.limits.rounds):
            raise broken(f"the server asked for input more than {most} times", self.task, "too_many_rounds")
        self._rounds += 1
        flight.phase = "answering what the server asks"
        counts = answers.tally.counts
        counts[flight] = self._prompts
        try:
            source = Source(flights=(flight,), tool=self.call.public_name)
            self._given |= await answer_all(asked, answers, self.call.server, source)
        finally:
            self._prompts = counts.pop(flight, 0)

    def _read(self, polled: Reply) -> Reply:
        try:
            self.task = read_task(polled.raw, self.task)
        except MalformedTaskError as cause:
            raise broken(f"the server {cause}", self.task) from cause
        return polled

    async def _try(self, method: str, **params: Any) -> Reply | None:
        """Send a request that is safe to repeat; None where it got no answer that counts."""
        self._asked_to_wait = None
        try:
            reply = await self._send(method, **params)
        except (UnavailableError, OutcomeUnknownError, RejectedError) as error:
            if error.code == "closed":
                raise lost(error, self.task) from error
            self._asked_to_wait = error.retry_after
            return None
        except CallError as error:
            if method == RESULT and isinstance(error, ServerError):
                raise
            self._faults += 1
            internal = isinstance(error, ServerError) and error.rpc_code == INTERNAL_ERROR
            if not internal or self._faults > _MOST_FAULTS:
                if self._own:
                    raise lost(error, self.task) from error
                raise
            return None
        self._faults = 0
        return reply

    async def _send(self, method: str, **params: Any) -> Reply:
        """Send one request about the task, as a part of the call that it is waited for with."""
        call = self.call
        flight = call.flight
        attempts, phase, delivery = flight.attempts, flight.phase, flight.delivery
        flight.activity = self._loop.time()
        try:
            return await self._dispatch(request_about(call, self.task, method, **params))
        except ServerError as error:
            if error.rpc_code != INVALID_PARAMS or method == RESULT:
                raise
            raise not_found(self.task, running=method == CANCEL) from error
        finally:
            flight.attempts, flight.phase, flight.activity = attempts, phase, self._loop.time()
            if self._own:
                flight.delivery = delivery
