"""Scalars and flow collections of YAML, as far as settings files use them."""

from __future__ import annotations

import re
from typing import Any

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_NAMED: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r",
    "e": "\x1b", " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028",
    "P": "\u2029",
}  # fmt: skip
_SINGLE = re.compile(r"'((?:[^']|'')*)'")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_PLAIN_KEY = re.compile(
    r"(?P<key>(?:[^\s\-?:,\[\]{}#&*!|>'\"%@`]|[-?:](?=\S))(?:[^:#]|:(?=\S)|(?<=\S)#)*?)[ \t]*:(?:[ \t]+|$)"
)
_QUOTED_KEY = re.compile(r"(?P<quoted>'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\")[ \t]*:(?:[ \t]+|$)")
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
_UNKNOWN = {
    "&": "an anchor", "*": "an alias", "!": "a tag", "?": "a complex key", "|": "a block", ">": "a block",
    "%": "a directive", "@": "a reserved character", "`": "a reserved character",
    "]": "a bracket", "}": "a bracket", ",": "a comma",
}  # fmt: skip


class YamlError(ValueError):
    """What cannot be read, and where."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class Cursor:
    """A place in the text of one value; `line` and `column` are where that text begins."""

    def __init__(self, text: str, line: int, column: int) -> None:
        self.text = text
        self.at = 0
        self._line = line
        self._column = column

    def skip(self) -> None:
        """Pass white space, line ends and comments."""
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == "#" and (not self.at or self.text[self.at - 1] in " \t\n"):
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif here in " \t\n":
                self.at += 1
            else:
                return

    def peek(self) -> str:
        """Give the next character, or "" at the end."""
        return self.text[self.at : self.at + 1]

    def error(self, message: str) -> YamlError:
        """Give an error at this place."""
        before = self.text[: self.at]
        lines = before.count("\n")
        column = len(before) - before.rfind("\n") if lines else self._column + self.at
        return YamlError(message, self._line + lines, column)


class _OpenError(Exception):
    """The text ends inside a bracket; more lines may follow."""


def split_key(text: str, line: int, column: int) -> tuple[str, str] | None:
    """Give the key a line begins with and the rest of the line, or None if it begins with none."""
    if match := _QUOTED_KEY.match(text):
        cursor = Cursor(match["quoted"], line, column)
        return str(_quoted(cursor)), _rest(text[match.end() :])
    if match := _PLAIN_KEY.match(text):
        return match["key"], _rest(text[match.end() :])
    return None


def read_flow(cursor: Cursor) -> tuple[Any, bool]:
    """Give the value of a whole text, and whether it ends inside a bracket (then the value is void).

    Raises:
        YamlError: it is not understood.
    """
    try:
        value = _node(cursor, inside=False)
    except _OpenError:
        return None, True
    cursor.skip()
    if cursor.peek():
        raise cursor.error("something is left over after the value")
    return value, False


def _rest(text: str) -> str:
    return "" if text.startswith("#") else text


def _node(cursor: Cursor, *, inside: bool) -> Any:
    cursor.skip()
    mark = cursor.peek()
    if not mark and inside:
        raise _OpenError
    if mark == "[":
        return _flow_sequence(cursor)
    if mark == "{":
        return _flow_mapping(cursor)
    if mark in ("'", '"') and mark:
        return _quoted(cursor)
    if mark in _UNKNOWN:
        raise cursor.error(f"{_UNKNOWN[mark]} is not understood here")
    return _plain(cursor, inside=inside)


def _flow_sequence(cursor: Cursor) -> list[Any]:
    cursor.at += 1
    items: list[Any] = []
    while not _ends(cursor, "]"):
        items.append(_node(cursor, inside=True))
        if _after_colon(cursor):
            raise cursor.error("a pair inside a list is not understood")
        _pass_comma(cursor, "]")
    return items


def _flow_mapping(cursor: Cursor) -> dict[str, Any]:
    cursor.at += 1
    members: dict[str, Any] = {}
    while not _ends(cursor, "}"):
        key = _node(cursor, inside=True)
        if not isinstance(key, str) or key in members:
            raise cursor.error("a key must be a string, written once")
        members[key] = None
        if _after_colon(cursor):
            cursor.at += 1
            cursor.skip()
            members[key] = (
                None if cursor.peek() in (",", "}") and cursor.peek() else _node(cursor, inside=True)
            )
        _pass_comma(cursor, "}")
    return members


def _ends(cursor: Cursor, bracket: str) -> bool:
    cursor.skip()
    if not cursor.peek():
        raise _OpenError
    if cursor.peek() != bracket:
        return False
    cursor.at += 1
    return True


def _after_colon(cursor: Cursor) -> bool:
    cursor.skip()
    return cursor.peek() == ":"


def _pass_comma(cursor: Cursor, bracket: str) -> None:
    cursor.skip()
    if not cursor.peek():
        raise _OpenError
    if cursor.peek() == ",":
        cursor.at += 1
    elif cursor.peek() != bracket:
        raise cursor.error("a comma is missing here")


def _quoted(cursor: Cursor) -> str:
    pattern = _SINGLE if cursor.peek() == "'" else _DOUBLE
    match = pattern.match(cursor.text, cursor.at)
    if match is None or "\n" in match[0]:
        raise cursor.error("this quote is not closed on its line")
    if pattern is _SINGLE:
        cursor.at = match.end()
        return match[1].replace("''", "'")

    def unescape(found: re.Match[str]) -> str:
        digits = found[1] or found[2] or found[3]
        if digits and int(digits, 16) < 0x110000:
            return chr(int(digits, 16))
        if found[4] in _ESCAPES and not digits:
            return _ESCAPES[found[4]]
        raise cursor.error("this quoted text holds an unknown escape")

    text = _ESCAPE.sub(unescape, match[1])
    cursor.at = match.end()
    return text


def _plain(cursor: Cursor, *, inside: bool) -> Any:
    start = cursor.at
    while (mark := cursor.peek()) and mark != "\n":
        following = cursor.text[cursor.at + 1 : cursor.at + 2]
        if mark == "#" and cursor.text[cursor.at - 1 : cursor.at] in (" ", "\t"):
            break
        if inside and (mark in ",[]{}"):
            break
        if mark == ":" and (not following.strip() or (inside and following in ",[]{}")):
            if inside:
                break
            raise cursor.error("a colon and a space must stand in quotes here")
        cursor.at += 1
    text = cursor.text[start : cursor.at].rstrip()
    if inside and not text:
        raise cursor.error("a value is missing here")
    return _resolve(text)


def _resolve(text: str) -> Any:
    if text in _NAMED:
        return _NAMED[text]
    if _INT.fullmatch(text) and len(text) < 100:
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text
