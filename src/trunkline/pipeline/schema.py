"""JSON Schema checks with bounded cost; the schema is a server's text and so untrusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MOST_SUBSCHEMAS = 5_000
_DEEPEST = 64
_MOST_COMPOSED = 3
"""How deep `anyOf`, `oneOf` and `allOf` may nest before checking them could take exponential time."""
_MOST_PROBLEMS = 5
_LONGEST_PROBLEM = 300


class Checker:
    """A compiled schema, or the reason there is none."""

    __slots__ = ("_validator", "warning")

    def __init__(self, validator: Any, warning: str | None) -> None:
        self._validator = validator
        self.warning = warning
        """Why arguments are sent unchecked, or None."""

    def problems(self, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """Give what is wrong with the arguments, one sentence each; empty when they fit."""
        if self._validator is None:
            return ()
        try:
            if self._validator.is_valid(arguments):
                return ()
            return tuple(
                _explain(error)
                for error, _ in zip(
                    self._validator.iter_errors(arguments), range(_MOST_PROBLEMS), strict=False
                )
            )
        except (ValueError, TypeError, OverflowError) as cause:
            return (f"they are not JSON ({cause})",)


def compile_schema(schema: Mapping[str, Any]) -> Checker:
    """Compile a schema; never raises and never fetches a `$ref`.

    A schema that is too large, invalid or needs the network is not used: the call is sent unchecked
    and its reply carries a warning (specification 2026-07-28, basic/index, "JSON Schema Usage").
    """
    import jsonschema_rs

    if (excess := _measure(schema)) is not None:
        return Checker(None, f"the arguments were not checked: the input schema {excess}")
    try:
        validator = jsonschema_rs.validator_for(
            dict(schema),
            retriever=_refuse_reference,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=10_000),
            mask="the value",  # arguments may be secrets, and errors are logged
        )
    except (ValueError, TypeError, OverflowError) as cause:
        first_line = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
        return Checker(
            None, f"the arguments were not checked: the input schema is invalid ({first_line[:200]})"
        )
    return Checker(validator, None)


def _refuse_reference(uri: str) -> Any:
    raise ValueError(f"references outside the schema are not fetched: {uri}")


def _measure(schema: Mapping[str, Any]) -> str | None:
    """Say how a schema is over the bounds, or None; walks it once, without recursion."""
    count = 0
    waiting: list[tuple[Any, int, int]] = [(schema, 0, 0)]
    while waiting:
        node, depth, composed = waiting.pop()
        count += 1
        if count > _MOST_SUBSCHEMAS:
            return f"has more than {_MOST_SUBSCHEMAS:,} parts"
        if depth > _DEEPEST:
            return f"is nested deeper than {_DEEPEST} levels"
        if composed > _MOST_COMPOSED:
            return f"nests anyOf, oneOf or allOf deeper than {_MOST_COMPOSED} levels"
        if isinstance(node, Mapping):
            for key, value in node.items():
                inside = composed + (key in ("anyOf", "oneOf", "allOf"))
                waiting.append((value, depth + 1, inside))
        elif isinstance(node, list):
            waiting.extend((value, depth + 1, composed) for value in node)
    return None


def _explain(error: Any) -> str:
    path = ".".join(str(part) for part in error.instance_path)
    message = str(error.message)
    if len(message) > _LONGEST_PROBLEM:
        message = message[:_LONGEST_PROBLEM] + "…"
    return f"{path}: {message}" if path else message
