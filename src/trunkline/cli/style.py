"""Color, only where a person sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TextIO

Tone = Literal["strong", "faint", "good", "bad", "busy"]
Paint = Callable[[str, Tone], str]

_CODES: dict[Tone, str] = {"strong": "1", "faint": "2", "good": "32", "bad": "31", "busy": "33"}


def plain(text: str, tone: Tone) -> str:  # noqa: ARG001
    """Give the text as it is."""
    return text


def colored(text: str, tone: Tone) -> str:
    """Give the text between the escape sequences of its tone."""
    return f"\x1b[{_CODES[tone]}m{text}\x1b[0m"


def choose_paint(stream: TextIO, environ: Mapping[str, str]) -> Paint:
    """Color for a terminal, unless NO_COLOR is set to anything or TERM is `dumb`."""
    if not stream.isatty() or environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return plain
    return colored
