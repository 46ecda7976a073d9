"""What the demo prints: sections, sentences, columns and bars; plain text unless a person watches."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import TextIO

WIDTH = 104
INDENT = "   "


class Page:
    """Writes to one stream, line by line; a reader that goes away ends the writing and nothing else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self._strong = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._sections = 0

    def heading(self, text: str) -> None:
        """Begin the whole."""
        self._write(self._emphasize(text))

    def section(self, title: str) -> None:
        """Begin the next section."""
        self._sections += 1
        self.gap()
        self._write(self._emphasize(f"{self._sections}. {title}"))

    def gap(self) -> None:
        """Leave a line empty."""
        self._write("")

    def say(self, text: str) -> None:
        """Write sentences, wrapped."""
        for line in textwrap.wrap(text, WIDTH - len(INDENT), break_long_words=False, break_on_hyphens=False):
            self._write(INDENT + line)

    def row(self, cells: Sequence[str], widths: Sequence[int]) -> None:
        """Write one line of columns; a negative width aligns to the right."""
        placed = (
            cell.rjust(-width) if width < 0 else cell.ljust(width)
            for cell, width in zip(cells, widths, strict=True)
        )
        self._write(INDENT + "  ".join(placed).rstrip())

    def facts(self, facts: Sequence[tuple[str, object]]) -> None:
        """Write names and values, one pair on a line, a long value over several."""
        width = max(len(name) for name, _ in facts)
        for name, value in facts:
            label = f"{INDENT}   {name.ljust(width)}  "
            lines = [
                piece
                for line in str(value).splitlines()
                for piece in textwrap.wrap(line, WIDTH - len(label), break_on_hyphens=False)
            ]
            self._write(label + (lines[0] if lines else ""))
            for line in lines[1:]:
                self._write(" " * len(label) + line)

    def _emphasize(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self._strong else text

    def _write(self, line: str) -> None:
        if self._stream is None:
            return
        try:
            print(line, file=self._stream, flush=True)
        except BrokenPipeError:
            self._stream = None
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def bar(part: float, whole: float, width: int = 40) -> str:
    """Give a bar as long as `part` is of `whole`, at least one character."""
    return "#" * max(1, min(width, round(width * part / whole)))


def shorten(text: str, width: int) -> str:
    """Give the text on one line, cut to a width."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 3] + "..."
