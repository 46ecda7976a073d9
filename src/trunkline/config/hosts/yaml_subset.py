"""The part of YAML 1.2 that settings files are written in: block and flow collections, scalars, comments.

It is strict: anchors, aliases, tags, several documents, complex keys and plain or quoted scalars over several
lines are refused with their line, never guessed at. One top-level key is read; the rest is not looked at.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from trunkline.config.hosts.yaml_scalar import Cursor, YamlError, read_flow, split_key
from trunkline.config.wording import KeyPath

_BLOCK_SCALAR = re.compile(r"(?P<style>[|>])(?P<marks>[1-9+-]{0,2})(?:[ \t]+#.*)?")
_ITEM = re.compile(r"-(?:[ \t]+|$)")


class _Line(msgspec.Struct):
    number: int
    indent: int
    text: str
    """Without indentation and the white space at its end."""


def read_member(text: str, key: str) -> tuple[Any, dict[KeyPath, tuple[int, int]]]:
    """Give the value of a top-level key, or None, and line and column of every key beneath it.

    Raises:
        YamlError: it is written in a way that is not understood.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    start, end = _section(lines, key)
    if start is None:
        return None, {}
    reader = _Reader(lines[:end], start)
    value = reader.read()
    return (value or {}).get(key), reader.places


def _section(lines: list[str], key: str) -> tuple[int | None, int]:
    """Give the first line of a top-level key and the line after its last."""
    start: int | None = None
    for number, line in enumerate(lines):
        if not line[:1].strip() or line[0] == "#" or _ITEM.match(line):
            continue
        if line.startswith(("---", "...", "%")):
            if line.startswith("---") and line[3:].split("#")[0].strip() == "" and not _seen(lines[:number]):
                continue
            raise YamlError("several documents or directives in one file", number + 1, 1)
        if start is not None:
            return start, number
        if _top_key(line, number) == key:
            start = number
    return start, len(lines)


def _seen(lines: list[str]) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)


def _top_key(line: str, number: int) -> str | None:
    found = split_key(line, number + 1, 1)
    return found[0] if found else None


class _Reader:
    """Reads the lines of one section from its first."""

    def __init__(self, lines: list[str], start: int) -> None:
        self._lines = lines
        self._at = start
        self.places: dict[KeyPath, tuple[int, int]] = {}

    def read(self) -> Any:
        value = self._block(0, ())
        if (line := self._peek()) is not None:
            raise YamlError("this line is indented in a way that fits nothing above", line.number, 1)
        return value

    def _peek(self) -> _Line | None:
        while self._at < len(self._lines):
            raw = self._lines[self._at]
            text = raw.strip(" \t\r")
            if text and not text.startswith("#"):
                indent = len(raw) - len(raw.lstrip(" "))
                if raw[indent] == "\t":
                    raise YamlError("a tab is used for indentation", self._at + 1, indent + 1)
                return _Line(self._at + 1, indent, text)
            self._at += 1
        return None

    def _block(self, indent: int, path: KeyPath) -> Any:
        line = self._peek()
        if line is None or line.indent < indent:
            return None
        if _ITEM.match(line.text):
            return self._sequence(line.indent, path)
        if split_key(line.text, line.number, line.indent + 1) is not None:
            return self._mapping(line.indent, path)
        self._at += 1
        return self._value(line.text, line, indent - 1)

    def _mapping(self, indent: int, path: KeyPath) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while (line := self._peek()) is not None and line.indent == indent and not _ITEM.match(line.text):
            found = split_key(line.text, line.number, indent + 1)
            if found is None:
                raise YamlError("a key with a colon is expected here", line.number, indent + 1)
            key, rest = found
            if key in members:
                raise YamlError(f"the key {key!r} is written twice", line.number, indent + 1)
            self.places[(*path, key)] = (line.number, indent + 1)
            self._at += 1
            members[key] = self._member(rest, line, indent, (*path, key))
        return members

    def _member(self, rest: str, line: _Line, indent: int, path: KeyPath) -> Any:
        if rest:
            return self._value(rest, line, indent)
        following = self._peek()
        if following is not None and following.indent == indent and _ITEM.match(following.text):
            return self._sequence(indent, path)
        return self._block(indent + 1, path)

    def _sequence(self, indent: int, path: KeyPath) -> list[Any]:
        items: list[Any] = []
        while (line := self._peek()) is not None and line.indent == indent:
            marker = _ITEM.match(line.text)
            if marker is None:
                break
            here = (*path, len(items))
            self.places[here] = (line.number, indent + 1)
            items.append(self._item(line, marker.end(), indent, here))
        return items

    def _item(self, line: _Line, width: int, indent: int, path: KeyPath) -> Any:
        rest = line.text[width:]
        if not rest or rest.startswith("#"):
            self._at += 1
            return self._block(indent + 1, path)
        inner = indent + width
        if _ITEM.match(rest) or split_key(rest, line.number, inner + 1) is not None:
            self._lines[self._at] = " " * inner + rest
            return self._block(inner, path)
        self._at += 1
        return self._value(rest, line, indent)

    def _value(self, text: str, line: _Line, indent: int) -> Any:
        if block := _BLOCK_SCALAR.fullmatch(text):
            return self._block_scalar(block["style"], block["marks"], indent)
        column = line.indent + len(line.text) - len(text) + 1
        while True:
            cursor = Cursor(text, line.number, column)
            value, is_open = read_flow(cursor)
            if not is_open:
                break
            following = self._peek()
            if following is None or following.indent <= indent:
                raise YamlError("this bracket is never closed", line.number, column)
            self._at += 1
            text = f"{text}\n{following.text}"
        following = self._peek()
        if following is not None and following.indent > indent:
            raise YamlError("this line belongs to nothing above it", following.number, following.indent + 1)
        return value

    def _block_scalar(self, style: str, marks: str, parent: int) -> str:
        body = self._indented(parent, marks)
        while body and not body[-1]:
            body.pop()
        trailing = self._blank_before()
        text = "\n".join(body) if style == "|" else _fold(body)
        if "-" in marks or (not body and "+" not in marks):
            return text
        return text + "\n" * (1 + trailing if "+" in marks and body else trailing if "+" in marks else 1)

    def _indented(self, parent: int, marks: str) -> list[str]:
        stated = next((int(mark) for mark in marks if mark.isdigit()), None)
        depth = None if stated is None else parent + stated
        body: list[str] = []
        while self._at < len(self._lines):
            raw = self._lines[self._at].rstrip("\r")
            indent = len(raw) - len(raw.lstrip(" "))
            if raw.strip(" "):
                depth = max(indent, parent + 1) if depth is None else depth
                if indent < depth:
                    break
            body.append(raw[depth:] if depth is not None else "")
            self._at += 1
        return body

    def _blank_before(self) -> int:
        """Count the blank lines just read."""
        at = self._at
        while at and not self._lines[at - 1].strip(" \r"):
            at -= 1
        # the last line of a text that ends with a line end is empty and no line
        return self._at - at - (self._at == len(self._lines) and not self._lines[-1])


def _fold(lines: list[str]) -> str:
    text, previous = "", ""
    for number, line in enumerate(lines):
        if not number:
            text = line
        elif not line:
            text += "\n"
        elif line[:1] in " \t" or previous[:1] in (" ", "\t"):
            text += f"\n{line}"
        else:
            text += line if not previous else f" {line}"
        previous = line
    return text
