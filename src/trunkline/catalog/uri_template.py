"""Whether a URI can come from a URI template (RFC 6570, levels 1 to 4): matching, not expanding.

Templates come from servers and are untrusted. Nothing here backtracks: places in the URI are the bits of
a number, and each part of a template maps the set of places where it may begin to where it may end.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Literal, NamedTuple
from urllib.parse import quote

_MAX_TEMPLATE = 4096
_MAX_URI = 4096
_MAX_PARTS = 64
_MOST_STEPS = 20_000
"""A step takes some microseconds for the longest URI; a template takes one for each of its parts."""
_EXPRESSION = re.compile(r"\{([^{}]*)\}")
_VARIABLE = re.compile(
    r"((?:\w|%[0-9A-Fa-f]{2})(?:[\w.]|%[0-9A-Fa-f]{2})*)(?::([1-9]\d{0,3})|(\*))?", re.ASCII
)
_OPERATORS = "+#./;?&"
_RESERVED_OPERATORS = "=,!@|"
"""Kept by RFC 6570, 2.2, for later; a template that uses one cannot be read."""
_GENERAL = ":/?#[]@!$&'()*+,;="
"""The reserved characters (RFC 3986, 2.2)."""
_PLAIN = "-._~%ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
"""The unreserved characters (RFC 3986, 2.3), and what begins a percent-encoded one."""
_PAIR_NAME = re.compile(r"[^=&;#?/]*")

Fit = Literal["exact", "loose"]


class Candidate:
    """A URI that templates are compared with; what was found out about it serves all of them.

    The work for one URI is bounded, over all templates: when it is used up, nothing matches any more.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._steps = _MOST_STEPS
        self.too_long = len(uri) > _MAX_URI
        self._runs: dict[str, int] = {}

    def may_go_on(self) -> bool:
        """Take one step, if there is one left."""
        self._steps -= 1
        return self._steps >= 0

    @cached_property
    def end(self) -> int:
        """The place after its last character, as a bit."""
        return 1 << len(self.uri)

    def places(self, chars: str, *, but: bool = False) -> int:
        """Give the places of these characters, or of all others."""
        key = f"{'^' if but else ''}{chars}"
        if key not in self._runs:
            listed = frozenset(chars)
            bits = "".join("1" if (char in listed) != but else "0" for char in reversed(self.uri))
            self._runs[key] = int(bits or "0", 2)
        return self._runs[key]

    def after(self, starts: int, text: str) -> int:
        """Give the places after a text that stands at one of `starts`."""
        for char in text:
            starts = (starts & self.places(char)) << 1
        return starts

    def through(self, starts: int, allowed: int, most: int | None) -> int:
        """Give the places reached from `starts` over none or more, or at `most` so many, allowed ones."""
        if most is None:
            # Adding carries each start to the end of its run, and the bits it passes change.
            return starts | (((starts & allowed) + allowed) ^ allowed)
        reached = starts
        for _ in range(min(most, len(self.uri))):
            step = reached | (reached & allowed) << 1
            if step == reached or not self.may_go_on():
                break
            reached = step
        return reached


class Variable(NamedTuple):
    """One variable of a template."""

    name: str
    longest: int | None
    """Most characters of its value that are used, or None for all."""
    explode: bool


class _Literal(NamedTuple):
    text: str

    def ends(self, candidate: Candidate, starts: int, loose: bool) -> int:
        """Give where this part can end if it begins at one of `starts`."""
        del loose
        encoded = quote(self.text, safe=_GENERAL + "%-._~")
        ends = candidate.after(starts, self.text)
        return ends if encoded == self.text else ends | candidate.after(starts, encoded)


class _Value(NamedTuple):
    """The value of a variable, or nothing."""

    prefix: str
    extra: str
    """Characters it may hold beside the unreserved ones."""
    refused: str
    """Characters it may not hold even where the server does not encode what it should."""
    longest: int | None

    def ends(self, candidate: Candidate, starts: int, loose: bool) -> int:
        chars = self.refused if loose else _PLAIN + self.extra
        allowed = candidate.places(chars, but=loose)
        most = self.longest
        if most is not None and "%" in candidate.uri:
            most *= 3
        return starts | candidate.through(candidate.after(starts, self.prefix), allowed, most)


class _Pairs(NamedTuple):
    """`name=value` pairs of a query or of path parameters, in any order, each of them optional."""

    first: str
    between: str
    names: frozenset[str] | None
    """None where the value of a variable brings names of its own."""

    def ends(self, candidate: Candidate, starts: int, loose: bool) -> int:
        values = candidate.places("&#;", but=True) if loose else candidate.places(_PLAIN + ",")
        waiting, seen, ends = candidate.after(starts, self.first), 0, starts
        while waiting and candidate.may_go_on():
            place = waiting & -waiting
            waiting, seen = waiting ^ place, seen | place
            reached = self._take_pair(candidate, place, values)
            ends |= reached
            waiting |= candidate.after(reached, self.between) & ~seen
        return ends

    def _take_pair(self, candidate: Candidate, place: int, values: int) -> int:
        """Give where a pair that begins at this one place can end; its value may end anywhere."""
        name = _PAIR_NAME.match(candidate.uri, place.bit_length() - 1)
        if name is None or (self.names is not None and name[0] not in self.names):
            return 0
        end = 1 << name.end()
        return end | candidate.through(candidate.after(end, "="), values, None)


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

    def match(self, candidate: Candidate | str) -> Fit | None:
        """Say whether the template can give this URI.

        `exact` is what RFC 6570 gives. `loose` also takes characters that should have been encoded, since
        many servers do not insist, as long as a value stays within its part of the path or query.
        """
        if isinstance(candidate, str):
            candidate = Candidate(candidate)
        if candidate.too_long:
            return None
        if self._reaches_end(candidate, loose=False):
            return "exact"
        return "loose" if self._reaches_end(candidate, loose=True) else None

    def _reaches_end(self, candidate: Candidate, *, loose: bool) -> bool:
        places = 1
        for part in self._parts:
            places = part.ends(candidate, places, loose)
            if not places or not candidate.may_go_on():
                return False
        return bool(places & candidate.end)

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
