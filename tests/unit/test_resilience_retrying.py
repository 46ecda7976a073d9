"""Retries of an application's own coroutines, in virtual time."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from typing import Any

import pytest

import trunkline
from trunkline.core.budget import Budget
from trunkline.errors import DeniedError, RejectedError, UnavailableError
from trunkline.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def now() -> float:
    return asyncio.get_running_loop().time()


class Flaky:
    """A coroutine function that raises these, one after another, and then answers."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.at: list[float] = []

    async def __call__(self, answer: str = "done") -> str:
        self.at.append(now())
        if self.failures:
            raise self.failures.pop(0)
        return answer


def full(**settings: Any) -> trunkline.Retrying:
    """The longest waits there are."""
    return trunkline.retry(draw=lambda: 1.0, **settings)


async def test_a_function_is_tried_until_it_answers_with_waits_that_double() -> None:
    flaky = Flaky(OSError(), OSError(), OSError())
    assert await full(on=OSError, attempts=5)(flaky)("here") == "here"
    assert flaky.at == pytest.approx([0, 0.1, 0.3, 0.7])


async def test_waits_are_a_random_part_of_what_they_may_be_and_bounded() -> None:
    flaky = Flaky(*[OSError() for _ in range(8)])
    await trunkline.retry(on=OSError, attempts=9, draw=lambda: 0.5, delay_max=1.0)(flaky)()
    waits = [later - earlier for earlier, later in zip(flaky.at, flaky.at[1:], strict=False)]
    assert waits == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.5, 0.5, 0.5, 0.5])


async def test_the_last_failure_is_raised_as_it_is_when_there_are_no_tries_left() -> None:
    first, second, third = OSError(1), OSError(2), OSError(3)
    flaky = Flaky(first, second, third)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which one it is, is asked below
        await full(on=OSError)(flaky)()
    assert caught.value is third
    assert len(flaky.at) == 3


async def test_what_was_not_named_is_raised_at_once() -> None:
    flaky = Flaky(KeyError())
    with pytest.raises(KeyError):
        await full(on=(OSError, ValueError))(flaky)()
    assert flaky.at == [0]


async def test_without_a_choice_only_calls_that_are_safe_to_repeat_are() -> None:
    safe, unsafe = Flaky(UnavailableError("down")), Flaky(DeniedError("no"))
    assert await full()(safe)() == "done"
    assert len(safe.at) == 2
    with pytest.raises(DeniedError):
        await full()(unsafe)()
    foreign = Flaky(OSError())
    with pytest.raises(OSError):  # noqa: PT011 - there is one only
        await full()(foreign)()
    assert (len(unsafe.at), len(foreign.at)) == (1, 1)


async def test_a_block_is_tried_again_and_knows_which_try_it_is() -> None:
    numbers = []
    async for attempt in full(on=OSError):
        with attempt:
            numbers.append((attempt.number, now()))
            if attempt.number < 3:
                raise OSError
    assert numbers == [(1, 0), (2, pytest.approx(0.1)), (3, pytest.approx(0.3))]


async def test_a_block_may_be_left_in_the_middle() -> None:
    async def find() -> int:
        async for attempt in full(on=OSError):
            with attempt:
                if attempt.number == 1:
                    raise OSError
                return attempt.number
        raise AssertionError("a block that returned goes on")

    assert await find() == 2


async def test_a_block_that_does_not_use_its_attempt_runs_once() -> None:
    runs = [attempt.number async for attempt in full(on=OSError)]
    assert runs == [1]


async def test_what_the_other_side_asks_to_wait_is_honored_and_bounded() -> None:
    flaky = Flaky(RejectedError("busy", retry_after=4), RejectedError("busy", retry_after=3600))
    await trunkline.retry(draw=lambda: 0.0)(flaky)()
    assert flaky.at == [0, 4, 34]
    told = Flaky(OSError(), ValueError(), OSError())
    retrying = trunkline.retry(
        on=lambda error: 7 if isinstance(error, OSError) else True, attempts=4, draw=lambda: 0.0
    )
    await retrying(told)()
    assert [at - told.at[0] for at in told.at] == [0, 7, 7, 14]


