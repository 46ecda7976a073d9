"""The parts that answer servers, each alone: workers, news, visits, forms, sampling, roots."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trunkline
from trunkline.connection.completions import Completions
from trunkline.connection.form import find_problems, refuse_schema
from trunkline.connection.news import News
from trunkline.connection.refusal import RefusalError
from trunkline.connection.sampling import read_sample, write_roots
from trunkline.connection.tally import Source, Tally
from trunkline.connection.workers import BusyError, Workers
from trunkline.core.call import Flight

pytestmark = pytest.mark.anyio

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


async def test_a_sync_function_runs_in_its_own_thread_with_the_context_of_its_caller():
    VARIABLE.set("the caller's")
    thread, value = await Workers(1).run(lambda: (threading.current_thread(), VARIABLE.get()))
    assert thread is not threading.current_thread()
    assert thread.daemon
    assert value == "the caller's"


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), StopIteration()])
async def test_whatever_a_function_raises_ends_that_function_only(error: BaseException):
    workers = Workers(1)

    def fails() -> None:
        raise error

    with pytest.raises((ValueError, RuntimeError)):
        await workers.run(fails)
    assert workers.busy == 0
    assert await workers.run(lambda: 1) == 1


async def test_a_cancelled_wait_for_a_thread_ends_and_the_thread_counts_until_it_returns(until_true: Any):
    workers, go = Workers(1), threading.Event()
    running = asyncio.create_task(workers.run(go.wait, 10))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    with pytest.raises(BusyError):
        await workers.run(lambda: 1)
    go.set()
    await until_true(lambda: workers.busy == 0)


async def test_a_cancelled_async_function_is_cancelled_itself():
    workers, ended = Workers(1), asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    running = asyncio.create_task(workers.run(waits))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    assert ended.is_set()
    assert workers.busy == 0


def test_a_thread_that_outlives_its_loop_ends_quietly():
    go, ended = threading.Event(), threading.Event()

    def works() -> None:
        go.wait(10)
        ended.set()

    async def main() -> None:
        running = asyncio.create_task(Workers(1).run(works))
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(main())
    before = threading.active_count()
    go.set()
    assert ended.wait(5)
    for thread in threading.enumerate():
        if thread.name == "trunkline handler":
            thread.join(5)
    assert threading.active_count() == before - 1


async def test_notifications_are_handed_over_in_order_and_the_oldest_of_too_many_are_dropped(until_true: Any):
    seen: list[int] = []
    go = threading.Event()

    def take(_: str, params: Any) -> None:
        go.wait(10)
        seen.append(params["n"])

    news = News("fake", {"x": take})
    for number in range(3000):
        news.put("x", {"n": number})
        if not number:
            await asyncio.sleep(0)
    news.put("unknown", {})
    go.set()
    await until_true(lambda: seen and seen[-1] == 2999)
    assert seen == [0, *range(3000 - 1024, 3000)]
    assert news.dropped == 3000 - 1024 - 1
    await asyncio.gather(*news.tasks())


async def test_an_async_notification_handler_is_awaited_and_may_fail(caplog: pytest.LogCaptureFixture):
    seen: list[int] = []

    async def take(_: str, params: Any) -> None:
        await asyncio.sleep(0)
        seen.append(params["n"])
        raise ZeroDivisionError("boom")

    news = News("fake", {"x": take})
    news.put("x", {"n": 1})
    news.put("x", {"n": 2})
    await asyncio.gather(*news.tasks())
    assert seen == [1, 2]
    assert caplog.text.count("ZeroDivisionError: boom") == 2


async def test_a_visit_is_complete_once_and_the_oldest_of_very_many_is_forgotten():
    visits = Completions("fake")
    first = visits.expect("0")
    assert visits.expect("0") is first
    for number in range(1, 257):
        visits.expect(str(number))
    assert first.cancelled()
    assert [visits.complete(one) for one in ("0", "256", "256", None, 7, [])] == [False, True, *[False] * 4]
    waiting = visits.expect("1")
    visits.end()
    assert isinstance(waiting.exception(), trunkline.UnavailableError)


def test_a_question_counts_for_the_call_that_was_asked_least():
    tally, (a, b) = Tally(2), (Flight(0.0), Flight(0.0))
    either = Source(flights=(a, b))
    assert [tally.charge(Source(flights=(a,))), *(tally.charge(either) for _ in range(4))] == [True] * 4 + [
        False
    ]
    tally.forget(a)
    tally.forget(b)
    assert tally.counts == {}
    assert not tally.charge(Source())


FORM = {
    "type": "object",
    "properties": {
        "mail": {"type": "string", "format": "email"},
        "age": {"type": "integer", "minimum": 18},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 1},
    },
    "required": ["mail"],
}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"mail": "a@b.example"}, ""),
        ({"mail": "a@b.example", "age": 18, "tags": ["a"]}, ""),
        ({}, "mail"),
        ({"mail": "s3cret"}, "email"),
        ({"mail": "a@b.example", "age": 17}, "age"),
        ({"mail": "a@b.example", "tags": ["c"]}, "tags.0"),
        ({"mail": "a@b.example", "tags": ["a", "b"]}, "tags"),
        ({"mail": object()}, "cannot be checked"),
    ],
)
def test_a_form_is_checked_and_its_values_stay_out_of_the_words(content: Any, problem: str):
    problems = "; ".join(find_problems(FORM, content))
    assert bool(problems) == bool(problem)
    assert problem in problems
    assert "s3cret" not in problems


def test_a_schema_that_could_cost_much_is_no_form():
    many = {"type": "object", "properties": {str(n): {"type": "string"} for n in range(3000)}}
    looped = {"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}}
    assert refuse_schema(FORM) is None
    for schema in (many, looped, {"type": "array"}, [], None, {"type": "object", "properties": []}):
        assert refuse_schema(schema) is not None


def test_a_hostile_pattern_is_given_up_quickly():
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    loop = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?=(a+)+$)b"}}}
    for one in (schema, loop):
        assert find_problems(one, {"a": "a" * 60 + "!"})


@pytest.mark.parametrize(
    "root",
    [
        "file:///a/../b",
        "file:///%2e%2e/b",
        "file:///a%00b",
        "file://x/y",
        "ftp://a",
        "file:///a?b",
        "file:///a#b",
        "file:///a\\b",
        7,
        {},
    ],
)
def test_a_root_that_could_lead_elsewhere_is_refused(root: Any):
    with pytest.raises(RefusalError):
        write_roots([root])


def test_roots_are_paths_uris_mappings_or_records():
    given_roots = [
        Path("/srv/ä b"),
        "/srv/../etc",
        "file:///x%20y",
        {"uri": "file:///z", "name": "Z"},
        trunkline.Root(uri="file:///r"),
    ]
    assert write_roots(given_roots)["roots"] == [
        {"uri": "file:///srv/%C3%A4%20b"},
        {"uri": "file:///etc"},
        {"uri": "file:///x%20y"},
        {"uri": "file:///z", "name": "Z"},
        {"uri": "file:///r"},
    ]
    assert write_roots(None) == {"roots": []}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
members = (
    "messages",
    "maxTokens",
    "systemPrompt",
    "modelPreferences",
    "stopSequences",
    "tools",
    "toolChoice",
    "metadata",
    "temperature",
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(members, json_values)))
def test_reading_a_sampling_request_gives_a_value_or_a_refusal(params: dict[str, Any]):
    try:
        request = read_sample("fake", params, None)
    except RefusalError:
        return
    assert request.max_tokens > 0


def test_a_full_sampling_request_is_read_whole():
    params = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "odd"}]}],
        "maxTokens": 7,
        "systemPrompt": "be brief",
        "modelPreferences": {"hints": [{"name": "small"}, {}], "costPriority": 1, "speedPriority": 0.5},
        "temperature": 0.5,
        "stopSequences": ["x"],
        "tools": [{"name": "t"}],
        "toolChoice": {"mode": "required"},
        "includeContext": "thisServer",
        "metadata": {"a": 1},
    }
    request = read_sample("fake", params, "fake.ask")
    assert [type(one).__name__ for one in request.messages[0].content] == ["Text", "Unknown"]
    assert request.model_preferences is not None
    assert request.model_preferences.hints == ("small",)
    assert (request.model_preferences.cost_priority, request.tool_choice) == (1, "required")
    assert (request.system_prompt, request.tools, request.raw) == ("be brief", ({"name": "t"},), params)


@pytest.fixture
def until_true() -> Any:
    """Give a bounded wait for something a thread does."""

    async def wait(condition: Any) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - a thread sets no event of ours
                await asyncio.sleep(0.001)

    return wait
