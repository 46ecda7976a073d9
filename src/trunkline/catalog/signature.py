"""Show a tool as a line of code: `add(a: int, b: int = 1) -> {sum: int}`.

Only for reading. Everything in it comes from a server, so it is bounded and made safe for a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from trunkline.core.tool import Tool
from trunkline.security.sanitize import sanitize_text

MAX_SIGNATURE = 600
_MAX_NAME = 80
_MAX_TYPE = 160
_MAX_LITERAL = 40
_MAX_CHOICES = 8
_MAX_FIELDS = 8
_MAX_LEVELS = 3
_MAX_REFERENCES = 8
_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def render_signature(tool: Tool) -> str:
    """Give name, parameters and result type in one line of at most `MAX_SIGNATURE` characters.

    Required parameters come first, each group in the server's order. A parameter that may be left out
    shows its default, or `?` after its name where it has none. Names that are not identifiers are quoted.
    """
    root = tool.input_schema
    properties, required = _properties(root), _required(root)
    ordered = sorted(properties.items(), key=lambda item: item[0] not in required)
    parameters = (_parameter(name, schema, name in required, root) for name, schema in ordered)
    name = _cut(sanitize_text(tool.name[:_MAX_NAME]), _MAX_NAME)
    result = "" if tool.output_schema is None else f" -> {_type(tool.output_schema, tool.output_schema)}"
    room = MAX_SIGNATURE - len(name) - len(result) - len("()")
    return f"{name}({_join(parameters, len(properties), room)}){result}"


def _join(parts: Iterable[str], count: int, room: int) -> str:
    """Put as many parts as fit side by side and say how many are left."""
    reserve = len(f", … {count} more")
    shown: list[str] = []
    used = 0
    for part in parts:
        used += len(part) + 2
        if used > room - (reserve if len(shown) + 1 < count else 0):
            return ", ".join([*shown, f"… {count - len(shown)} more"])
        shown.append(part)
    return ", ".join(shown)


def _parameter(name: str, schema: object, required: bool, root: Mapping[str, Any]) -> str:
    shown = _name(name)
    if required:
        return f"{shown}: {_type(schema, root)}"
    if isinstance(schema, Mapping) and "default" in schema:
        return f"{shown}: {_type(schema, root)} = {_literal(schema['default'])}"
    return f"{shown}?: {_type(schema, root)}"


def _type(schema: object, root: Mapping[str, Any], levels: int = _MAX_LEVELS) -> str:
    return _cut(_spell(schema, root, levels), _MAX_TYPE)


def _spell(schema: object, root: Mapping[str, Any], levels: int) -> str:
    schema = resolve_reference(schema, root)
    if schema is None:
        return "any"
    if levels == 0:
        return "…"
    if "const" in schema:
        return _literal(schema["const"])
    if isinstance(choices := schema.get("enum"), list) and choices:
        return _union([*map(_literal, choices[:_MAX_CHOICES]), *(["…"] if choices[_MAX_CHOICES:] else [])])
    for keyword in ("anyOf", "oneOf", "allOf"):
        if isinstance(parts := schema.get(keyword), list) and parts and "type" not in schema:
            return _union(_spell(part, root, levels - 1) for part in parts[:_MAX_CHOICES])
    kind = schema.get("type")
    if isinstance(kind, list):
        kinds = dict.fromkeys(one for one in kind if isinstance(one, str))
        return _union(_simple(one, schema, root, levels) for one in kinds) or "any"
    return _simple(kind, schema, root, levels)


def _simple(kind: object, schema: Mapping[str, Any], root: Mapping[str, Any], levels: int) -> str:
    if isinstance(kind, str) and kind in _SCALARS:
        return _SCALARS[kind]
    if kind == "array":
        return f"list[{_spell(schema['items'], root, levels - 1)}]" if "items" in schema else "list"
    if kind == "object" or (kind is None and "properties" in schema):
        return _fields(schema, root, levels) or "dict"
    return "any"


def _fields(schema: Mapping[str, Any], root: Mapping[str, Any], levels: int) -> str:
    properties, required = _properties(schema), _required(schema)
    if not properties:
        return ""
    shown = [
        f"{_name(name)}{'' if name in required else '?'}: {_spell(value, root, levels - 1)}"
        for name, value in list(properties.items())[:_MAX_FIELDS]
    ]
    return f"{{{', '.join([*shown, '…'] if len(properties) > _MAX_FIELDS else shown)}}}"


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = schema.get("properties")
    return {str(name): value for name, value in properties.items()} if isinstance(properties, Mapping) else {}


def _required(schema: Mapping[str, Any]) -> frozenset[str]:
    required = schema.get("required")
    names = required if isinstance(required, list) else ()
    return frozenset(name for name in names if isinstance(name, str))


def resolve_reference(schema: object, root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Follow local references, such as `#/$defs/Point`, a few steps; no other kind is ever followed."""
    for _ in range(_MAX_REFERENCES):
        if not isinstance(schema, Mapping):
            return None
        if not isinstance(reference := schema.get("$ref"), str):
            return schema
        schema = _target(reference, root)
    return None


def _target(reference: str, root: Mapping[str, Any]) -> object:
    node: object = root if reference.startswith("#/") else None
    for step in reference.split("/")[1:]:
        node = node.get(step) if isinstance(node, Mapping) else None
    return node


def _union(parts: Iterable[str]) -> str:
    return " | ".join(dict.fromkeys(parts))


def _literal(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value)
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return _cut(sanitize_text(text[: 4 * _MAX_LITERAL]), _MAX_LITERAL)


def _name(name: str) -> str:
    return _cut(sanitize_text(name), _MAX_NAME) if name.isidentifier() else _literal(name)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
