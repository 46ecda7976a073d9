"""Text from a command line turned into the type a tool's input schema asks for.

Coercion never refuses: text that does not fit stays text, and validation then says what was expected.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from trunkline.cli.exits import UsageError
from trunkline.cli.schemas import Schema, array_items, choices, property_schema, types, walk

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


class _Miss:
    """The text does not fit."""


_MISS: Final = _Miss()


def coerce_values(key: str, values: Sequence[tuple[Any, bool]], schema: Schema | None) -> Any:
    """Give the value of one argument that was written once or several times.

    Args:
        key: name of the argument.
        values: each value with whether it is final (`:=`); a value that is not is text.
        schema: the tool's input schema, or None where it is not known.

    Raises:
        UsageError: several values for a parameter that does not take an array.
    """
    root = schema or {}
    target = property_schema(root, key)
    if len(values) == 1:
        value, final = values[0]
        return value if final else coerce_text(value, target, root)
    items = array_items(target, root)
    if items is None:
        raise UsageError(
            f"argument {key!r} is given {len(values)} times and does not take a list",
            hint=f"""Give it once; a list can be written as {key}:='["a", "b"]'.""",
        )
    return [value if final else _coerce(value, items, root, wrap=False) for value, final in values]


def coerce_text(text: str, schema: Schema, root: Schema) -> Any:
    """Turn `text` into what `schema` asks for; text that fits nothing is given back as it is.

    A string type keeps the text to the letter, alternatives are tried in their order, and a single
    value for an array parameter is a list of one unless it is the JSON text of an array.
    """
    return _coerce(text, schema, root, wrap=True)


def _coerce(text: str, schema: Schema, root: Schema, *, wrap: bool) -> Any:
    for node in walk(schema, root):
        value = _fit(text, node, root, wrap=wrap)
        if value is not _MISS:
            return value
    return text


def _fit(text: str, schema: Schema, root: Schema, *, wrap: bool) -> Any:
    if (listed := choices(schema)) is not None:
        return _choose(text, listed)
    for kind in types(schema):
        value = _to_array(text, schema, root, wrap=wrap) if kind == "array" else _to_scalar(text, kind)
        if value is not _MISS:
            return value
    return _MISS


def _choose(text: str, listed: list[Any]) -> Any:
    if text in [choice for choice in listed if isinstance(choice, str)]:
        return text
    value = _from_json(text, object)
    fits = (choice for choice in listed if type(choice) is type(value) and choice == value)
    return next(fits, _MISS)


def _to_array(text: str, schema: Schema, root: Schema, *, wrap: bool) -> Any:
    value = _from_json(text, list)
    if value is not _MISS or not wrap or text.lstrip().startswith("["):
        return value
    return [_coerce(text, array_items(schema, root) or {}, root, wrap=False)]


def _to_scalar(text: str, kind: str) -> Any:
    return _SCALARS[kind](text) if kind in _SCALARS else _MISS


def _to_integer(text: str) -> Any:
    stripped = text.strip()
    if not _INTEGER.fullmatch(stripped):
        return _MISS
    try:
        return int(stripped)
    except ValueError:
        return _MISS


def _to_number(text: str) -> Any:
    whole = _to_integer(text)
    if whole is not _MISS or not _NUMBER.fullmatch(text.strip()):
        return whole
    value = float(text)
    return value if math.isfinite(value) else _MISS


def _to_boolean(text: str) -> Any:
    word = text.strip().lower()
    return word in _TRUE if word in _TRUE + _FALSE else _MISS


def _to_null(text: str) -> Any:
    return None if text.strip() == "null" else _MISS


def _to_object(text: str) -> Any:
    return _from_json(text, dict)


_SCALARS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "integer": _to_integer,
    "number": _to_number,
    "boolean": _to_boolean,
    "null": _to_null,
    "object": _to_object,
}


def _from_json(text: str, kind: type) -> Any:
    try:
        value = json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        return _MISS
    return value if isinstance(value, kind) else _MISS


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")
