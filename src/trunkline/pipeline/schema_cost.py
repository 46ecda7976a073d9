"""What checking a value against a schema may cost, found before it is spent.

A schema is a server's text. What it may cost follows from how often its parts are visited: a part that
refers twice to a part that refers twice ... doubles at each step. The visits are counted here without
doing them, each pair of schema part and value once.

Source: specification 2026-07-28, basic/index, "JSON Schema Usage": implementations should bound depth,
subschema count or time, and must not fetch references.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

MOST_PARTS = 5_000
"""Parts, of any kind, that a schema may have."""
DEEPEST = 64
"""Levels a schema may be nested."""
FEW_VISITS = 2_000
"""Parts, with references followed, up to which a schema needs no counting."""
MOST_PAIRS = 20_000
"""Pairs of schema part and value that are looked at to count visits."""
MOST_VISITS = 500_000
"""Visits that checking one value may take."""

_LONGEST_CHAIN = 2 * DEEPEST
"""Parts applied to each other's values, one within the other, that are followed."""

_IN_PLACE = frozenset(
    ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies")
)
_REFERENCES = frozenset(("$ref", "$dynamicRef", "$recursiveRef"))
_OF_MEMBERS = ("additionalProperties", "unevaluatedProperties")
_OF_ITEMS = ("items", "additionalItems", "unevaluatedItems", "contains")
_NAMED = frozenset(
    ("properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions")
)
_APPLIED = frozenset(
    (*_IN_PLACE, "properties", "patternProperties", "prefixItems", "propertyNames", *_OF_MEMBERS, *_OF_ITEMS)
)


