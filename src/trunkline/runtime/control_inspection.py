"""Questions about a runtime: what its control server answers, and the client that asks."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence
from typing import Any, Self, TypeVar, assert_never

import msgspec

from trunkline.core.journal import CallRecord
from trunkline.core.status import ServerStatus
from trunkline.core.why import Why
from trunkline.errors import UnavailableError
from trunkline.runtime.control_errors import decode_error
from trunkline.runtime.control_link import ControlLink
from trunkline.runtime.control_messages import (
    Answer,
    Calls,
    Explain,
    Failure,
    Inspection,
    Logs,
    Request,
    Response,
    Restart,
    Said,
    Status,
)
from trunkline.runtime.trunk import Trunk
from trunkline.supervision.restarting import Restarted

_LONGEST_WAIT = 60.0
_GATHER = 0.05
"""Seconds in which the lines that follow the first are gathered, so that many cost one answer."""
_ANSWER = 5.0
"""Seconds that a runtime may take to answer, beyond what it was asked to wait."""

Value = TypeVar("Value")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Response).decode


async def inspect(trunk: Trunk, request: Inspection) -> Any:
    """Do what is asked and give the value of the answer."""
    match request:
        case Calls():
            return trunk.journal.calls(most=max(0, request.most))
        case Explain():
            return trunk.why(request.word)
        case Restart():
            return await trunk.restart(request.server, grace=request.grace, timeout=request.timeout)
        case Logs():
            return await _say(trunk, request)
        case _:
            assert_never(request)


async def _say(trunk: Trunk, request: Logs) -> Said:
    logs = trunk._insight.logs
    if request.wait > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(request.wait, _LONGEST_WAIT)):
                await logs.wait(request.after, request.only)
                await asyncio.sleep(_GATHER)
    newest = logs.newest
    lines = logs.lines(request.only, after=request.after, most=request.most)
    return Said(lines=lines, newest=newest, servers=tuple(trunk.status()))


class Inspector:
    """Asks one runtime of another process, one question at a time; every wait is bounded.

    Its methods raise what the runtime raises, and `UnavailableError` when it is lost or does not answer.
    """

    def __init__(self, link: ControlLink) -> None:
        self._link = link
        self._numbers = itertools.count(1)
        self._stream = link.link.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Part from the runtime."""
        self._stream.close()
        self._link.close()

    def status(self) -> dict[str, ServerStatus]:
        """Say how the servers are doing now."""
        return self._ask(Status(id=next(self._numbers))).statuses

    def calls(self, most: int) -> tuple[CallRecord, ...]:
        """Give the last calls, oldest first."""
        answer = self._ask(Calls(id=next(self._numbers), most=most))
        return msgspec.json.decode(answer.value, type=tuple[CallRecord, ...])

    def logs(
        self, only: Sequence[str] = (), *, after: int = 0, most: int | None = None, wait: float = 0.0
    ) -> Said:
        """Give what servers said; see `Logs`."""
        number = next(self._numbers)
        request = Logs(id=number, only=tuple(only) or None, after=after, most=most, wait=wait)
        return msgspec.json.decode(self._ask(request, wait).value, type=Said)

    def why(self, word: str) -> Why:
        """Explain a call, server or tool."""
        return msgspec.json.decode(self._ask(Explain(id=next(self._numbers), word=word)).value, type=Why)

    def restart(self, server: str, *, grace: float, timeout: float) -> Restarted:
        """Start a server anew and wait until it is ready; see `Trunk.restart`."""
        request = Restart(id=next(self._numbers), server=server, grace=grace, timeout=timeout)
        return msgspec.json.decode(self._ask(request, timeout).value, type=Restarted)

    def _ask(self, request: Request, patience: float = 0.0) -> Answer:
        try:
            self._link.link.settimeout(patience + _ANSWER)
            self._link.link.sendall(_encode(request) + b"\n")
            line = self._stream.readline()
            response = _decode(line) if line else None
        except TimeoutError:
            raise _lost(self._link.pid, "does not answer", "It may be stopped or busy.") from None
        except (OSError, msgspec.MsgspecError):
            response = None
        match response:
            case Answer():
                return response
            case Failure():
                raise decode_error(response.error)
        raise _lost(self._link.pid, "has ended", "Look at `trunkline status --all`.")


def _lost(pid: int, what: str, hint: str) -> UnavailableError:
    return UnavailableError(f"the runtime of process {pid} {what}", code="runtime_lost", hint=hint)
