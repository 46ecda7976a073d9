"""Server text on a terminal: nothing acts, nothing hides, and real writing stays readable."""

from __future__ import annotations

import pytest

from trunkline.security.sanitize import sanitize_text


@pytest.mark.parametrize(
    "text",
    [
        "plain text, with punctuation!",
        "Größe, naïve, Ελληνικά, русский",
        "日本語と中文と한국어",
        "family 👨‍👩‍👧‍👦 and 🏳️‍🌈 and 👩🏽‍🚀",
        "flags 🇩🇪 and 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🏴󠁧󠁢󠁳󠁣󠁴󠁿",
        "keycap 1️⃣ and ❤️ and ☎︎",
        "می‌خواهم",
        "क्‍ष and क्‌ष",
        "ශ්‍රී",
        "葛󠄀 with a variation",
        "ᠮᠤᠩᠭ᠋",
    ],
)
def test_ordinary_writing_and_emoji_pass_unchanged(text):
    assert sanitize_text(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\x9b2Jb", "ab"),
        ("\x1b]0;title\x07x", r"\x1b]0;title\x07x"),
        ("\x1b]8;;http://evil\x1b\\click", r"\x1b]8;;http://evil\x1b\click"),
        ("bell\x07 null\x00 del\x7f c1\x9d", r"bell\x07 null\x00 del\x7f c1\x9d"),
        ("a\x08b", r"a\x08b"),
        ("user\u202etxt.exe", r"user\u202etxt.exe"),
        ("a\u2066b\u2069", r"a\u2066b\u2069"),
        ("del\u200bete", r"del\u200bete"),
        ("\ufeffx\u2060y\xadz", r"\ufeffx\u2060y\xadz"),
        ("a\u200db", r"a\u200db"),
        ("a\u200cb", r"a\u200cb"),
        ("a\ufe0fb", r"a\ufe0fb"),
        ("👍\ufe0f\ufe0f", "👍\ufe0f\\ufe0f"),
        ("👍\u200b👍", "👍\\u200b👍"),
        ("👍\u200dx", "👍\\u200dx"),
        ("1\ufe0f", r"1\ufe0f"),
        ("x\U000e0101y", r"x\U000e0101y"),
        ("\u3164", r"\u3164"),
        ("\ud800", r"\ud800"),
        ("hi\U000e0048\U000e0069", "hi[hidden tags: Hi]"),
        ("🏴\U000e0061\U000e007f", "🏴[hidden tags: a]\\U000e007f"),
    ],
)
def test_what_acts_or_hides_is_dropped_or_made_visible(text, shown):
    assert sanitize_text(text) == shown


@pytest.mark.parametrize(
    "gap", ["\n", "\r\n", "\r", "\t", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\n\n\n   \t"]
)
def test_in_one_line_each_break_or_tab_becomes_one_space(gap):
    assert sanitize_text(f"a{gap}b") == "a b"


def test_over_several_lines_every_kind_of_break_becomes_a_newline_and_tabs_stay():
    assert sanitize_text("a\r\nb\rc\u2028d\x85e\tf\n", multiline=True) == "a\nb\nc\nd\ne\tf\n"


def test_a_sequence_put_together_by_dropping_another_still_cannot_act():
    assert "\x1b" not in sanitize_text("\x1b\x1b[0m[31mred")


def test_a_flood_of_unfinished_sequences_is_read_in_linear_time():
    assert len(sanitize_text("\x1b[" * 100_000)) == len(r"\x1b[") * 100_000