class Anatomy:
    """A schema taken apart once.

    Attributes:
        excess: how it is over the bounds, or None.
        simple: whether checking small values is cheap whatever they are.
        patterns: how many regular expressions it holds.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._anchors: dict[str, Any] = {}
        self._targets: dict[str, Any] = {}
        self.patterns = 0
        self.excess = self._survey()
        self.simple = self.excess is None and self._expanded(schema, set(), [0]) is not None

    def visits(self, value: Any) -> int | None:
        """Count the visits checking this value may take; None when they are too many to count or to do."""
        counted = _Count(self)
        try:
            total = counted.of(self._root, value)
        except (_TooMuchError, RecursionError):
            return None
        return total if total <= MOST_VISITS else None

    def target(self, reference: str) -> Any:
        """Give the part a reference inside the schema means, or None."""
        if reference not in self._targets:
            self._targets[reference] = self._find(reference)
        return self._targets[reference]

    def _find(self, reference: str) -> Any:
        base, _, fragment = reference.partition("#")
        if base and base != self._root.get("$id"):
            return None
        if not fragment:
            return self._root
        if not fragment.startswith("/"):
            return self._anchors.get(fragment)
        part: Any = self._root
        for step in unquote(fragment)[1:].split("/"):
            part = _child(part, step.replace("~1", "/").replace("~0", "~"))
        return part

    def _survey(self) -> str | None:
        references: list[str] = []
        count = 0
        waiting: list[tuple[Any, int]] = [(self._root, 0)]
        while waiting:
            node, depth = waiting.pop()
            count += 1
            if count > MOST_PARTS:
                return f"has more than {MOST_PARTS:,} parts"
            if depth > DEEPEST:
                return f"is nested deeper than {DEEPEST} levels"
            if isinstance(node, dict | list) and len(node) > MOST_PARTS:
                return f"has more than {MOST_PARTS:,} parts"
            if isinstance(node, dict):
                self._note(node, references)
                waiting.extend((part, depth + 1) for part in node.values())
            elif isinstance(node, list):
                waiting.extend((part, depth + 1) for part in node)
        for reference in references:
            if not isinstance(self.target(reference), dict | bool):
                return f"refers to {reference[:100]!r}, which is not a part of it"
        return None

    def _note(self, node: Mapping[str, Any], references: list[str]) -> None:
        references.extend(node[key] for key in _REFERENCES & node.keys() if isinstance(node[key], str))
        for key in ("$anchor", "$dynamicAnchor"):
            if isinstance(anchor := node.get(key), str):
                self._anchors.setdefault(anchor, node)
        self.patterns += isinstance(node.get("pattern"), str)
        if isinstance(named := node.get("patternProperties"), dict):
            self.patterns += len(named)

    def _expanded(self, node: Any, above: set[int], seen: list[int]) -> int | None:
        """Count parts with references followed; None when they are many, or a part holds itself."""
        if not isinstance(node, dict):
            return 1
        if id(node) in above or seen[0] > FEW_VISITS or len(above) > _LONGEST_CHAIN:
            return None
        above.add(id(node))
        for part in subschemas(self, node):
            seen[0] += 1
            if self._expanded(part, above, seen) is None:
                return None
        above.discard(id(node))
        return seen[0]


class _TooMuchError(Exception):
    """Counting itself would cost too much."""


class _Count:
    """Visits of each pair of schema part and value, each pair counted once."""

    def __init__(self, anatomy: Anatomy) -> None:
        self._anatomy = anatomy
        self._known: dict[tuple[int, int], int] = {}

    def of(self, node: Any, value: Any, depth: int = 0) -> int:
        if not isinstance(node, dict):
            return 1
        pair = (id(node), id(value))
        if (known := self._known.get(pair)) is not None:
            return known
        if len(self._known) >= MOST_PAIRS or depth > _LONGEST_CHAIN:
            raise _TooMuchError
        # A part that meets itself on the same value is visited once.
        self._known[pair] = 1
        total = 1 + sum(self.of(part, value, depth + 1) for part in in_place(self._anatomy, node))
        for part, child in _below(node, value):
            total += self.of(part, child, depth + 1)
        self._known[pair] = total
        return total


def in_place(anatomy: Anatomy, node: Mapping[str, Any]) -> Iterator[Any]:
    """Give the parts that are applied to the same value as `node`, references followed."""
    for key, part in node.items():
        if key in _IN_PLACE:
            yield from _parts(key, part)
        elif key in _REFERENCES and isinstance(part, str):
            yield anatomy.target(part)


def subschemas(anatomy: Anatomy, node: Mapping[str, Any]) -> Iterator[Any]:
    """Give every part that `node` applies to anything, references followed."""
    for key, part in node.items():
        if key in _APPLIED:
            yield from _parts(key, part)
        elif key in _REFERENCES and isinstance(part, str):
            yield anatomy.target(part)


def _below(node: Mapping[str, Any], value: Any) -> Iterator[tuple[Any, Any]]:
    """Give the parts applied to what is inside a value, with what they are applied to."""
    if isinstance(value, (dict, Mapping)):
        properties = node.get("properties")
        if isinstance(properties, dict):
            yield from ((part, value[name]) for name, part in properties.items() if name in value)
        every = [part for key in _OF_MEMBERS for part in _parts(key, node.get(key))]
        every.extend(_parts("patternProperties", node.get("patternProperties")))
        yield from ((part, child) for part in every for child in value.values())
        yield from (
            (part, name) for part in _parts("propertyNames", node.get("propertyNames")) for name in value
        )
    elif isinstance(value, list):
        first = node.get("prefixItems")
        if isinstance(first, list):
            yield from zip(first, value, strict=False)
        every = [part for key in _OF_ITEMS for part in _parts(key, node.get(key))]
        yield from ((part, child) for part in every for child in value)


def _parts(key: str, value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        if key in _NAMED:
            yield from value.values()
        else:
            yield value


def _child(part: Any, step: str) -> Any:
    if isinstance(part, dict):
        return part.get(step)
    if isinstance(part, list) and step.isdecimal() and int(step) < len(part):
        return part[int(step)]
    return None
