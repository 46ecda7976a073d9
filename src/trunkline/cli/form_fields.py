"""The fields of a form a server sends: what is asked for each, and what a typed line means. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trunkline.cli.render import line

_YES, _NO = ("y", "yes", "true", "1"), ("n", "no", "false", "0")
_MOST_CHOICES = 40
_LONGEST = 300


class UnusableError(Exception):
    """What was typed is no value of this field; the text says what is."""


def describe_field(name: str, field: Mapping[str, Any], *, required: bool) -> str:
    """Give the lines above a field's prompt: what it is, what may be chosen, what it has to fit."""
    title = field.get("title")
    head = line(f"{title} ({name})" if isinstance(title, str) and title != name else name)[:_LONGEST]
    told = field.get("description")
    text = f": {line(told)[:_LONGEST]}" if isinstance(told, str) and told else ""
    facts = [*_rules(field), *([] if required else ["optional"])]
    lines = [f"{head}{text}" + (f" ({', '.join(facts)})" if facts else "")]
    for number, (value, shown) in enumerate(choices(field), 1):
        label = line(shown if shown == str(value) else f"{shown} ({value})")[:_LONGEST]
        lines.append(f"  {number}. {label}")
    return "\n".join(lines)


def read_field(field: Mapping[str, Any], typed: str) -> Any:
    """Give the value a typed line means.

    Raises:
        UnusableError: it means none.
    """
    kind = field.get("type")
    if kind == "array":
        parts = [part.strip() for part in typed.split(",")]
        return [_choose(field, part) for part in parts if part]
    if choices(field):
        return _choose(field, typed.strip())
    if kind == "boolean":
        return _read_boolean(typed.strip().lower())
    if kind in ("integer", "number"):
        return _read_number(typed.strip(), whole=kind == "integer")
    return typed


def choices(field: Mapping[str, Any]) -> list[tuple[Any, str]]:
    """Give the values a field offers and how each is shown; empty where anything may be typed."""
    source = field.get("items") if field.get("type") == "array" else field
    if not isinstance(source, Mapping):
        return []
    options = source.get("oneOf") or source.get("anyOf")
    if isinstance(options, list) and all(isinstance(one, Mapping) and "const" in one for one in options):
        found = [(one["const"], str(one.get("title", one["const"]))) for one in options]
    else:
        listed, names = source.get("enum"), source.get("enumNames")
        values = listed if isinstance(listed, list) else []
        shown = names if isinstance(names, list) and len(names) == len(values) else values
        found = [(value, str(name)) for value, name in zip(values, shown, strict=True)]
    return found[:_MOST_CHOICES]


def show_value(value: Any) -> str:
    """Give a value as it is shown to a person."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(show_value(one) for one in value)
    return line(value if isinstance(value, str) else json.dumps(value))[:_LONGEST]


def _choose(field: Mapping[str, Any], typed: str) -> Any:
    offered = choices(field)
    for value, shown in offered:
        if typed in (str(value), shown):
            return value
    if typed.isascii() and typed.isdigit() and 0 < int(typed[:6]) <= len(offered):
        return offered[int(typed[:6]) - 1][0]
    raise UnusableError("Type one of the values, or its number.")


def _read_boolean(typed: str) -> bool:
    if typed in _YES:
        return True
    if typed in _NO:
        return False
    raise UnusableError("Type y or n.")


def _read_number(typed: str, *, whole: bool) -> int | float:
    try:
        return int(typed) if whole else float(typed)
    except (ValueError, OverflowError):
        raise UnusableError("Type a whole number." if whole else "Type a number.") from None


def _rules(field: Mapping[str, Any]) -> list[str]:
    """Say in words what a value has to fit."""
    if field.get("type") == "array":
        return ["several, with commas between"]
    if choices(field):
        return []
    kind = {"boolean": "y or n", "integer": "a whole number", "number": "a number"}.get(
        str(field.get("type"))
    )
    known = {"minimum": "at least", "maximum": "at most", "format": "as"}
    facts = [
        f"{words} {field[key]}"
        for key, words in known.items()
        if isinstance(field.get(key), int | float | str)
    ]
    if isinstance(field.get("minLength"), int):
        facts.append(f"{field['minLength']} or more characters")
    if isinstance(field.get("maxLength"), int):
        facts.append(f"{field['maxLength']} or fewer characters")
    return [line(str(one)) for one in [*([kind] if kind else []), *facts]]
