"""`mock`: canned replies and errors that take the whole path of a call but the sending."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop

import trunkline
import trunkline.sync
from trunkline.testing import Result, RpcError, in_turn, mock

pytestmark = pytest.mark.anyio
ONE_TRY = {"defaults": {"retry": {"attempts": 1}}}


@pytest.fixture(scope="module", autouse=True)
def _uvloop_has_begun() -> None:
    """The first uvloop of a process makes a pipe for signals that is never closed; make it now."""
    uvloop.new_event_loop().close()


BLOCKS = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


@pytest.mark.parametrize(
    ("answer", "value", "is_error"),
    [
        ("clean", "clean", False),
        ({"rows": 3}, {"rows": 3}, False),
        (7, 7, False),
        (BLOCKS, "a\nb", False),
        (None, "", False),
        (Result(content=[{"type": "text", "text": "no"}], isError=True), "no", True),
        (lambda arguments: arguments["n"] + 1, 2, False),
        (lambda _: Result(content=[]), "", False),
    ],
)
async def test_an_answer_is_what_the_call_gives(answer: Any, value: Any, is_error: bool):
    async with mock({"git.status": answer}) as trunk:
        reply = await trunk.call("git.status", {"n": 1})
    assert (reply.value, reply.is_error, reply.server, reply.tool) == (value, is_error, "git", "git.status")
    assert reply.attempts == 1


async def test_an_asynchronous_function_answers():
    async def answer(arguments: dict[str, Any]) -> str:
        await asyncio.sleep(0)
        return arguments["who"].upper()

    async with mock({"a.greet": answer}) as trunk:
        assert (await trunk.call("greet", {"who": "ada"})).text == "ADA"


async def test_a_call_error_is_raised_as_written_and_completed_each_time():
    error = trunkline.OutcomeUnknownError("the link broke")
    async with mock({"db.write": error}) as trunk:
        seen = []
        for _ in range(2):
            with pytest.raises(trunkline.OutcomeUnknownError, match=r"db\.write: the link broke") as caught:
                await trunk.call("db.write")
            seen.append(caught.value)
    assert [one.delivery for one in seen] == ["unknown", "unknown"]
    assert seen[0].call_id != seen[1].call_id
    assert (seen[0].tool, seen[0].server, error.call_id) == ("db.write", "db", None)


@pytest.mark.parametrize("delivery", ["never_sent", "refused", "answered", "unknown"])
@pytest.mark.parametrize("kind", [trunkline.UnavailableError, trunkline.OutcomeUnknownError])
async def test_a_call_error_keeps_the_delivery_it_was_given(kind: Any, delivery: Any):
    async with mock({"db.write": kind("lost", delivery=delivery)}, policy=ONE_TRY) as trunk:
        with pytest.raises(kind) as caught:
            await trunk.call("db.write")
    assert caught.value.delivery == delivery
    assert len(trunk.calls) == 1


async def test_the_class_of_an_error_can_be_the_answer():
    answers = {"a.t": in_turn(trunkline.UnavailableError, ZeroDivisionError)}
    async with mock(answers, policy=ONE_TRY) as trunk:
        with pytest.raises(trunkline.UnavailableError, match="mocked answer"):
            await trunk.call("a.t", {"n": 1})
        with pytest.raises(ZeroDivisionError, match="mocked answer"):
            await trunk.call("a.t")


async def test_errors_of_every_kind_are_raised():
    answers = {
        "s.rpc": RpcError(-32050, "no", {"why": 1}),
        "s.server": trunkline.ServerError("no", rpc_code=-1, rpc_message="no"),
        "s.code": ZeroDivisionError("mine"),
        "s.function": lambda arguments: arguments["absent"],
    }
    async with mock(answers) as trunk:
        with pytest.raises(trunkline.ServerError) as rpc:
            await trunk.call("s.rpc")
        with pytest.raises(trunkline.ServerError):
            await trunk.call("s.server")
        with pytest.raises(ZeroDivisionError):
            await trunk.call("s.code")
        with pytest.raises(KeyError):
            await trunk.call("s.function")
    assert (rpc.value.rpc_code, rpc.value.data, rpc.value.delivery) == (-32050, {"why": 1}, "answered")


async def test_answers_in_turn_end_with_the_last_one():
    refused = trunkline.UnavailableError("down")
    async with mock({"s.t": in_turn(refused, "one", "two")}, policy=ONE_TRY) as trunk:
        with pytest.raises(trunkline.UnavailableError):
            await trunk.call("s.t")
        assert [(await trunk.call("s.t")).text for _ in range(3)] == ["one", "two", "two"]


async def test_names_schemas_and_deadlines_are_the_real_ones():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    forever = asyncio.Event()

    async def hang(_: Any) -> None:
        await forever.wait()

    async with mock({"a.t": "x", "b.t": "y", "b.slow": hang}, schemas={"a.t": schema}) as trunk:
        with pytest.raises(trunkline.InvalidArgumentsError):
            await trunk.call("a.t", {"n": "x"})
        with pytest.raises(trunkline.AmbiguousNameError):
            await trunk.call("t")
        with pytest.raises(trunkline.NotFoundError):
            await trunk.call("a.absent")
        assert trunk.calls == []
        with pytest.raises(trunkline.DeadlineExceededError) as caught:
            await trunk.call("b.slow", timeout=0.01)
        assert caught.value.delivery == "unknown"
        assert {tool.public_name for tool in trunk.catalog.tools} == {"a.t", "b.t", "b.slow"}


async def test_calls_and_unused_tools_are_told():
    async with mock({"a.t": "x", "a.u": "y"}) as trunk:
        with trunk.acting_as(trunkline.Principal(name="ada")):
            await trunk.call("a.t", {"n": 1})
        assert [(call.tool, call.arguments, call.principal.name) for call in trunk.calls] == [
            ("a.t", {"n": 1}, "ada")
        ]
        assert trunk.unused == ("a.u",)


async def test_an_answer_can_be_changed_and_an_unknown_one_is_refused():
    async with mock({"a.t": "x"}) as trunk:
        trunk.answer("a.t", "z")
        assert (await trunk.call("a.t")).text == "z"
        with pytest.raises(KeyError, match=r"mocked are a\.t"):
            trunk.answer("a.u", "z")


@pytest.mark.parametrize("name", ["bare", ".tool", "server.", ""])
def test_a_name_that_is_not_public_is_refused(name: str):
    with pytest.raises(trunkline.ConfigError, match="public name"):
        mock({name: "x"})


def test_a_schema_of_no_tool_is_refused():
    with pytest.raises(trunkline.ConfigError, match="no answer"):
        mock({}, schemas={"a.t": {}})
    with pytest.raises(ValueError, match="at least one"):
        in_turn()


def test_code_that_does_not_await_can_be_tested_too():
    mocked = mock({"git.status": "clean"})
    with trunkline.sync.Trunk(mocked) as trunk:
        assert trunk.call("git.status").text == "clean"
    assert [call.tool for call in mocked.calls] == ["git.status"]
