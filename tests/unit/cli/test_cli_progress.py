"""The line of progress: what it says, and that it fits."""

from __future__ import annotations

import pytest

from trunkline.cli.columns import text_width
from trunkline.cli.progress import render_bar, render_progress
from trunkline.core.call import Progress

HALF = Progress(progress=5, total=10, message="copying")


@pytest.mark.parametrize(
    ("progress", "elapsed", "line"),
    [
        (None, 61.0, "waiting  1 min 1 s"),
        (Progress(progress=3), 7.0, "3  7 s"),
        (Progress(progress=3, total=0, message="one\ntwo"), 7.0, "3  7 s  one two"),
        (HALF, 4.0, "[############............]  50 %  5 of 10  4 s left  copying"),
        (Progress(progress=10, total=10), 4.0, "[########################] 100 %  10 of 10"),
        (Progress(progress=99, total=10), 4.0, "[########################] 100 %  99 of 10"),
        (Progress(progress=-1, total=10), 4.0, "[........................]   0 %  -1 of 10"),
        (Progress(progress=1, total=float("inf")), 4.0, "1  4 s"),
    ],
)
def test_a_bar_says_how_much_is_done_and_left(progress: Progress | None, elapsed: float, line: str) -> None:
    assert render_bar(progress, elapsed, 79, reported=elapsed) == line


def test_what_is_left_counts_down_between_reports() -> None:
    assert "10 s left" in render_bar(HALF, 10, 79, reported=10)
    assert "6 s left" in render_bar(HALF, 14, 79, reported=10)
    assert "left" not in render_bar(HALF, 30, 79, reported=10)


@pytest.mark.parametrize("columns", range(1, 100, 7))
@pytest.mark.parametrize("message", ["a" * 200, "進捗" * 80, "\x1b[2J", ""])
def test_a_bar_never_is_wider_than_the_terminal(columns: int, message: str) -> None:
    for total in (None, 10):
        line = render_bar(Progress(progress=1, total=total, message=message), 5, columns, reported=4)
        assert text_width(line) <= columns
        assert "\x1b" not in line


def test_a_report_as_text_is_one_harmless_line() -> None:
    assert render_progress(Progress(progress=1, total=4, message="a\x1b[2J\nb")) == (
        "progress: 1 of 4 (25 %) a b"
    )
    assert render_progress(Progress(progress=2)) == "progress: 2"
