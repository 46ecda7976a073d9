"""A `Trunk` whose replies and errors are written down in the test: no server, no process, no socket.

Calls take the whole path of a real one: names, arguments, deadlines and errors behave as in production.
Only the last step, sending, is replaced.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple

from trunkline.core.call import Call
from trunkline.core.events import EventSink
from trunkline.core.principal import Principal
from trunkline.core.reply import Reply
from trunkline.errors import CallError, ConfigError, ServerError
from trunkline.runtime.trunk import Trunk
from trunkline.supervision.fleet import Fleet
from trunkline.supervision.hold import Hold
from trunkline.testing.eras import VERSIONS, shape_content
from trunkline.testing.fake import FakeServer
from trunkline.testing.script import Result, RpcError

Answer = Any
"""A string, a list of content blocks, a `Result` taken as it is, None, any other JSON value as structured
content, an exception to raise or its class, `in_turn(...)`, or a function of the arguments that gives one of
these."""


class InTurn:
    """Answers given one after the other; the last one stays."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._answers = tuple(answers)
        if not self._answers:
            raise ValueError("in_turn needs at least one answer")
        self._given = 0

    def next(self) -> Answer:
        """Give the answer whose turn it is."""
        answer = self._answers[min(self._given, len(self._answers) - 1)]
        self._given += 1
        return answer


def in_turn(*answers: Answer) -> InTurn:
    """Answer the first call with the first of these, and so on; the last one answers all further calls."""
    return InTurn(answers)


class MockedCall(NamedTuple):
    """One call that reached the point of being sent."""

    tool: str
    """Public name."""
    arguments: Mapping[str, Any]
    principal: Principal


class MockTrunk(Trunk):
    """A `Trunk` with canned answers; made by `mock`."""

    def __init__(
        self, answers: Mapping[str, Answer], servers: Mapping[str, FakeServer], **options: Any
    ) -> None:
        super().__init__({"mcpServers": dict(servers)}, **options)
        self._answers = dict(answers)
        self.calls: list[MockedCall] = []
        """Every call that would have been sent, in order; what was refused before is not among them."""

    @property
    def unused(self) -> tuple[str, ...]:
        """Public names of tools that were never called."""
        called = {call.tool for call in self.calls}
        return tuple(tool for tool in self._answers if tool not in called)

    def answer(self, tool: str, answer: Answer) -> None:
        """Answer a tool differently from now on.

        Raises:
            KeyError: `mock` was given no such tool.
        """
        if tool not in self._answers:
            raise KeyError(f"{tool!r} is not mocked; mocked are {', '.join(self._answers) or 'none'}")
        self._answers[tool] = answer

    def _make_fleet(self) -> Fleet:
        return _MockFleet(self._answers, self.calls, self._heard(self._insight.events))


def mock(
    answers: Mapping[str, Answer] | None = None,
    *,
    schemas: Mapping[str, Mapping[str, Any]] | None = None,
    **options: Any,
) -> MockTrunk:
    """Give a `Trunk` that answers from this mapping: `async with mock({"git.status": "clean"}) as trunk`.

    For code that does not await, `trunkline.sync.Trunk(mock(...))` is the same.

    Args:
        answers: public name (`server.tool`) to `Answer`. A `CallError` is raised as it is written, with its
            `delivery`; what a function raises is raised.
        schemas: public name to the JSON Schema of the arguments; a tool without one takes any object.
        options: as of `trunkline.connect`, such as `policy`.

    Raises:
        ConfigError: a name is not `server.tool`, or a schema is of no mocked tool.
    """
    answers = answers or {}
    schemas = schemas or {}
    servers: dict[str, FakeServer] = {}
    for name in answers:
        server, dot, tool = name.partition(".")
        if not (server and dot and tool):
            raise ConfigError(
                f"{name!r} is not the public name of a tool", field=name, hint="Write it as `server.tool`."
            )
        fake = servers.setdefault(server, FakeServer(server))
        fake.tool(tool, schema=schemas.get(name, {"type": "object"}))
    for name in schemas:
        if name not in answers:
            raise ConfigError(
                f"there is a schema for {name!r} and no answer", field=name, hint="Give it an answer too."
            )
    return MockTrunk(answers, servers, **options)


class _MockFleet(Fleet):
    """Connects to the servers that list the tools, and answers calls itself."""

    def __init__(self, answers: Mapping[str, Answer], calls: list[MockedCall], events: EventSink) -> None:
        super().__init__(events)
        self._answers = answers
        self._calls = calls

    async def call(self, call: Call) -> Reply:
        """Give the canned answer, or raise it."""
        if call.public_name not in self._answers:
            return await super().call(call)
        call.flight.attempts += 1
        call.flight.delivery = "unknown"
        self._calls.append(MockedCall(call.public_name, dict(call.arguments), call.principal))
        answer = await _settle(self._answers[call.public_name], call.arguments)
        if isinstance(answer, BaseException):
            raise _raisable(answer)
        call.flight.delivery = "answered"
        raw = answer if isinstance(answer, Result) else shape_content(answer, VERSIONS[-1])
        return Reply(
            raw=raw,
            server=call.server,
            tool=call.public_name,
            call_id=call.id,
            era=VERSIONS[-1],
            transport="memory",
        )

    async def call_held(self, hold: Hold, call: Call) -> Reply:
        """Give the canned answer to the holder of a lease."""
        if call.public_name in self._answers:
            return await self.call(call)
        return await super().call_held(hold, call)


async def _settle(answer: Answer, arguments: Mapping[str, Any]) -> Answer:
    if isinstance(answer, InTurn):
        answer = answer.next()
    if isinstance(answer, type) and issubclass(answer, BaseException):
        return answer("the mocked answer is this error")
    if not callable(answer):
        return answer
    function: Callable[[dict[str, Any]], Answer | Awaitable[Answer]] = answer
    answer = function(dict(arguments))
    return await answer if inspect.isawaitable(answer) else answer


def _raisable(error: BaseException) -> BaseException:
    """Give a fresh error, since each call completes the one it raises."""
    if isinstance(error, RpcError):
        return ServerError(
            f"the server answered with error {error.code}: {error.message}",
            rpc_code=error.code,
            rpc_message=error.message,
            data=error.data,
            delivery="answered",
        )
    if not isinstance(error, CallError):
        return error
    fresh = type(error).__new__(type(error))
    fresh.args = error.args
    fresh.__dict__.update(error.__dict__)
    fresh.__cause__ = error.__cause__
    return fresh
