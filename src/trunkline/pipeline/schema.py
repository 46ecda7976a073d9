"""JSON Schema checks with bounded cost; the schema is a server's text and so untrusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from trunkline.pipeline.schema_cost import Anatomy

_MOST_PROBLEMS = 5
_LONGEST_PROBLEM = 300
_PATTERN_BYTES = 4 * 1024 * 1024
"""What all regular expressions of one schema may take when compiled; each at most an eighth of it."""
_BACKTRACKS = 10_000
_SMALL = 500
"""Values inside a result up to which a simple schema is cheap to check."""
_MOST_VALUES = 20_000
"""Values inside a result up to which it is checked at all."""
_MOST_TEXT = 200_000
"""Characters of a result up to which it is checked against regular expressions."""

Subject = Literal["arguments", "structured result"]


class Checker:
    """A compiled schema, or the reason there is none.

    Attributes:
        warning: why nothing is checked with it, or None.
        cheap: whether `excess` is None for every value.
    """

    __slots__ = ("_anatomy", "_subject", "_validator", "cheap", "warning")

    def __init__(self, subject: Subject, anatomy: Anatomy, validator: Any, reason: str | None) -> None:
        self._subject = subject
        self._anatomy = anatomy
        self._validator = validator
        self.cheap = subject == "arguments" and reason is None and anatomy.simple
        self.warning = None if reason is None else self._unchecked(reason)

    def problems(self, value: Any) -> tuple[str, ...]:
        """Give what is wrong with a value, one sentence each; empty when it fits, or was not checked."""
        if self._validator is None:
            return ()
        try:
            if self._validator.is_valid(value):
                return ()
            return tuple(
                _explain(error)
                for error, _ in zip(self._validator.iter_errors(value), range(_MOST_PROBLEMS), strict=False)
            )
        except (ValueError, TypeError, OverflowError) as cause:
            return (f"they are not JSON ({cause})",)

    def excess(self, value: Any) -> str | None:
        """Say why checking this value would cost too much, or None; arguments of a simple schema never do."""
        if self._validator is None:
            return self.warning
        if self._subject == "structured result":
            values, text = _measure(value)
            if values > _MOST_VALUES or (self._anatomy.patterns and text > _MOST_TEXT):
                return self._unchecked("is not meant for a value that large")
            if self._anatomy.simple and values <= _SMALL:
                return None
        elif self.cheap:
            return None
        if self._anatomy.visits(value) is None:
            return self._unchecked("would take too long to check")
        return None

    def _unchecked(self, reason: str) -> str:
        verb = "were" if self._subject == "arguments" else "was"
        schema = "input" if self._subject == "arguments" else "output"
        return f"the {self._subject} {verb} not checked: the {schema} schema {reason}"


def compile_schema(schema: Mapping[str, Any], subject: Subject = "arguments") -> Checker:
    """Compile a schema; never raises and never fetches a `$ref`.

    A schema that is too large, invalid or needs the network is not used: the call is sent unchecked
    and its reply carries a warning (specification 2026-07-28, basic/index, "JSON Schema Usage").

    Args:
        subject: what is checked with it, for the words of a warning.
    """
    import jsonschema_rs

    schema = dict(schema)
    anatomy = Anatomy(schema)
    if anatomy.excess is not None:
        return Checker(subject, anatomy, None, anatomy.excess)
    try:
        validator = jsonschema_rs.validator_for(
            schema,
            retriever=_refuse_reference,
            pattern_options=jsonschema_rs.FancyRegexOptions(
                backtrack_limit=_BACKTRACKS, size_limit=_PATTERN_BYTES // max(8, anatomy.patterns)
            ),
            mask="the value",  # arguments may be secrets, and errors are logged
        )
    except (ValueError, TypeError, OverflowError) as cause:
        first_line = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
        return Checker(subject, anatomy, None, f"is invalid ({first_line[:200]})")
    return Checker(subject, anatomy, validator, None)


def _refuse_reference(uri: str) -> Any:
    raise ValueError(f"references outside the schema are not fetched: {uri}")


def _measure(value: Any) -> tuple[int, int]:
    """Count the values inside a value, and its characters; stops soon after either is too many."""
    values = text = 0
    waiting = [value]
    while waiting and values <= _MOST_VALUES:
        node = waiting.pop()
        values += 1
        if isinstance(node, str):
            text += len(node)
        elif isinstance(node, Mapping):
            text += sum(map(len, node))
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return values, text


def _explain(error: Any) -> str:
    path = ".".join(str(part) for part in error.instance_path)
    message = str(error.message)
    if len(message) > _LONGEST_PROBLEM:
        message = message[:_LONGEST_PROBLEM] + "…"
    return f"{path}: {message}" if path else message
