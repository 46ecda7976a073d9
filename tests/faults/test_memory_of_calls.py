"""Calls without end leave memory as it was; the long version of what `make bench` measures."""

from __future__ import annotations

import pytest

from bench import memory


@pytest.mark.soak
@pytest.mark.alone
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("uvloop", [False, True], ids=["asyncio", "uvloop"])
def test_a_million_calls_leave_memory_flat(uvloop: bool):
    measured = memory.measure(calls=1_000_000, uvloop=uvloop)
    assert measured.invalid == ""
    assert measured.growth <= 1.0, measured.describe()
