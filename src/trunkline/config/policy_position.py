"""Where the keys of a TOML text stand; the parser of the standard library does not say.

Presumes a text that `tomllib` has accepted. What cannot be placed simply has no position.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from trunkline.config.wording import KeyPath

_TOKEN = re.compile(
    r"(?P<skip>[ \t\r]+|#[^\n]*)"
    r"|(?P<string>\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|\"(?:[^\"\\]|\\.)*\"|'[^']*')"
    r"|(?P<mark>[\[\]{}=,.\n])"
    r"|[^\s\[\]{}=,.\"'#]+",
    re.DOTALL,
)
_END = ""


class Place(NamedTuple):
    """A 1-based position in a text; None where it is not known."""

    line: int | None
    column: int | None


NOWHERE = Place(None, None)


class Places:
    """The positions of the keys of one text, found when they are first asked for."""

    def __init__(self, text: str = "") -> None:
        self._text = text
        self._found: dict[KeyPath, int] | None = None

    def find(self, path: KeyPath) -> Place:
        """Give the place of a key or table, or of its nearest parent that is written."""
        if self._found is None:
            self._found = _Scan(self._text).places()
        while path and path not in self._found:
            path = path[:-1]
        if not path:
            return NOWHERE
        offset = self._found[path]
        return Place(
            self._text.count("\n", 0, offset) + 1,
            offset - self._text.rfind("\n", 0, offset),
        )


class _Scan:
    """One pass over the tokens; knows keys, tables and brackets, and no types."""

    def __init__(self, text: str) -> None:
        self._tokens = [match for match in _TOKEN.finditer(text) if not match["skip"]]
        self._at = 0
        self._found: dict[KeyPath, int] = {}

    def places(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        try:
            while (mark := self._peek()) != _END:
                if mark == "\n":
                    self._at += 1
                elif mark == "[":
                    table = self._header()
                else:
                    self._member(table)
        except (IndexError, RecursionError):
            return self._found  # nothing tomllib accepts leads here; a position less does no harm
        return self._found

    def _header(self) -> KeyPath:
        offset = self._tokens[self._at].start()
        while self._peek() == "[":
            self._at += 1
        path = self._key((), offset)
        while self._peek() == "]":
            self._at += 1
        return path

    def _member(self, table: KeyPath) -> None:
        path = self._key(table, self._tokens[self._at].start())
        self._at += 1  # the equals sign
        self._value(path)

    def _key(self, table: KeyPath, offset: int) -> KeyPath:
        path = table
        while self._peek() not in ("=", "]", _END):
            token = self._tokens[self._at]
            self._at += 1
            if token["mark"] is None:
                path = (*path, _unquote(token[0]))
                self._found.setdefault(path, offset)
        return path

    def _value(self, path: KeyPath) -> None:
        match self._peek():
            case "{":
                self._at += 1
                while self._skip_to_item("}"):
                    self._member(path)
            case "[":
                self._at += 1
                index = 0
                while self._skip_to_item("]"):
                    self._found.setdefault((*path, index), self._tokens[self._at].start())
                    self._value((*path, index))
                    index += 1
            case _:
                while self._peek() not in ("\n", ",", "]", "}", _END):
                    self._at += 1

    def _skip_to_item(self, end: str) -> bool:
        """Pass commas and line ends; at the closing bracket pass it too and give False."""
        while self._peek() in (",", "\n"):
            self._at += 1
        if self._tokens[self._at][0] != end:
            return True
        self._at += 1
        return False

    def _peek(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else _END


def _unquote(word: str) -> str:
    if word[0] not in "\"'":
        return word
    import tomllib

    return str(tomllib.loads(f"key = {word}")["key"])
