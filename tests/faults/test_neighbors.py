"""One bad server costs exactly itself: what its neighbors notice of it, measured."""

from __future__ import annotations

import pytest

from bench import fleet, neighbor

pytestmark = pytest.mark.alone

TRIES = 6
"""A machine that is disturbed can only look worse than it is."""


@pytest.mark.parametrize("kind", neighbor.KINDS)
@pytest.mark.timeout(240)
def test_calls_of_a_healthy_server_take_no_longer_beside_a_sick_one(kind: str):
    seen = []
    for _ in range(TRIES):
        found = neighbor.measure(kind, rounds=5, calls=400)
        assert not found.invalid, found.invalid
        seen.append(found.describe())
        if all(verdict.passed for verdict in neighbor.judge(found)):
            return
    pytest.fail("; ".join(seen))


@pytest.mark.timeout(240)
def test_seventeen_servers_beside_three_sick_ones_are_ready_about_as_soon_as_alone():
    seen = []
    for _ in range(TRIES):
        found = fleet.measure(rounds=5, uvloop=False)
        assert not found.invalid, found.invalid
        seen.append(found.describe())
        if all(verdict.passed for verdict in fleet.judge(found)):
            return
    pytest.fail("; ".join(seen))
