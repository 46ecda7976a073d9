"""One stack for each tool: what is in it, why in this order, when it is made anew, and what stacks share."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.config.policy_file import examine_policy
from trunkline.core.budget import Budget
from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL
from trunkline.core.reply import Reply
from trunkline.core.retry import RetrySettings
from trunkline.errors import (
    ConfigError,
    DeadlineExceededError,
    OutcomeUnknownError,
    UnavailableError,
)
from trunkline.pipeline.alarms import Alarm, Alarms, MayEnd
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.observe import Observe
from trunkline.pipeline.retry import Retry
from trunkline.pipeline.service import Layer, Service, in_order, stack
from trunkline.pipeline.validate import Validate
from trunkline.runtime import stacks
from trunkline.testing import FakeServer, in_turn, mock
from trunkline.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def names(layers: tuple[Layer, ...]) -> list[str]:
    return [layer.name for layer in layers]


async def test_without_a_policy_the_stack_is_the_default_one() -> None:
    async with mock({"db.read": "rows"}) as trunk:
        assert names(trunk.layers("db", "read")) == ["observe", "deadline", "validate", "retry", "breaker"]
        assert names(trunk.layers("db")) == ["observe", "deadline", "retry", "breaker"]


async def test_a_stack_prints_its_settings() -> None:
    policy = {"tools": {"db.read": {"retry": {"attempts": 7}}}}
    async with mock({"db.read": "rows"}, policy=policy) as trunk:
        (retry,) = [layer for layer in trunk.layers("db", "read") if layer.name == "retry"]
        assert "Retry(settings=RetrySettings(attempts=7, delay=0.1" in repr(retry)


# Why layers stand as they do. Each test stacks two of them the other way round, and something is lost.


def make_call(**facts: Any) -> Call:
    now = asyncio.get_running_loop().time()
    given: dict[str, Any] = {"arguments": {}, "deadline": now + 10.0, "idle": 10.0} | facts
    return Call(
        id="c1", server="s", name="t", public_name="s.t", principal=LOCAL, flight=Flight(now), **given
    )


def retry(**settings: Any) -> Retry:
    return Retry(
        settings=RetrySettings(**settings), budget=Budget(), safety=lambda _: "read", draw=lambda: 1.0
    )


def composed(layers: list[Layer], dispatch: Service) -> Service:
    """Stack layers as they are given, in an order or not."""
    for layer in reversed(layers):
        dispatch = layer.wrap(dispatch)
    return dispatch


async def hang(call: Call) -> Reply:
    call.flight.attempts += 1
    await asyncio.sleep(3600)
    raise AssertionError("nobody waits that long")


async def down(_: Call) -> Reply:
    raise UnavailableError("down")


async def test_observe_stands_outside_the_deadline_so_that_it_sees_its_error() -> None:
    for layers, complete in (([Observe(), Deadline()], True), ([Deadline(), Observe()], False)):
        with pytest.raises(DeadlineExceededError) as caught:
            await composed(layers, hang)(make_call())
        assert (caught.value.call_id == "c1") is complete


async def test_the_deadline_stands_outside_validate_so_that_no_list_is_waited_for_longer() -> None:
    async def find(_: Call) -> None:
        await asyncio.sleep(3600)

    loop, validate = asyncio.get_running_loop(), Validate(known=lambda _: None, find=find)
    for layers, bounded in (([Deadline(), validate], True), ([validate, Deadline()], False)):
        began = loop.time()
        with pytest.raises(DeadlineExceededError):
            await composed(layers, hang)(make_call())
        assert (loop.time() - began <= 10.01) is bounded


async def test_the_deadline_stands_outside_the_retries_so_that_a_call_has_one_alarm() -> None:
    alarms = 0

    class Counted(Alarms):
        def set(self, call: Call, may_end: MayEnd | None) -> Alarm:
            nonlocal alarms
            alarms += 1
            return super().set(call, may_end)

    deadline = Deadline(alarms=Counted())
    for layers, expected in (([deadline, retry()], 1), ([retry(), deadline], 3)):
        alarms = 0
        with pytest.raises(UnavailableError):
            await composed(layers, down)(make_call())
        assert alarms == expected


async def test_validate_stands_outside_the_retries_so_that_arguments_are_checked_once() -> None:
    lookups = 0

    async def find(_: Call) -> None:
        nonlocal lookups
        lookups += 1

    validate = Validate(known=lambda _: None, find=find)
    for layers, times in (([validate, retry()], 1), ([retry(), validate], 3)):
        lookups = 0
        with pytest.raises(UnavailableError):
            await composed(layers, down)(make_call())
        assert lookups == times


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("observe", "deadline"),
        ("deadline", "first"),
        ("first", "audit"),
        ("audit", "authorize"),
        ("authorize", "validate"),
        ("validate", "call"),
        ("call", "protect"),
        ("protect", "fallback"),
        ("fallback", "cache"),
        ("cache", "coalesce"),
        ("coalesce", "retry"),
        ("retry", "attempt"),
        ("attempt", "route"),
        ("route", "breaker"),
        ("breaker", "limit"),
        ("limit", "send"),
    ],
)
def test_each_layer_stands_inside_of_the_one_before(outer: str, inner: str) -> None:
    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        def wrap(self, service: Service) -> Service:
            return service

    pair = [Named(outer), Named(inner)]
    assert list(in_order(reversed(pair))) == pair
    stack(pair, hang)
    with pytest.raises(ValueError, match="keep the order"):
        stack(pair[::-1], hang)


# When a stack is made, and what it shares.


async def test_a_stack_is_made_once_and_thrown_away_when_policy_changes(tmp_path: Path) -> None:
    file = tmp_path / "trunkline.toml"
    file.write_text("[defaults.retry]\nattempts = 2\n")
    async with mock({"db.read": OutcomeUnknownError("cut")}, policy=file) as trunk:
        kept = trunk._routes.stacks
        assert kept.of_tool("db", "read") is kept.of_tool("db", "read")
        assert kept.of_tool("db", "read") is not kept.of_tool("db", "write")
        before = kept.of_tool("db", "read")
        file.write_text('[defaults.retry]\nattempts = 2\n[tools."db.read"]\nread_only = true\n')
        await trunk.reload()
        assert kept.of_tool("db", "read") is not before
        with pytest.raises(OutcomeUnknownError) as caught:
            await trunk.call("db.read")
        assert caught.value.attempts == 2


async def test_tools_of_one_server_share_its_budget_and_keep_it_when_policy_changes(tmp_path: Path) -> None:
    file = tmp_path / "trunkline.toml"
    file.write_text("[defaults.retry]\nbudget = 0\nbudget_per_second = 0.1\n")
    down = UnavailableError("down")
    answers = {"a.one": down, "a.two": down, "b.one": down}
    async with mock(answers, policy=file) as trunk:

        async def tries(tool: str) -> int:
            with pytest.raises(UnavailableError) as caught:
                await trunk.call(tool)
            return caught.value.attempts

        assert [await tries(tool) for tool in ("a.one", "a.two", "b.one")] == [2, 1, 2]
        file.write_text("[defaults.retry]\nbudget = 0\nbudget_per_second = 0.1\nattempts = 9\n")
        await trunk.reload()
        assert await tries("a.two") == 1


async def test_tools_that_a_server_makes_up_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "_MOST_STACKS", 10)
    async with mock({"db.read": "rows"}) as trunk:
        kept = trunk._routes.stacks
        for number in range(35):
            kept.of_tool("db", f"t{number}")
        assert len(kept._kept) <= 10


async def test_a_tool_may_have_its_own_retries_and_what_is_no_tool_has_those_of_its_server() -> None:
    server = FakeServer("db")
    server.tool("read")
    policy = {
        "defaults": {"retry": {"attempts": 4}},
        "servers": {"db": {"retry": {"attempts": 5}}},
        "tools": {"db.w*": {"retry": RetrySettings(attempts=6)}},
    }
    async with trunkline.connect({"db": server}, policy=policy) as trunk:

        def attempts(*names: str) -> int:
            (layer,) = [one for one in trunk.layers(*names) if isinstance(one, Retry)]
            return layer.settings.attempts

        assert [attempts("db", "write"), attempts("db", "read"), attempts("db"), attempts("other")] == [
            *(6, 5, 5, 4)
        ]


async def test_retries_of_a_tool_are_explained_each_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "trunkline.toml"
    file.write_text('[defaults.retry]\ndelay = 0.5\n\n[tools."db.*".retry]\nattempts = 9\n')
    async with mock({"db.read": "rows"}, policy=file) as trunk:
        found = {one.key: one for one in trunk.explain("db.read").settings}
    assert (found["retry.attempts"].value, found["retry.attempts"].line) == (9, 5)
    assert (found["retry.delay"].value, found["retry.delay"].line) == (0.5, 2)
    assert (found["retry.codes"].value, found["retry.codes"].line) == ((), None)
    assert found["retry.budget"].value == 0.2


@pytest.mark.parametrize(
    ("text", "field", "line", "message", "hint"),
    [
        (
            "[defaults.retry]\nattempts = 0",
            "defaults.retry.attempts",
            2,
            "whole number from 1",
            "attempts = ",
        ),
        (
            "[defaults.retry]\nbudget = 20",
            "defaults.retry.budget",
            2,
            "from 0, which is none, to 1",
            "budget =",
        ),
        (
            '[servers."db.*"]\nretry = 3',
            'servers."db.*".retry',
            2,
            "must be a table, not a number",
            "Write it as",
        ),
        ("[tools.x.retry]\natempts = 3", "tools.x.retry.atempts", 2, "unknown key", "'attempts'"),
        (
            "[tools.x.retry]\nbudget = 0.1",
            "tools.x.retry.budget",
            2,
            "does not belong here",
            'Move it to [servers."name".retry].',
        ),
        (
            "[profiles.p.tools.x]\nbatch = {size = 3}",
            "profiles.p.tools.x.batch",
            2,
            "does not belong here",
            'Move it to [profiles.p.servers."name"].',
        ),
        (
            "[servers.x.retry]\ndelay_max = 1\ndelay = 5",
            "servers.x.retry.delay",
            3,
            "must not be more than delay_max, which is 1",
            "or raise ",
        ),
        (
            "[tools.x]\nlimit = {adaptive_min = 50, adaptive_max = 3}",
            "tools.x.limit.adaptive_min",
            2,
            "must not be more than adaptive_max",
            "or raise ",
        ),
        ("[tools.x.retry]\ncodes = [3]", "tools.x.retry.codes", 2, "must be a list of words", "codes = ["),
        (
            "[tools.x]\nattempts = 3",
            "tools.x.attempts",
            2,
            "does not belong here",
            "Move it to retry = {...}",
        ),
        (
            "[tools.x]\nidempotency_key = 3",
            "tools.x.idempotency_key",
            2,
            "must be a word",
            "idempotency_key =",
        ),
        ("[tools.x.retry]\ncodes = 'lost'", "tools.x.retry.codes", 2, "must be a list of words", "codes = ["),
    ],
)
def test_a_mistake_in_retries_names_file_line_key_and_fix(
    text: str, field: str, line: int, message: str, hint: str
) -> None:
    import tomllib

    (error,) = examine_policy(tomllib.loads(text), source="trunkline.toml", text=text).mistakes
    assert isinstance(error, ConfigError)
    assert (error.source, error.line, error.field) == ("trunkline.toml", line, field)
    assert message in error.message
    assert hint in (error.hint or "")


def test_an_object_stands_for_all_its_values_and_must_fit_where_it_stands() -> None:
    content = {
        "servers": {"db": {"retry": {"delay": 9}}, "db.a": {"retry": RetrySettings(attempts=5)}},
        "tools": {"db.x": {"retry": RetrySettings(budget=0.5)}},
    }
    examined = examine_policy(content, source="argument")
    assert examined.policy.for_server("db.a").retry == RetrySettings(attempts=5)
    assert [error.field for error in examined.mistakes] == ['tools."db.x".retry.budget']


async def test_answers_that_come_late_in_a_stack_are_told_with_their_attempts() -> None:
    answers = {"db.read": in_turn(UnavailableError("down"), UnavailableError("down"), "rows")}
    async with mock(answers) as trunk:
        reply = await trunk.call("db.read")
        (call,) = trunk.why("db.read").calls
    assert (reply.attempts, call.attempts) == (3, 3)
