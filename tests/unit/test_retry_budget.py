"""What the budget comes to: how many of 20,000 reads succeed, and how many requests that takes."""

from __future__ import annotations

import heapq
import random

import pytest

from trunkline.core.budget import Budget
from trunkline.core.retry import RetrySettings

CALLS = 20_000
RATE = 500
LATENCY = 0.02


def simulate(faults: float, calls: int = CALLS, seed: int = 1) -> tuple[float, float]:
    """Give the share of calls that succeed, and the requests per call, with the default settings."""
    chance, settings = random.Random(seed), RetrySettings()
    budget, backoff = Budget(settings.budget, settings.budget_per_second), settings.backoff(throttled=False)
    tries = [(number / RATE, number, 1) for number in range(calls)]
    succeeded = requests = 0
    while tries:
        now, number, attempt = heapq.heappop(tries)
        if attempt == 1:
            if now >= budget.until:
                budget.roll(now)
            budget.calls += 1
        requests += 1
        if chance.random() >= faults:
            succeeded += 1
        elif attempt < settings.attempts and budget.take(now + LATENCY):
            wait = backoff.delay(attempt, chance.random())
            heapq.heappush(tries, (now + LATENCY + wait, number, attempt + 1))
    return succeeded / calls, requests / calls


@pytest.mark.parametrize(
    ("faults", "success", "amplification"),
    [(0.05, 0.9995, 1.15), (0.1, 0.998, 1.15), (0.2, 0.97, 1.25), (0.5, 0.6, 1.25), (1.0, 0.0, 1.25)],
)
def test_reads_succeed_as_often_as_the_budget_promises(
    faults: float, success: float, amplification: float
) -> None:
    """The model of 500 calls a second with three attempts; over networks, see `test_faulty_replicas`."""
    for seed in range(2):
        found = simulate(faults, seed=seed)
        assert found[0] >= success
        assert found[1] <= amplification
