"""Limits in random plays: calls that come, are cancelled, time out and wait while the settings change."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from functools import partial

import pytest

from trunkline.core.call import Call, Flight
from trunkline.core.limit import LimitSettings
from trunkline.core.principal import Principal
from trunkline.core.reply import Reply
from trunkline.errors import CallError, DeadlineExceededError, OutcomeUnknownError, RejectedError
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.limit import Limit, Limiter
from trunkline.pipeline.service import stack
from trunkline.testing.virtual_time import VirtualTimeLoop

CALLS = 60
PHASE = "at the server"


def draw_settings(dice: random.Random) -> LimitSettings:
    return LimitSettings(
        concurrency=dice.choice([0, 1, 2, 4]),
        principal_concurrency=dice.choice([0, 0, 1, 2]),
        rate=dice.choice([0, 0, 0.5, 5, 50]),
        burst=dice.choice([0, 1, 3]),
        principal_rate=dice.choice([0, 0, 1, 10]),
        queue=dice.choice([0, 1, 3, 50]),
        queue_timeout=dice.choice([0, 0, 0.5, 3]),
        adaptive=dice.choice([False, False, True]),
        adaptive_max=dice.choice([1, 3, 8]),
    )


class Play:
    """Some calls through one or two limiters, and what must hold of them at every moment."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.limiters = [Limiter(draw_settings(self.dice)) for _ in range(self.dice.choice([1, 2]))]
        self.service = stack([Deadline(), Limit(limiters=tuple(self.limiters))], self.serve)
        self.running: Counter[str] = Counter()
        self.changed = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.change())
            for number in range(CALLS):
                group.create_task(self.call(number))
        for limiter in self.limiters:
            status, timer = limiter.status(), limiter._timer
            assert (status.running, status.waiting) == (0, 0)
            assert not any(share.running for share in limiter._state._shares.values())
            assert timer is None or timer.cancelled() or timer.when() <= asyncio.get_running_loop().time()

    async def serve(self, call: Call) -> Reply:
        name = call.principal.name
        call.flight.phase = PHASE
        self.running[name] += 1
        try:
            self.look(name)
            await asyncio.sleep(self.dice.choice([0, 0.01, 0.1, 1]))
            if self.dice.random() < 0.1:
                raise OutcomeUnknownError("overloaded", status=503)
            return Reply(raw={}, server="s", tool="s.t")
        finally:
            self.running[name] -= 1

    def look(self, name: str) -> None:
        for settings in () if self.changed else [limiter.settings for limiter in self.limiters]:
            most, each = settings.concurrency, settings.principal_concurrency
            assert not most or settings.adaptive or self.running.total() <= most
            assert not each or self.running[name] <= each

    async def change(self) -> None:
        for _ in range(self.dice.choice([0, 0, 3])):
            await asyncio.sleep(3 * self.dice.random())
            self.changed = True
            self.dice.choice(self.limiters).adjust(draw_settings(self.dice))

    async def call(self, number: int) -> None:
        dice, loop = self.dice, asyncio.get_running_loop()
        await asyncio.sleep(5 * dice.random())
        timeout = dice.choice([0.05, 0.5, 2, 20])
        call = Call(
            id=str(number),
            server="s",
            name="t",
            public_name="s.t",
            arguments={},
            principal=Principal(name=dice.choice("abc")),
            deadline=loop.time() + timeout,
            idle=dice.choice([0.3, 100]),
            flight=Flight(loop.time()),
            priority=dice.choice([None, 0, 1, 5]),
        )
        task = asyncio.ensure_future(self.service(call))
        if cancels := dice.random() < 0.3:
            loop.call_later(dice.choice([0, 0.01, 0.3, 1]), task.cancel)
        await asyncio.wait({task}, timeout=timeout + 0.01)
        assert task.done(), "it outlived its deadline"
        if task.cancelled():
            assert cancels
        elif (error := task.exception()) is not None:
            assert isinstance(error, CallError)
            self.judge(error, call)

    def judge(self, error: CallError, call: Call) -> None:
        if isinstance(error, RejectedError):
            assert error.retry_after is not None
            assert error.retry_after >= 0
        elif isinstance(error, DeadlineExceededError) and call.flight.phase != PHASE:
            assert error.code == "deadline_exceeded", "the wait for a turn is no silence"
            rates = [limiter.settings.rate or limiter.settings.principal_rate for limiter in self.limiters]
            assert self.changed or any(rates) or self.running.total() > 0, "it waited for nothing"


def run(seed: int) -> None:
    with asyncio.Runner(loop_factory=partial(VirtualTimeLoop, seed=seed)) as runner:
        runner.run(Play(seed).run())


def test_in_random_plays_no_more_run_than_may_nobody_waits_in_vain_and_nothing_is_left() -> None:
    for seed in range(40):
        run(seed)


@pytest.mark.soak
def test_so_it_is_in_very_many() -> None:
    for seed in range(40, 10_000):
        run(seed)
