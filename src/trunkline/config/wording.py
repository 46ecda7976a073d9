"""How paths, types and likely names are put into words."""

from __future__ import annotations

import re
from collections.abc import Iterable

KeyPath = tuple[str | int, ...]
"""Keys and list positions that lead to a value, outermost first."""

_PLAIN = re.compile(r"[\w$-]+")


def describe_path(path: KeyPath) -> str:
    """Write a path as people do: `env.TOKEN`, `args[2]`, `servers."db.*".timeout`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        word = part if _PLAIN.fullmatch(part) else f'"{part}"'
        text += f".{word}" if text else word
    return text


def describe_type(value: object) -> str:
    """Name the type of a value in the words of the file formats."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
        case _:
            return f"a value of type {type(value).__name__}"


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.75) -> str | None:
    """Give the known word most like this one, whatever its case, or None."""
    from difflib import get_close_matches

    by_fold: dict[str, str] = {}
    for candidate in known:
        by_fold.setdefault(candidate.casefold(), candidate)
    matches = get_close_matches(word.casefold(), by_fold, n=1, cutoff=cutoff)
    return by_fold[matches[0]] if matches else None
