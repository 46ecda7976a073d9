"""Text on one line, whatever it holds: nothing in it ends a line, moves a cursor or reorders letters."""

from __future__ import annotations

import re

_ACTING = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_LONGEST = 2_000
"""Characters that are shown of a text which a server may make as long as it likes."""
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape_text(text: str, *, keep_lines: bool = False) -> str:
    """Give `text` with every control, format and surrogate character as JSON would escape it.

    JSON without line breaks between its members means the same afterwards.

    Args:
        keep_lines: leave line feeds as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    if keep_lines:
        return "\n".join(_ACTING.sub(_escape, line) for line in text.split("\n"))
    return _ACTING.sub(_escape, text)


def escape_start(text: str) -> str:
    """Give the beginning of a text of any length, escaped, and a mark where it was cut."""
    return escape_text(text) if len(text) <= _LONGEST else escape_text(text[:_LONGEST]) + "…"


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return _SHORT.get(match[0]) or "".join(
        f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2)
    )
