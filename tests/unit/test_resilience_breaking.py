"""Breakers around coroutines of the application's own."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import trunkline
from trunkline.testing.virtual_time import VirtualTimeLoop


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(body())


def test_a_function_that_keeps_failing_is_not_called_until_one_call_has_found_out() -> None:
    calls: list[bool] = []
    db = trunkline.breaker(name="db", consecutive=3, open_for=5)

    @db
    async def query(table: str, *, broken: bool = False) -> str:
        """Look something up."""
        calls.append(broken)
        if broken:
            raise ConnectionError("no")
        return table

    async def body() -> None:
        for _ in range(3):
            with pytest.raises(ConnectionError):
                await query("t", broken=True)
        with pytest.raises(trunkline.RejectedError) as caught:
            await query("t")
        error = caught.value
        assert (error.code, error.delivery, error.tool) == ("breaker_open", "never_sent", "db")
        assert error.retry_after == pytest.approx(5)
        assert "breaker of the function is open: 3 calls in a row failed" in str(error)
        await asyncio.sleep(5)
        assert await query("t") == "t"
        assert db.status.state == "closed"
        assert len(calls) == 4

    run(body)
    assert query.__doc__ == "Look something up."
    assert list(inspect.signature(query).parameters) == ["table", "broken"]


def test_a_block_is_guarded_by_the_same_breaker_and_each_task_by_its_own_ticket() -> None:
    told: list[Any] = []
    db = trunkline.breaker(consecutive=2, open_for=1, on_change=lambda *change: told.append(change[:2]))

    async def use(seconds: float, *, broken: bool) -> None:
        async with db, db:
            await asyncio.sleep(seconds)
            if broken:
                raise OSError

    async def body() -> None:
        results = await asyncio.gather(
            *(use(at, broken=True) for at in (3, 2, 1)), use(0.5, broken=False), return_exceptions=True
        )
        assert [type(result) for result in results] == [OSError, OSError, OSError, type(None)]
        assert told[0] == ("closed", "open")
        with pytest.raises(trunkline.RejectedError):
            await use(0, broken=False)
        assert "open" in repr(db)

    run(body)


def test_a_cancellation_and_what_is_not_named_count_as_nothing() -> None:
    db = trunkline.breaker(consecutive=1, on=(TimeoutError,))

    async def body() -> None:
        task = asyncio.ensure_future(_wait(db))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})
        with pytest.raises(ValueError, match="mine"):
            await _fail(db, ValueError("mine"))
        assert db.status.state == "closed"
        with pytest.raises(TimeoutError):
            await _fail(db, TimeoutError())
        assert db.status.state == "open"
        db.force_closed()
        with pytest.raises(TimeoutError):
            await _fail(db, TimeoutError())
        db.force_open()
        with pytest.raises(trunkline.RejectedError, match="held open"):
            await _fail(db, TimeoutError())
        db.reset()
        assert db.status.calls == 0

    run(body)


def test_errors_of_calls_count_only_if_they_speak_of_a_broken_server_or_tool() -> None:
    db = trunkline.breaker(consecutive=1)

    async def body() -> None:
        for error in (
            trunkline.InvalidArgumentsError("no"),
            trunkline.NotFoundError("none"),
            trunkline.RejectedError("full", code="queue_full"),
        ):
            with pytest.raises(trunkline.CallError):
                await _fail(db, error)
            assert db.status.state == "closed"
        with pytest.raises(trunkline.UnavailableError):
            await _fail(db, trunkline.UnavailableError("down"))
        assert db.status.state == "open"

    run(body)


def test_only_coroutine_functions_are_guarded() -> None:
    def plain() -> None: ...

    with pytest.raises(TypeError, match="async def"):
        trunkline.breaker()(plain)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"failure_rate": 0}, ValueError, "`failure_rate` is above 0"),
        ({"failure_rate": 80}, ValueError, "at most 1; got 80"),
        ({"least_calls": 0}, ValueError, "`least_calls`"),
        ({"window": 0}, ValueError, "`window`"),
        ({"window": math.nan}, ValueError, "`window`"),
        ({"consecutive": -1}, ValueError, "`consecutive`"),
        ({"open_for": -1}, ValueError, "`open_for`"),
        ({"probe_timeout": 0}, ValueError, "`probe_timeout`"),
        ({"on": "OSError"}, TypeError, "`on` takes a kind of exception"),
        ({"on": (OSError, lambda _: True)}, TypeError, "`on` takes a kind of exception"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_by_name(
    settings: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        trunkline.breaker(**settings)


def test_a_listener_that_fails_costs_nothing_and_one_that_forces_has_the_last_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def listen(_: str, state: str, __: str | None) -> None:
        if state == "half_open":
            db.force_closed()
        raise KeyError(state)

    db = trunkline.breaker(name="db", consecutive=1, open_for=1, on_change=listen)

    async def body() -> None:
        for _ in range(2):
            with pytest.raises(OSError, match="no"):
                await _fail(db, OSError("no"))
            await asyncio.sleep(1)
        assert db.status.state == "forced_closed"
        db.reset()
        async with db, db:
            pass

    run(body)
    assert "`on_change` of the breaker 'db' failed" in caplog.text


async def _wait(db: Any) -> None:
    async with db:
        await asyncio.sleep(100)


async def _fail(db: Any, error: BaseException) -> None:
    async with db:
        raise error
