"""The pipeline's order, its validation, and how HTTP answers are judged."""

from __future__ import annotations

from itertools import permutations
from typing import Any, ClassVar

import msgspec
import pytest

from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL
from trunkline.core.reply import Reply
from trunkline.core.tool import Tool
from trunkline.errors import InvalidArgumentsError, UnavailableError
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.observe import Observe
from trunkline.pipeline.schema import compile_schema
from trunkline.pipeline.service import ORDER, Service, stack
from trunkline.pipeline.validate import Validate
from trunkline.transport.verdict import judge_status, retry_after

pytestmark = pytest.mark.anyio

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "password": {"type": "string", "maxLength": 3}},
    "required": ["n"],
    "additionalProperties": False,
}


def make_call(**arguments: Any) -> Call:
    return Call(
        id="c1",
        server="s",
        name="t",
        public_name="s.t",
        arguments=arguments,
        principal=LOCAL,
        deadline=1e12,
        idle=1e12,
        flight=Flight(0.0),
    )


def make_tool(schema: dict[str, Any]) -> Tool:
    return Tool(name="t", server="s", public_name="s.t", input_schema=schema)


async def echo(call: Call) -> Reply:
    return Reply(raw={"structuredContent": dict(call.arguments)}, server=call.server, tool=call.public_name)


def validating(schema: dict[str, Any]) -> Service:
    tool = make_tool(schema)

    async def find(_: Call) -> Tool | None:
        raise AssertionError("a known tool is not looked for")

    return stack([Validate(known=lambda _: tool, find=find)], echo)


def test_the_order_of_the_layers_is_the_one_that_was_decided() -> None:
    assert (
        *("observe", "deadline", "audit", "authorize", "validate", "protect", "fallback"),
        *("cache", "coalesce", "retry", "route", "breaker", "limit"),
    ) == ORDER


def test_layers_out_of_order_or_twice_are_refused_by_name() -> None:
    class First(msgspec.Struct, frozen=True):
        name: ClassVar[str] = "observe"

        def wrap(self, inner: Service) -> Service:
            return inner

    class Second(First, frozen=True):
        name: ClassVar[str] = "deadline"

    class Third(First, frozen=True):
        name: ClassVar[str] = "retry"

    for layers in permutations([First(), Second(), Third()]):
        if [layer.name for layer in layers] == ["observe", "deadline", "retry"]:
            assert stack(layers, echo) is echo
        else:
            with pytest.raises(ValueError, match="keep the order"):
                stack(layers, echo)
    with pytest.raises(ValueError, match="keep the order"):
        stack([First(), First()], echo)


def test_a_layer_prints_its_settings() -> None:
    assert repr(Observe()) == "Observe(tracer=None, events=NOBODY, journal=None)"
    assert repr(Deadline()) == "Deadline(may_end=None)"


async def test_observe_completes_the_errors_of_every_layer_beneath() -> None:
    async def fail(_: Call) -> Reply:
        raise UnavailableError("gone")

    call = make_call(n=1)
    call.flight.attempts = 2
    call.flight.stderr = lambda: "last words"
    with pytest.raises(UnavailableError) as caught:
        await stack([Observe()], fail)(call)
    error = caught.value
    assert (error.call_id, error.server, error.tool) == ("c1", "s", "s.t")
    assert (error.attempts, error.stderr) == (2, "last words")
    assert error.elapsed is not None


async def test_observe_measures_a_reply_and_counts_its_attempts() -> None:
    reply = await stack([Observe()], echo)(make_call(n=1))
    assert reply.elapsed > 0
    assert reply.attempts == 1


async def test_valid_arguments_pass_unchanged() -> None:
    reply = await validating(SCHEMA)(make_call(n=1))
    assert reply.structured == {"n": 1}
    assert reply.warnings == ()


async def test_invalid_arguments_are_refused_before_sending_with_every_problem_named() -> None:
    with pytest.raises(InvalidArgumentsError) as caught:
        await validating(SCHEMA)(make_call(n="x", extra=1))
    assert len(caught.value.problems) == 2
    assert caught.value.delivery == "never_sent"
    assert "n, password" in (caught.value.hint or "")


async def test_a_refused_value_never_appears_in_the_error() -> None:
    with pytest.raises(InvalidArgumentsError) as caught:
        await validating(SCHEMA)(make_call(n=1, password="hunter2-secret"))
    assert "hunter2" not in repr(caught.value) + str(caught.value) + str(caught.value.hint)
    assert "password" in str(caught.value)


