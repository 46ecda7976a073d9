"""Color and width: who gets color, and how much of a text fits."""

from __future__ import annotations

import io

import pytest

from trunkline.cli.columns import cut_to, pad_to, terminal_size, text_width
from trunkline.cli.style import choose_paint, colored, plain


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "on_terminal", "piped"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"CLICOLOR": "0"}, False, False),
        ({"CLICOLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1", "TERM": "dumb"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_the_environment_and_the_terminal_decide_about_color(
    environ: dict[str, str], on_terminal: bool, piped: bool
) -> None:
    assert choose_paint(Screen(), environ) is (colored if on_terminal else plain)
    assert choose_paint(io.StringIO(), environ) is (colored if piped else plain)


@pytest.mark.parametrize(
    ("text", "columns", "cut"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("進捗進捗", 8, "進捗進捗"),
        ("進捗進捗", 7, "進捗進…"),
        ("進捗進捗", 6, "進捗…"),
        ("cafe\u0301s", 5, "cafe\u0301s"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
    ],
)
def test_text_is_cut_by_the_columns_it_takes(text: str, columns: int, cut: str) -> None:
    assert cut_to(text, columns) == cut
    assert text_width(cut) <= columns


def test_color_takes_no_columns() -> None:
    assert text_width(colored("進", "good")) == 2
    assert pad_to("進", 4) == "進  "


def test_what_is_no_terminal_has_the_usual_size() -> None:
    assert terminal_size(io.StringIO()) == (80, 24)
