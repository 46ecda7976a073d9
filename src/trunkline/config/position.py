"""Line and column of things in a text, and a safe excerpt that points at them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trunkline.config.fields import KNOWN_KEYS

if TYPE_CHECKING:
    from trunkline.config.wording import KeyPath

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_SHOWABLE = re.compile(
    r'(?P<key>(?:"[\w .$@/-]{0,64}"|[\w$]{1,64})(?=\s*:))'
    r'|(?P<string>"(?:[^"\\]|\\.)*"?)'
    r'|[^\s{}\[\],:"]+'
)
_OPENED: dict[str, tuple[int | None]] = {"{": (None,), "[": (0,)}
_WORDS = frozenset({"true", "false", "null", "mcpServers", "servers", *KNOWN_KEYS})
_WIDTH = 72


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Give the 1-based line and column of a character; lines end with a line feed."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def find_keys(text: str, path: KeyPath) -> list[int]:
    """Give the offset of every place where this path stands in a valid JSON text.

    The offset is that of the key, or of the value for an item of a list. A key that is written
    twice in one object gives two offsets.
    """
    import json

    found: list[int] = []
    trail: list[str | int | None] = []  # None: an object that waits for its next key
    for match in _TOKEN.finditer(text):
        mark, last = match[0], trail[-1] if trail else ""
        if mark in ("}", "]"):
            trail.pop()
        elif mark == ",":
            trail[-1] = last + 1 if isinstance(last, int) else None
        elif last is None:
            trail[-1] = json.loads(mark)
            found += [match.start()] if tuple(trail) == path else []
        elif mark != ":":
            found += [match.start()] if isinstance(last, int) and tuple(trail) == path else []
            trail += _OPENED.get(mark, ())
    return found


def point_at(text: str, offset: int) -> str:
    """Give the line around a character with a caret below it.

    Every string and long word that is no key is blotted out with asterisks of the same width:
    the excerpt ends up in logs, and the line may hold a token.
    """
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    line = text[start : end if end >= 0 else len(text)].rstrip("\r").replace("\t", " ")
    shown, column = _SHOWABLE.sub(_blot, line), offset - start
    left = max(0, column - _WIDTH // 2)
    excerpt = shown[left : left + _WIDTH].rstrip()
    return f"    {excerpt}\n    {' ' * (column - left)}^"


def _blot(match: re.Match[str]) -> str:
    word = match[0]
    if match["key"] or word.strip('"') in _WORDS or (not match["string"] and len(word) < 6):
        return word
    return re.sub(r'[^"]', "*", word)
