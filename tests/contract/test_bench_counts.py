"""What one call costs in tasks, timers, callbacks and function calls stays within `bench/budgets.json`.

When a change makes it cheaper, or dearer for a good reason, `python -m bench.counts --write` stores the new
counts; say the reason in the change.
"""

from __future__ import annotations

import pytest

from bench import counts


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", counts.SCENARIOS)
def test_a_call_on_the_default_stack_stays_within_its_budget(scenario: str) -> None:
    assert counts.exceeded(counts.measure(scenario), counts.read_budgets()[scenario]) == []


def test_a_contender_is_counted_the_same_twice() -> None:
    first, second = (counts.measure("stdio modern", "floor") for _ in range(2))
    assert counts.exceeded(first, second) == []
    assert counts.exceeded(second, first) == []


def test_a_count_above_its_budget_is_named_with_both_numbers() -> None:
    (sentence,) = counts.exceeded({"tasks": 0.0, "timers": 2.0}, {"tasks": 0.0, "timers": 1.0})
    assert sentence.startswith("timers per call: 2.00, budget 1.00")


def test_a_tenth_more_is_tolerated() -> None:
    assert counts.exceeded({"all_calls": 109.0}, {"all_calls": 100.0}) == []
    assert counts.exceeded({"all_calls": 111.0}, {"all_calls": 100.0}) != []


def test_a_count_without_a_budget_is_over_it() -> None:
    assert counts.exceeded({"tasks": 1.0}, {}) != []
