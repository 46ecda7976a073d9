"""The gate on an attached call: a ratio within one run, invalid where a call did not reach its server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import attached
from bench.attached import BARE, MODULE, SCRIPT, AttachedResult


def result(bare: list[float], call: list[float], name: str = SCRIPT) -> AttachedResult:
    return AttachedResult(seconds={BARE: bare, name: call})


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    found = result([0.02, 0.02, 0.2], [0.04, 0.05, 0.42])
    assert found.ratio(SCRIPT) == pytest.approx(2.1)


@pytest.mark.parametrize("name", [SCRIPT, MODULE])
@pytest.mark.parametrize(("call", "word"), [(0.059, "PASS"), (0.061, "FAIL")])
def test_three_times_a_bare_interpreter_is_the_most(name: str, call: float, word: str) -> None:
    [verdict] = attached.judge(result([0.02] * 9, [call] * 9, name))
    assert (verdict.must, verdict.word) == (3.0, word)


def test_calls_that_did_not_reach_their_server_fail_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def running() -> Iterator[tuple[dict[str, str], Path, Any]]:
        yield {}, Path(), SimpleNamespace(calls=1)

    monkeypatch.setattr(attached, "_running", running)
    monkeypatch.setattr(attached, "_time", lambda *_: 0.01)
    found = attached.measure(rounds=9)
    assert found.invalid.startswith("the server answered 1 calls of ")
    [verdict] = attached.judge(found)
    assert (verdict.value, verdict.word) == (None, "FAIL")


def test_calls_on_warm_servers_are_counted_and_timed_in_turn() -> None:
    found = attached.measure(rounds=1)
    assert found.invalid == ""
    assert {len(times) for times in found.seconds.values()} == {1}
    assert found.ratio(MODULE) is not None
