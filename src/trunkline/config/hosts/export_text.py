"""TOML and YAML, as much of each as an export needs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


class Flat(dict[str, Any]):
    """A table written on one line."""


def to_toml(content: Mapping[str, Any]) -> str:
    """Write tables of tables of values."""
    blocks = [
        "\n".join(
            [
                f"[{_key(outer)}.{_key(name)}]",
                *(f"{_key(key)} = {_toml(value)}" for key, value in table.items()),
            ]
        )
        for outer, tables in content.items()
        for name, table in tables.items()
    ]
    return "\n\n".join(blocks) + "\n" if blocks else ""


def to_yaml(content: Mapping[str, Any]) -> str:
    """Write mappings, lists and scalars, every text in double quotes."""
    return "\n".join(_yaml(content, "")) + "\n"


def _toml(value: Any) -> str:
    match value:
        case Mapping():
            return "{ " + ", ".join(f"{_key(key)} = {_toml(item)}" for key, item in value.items()) + " }"
        case list():
            return "[" + ", ".join(_toml(item) for item in value) + "]"
        case None:
            return '""'
        case _:
            return _scalar(value)


def _yaml(content: Mapping[str, Any], margin: str) -> list[str]:
    lines: list[str] = []
    for key, value in content.items():
        head = f"{margin}{_yaml_key(key)}:"
        if isinstance(value, Mapping) and value:
            lines += [head, *_yaml(value, margin + "  ")]
        elif isinstance(value, list) and value:
            lines += [head, *(f"{margin}- {_scalar(item)}" for item in value)]
        else:
            lines.append(f"{head} {_scalar(value)}")
    return lines


def _key(word: str) -> str:
    return word if _BARE.fullmatch(word) else _scalar(word)


def _yaml_key(word: str) -> str:
    return word if re.fullmatch(r"[A-Za-z_][\w-]*", word, re.ASCII) else _scalar(word)


def _scalar(value: Any) -> str:
    """Write a value as JSON does; TOML and YAML read that alike, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
