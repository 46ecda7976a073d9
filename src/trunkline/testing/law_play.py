"""Plays calls through layers around a scripted service, in virtual time, and notes all that happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, get_args

import msgspec

from trunkline.core.call import Call, Flight
from trunkline.core.principal import Principal
from trunkline.core.reply import Reply
from trunkline.errors import (
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    ServerError,
    UnavailableError,
)
from trunkline.pipeline.service import Service
from trunkline.testing.virtual_time import VirtualTimeLoop

Build = Callable[[Service], Service]
"""Puts what is examined around a service; anew for each play, so that no state is left of another."""

End = Literal[
    "reply",
    "tool_error",
    "never_sent",
    "turned_away",
    "refused",
    "throttled",
    "lost",
    "malformed",
    "answered",
    "foreign",
]
"""How a try ends: a reply, one with `isError`, a CallError of this kind, or an exception that is none."""

ENDS: tuple[End, ...] = get_args(End)
"""Every way in which a try may end."""


class Foreign(BaseException):
    """What no layer has ever heard of; not even an Exception, so that only a bare `except` could stop it."""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What one try of a call comes to."""

    ends: End = "reply"
    takes: float = 0.0
    """Seconds it takes; 0 for at once, without a turn of the loop."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a play."""

    acts: tuple[Act, ...] = (Act(),)
    """What its tries come to, one after another; the last one holds for all that follow."""
    at: float = 0.0
    """Moment at which it is asked."""
    principal: str = "alice"
    number: int = 0
    """Its argument; calls with the same one are alike."""
    cancel_after: float | None = None
    """Seconds after which its caller cancels it, if it has not ended by then."""
    timeout: float = 600.0


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One call that the innermost service has seen."""

    call: Call
    at: float
    act: Act
    gave: Reply | BaseException | None
    """What it ended with; None where it was cancelled before."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one call."""

    asked: Asked
    call: Call
    tries: tuple[Try, ...]
    outcome: Reply | BaseException
    """What its caller got; `asyncio.CancelledError` where it was cancelled."""
    ended: float


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """All that happened in one play."""

    told: tuple[Told, ...]
    left: tuple[str, ...]
    """Tasks, timers and tries that were still there when every call had ended."""


def play(build: Build, asked: Sequence[Asked], *, seed: int | None = None) -> Played:
    """Ask some calls of `build(service)` and wait until all have ended.

    Args:
        seed: for the order in which tasks go on, see `VirtualTimeLoop`.
    """
    with asyncio.Runner(loop_factory=partial(VirtualTimeLoop, seed=seed)) as runner:
        return runner.run(_Play(build, asked).run())


class _Play:
    """The calls of one play, and the service that plays their parts."""

    def __init__(self, build: Build, asked: Sequence[Asked]) -> None:
        self._service = build(self._answer)
        self._asked = asked
        self._tries: dict[str, list[Try]] = {}
        self._running = 0
        self._ended: dict[str, float] = {}

    async def run(self) -> Played:
        loop = asyncio.get_running_loop()
        calls = [_call(f"c{place}", one) for place, one in enumerate(self._asked)]
        outcomes = await asyncio.gather(
            *(self._ask(call, one) for call, one in zip(calls, self._asked, strict=True)),
        )
        await asyncio.sleep(0)
        left = [f"{task!r}" for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        timers = loop._scheduled  # type: ignore[attr-defined]  # no public way to see timers
        left += [f"{timer!r}" for timer in timers if not timer.cancelled()]
        left += [f"{self._running} tries"] * bool(self._running)
        told = (
            Told(
                asked=one,
                call=call,
                tries=tuple(self._tries.get(call.id, ())),
                outcome=outcome,
                ended=self._ended[call.id],
            )
            for call, one, outcome in zip(calls, self._asked, outcomes, strict=True)
        )
        return Played(told=tuple(told), left=tuple(left))

    async def _ask(self, call: Call, asked: Asked) -> Reply | BaseException:
        loop = asyncio.get_running_loop()
        if asked.at > 0:
            await asyncio.sleep(asked.at)
        call.flight.started = call.flight.activity = loop.time()
        task = asyncio.create_task(_settle(self._service, call))
        alarm = None
        if asked.cancel_after is not None:
            alarm = loop.call_later(asked.cancel_after, task.cancel)
        try:
            await asyncio.wait([task])
        finally:
            if alarm is not None:
                alarm.cancel()
        self._ended[call.id] = loop.time()
        return asyncio.CancelledError() if task.cancelled() else task.result()

    async def _answer(self, call: Call) -> Reply:
        tries = self._tries.setdefault(call.id, [])
        acts = self._asked[int(call.id[1:])].acts
        act, at = acts[min(len(tries), len(acts) - 1)], asyncio.get_running_loop().time()
        place = len(tries)
        tries.append(Try(call=call, at=at, act=act, gave=None))
        call.flight.attempts += 1
        self._running += 1
        try:
            if act.takes > 0:
                await asyncio.sleep(act.takes)
        finally:
            self._running -= 1
        gave = outcome_of(act.ends, call)
        tries[place] = msgspec.structs.replace(tries[place], gave=gave)
        if isinstance(gave, BaseException):
            raise gave
        return gave


async def _settle(service: Service, call: Call) -> Reply | BaseException:
    try:
        return await service(call)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # boundary: whatever comes out is what the play is about
        return error


def outcome_of(end: End, call: Call) -> Reply | BaseException:
    """Give what a try of this call ends with."""
    facts: dict[str, Any] = {"server": call.server}
    match end:
        case "reply" | "tool_error":
            about = {"principal": call.principal.name, "arguments": dict(call.arguments)}
            raw = {"structuredContent": about, "isError": end == "tool_error", "content": []}
            return Reply(raw=raw, server=call.server, tool=call.public_name)
        case "never_sent":
            return UnavailableError("down", delivery="never_sent", **facts)
        case "turned_away":
            return RejectedError("full", delivery="never_sent", **facts)
        case "refused":
            return UnavailableError("no session", delivery="refused", **facts)
        case "throttled":
            return RejectedError("too many", delivery="refused", retry_after=0.5, status=429, **facts)
        case "lost":
            return OutcomeUnknownError("cut", **facts)
        case "malformed":
            return ProtocolError("not JSON", **facts)
        case "answered":
            return ServerError("no", rpc_code=-32000, rpc_message="no", **facts)
        case "foreign":
            return Foreign(call.id)


def _call(name: str, asked: Asked) -> Call:
    return Call(
        id=name,
        server="s",
        name="t",
        public_name="s.t",
        arguments={"number": asked.number},
        principal=Principal(name=asked.principal),
        deadline=asked.at + asked.timeout,
        idle=asked.timeout,
        flight=Flight(asked.at),
    )
