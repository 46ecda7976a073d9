"""Functions of an application's own around calls: where they stand, what for, and what they may do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

import trunkline
from trunkline import Middleware
from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.errors import DeadlineExceededError, DeniedError, InvalidArgumentsError, UnavailableError
from trunkline.pipeline.service import POINTS, Service
from trunkline.testing import FakeServer, in_turn, mock
from trunkline.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


class Watching:
    """Middleware that notes what passes it."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self.name = name
        self.seen = seen

    async def __call__(self, call: Call, inner: Service) -> Reply:
        self.seen.append(f"> {self.name}")
        reply = await inner(call)
        self.seen.append(f"< {self.name}")
        return reply


async def pass_on(call: Call, next: Service) -> Reply:
    return await next(call)


async def test_each_point_is_where_it_is_said_to_be() -> None:
    seen: list[str] = []
    own = [Middleware(function=Watching(point, seen), at=point) for point in reversed(POINTS)]  # type: ignore[arg-type]
    answers = {"db.read": in_turn(UnavailableError("down"), "rows")}
    async with mock(answers, middleware=own) as trunk:
        await trunk.call("db.read")
        names = [layer.name for layer in trunk.layers("db", "read")]
    first_try, second_try = ["> attempt", "> send"], ["> attempt", "> send", "< send", "< attempt"]
    assert seen == ["> first", "> call", *first_try, *second_try, "< call", "< first"]
    assert [name for name in names if name not in ("cache", "coalesce", "route", "limit")] == [
        *("observe", "deadline", "first", "validate", "call", "retry", "attempt", "breaker", "send"),
    ]


async def test_the_first_of_one_point_is_the_outermost() -> None:
    seen: list[str] = []
    async with mock({"db.read": "rows"}, middleware=[Watching("a", seen), Watching("b", seen)]) as trunk:
        trunk.use(Watching("c", seen))
        await trunk.call("db.read")
    assert seen == ["> a", "> b", "> c", "< c", "< b", "< a"]


async def test_first_sees_arguments_as_they_were_asked_and_call_sees_only_valid_ones() -> None:
    seen: list[str] = []
    async with mock({"db.read": "rows"}, schemas={"db.read": SCHEMA}) as trunk:
        trunk.use(Watching("call", seen))
        trunk.use(Watching("first", seen), at="first")
        with pytest.raises(InvalidArgumentsError):
            await trunk.call("db.read", {"n": "x"})
    assert seen == ["> first"]


async def test_it_may_change_what_is_asked_and_what_is_answered() -> None:
    async def mend(call: Call, inner: Service) -> Reply:
        reply = await inner(replace(call, arguments={"n": int(call.arguments["n"])}))
        return replace(reply, warnings=("mended",))

    async with mock({"db.read": "rows"}, schemas={"db.read": SCHEMA}) as trunk:
        trunk.use(mend, at="first")
        reply = await trunk.call("db.read", {"n": "7"})
        assert (reply.text, reply.warnings) == ("rows", ("mended",))
        assert trunk.calls[0].arguments == {"n": 7}


async def test_it_may_answer_or_refuse_without_a_server() -> None:
    async def refuse(call: Call, _: Service) -> Reply:
        if call.arguments.get("all"):
            raise DeniedError("not all at once")
        return Reply(raw={"content": [{"type": "text", "text": "mine"}]}, server="db", tool="db.read")

    async with mock({"db.read": "rows"}) as trunk:
        trunk.use(refuse)
        assert (await trunk.call("db.read")).text == "mine"
        with pytest.raises(DeniedError) as caught:
            await trunk.call("db.read", {"all": True})
        assert (caught.value.tool, caught.value.delivery, trunk.calls) == ("db.read", "never_sent", [])


