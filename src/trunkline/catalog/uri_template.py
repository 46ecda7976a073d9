"""Whether a URI can come from a URI template (RFC 6570, levels 1 to 4): matching, not expanding.

Templates come from servers and are untrusted. Nothing here backtracks: the cost is the length of the
URI times the parts of the template, both capped.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple
from urllib.parse import quote

_MAX_TEMPLATE = 4096
_MAX_URI = 8192
_MAX_PARTS = 128
_EXPRESSION = re.compile(r"\{([^{}]*)\}")
_VARIABLE = re.compile(
    r"((?:\w|%[0-9A-Fa-f]{2})(?:[\w.]|%[0-9A-Fa-f]{2})*)(?::([1-9]\d{0,3})|(\*))?", re.ASCII
)
_OPERATORS = "+#./;?&"
_RESERVED_OPERATORS = "=,!@|"
"""Kept by RFC 6570, 2.2, for later; a template that uses one cannot be read."""
_GENERAL = ":/?#[]@!$&'()*+,;="
"""The reserved characters (RFC 3986, 2.2)."""

Match = Literal["exact", "loose"]


class Variable(NamedTuple):
    """One variable of a template."""

    name: str
    longest: int | None
    """Most characters of its value that are used, or None for all."""
    explode: bool


class _Literal(NamedTuple):
    text: str

    def ends(self, uri: str, starts: list[bool], loose: bool) -> list[bool]:
        """Give, for each place, whether this part can end there if it began at one of `starts`."""
        del loose
        ends = [False] * len(starts)
        for form in {self.text, quote(self.text, safe=_GENERAL + "%-._~")}:
            for place, begun in enumerate(starts):
                if begun and uri.startswith(form, place):
                    ends[place + len(form)] = True
        return ends


class _Value(NamedTuple):
    """The value of a variable, or nothing."""

    prefix: str
    extra: str
    """Characters it may hold beside the unreserved ones."""
    refused: str
    """Characters it may not hold even where the server does not encode what it should."""
    longest: int | None

    def ends(self, uri: str, starts: list[bool], loose: bool) -> list[bool]:
        ends = list(starts)
        entered = starts if not self.prefix else _after(uri, starts, self.prefix)
        most = self.longest if self.longest is not None else len(uri)
        left = -1
        for place, begins in enumerate(entered):
            left = most if begins else left
            if left < 0:
                continue
            ends[place] = True
            if place < len(uri):
                left = self._step(uri, place, left, loose)
        return ends

    def _step(self, uri: str, place: int, left: int, loose: bool) -> int:
        """Give how many characters may still follow once this one is taken, or -1 if it cannot be."""
        char = uri[place]
        allowed = char not in self.refused if loose else _is_plain(char) or char in self.extra
        if not allowed:
            return -1
        in_triplet = "%" in uri[max(0, place - 2) : place]
        return left if in_triplet else left - 1


class _Pairs(NamedTuple):
    """`name=value` pairs of a query or of path parameters, in any order, each of them optional."""

    first: str
    between: str
    names: frozenset[str] | None
    """None where the value of a variable brings names of its own."""

    def ends(self, uri: str, starts: list[bool], loose: bool) -> list[bool]:
        ends = list(starts)
        opened = _after(uri, starts, self.first)
        for place in range(len(uri) + 1):
            if opened[place]:
                self._take_pair(uri, place, ends, opened, loose)
        return ends

    def _take_pair(self, uri: str, place: int, ends: list[bool], opened: list[bool], loose: bool) -> None:
        name = re.compile(r"[^=&;#?/]*").match(uri, place)
        if name is None or (self.names is not None and name[0] not in self.names):
            return
        end = name.end()
        ends[end] = True
        if end < len(uri) and uri[end] == "=":
            end += 1
            ends[end] = True
            while end < len(uri) and (
                uri[end] not in "&#;" if loose else _is_plain(uri[end]) or uri[end] == ","
            ):
                end += 1
                ends[end] = True
        if end < len(uri) and uri[end] == self.between:
            opened[end + 1] = True


class UriTemplate:
    """A template that URIs can be compared with.

    Raises:
        ValueError: it is no valid URI template, or longer than any sensible one; the message says why.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.variables: tuple[Variable, ...] = ()
        """Its variables, in order; one that is named twice stands twice."""
        if len(text) > _MAX_TEMPLATE:
            raise ValueError(f"its URI template is longer than {_MAX_TEMPLATE:,} characters")
        self._parts: list[_Literal | _Value | _Pairs] = []
        place = 0
        for expression in _EXPRESSION.finditer(text):
            self._add_literal(text[place : expression.start()])
            self._add_expression(expression[1])
            place = expression.end()
        self._add_literal(text[place:])
        if len(self._parts) > _MAX_PARTS:
            raise ValueError(f"its URI template has more than {_MAX_PARTS} parts")

    def match(self, uri: str) -> Match | None:
        """Say whether the template can give this URI.

        `exact` is what RFC 6570 gives. `loose` also takes characters that should have been encoded, since
        many servers do not insist, as long as a value stays within its part of the path or query.
        """
        if len(uri) > _MAX_URI:
            return None
        if self._reaches_end(uri, loose=False):
            return "exact"
        return "loose" if self._reaches_end(uri, loose=True) else None

    def _reaches_end(self, uri: str, *, loose: bool) -> bool:
        places = [True] + [False] * len(uri)
        for part in self._parts:
            places = part.ends(uri, places, loose)
            if not any(places):
                return False
        return places[-1]

    def _add_literal(self, text: str) -> None:
        if "{" in text or "}" in text:
            raise ValueError("its URI template has a brace without its pair")
        if text:
            self._parts.append(_Literal(text))

    def _add_expression(self, body: str) -> None:
        if body[:1] in tuple(_RESERVED_OPERATORS):
            raise ValueError(f"its URI template uses the reserved operator {body[0]!r}")
        operator = body[0] if body[:1] in tuple(_OPERATORS) else ""
        variables = [_read_variable(part) for part in body[len(operator) :].split(",")]
        self.variables += tuple(variables)
        self._parts += _parts_of(operator, variables)


