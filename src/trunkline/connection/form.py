"""Checks what a person filled in against the schema a server gave, with bounded cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MOST_NODES = 2_000
_MOST_BACKTRACKS = 10_000
_PATTERN_BYTES = 256 * 1024
_MOST_PROBLEMS = 5
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})


def refuse_schema(schema: object) -> str | None:
    """Say why a schema cannot be that of a form, or None.

    A form is one flat object (specification 2026-07-28, client/elicitation, "Requested Schema").
    References are refused with it: without them checking costs no more than the schema is long.
    """
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        return "`requestedSchema` is not the schema of an object"
    if not isinstance(schema.get("properties", {}), Mapping):
        return "`requestedSchema.properties` is not an object"
    waiting: list[Any] = [schema]
    for count, node in enumerate(waiting):
        if count >= _MOST_NODES:
            return f"`requestedSchema` has more than {_MOST_NODES:,} parts"
        if isinstance(node, Mapping):
            if not _REFERENCES.isdisjoint(node):
                return "`requestedSchema` holds a reference, which a form cannot"
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return None


def find_problems(schema: Mapping[str, Any], content: Mapping[str, Any]) -> tuple[str, ...]:
    """Give what is wrong with the fields of a form, one sentence each, without their values."""
    import jsonschema_rs

    try:
        validator = jsonschema_rs.validator_for(
            dict(schema),
            pattern_options=jsonschema_rs.FancyRegexOptions(
                backtrack_limit=_MOST_BACKTRACKS, size_limit=_PATTERN_BYTES
            ),
            validate_formats=True,
            mask="the value",
        )
        errors = zip(validator.iter_errors(dict(content)), range(_MOST_PROBLEMS), strict=False)
        return tuple(_explain(error) for error, _ in errors)
    except (ValueError, TypeError, OverflowError) as cause:
        first_line = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
        return (f"they cannot be checked ({first_line[:200]})",)


def _explain(error: Any) -> str:
    path = ".".join(str(part) for part in error.instance_path)
    message = str(error.message)[:300]
    return f"{path}: {message}" if path else message
