"""Fallback: which failures something else is given for, what it is, and what the reply says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from trunkline.core.call import Call, Flight
from trunkline.core.events import Degraded, Event
from trunkline.core.fallback import Constant, OtherTool, read_alternatives
from trunkline.core.principal import LOCAL
from trunkline.core.reply import Reply
from trunkline.errors import (
    AmbiguousNameError,
    AuthorizationRequiredError,
    CallError,
    DeadlineExceededError,
    DeniedError,
    InvalidArgumentsError,
    NotFoundError,
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    ServerError,
    UnavailableError,
)
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.fallback import Fallback, may_replace
from trunkline.pipeline.service import stack
from trunkline.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio

ANSWER = Reply(raw={"content": [{"type": "text", "text": "fresh"}]}, server="s", tool="s.t")
FAILURE = Reply(raw={"content": [], "isError": True}, server="s", tool="s.t")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def make_call(**more: Any) -> Call:
    now = asyncio.get_running_loop().time()
    facts = {"id": "c1", "server": "s", "name": "t", "public_name": "s.t", "arguments": {"q": 1}}
    return Call(**facts, principal=LOCAL, deadline=now + 40, idle=40.0, flight=Flight(now), **more)


class Watching:
    watched = True

    def __init__(self) -> None:
        self.seen: list[Event] = []

    def put(self, event: Event) -> None:
        self.seen.append(event)


async def ask_nobody(one: OtherTool, call: Call) -> Reply:
    raise UnavailableError(f"{one.name} is down", server=call.server)


def failing(error: BaseException) -> Callable[[Call], Any]:
    async def inner(_: Call) -> Reply:
        raise error

    return inner


def layer(*alternatives: object, **settings: Any) -> Fallback:
    return Fallback(alternatives=read_alternatives(alternatives), **{"ask": ask_nobody, **settings})


@pytest.mark.parametrize(
    ("error", "always", "repeatable", "asked"),
    [
        (UnavailableError("x"), True, True, ""),
        (RejectedError("x"), True, True, ""),
        (ServerError("x", rpc_code=-32000, rpc_message="x"), True, True, ""),
        (DeadlineExceededError("x", delivery="never_sent"), True, True, ""),
        (DeadlineExceededError("x", delivery="unknown"), False, True, "outcome_unknown"),
        (OutcomeUnknownError("x"), False, True, "outcome_unknown"),
        (ProtocolError("x"), False, True, "outcome_unknown"),
        (InvalidArgumentsError("x"), False, False, "invalid_arguments"),
        (ServerError("x", rpc_code=-32602, rpc_message="x"), False, False, "invalid_arguments"),
        (DeniedError("x"), False, False, "denied"),
        (AuthorizationRequiredError("x"), False, False, "denied"),
        (NotFoundError("x"), False, False, ""),
        (AmbiguousNameError("x", candidates=()), False, False, ""),
    ],
)
def test_what_alternatives_are_for(error: CallError, always: bool, repeatable: bool, asked: str):
    assert may_replace(error, frozenset(), repeatable=False) is always
    assert may_replace(error, frozenset(), repeatable=True) is repeatable
    if asked:
        assert may_replace(error, frozenset({asked}), repeatable=False)


async def test_the_first_alternative_that_answers_is_given_and_says_so():
    events = Watching()

    def broken(*_: object) -> str:
        raise UnavailableError("this one is down too")

    async def stored(call: Call, error: CallError | None) -> dict[str, Any]:
        return {"q": call.arguments["q"], "why": error.code if error else None}

    service = layer("other.t", broken, stored, {"never": "reached"}, events=events).wrap(
        failing(UnavailableError("the server is down"))
    )
    reply = await service(make_call())
    assert reply.structured == {"q": 1, "why": "unavailable"}
    assert reply.reason == "s.t failed (unavailable); answered by stored"
    (event,) = events.seen
    assert event == Degraded(
        server="s",
        call_id="c1",
        tool="s.t",
        code="unavailable",
        reason="s.t failed (unavailable)",
        by="stored",
    )


async def test_an_answer_is_given_as_it_is_and_no_event_told():
    events = Watching()

    async def inner(_: Call) -> Reply:
        return ANSWER

    assert await layer("x.y", events=events).wrap(inner)(make_call()) is ANSWER
    assert events.seen == []


async def test_when_nothing_helps_the_first_error_is_raised():
    error = UnavailableError("first")
    with pytest.raises(UnavailableError) as caught:
        await layer("other.t", "third.t").wrap(failing(error))(make_call())
    assert caught.value is error


async def test_a_failure_of_the_tool_is_replaced_where_asked_and_given_back_when_nothing_helps():
    async def inner(_: Call) -> Reply:
        return FAILURE

    assert await layer(Constant("kept")).wrap(inner)(make_call()) is FAILURE
    asked = frozenset({"tool_error"})
    reply = await layer(Constant("kept"), on=asked).wrap(inner)(make_call())
    assert reply.text == "kept"
    assert reply.reason.startswith("s.t reported a failure; ")
    assert await layer("other.t", on=asked).wrap(inner)(make_call()) is FAILURE


async def test_another_tool_that_reports_a_failure_is_no_answer():
    async def ask(one: OtherTool, _: Call) -> Reply:
        return FAILURE if one.name == "bad.t" else ANSWER

    reply = await layer("bad.t", "good.t", ask=ask).wrap(failing(UnavailableError("x")))(make_call())
    assert reply.text == "fresh"
    assert reply.reason.endswith("answered by good.t")


async def test_a_call_made_in_place_of_another_has_no_alternatives_itself():
    with pytest.raises(UnavailableError):
        await layer(Constant(1)).wrap(failing(UnavailableError("x")))(make_call(substitute=True))


async def test_alternatives_of_the_caller_take_the_place_of_those_of_policy():
    service = layer(Constant("policy")).wrap(failing(UnavailableError("x")))
    assert (await service(make_call(fallback=(Constant("mine"),)))).text == "mine"


@pytest.mark.parametrize("error", [ValueError("a bug"), asyncio.CancelledError()])
async def test_a_bug_and_a_cancellation_are_replaced_by_nothing(error: BaseException):
    with pytest.raises(type(error)):
        await layer(Constant(1)).wrap(failing(error))(make_call())


async def test_a_bug_in_a_function_is_not_hidden():
    def buggy(*_: object) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        await layer(buggy, Constant(1)).wrap(failing(UnavailableError("x")))(make_call())
    assert isinstance(caught.value.__context__, UnavailableError)


async def test_a_call_that_hangs_leaves_a_quarter_of_its_time_to_the_alternatives_if_it_may_be_repeated():
    loop = asyncio.get_running_loop()

    async def hang(call: Call) -> Reply:
        call.flight.delivery = "unknown"
        await asyncio.sleep(1000)
        raise AssertionError

    service = stack([Deadline(), layer(Constant("kept"), is_repeatable=lambda _: True)], hang)
    begun = loop.time()
    reply = await service(make_call())
    assert (reply.text, loop.time() - begun) == ("kept", 30)
    with pytest.raises(DeadlineExceededError):
        await stack([Deadline(), layer(Constant("kept"))], hang)(make_call())
    assert loop.time() - begun == 30 + 40


async def test_silence_while_another_tool_is_asked_does_not_end_the_call():
    async def ask(*_: object) -> Reply:
        await asyncio.sleep(9)
        return ANSWER

    service = stack([Deadline(), layer("slow.t", ask=ask)], failing(UnavailableError("x")))
    call = make_call()
    call = Call(**{name: getattr(call, name) for name in call.__struct_fields__} | {"idle": 2.0})
    assert (await service(call)).text == "fresh"
    assert not call.flight.connecting


def test_a_str_names_a_tool_and_other_values_stand_for_themselves():
    found = read_alternatives(["a.b", {"x": 1}, None, Constant("text"), len])
    assert [type(one).__name__ for one in found] == [
        "OtherTool", "Constant", "Constant", "Constant", "FunctionCall"
    ]  # fmt: skip


@pytest.mark.parametrize("given", ["a.b", {"a": 1}, 3, [object()], [dict]])
def test_what_is_no_list_of_alternatives_is_refused(given: object):
    with pytest.raises(TypeError):
        read_alternatives(given)  # type: ignore[arg-type]
