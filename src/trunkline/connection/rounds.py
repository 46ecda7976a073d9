"""Plays the rounds of one call: asks the application what the server wants to know, and sends the call again.

`protocol.rounds` decides what is asked and what goes back; nothing of a round outlives its call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from trunkline.connection.answers import Answers
from trunkline.connection.refusal import RefusalError, failed
from trunkline.connection.tally import Source
from trunkline.errors import CallError, OutcomeUnknownError, ProtocolError, UnavailableError
from trunkline.protocol.frames import Frame
from trunkline.protocol.rounds import MalformedRoundError, Round, continue_with, read_round, wants_input
from trunkline.transport.link import Link

Send = Callable[[Mapping[str, Any]], Awaitable[Frame]]


async def play_rounds(frame: Frame, send: Send, answers: Answers, server: str, source: Source) -> Frame:
    """Answer and repeat until the server gives something else than a question; give that.

    Args:
        frame: the first answer, which asks for input.
        send: makes the request again, with a new id and these further params.

    Raises:
        CallError: the server asks too often or what nobody can answer; or the request failed.
    """
    most = answers.handlers.limits.rounds
    for _ in range(most):
        try:
            asked = read_round(frame.result)
        except MalformedRoundError as cause:
            raise _broken(server, f"the server {cause}", "malformed_input_request") from cause
        given = await answer_all(asked, answers, server, source)
        frame = await send(continue_with(asked, given))
        if not wants_input(frame.result):
            return frame
    raise _broken(
        server,
        f"the server asked for input more than {most} times",
        "too_many_rounds",
        "Raise `HandlerLimits.rounds` if the tool needs more.",
    )


async def finish_rounds(rounds: Coroutine[Any, Any, Frame], link: Link, server: str) -> Frame:
    """Run the rounds while the link lives; the person is let go when it is lost.

    Raises:
        OutcomeUnknownError: it was lost; the call had been sent, whatever is true of its last repetition.
        CallError: as `play_rounds`.
    """
    playing = asyncio.ensure_future(rounds)
    lost = asyncio.ensure_future(link.wait_closed())
    try:
        await asyncio.wait({playing, lost}, return_when=asyncio.FIRST_COMPLETED)
        if playing.done():
            return playing.result()
        raise _interrupted(server, lost.result())
    except UnavailableError as cause:
        raise _interrupted(server, cause.message) from cause
    finally:
        for task in (playing, lost):
            task.cancel()
        await asyncio.wait({playing, lost})


def _interrupted(server: str, reason: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"the call was interrupted while the server waited for input ({reason})",
        server=server,
        hint="What the tool did before it asked is not known; check its effect before calling again.",
    )


async def answer_all(
    asked: Round, answers: Answers, server: str, source: Source
) -> dict[str, Mapping[str, Any]]:
    """Answer the questions of one round side by side; the first that has no answer ends the others.

    Raises:
        CallError: a question has no answer.
    """
    given: dict[str, Mapping[str, Any]] = {}
    most = asyncio.Semaphore(answers.handlers.limits.concurrency)

    async def answer(key: str) -> None:
        question = asked.questions[key]
        try:
            async with most:
                given[key] = await answers.answer(question.method, question.params, source)
        except RefusalError as refusal:
            raise refusal.to_error(server, f"{question.method} ({key[:60]!r})") from refusal.__cause__

    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for key in asked.questions:
                group.create_task(answer(key))
    except BaseExceptionGroup as failures:
        failure = _first(failures)
    if failure is None and len(given) < len(asked.questions):
        failure = failed("a handler was cancelled").to_error(server, "input")
    if failure is not None:
        raise failure  # here, where its cause is kept
    return given


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the failure a caller can use, or the first."""
    return next((one for one in failures.exceptions if isinstance(one, CallError)), failures.exceptions[0])


def _broken(server: str, message: str, code: str, hint: str | None = None) -> ProtocolError:
    return ProtocolError(
        message,
        code=code,
        server=server,
        delivery="answered",
        hint=hint or "Report it to the server's author; what the tool did before is not known.",
    )