def _read_variable(text: str) -> Variable:
    found = _VARIABLE.fullmatch(text)
    if found is None:
        raise ValueError(f"its URI template has an invalid variable {text!r}")
    return Variable(found[1], int(found[2]) if found[2] else None, bool(found[3]))


def _parts_of(operator: str, variables: list[Variable]) -> list[_Value | _Pairs]:
    if operator in ("?", "&", ";") and operator:
        explode = any(variable.explode for variable in variables)
        names = None if explode else frozenset(variable.name for variable in variables)
        return [_Pairs(operator, ";" if operator == ";" else "&", names)]
    joined = "," if len(variables) > 1 or operator in ("", "+", "#") else ""
    parts: list[_Value | _Pairs] = []
    if operator in (".", "/"):
        for variable in variables:
            extra = ",=" + (operator if variable.explode else "")
            refused = "?#" if variable.explode or operator == "." else "/?#"
            parts.append(_Value(operator, extra, refused, variable.longest))
        return parts
    wide = operator in ("+", "#")
    longest = variables[0].longest if len(variables) == 1 else None
    extra = _GENERAL if wide else joined + "="
    return [_Value("#" if operator == "#" else "", extra, "" if wide else "/?#", longest)]


def _after(uri: str, starts: list[bool], prefix: str) -> list[bool]:
    """Give the places after a one-character prefix that stands at one of `starts`."""
    return [False] + [begun and uri[place] == prefix for place, begun in enumerate(starts[:-1])]


def _is_plain(char: str) -> bool:
    """Whether it is unreserved (RFC 3986, 2.3), or a part of a percent-encoded one."""
    return (char.isascii() and char.isalnum()) or char in "-._~%"
