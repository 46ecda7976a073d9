"""Color, only where a person sees it or where it is asked for."""

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
    """Color for a terminal or where it is asked for; the first of these that is set decides.

    NO_COLOR set to anything: none. FORCE_COLOR or CLICOLOR_FORCE set to anything but `0`: always.
    CLICOLOR=0 or TERM=dumb: none.
    """
    if environ.get("NO_COLOR"):
        return plain
    if any(environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return colored
    if environ.get("CLICOLOR") == "0" or environ.get("TERM") == "dumb":
        return plain
    return colored if stream.isatty() else plain
