"""What layers cost is within their budgets, and the page about it is about the layers there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import layers
from bench.verdict import Verdict
from trunkline.pipeline.service import POINTS


@pytest.mark.alone
def test_a_breakers_check_and_a_cache_hit_stay_within_their_budgets() -> None:
    judged = layers.judge(layers.measure(tuple(row for row in layers.ROWS if row.must_us)))
    assert len(judged) == 2
    assert [verdict for verdict in judged if not verdict.passed] == []


def test_on_a_machine_half_as_fast_a_layer_may_take_twice_as_long() -> None:
    def judge(us: float, unit: float) -> Verdict:
        (verdict,) = layers.judge([layers.Result("breaker", "", us, us / unit, 2.0)])
        return verdict

    unit = layers.UNIT_US
    assert judge(1.9, unit).passed
    assert not judge(2.1, unit).passed
    assert judge(3.9, 2 * unit).passed
    assert not judge(4.1, 2 * unit).passed
    assert judge(1.9, unit / 2).passed


def test_the_page_has_a_row_for_each_layer_that_is_measured(tmp_path: Path) -> None:
    assert list(layers.layers_of()) == [row.layer for row in layers.ROWS], "run `python -m bench layers`"
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table -->\nold\n<!-- end -->\nafter\n")
    layers.write_page([layers.Result("breaker", "closed", 1.234, 0.05, 2.0)], page)
    text = page.read_text()
    assert "| breaker | closed | 1.2 | 0.05 | 2 us |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text


def test_every_kind_of_layer_is_measured() -> None:
    from trunkline.pipeline.service import ORDER

    unmeasured = set(ORDER) - {row.layer for row in layers.ROWS} - set(POINTS)
    assert unmeasured <= {"audit", "authorize", "protect"}, "give the new layer a row in bench/layers.py"