@pytest.mark.parametrize(("asked", "waited"), [(0, 0), (0.0, 0), (-5, 0), (math.nan, 0), (math.inf, 30)])
async def test_any_number_that_the_other_side_gives_is_made_one_of_seconds(
    asked: float, waited: float
) -> None:
    begun = now()
    await trunkline.retry(on=lambda _: asked, draw=lambda: 0.0)(Flaky(OSError()))()
    assert now() - begun == waited
    await trunkline.retry(draw=lambda: 0.0)(Flaky(RejectedError("busy", retry_after=asked)))()
    assert now() - begun == 2 * waited


@pytest.mark.parametrize("answer", [False, None, ""])
async def test_a_function_that_says_no_or_nothing_means_no_retry(answer: object) -> None:
    flaky = Flaky(OSError())
    with pytest.raises(OSError):  # noqa: PT011 - there is one only
        await full(on=lambda _: answer)(flaky)()
    assert len(flaky.at) == 1


async def test_no_wait_is_begun_that_would_not_end_in_time() -> None:
    flaky = Flaky(*[OSError() for _ in range(9)])
    with pytest.raises(OSError):  # noqa: PT011 - they are all alike
        await full(on=OSError, attempts=9, delay=1.0, delay_max=4.0, timeout=6.9)(flaky)()
    assert flaky.at == [0, 1, 3]
    assert now() == 3


async def test_a_cancellation_is_never_retried_whatever_becomes_of_it() -> None:
    tries = 0

    async def translate() -> None:
        nonlocal tries
        tries += 1
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            raise OSError("closed") from None

    for work in (full(on=OSError)(translate), full(on=OSError)(Flaky(*[OSError()] * 2))):
        task = asyncio.ensure_future(work())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises((OSError, asyncio.CancelledError)):
            await task
    assert tries == 1


async def test_those_who_share_a_budget_share_its_retries() -> None:
    budget = Budget(ratio=0.0, per_second=0.2)
    retrying = trunkline.retry(on=OSError, attempts=10, delay=0.0, budget=budget)
    flaky = [Flaky(*[OSError() for _ in range(10)]) for _ in range(5)]
    ended = await asyncio.gather(*(retrying(one)() for one in flaky), return_exceptions=True)
    assert all(isinstance(one, OSError) for one in ended)
    assert sum(len(one.at) for one in flaky) == 5 + 2


async def test_a_decorated_function_stays_what_it_was() -> None:
    @trunkline.retry(on=OSError)
    async def fetch(size: int) -> int:
        """Fetch."""
        return size

    assert (fetch.__name__, fetch.__doc__, await fetch(3)) == ("fetch", "Fetch.", 3)
    assert asyncio.iscoroutinefunction(fetch)
    assert await trunkline.retry()(functools.partial(fetch, 4))() == 4


async def test_calls_of_one_function_share_no_tries() -> None:
    flaky = Flaky(*[OSError() for _ in range(4)])
    retrying = full(on=OSError)(flaky)
    assert await asyncio.gather(retrying(), retrying()) == ["done", "done"]


async def test_a_retry_is_logged_by_what_failed_and_never_by_what_it_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "trunkline.retry"):
        await full(on=OSError)(Flaky(OSError("hunter2")))()
    (record,) = caplog.records
    assert record.getMessage() == "Flaky failed with OSError; retry 1 in 0.10 s"


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"attempts": 0}, ValueError, "`attempts` counts the first try too"),
        ({"delay": -1}, ValueError, "`delay` is a number of seconds"),
        ({"delay_max": math.nan}, ValueError, "`delay_max` is a number of seconds"),
        ({"timeout": -1}, ValueError, "`timeout` is a number of seconds"),
        ({"on": asyncio.CancelledError}, TypeError, "CancelledError is none"),
        ({"on": (OSError, BaseException)}, TypeError, "BaseException is none"),
        ({"on": (OSError, "x")}, TypeError, "`on` takes kinds of Exception, or a function"),
        ({"on": "OSError"}, TypeError, "`on` takes kinds of Exception, or a function"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_by_name(
    settings: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        trunkline.retry(**settings)


def test_a_function_that_is_no_coroutine_function_is_refused() -> None:
    def plain() -> None: ...

    with pytest.raises(TypeError, match=r"for `async def` functions; .*plain is none"):
        trunkline.retry()(plain)  # type: ignore[arg-type]
