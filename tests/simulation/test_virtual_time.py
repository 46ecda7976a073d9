"""The virtual-time loop: jumps, never waits, keeps the order of timers, and names a deadlock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

import trunkline
from trunkline.testing.virtual_time import DeadlockError, RealIOError, VirtualTimeLoop


def run(main):
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def test_a_week_of_sleep_takes_no_real_time():
    async def sleep() -> float:
        await asyncio.sleep(7 * 24 * 3600)
        return asyncio.get_running_loop().time()

    started = time.perf_counter()
    assert run(sleep()) == pytest.approx(7 * 24 * 3600, abs=1e-6)
    assert time.perf_counter() - started < 1


def test_timers_ring_in_the_order_of_their_moments_and_at_them():
    rung: list[tuple[float, str]] = []

    async def ring() -> None:
        loop = asyncio.get_running_loop()
        for delay in (3.0, 0.5, 2.0, 0.5):
            loop.call_later(delay, lambda delay=delay: rung.append((loop.time(), f"{delay}")))
        await asyncio.sleep(4)

    run(ring())
    assert rung == [(0.5, "0.5"), (0.5, "0.5"), (2.0, "2.0"), (3.0, "3.0")]


def test_time_stands_still_while_tasks_are_ready():
    async def work() -> float:
        for _ in range(10_000):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run(work()) == 0.0


def test_a_timeout_ends_a_wait_that_nothing_else_ends():
    async def wait() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run(wait()) == pytest.approx(30)


def test_the_clock_starts_where_it_is_told_to():
    loop = VirtualTimeLoop(1_000.0)
    try:
        assert loop.time() == 1_000.0
        loop.run_until_complete(asyncio.sleep(1))
        assert loop.time() == pytest.approx(1_001.0)
    finally:
        loop.close()


def test_a_deadlock_is_an_error_that_names_who_waits_and_does_not_hang():
    async def wait_for_nobody() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(DeadlockError, match="wait_for_nobody"):
        run(wait_for_nobody())


def test_work_handed_in_by_a_callback_is_done_before_time_moves():
    async def hand_in() -> float:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        loop.call_later(1, lambda: loop.call_soon_threadsafe(done.set_result, None))
        loop.call_later(60, lambda: None)
        await done
        return loop.time()

    assert run(hand_in()) == pytest.approx(1)


def order_of_tasks(seed: int | None) -> list[int]:
    """Ten tasks that wait for the same event, and the order in which they go on."""

    async def main() -> list[int]:
        event, order = asyncio.Event(), []

        async def wait(number: int) -> None:
            await event.wait()
            order.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(wait(number))
            await asyncio.sleep(1)
            event.set()
        return order

    with asyncio.Runner(loop_factory=partial(VirtualTimeLoop, seed=seed)) as runner:
        return runner.run(main())


def test_a_seed_replays_its_schedule_and_another_seed_has_another_one():
    orders = [tuple(order_of_tasks(seed)) for seed in range(20)]
    assert orders == [tuple(order_of_tasks(seed)) for seed in range(20)]
    assert len(set(orders)) > 15
    assert order_of_tasks(None) == list(range(10))


def test_callbacks_keep_their_order_whatever_the_seed():
    async def main() -> list[int]:
        order: list[int] = []
        loop = asyncio.get_running_loop()
        for number in range(20):
            loop.call_soon(order.append, number)
        await asyncio.sleep(1)
        return order

    for seed in range(10):
        with asyncio.Runner(loop_factory=partial(VirtualTimeLoop, seed=seed)) as runner:
            assert runner.run(main()) == list(range(20))


def test_no_task_passes_a_callback_that_was_due_before_it():
    async def main() -> list[str]:
        order: list[str] = []
        loop = asyncio.get_running_loop()

        async def note(name: str) -> None:
            order.append(name)

        first = [loop.create_task(note("before")) for _ in range(3)]
        loop.call_soon(order.append, "callback")
        last = [loop.create_task(note("after")) for _ in range(3)]
        await asyncio.gather(*first, *last)
        return order

    for seed in range(20):
        with asyncio.Runner(loop_factory=partial(VirtualTimeLoop, seed=seed)) as runner:
            assert runner.run(main()) == ["before"] * 3 + ["callback"] + ["after"] * 3


REAL: dict[str, Callable[[], Awaitable[Any]]] = {
    "run_in_executor": lambda: asyncio.to_thread(print),
    "create_connection": lambda: asyncio.open_connection("127.0.0.1", 9),
    "create_server": lambda: asyncio.start_server(lambda *_: None, "127.0.0.1", 0),
    "subprocess_exec": lambda: asyncio.create_subprocess_exec("true"),
    "subprocess_shell": lambda: asyncio.create_subprocess_shell("true"),
    "getaddrinfo": lambda: asyncio.get_running_loop().getaddrinfo("localhost", 80),
}


HARMLESS = {
    *("call_at", "call_exception_handler", "call_later", "call_soon", "call_soon_threadsafe", "close"),
    *("create_future", "create_task", "default_exception_handler", "get_debug", "get_exception_handler"),
    *(
        "get_task_factory",
        "is_closed",
        "is_running",
        "remove_reader",
        "remove_signal_handler",
        "add_signal_handler",
    ),
    *("remove_writer", "run_forever", "run_until_complete", "set_debug", "set_default_executor"),
    *("set_exception_handler", "set_task_factory", "shutdown_asyncgens", "shutdown_default_executor"),
    *("stop", "time"),
}


def test_every_other_method_of_a_loop_is_refused():
    methods = {name for name in dir(asyncio.SelectorEventLoop) if not name.startswith("_")}
    loop = VirtualTimeLoop()
    try:
        for name in sorted(methods - HARMLESS):
            with pytest.raises(RealIOError, match=f"no `{name}`"):
                getattr(loop, name)()
    finally:
        loop.close()


async def awaiting(ask: Callable[[], Awaitable[Any]]) -> None:
    await ask()


@pytest.mark.parametrize("name", REAL)
def test_what_takes_real_time_is_refused_by_its_name(name: str):
    with pytest.raises(RealIOError, match=rf"no `{name}`.*FakeServer in memory"):
        run(awaiting(REAL[name]))


def test_a_call_of_a_real_server_says_that_time_is_virtual():
    async def main() -> None:
        async with trunkline.connect({"real": {"command": "true"}}) as trunk:
            await trunk.ready()
            assert "VirtualTimeLoop" in str(trunk.status()["real"].last_error)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