async def test_arguments_that_are_not_json_are_refused() -> None:
    with pytest.raises(InvalidArgumentsError):
        await validating(SCHEMA)(make_call(n=object()))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strnig"},
        {"$ref": "http://192.0.2.1/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"$schema": "http://example.invalid/unknown"},
        {"properties": {"p": {"pattern": "("}}},
        {"$ref": "#/$defs/absent"},
        {"properties": {f"p{number}": {"type": "string"} for number in range(6000)}},
    ],
)
async def test_a_schema_that_cannot_be_used_sends_the_call_unchecked_with_a_warning(
    schema: dict[str, Any],
) -> None:
    reply = await validating(schema)(make_call(n=1))
    assert reply.structured == {"n": 1}
    (warning,) = reply.warnings
    assert "not checked" in warning


def test_a_hostile_pattern_is_answered_without_backtracking_for_ever() -> None:
    checker = compile_schema({"properties": {"p": {"pattern": "^(a+)+$"}}})
    checker.problems({"p": "a" * 5000 + "!"})


def test_a_deep_schema_is_measured_without_recursion() -> None:
    schema: dict[str, Any] = {}
    for _ in range(20_000):
        schema = {"items": schema}
    assert compile_schema(schema).warning is not None


@pytest.mark.parametrize(
    ("status", "headers", "kind", "delivery", "retryable"),
    [
        (401, {}, "authorization_required", "refused", False),
        (403, {}, "authorization_required", "refused", False),
        (404, {}, "protocol_error", "unknown", False),
        (307, {"Location": "https://elsewhere"}, "protocol_error", "unknown", False),
        (429, {}, "rejected", "unknown", False),
        (429, {"Retry-After": "2"}, "rejected", "refused", True),
        (500, {}, "outcome_unknown", "unknown", False),
        (502, {}, "outcome_unknown", "unknown", False),
        (503, {}, "outcome_unknown", "unknown", False),
        (503, {"Retry-After": "2"}, "unavailable", "refused", True),
    ],
)
def test_a_status_means_what_the_peer_said_of_execution_and_no_more(
    status: int, headers: dict[str, str], kind: str, delivery: str, retryable: bool
) -> None:
    error = judge_status("s", status, headers)
    assert (error.code, error.delivery, error.retryable, error.status) == (kind, delivery, retryable, status)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "9" * 400}, 365 * 86400.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:10 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 10.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:00:00 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:10 GMT"}, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_against_the_answers_own_date(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers) == seconds


def promising(output_schema: dict[str, Any], raw: dict[str, Any]) -> Service:
    """A tool with this output schema whose server answers with this result."""
    tool = msgspec.structs.replace(make_tool({"type": "object"}), output_schema=output_schema)

    async def answer(call: Call) -> Reply:
        return Reply(raw=raw, server="s", tool=call.public_name)

    async def find(_: Call) -> Tool | None:
        raise AssertionError("a known tool is not looked for")

    return stack([Validate(known=lambda _: tool, find=find)], answer)


PROMISE = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("raw", "warning"),
    [
        ({"structuredContent": {"n": 1}, "content": []}, None),
        ({"structuredContent": {"n": "secret"}, "content": []}, "does not fit the tool's output schema: n:"),
        ({"structuredContent": {}, "content": []}, "does not fit the tool's output schema"),
        ({"content": [{"type": "text", "text": "1"}]}, "gave no structured result"),
        ({"content": [], "isError": True}, None),
        ({"structuredContent": {"n": list(range(30_000))}}, "was not checked"),
    ],
)
async def test_a_result_that_breaks_its_promise_is_given_with_a_warning(
    raw: dict[str, Any], warning: str | None
) -> None:
    reply = await promising(PROMISE, raw)(make_call())
    assert reply.raw is raw
    assert "secret" not in "".join(reply.warnings)
    if warning is None:
        assert reply.warnings == ()
    else:
        assert warning in reply.warnings[0]


async def test_an_output_schema_that_cannot_be_used_fails_no_executed_call() -> None:
    reply = await promising({"type": "strnig"}, {"structuredContent": {"n": 1}})(make_call())
    assert reply.structured == {"n": 1}
    assert "the structured result was not checked: the output schema is invalid" in reply.warnings[0]
