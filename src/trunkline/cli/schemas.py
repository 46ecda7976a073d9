"""Reading an input schema: the part that speaks of one parameter, and what it allows.

A schema comes from a server: it may be wrong, endless or hostile, so every walk visits a node once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_MAX_REFERENCES = 16
"""How many `$ref` in a row are followed."""


def walk(schema: object, root: Schema) -> Iterator[Schema]:
    """Give `schema` and every alternative in it, depth first, each once.

    `$ref` within `root` is followed, and `anyOf`, `oneOf` and `allOf` are opened; other references
    and boolean schemas give nothing.
    """
    seen: set[int] = set()
    stack = [schema]
    while stack:
        node = follow(stack.pop(), root)
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        stack.extend(reversed(_alternatives(node)))


def follow(schema: object, root: Schema) -> Schema | None:
    """Give what a local `$ref` points to, or the schema itself; None for what cannot be read."""
    for _ in range(_MAX_REFERENCES):
        if not isinstance(schema, Mapping):
            return None
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        schema = _resolve(reference, root)
    return None


def property_schema(root: Schema, key: str) -> Schema:
    """Give the schema of one parameter, or `{}` when nothing is said of it."""
    nodes = list(walk(root, root))
    for node in nodes:
        properties = node.get("properties")
        if isinstance(properties, Mapping) and key in properties:
            found = properties[key]
            return found if isinstance(found, Mapping) else {}
    others = (node.get("additionalProperties") for node in nodes)
    return next((other for other in others if isinstance(other, Mapping)), {})


def array_items(schema: Schema, root: Schema) -> Schema | None:
    """Give the schema of an array parameter's elements, or None when no array is allowed."""
    arrays = (node for node in walk(schema, root) if "array" in types(node))
    array = next(arrays, None)
    if array is None:
        return None
    items = array.get("items")
    return items if isinstance(items, Mapping) else {}


def types(schema: Schema) -> list[str]:
    """Give the types a schema names, in their order, or the one its keywords imply."""
    declared = schema.get("type")
    if isinstance(declared, str):
        return [declared]
    if isinstance(declared, list):
        return [kind for kind in declared if isinstance(kind, str)]
    if "items" in schema or "prefixItems" in schema:
        return ["array"]
    return ["object"] if "properties" in schema else []


def choices(schema: Schema) -> list[Any] | None:
    """Give the values of `const` or `enum`, or None where neither is set."""
    if "const" in schema:
        return [schema["const"]]
    listed = schema.get("enum")
    return listed if isinstance(listed, list) else None


def _alternatives(schema: Schema) -> list[object]:
    found: list[object] = []
    for word in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(word)
        found.extend(branches if isinstance(branches, list) else [])
    return found


def _resolve(reference: str, root: Schema) -> object:
    if not reference.startswith("#"):
        return None
    node: object = root
    for part in reference[1:].split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        node = node.get(name) if isinstance(node, Mapping) else None
    return node
