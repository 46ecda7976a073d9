"""How wide text is on a terminal, and cutting it to a width."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import TextIO

_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_USUAL = os.terminal_size((80, 24))


def text_width(text: str) -> int:
    """Give the columns that sanitized text takes; color takes none."""
    if text.isascii() and "\x1b" not in text:
        return len(text)
    return sum(_width(character) for character in _ESCAPE.sub("", text))


def cut_to(text: str, columns: int) -> str:
    """Give as much of text without color as fits; what was cut shows as `…`."""
    if text_width(text) <= columns:
        return text
    kept, room = "", columns - 1
    for character in text:
        room -= _width(character)
        if room < 0:
            break
        kept += character
    return f"{kept}…" if columns > 0 else ""


def pad_to(text: str, columns: int) -> str:
    """Give text with spaces after it, up to a width."""
    return text + " " * (columns - text_width(text))


def terminal_size(stream: TextIO) -> os.terminal_size:
    """Give columns and lines of the terminal behind a stream, 80 and 24 where it does not tell."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return _USUAL
    return os.terminal_size((size.columns or _USUAL.columns, size.lines or _USUAL.lines))


def _width(character: str) -> int:
    if unicodedata.combining(character) or character in "\u200b\u200c\u200d\ufe0e\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