async def test_it_stands_around_the_tools_it_is_for_and_reading_and_prompts_go_by_the_server() -> None:
    server = FakeServer("db")
    server.tool("read")
    server.tool("write")
    server.resource("db://rows", "rows")
    tools, servers, everything = [], [], []

    async def note_tool(call: Call, inner: Service) -> Reply:
        tools.append(call.public_name)
        return await inner(call)

    async def note_server(call: Call, inner: Service) -> Reply:
        servers.append(call.method)
        return await inner(call)

    async def note(call: Call, inner: Service) -> Reply:
        everything.append(call.method)
        return await inner(call)

    own = [Middleware(function=note_tool, tools=("db.w*",)), Middleware(function=note_server, tools=("db",))]
    async with trunkline.connect({"db": server}, middleware=[*own, note]) as trunk:
        await trunk.call("db.read")
        await trunk.call("db.write")
        await trunk.read("db://rows", server="db")
    assert (tools, servers) == (["db.write"], ["resources/read"])
    assert everything == ["tools/call", "tools/call", "resources/read"]


async def test_it_can_be_taken_away_again_and_others_stay() -> None:
    seen: list[str] = []
    async with mock({"db.read": "rows"}) as trunk:
        remove = trunk.use(Watching("a", seen), tools=["x.*", "db.*"])
        trunk.use(Watching("b", seen))
        remove()
        remove()
        await trunk.call("db.read")
    assert seen == ["> b", "< b"]


async def test_its_time_counts_against_the_deadline() -> None:
    async def dawdle(call: Call, inner: Service) -> Reply:
        await asyncio.sleep(60)
        return await inner(call)

    async with mock({"db.read": "rows"}) as trunk:
        trunk.use(dawdle)
        with pytest.raises(DeadlineExceededError) as caught:
            await trunk.call("db.read", timeout=5)
    assert caught.value.delivery == "never_sent"


async def test_an_exception_of_its_own_reaches_the_caller_as_it_is() -> None:
    broken = ZeroDivisionError()

    async def fail(_: Call, __: Service) -> Reply:
        raise broken

    async with mock({"db.read": "rows"}) as trunk:
        trunk.use(fail, at="attempt")
        with pytest.raises(ZeroDivisionError) as caught:
            await trunk.call("db.read")
    assert caught.value is broken


async def test_a_point_that_is_none_is_refused_by_name() -> None:
    words = "there is no point 'before' for middleware; there are: first, call, attempt, send"
    with pytest.raises(ValueError, match=words):
        trunkline.connect({}, middleware=[Middleware(function=pass_on, at="before")])  # type: ignore[arg-type]
    async with mock({"db.read": "rows"}) as trunk:
        with pytest.raises(ValueError, match=words):
            trunk.use(pass_on, at="before")  # type: ignore[arg-type]


async def test_a_function_that_forgets_its_reply_is_told_how_to_end() -> None:
    async def forgetful(call: Call, inner: Service) -> None:
        await inner(call)

    async with mock({"db.read": "rows"}, middleware=[forgetful]) as trunk:  # type: ignore[list-item]
        with pytest.raises(TypeError, match="forgetful gave no reply; end it with"):
            await trunk.call("db.read")


async def test_one_pattern_may_stand_alone() -> None:
    seen: list[str] = []

    async def note(call: Call, inner: Service) -> Reply:
        seen.append(call.public_name)
        return await inner(call)

    own = [Middleware(function=note, tools="db.*")]  # type: ignore[arg-type]
    async with mock({"db.read": "rows", "web.get": "page"}, middleware=own) as trunk:
        await trunk.call("web.get")
        await trunk.call("db.read")
    assert seen == ["db.read"]


@pytest.mark.parametrize("middleware", [["mw"], [Middleware(function=None)], print], ids=str)  # type: ignore[arg-type]
async def test_what_is_no_function_is_refused_at_once(middleware: Any) -> None:
    with pytest.raises(TypeError, match="function"):
        async with mock({}, middleware=middleware):
            raise AssertionError("it was opened")
