"""A tool's input schema as Python sees it: an `inspect.Signature`, a docstring, and how arguments bind.

The schema is a server's text: names and descriptions are made safe, and what is too deep or odd is Any.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from inspect import Parameter, Signature
from typing import Any, Literal, Union

import msgspec

from trunkline.catalog.signature import resolve_reference
from trunkline.core.reply import Reply
from trunkline.core.tool import Tool
from trunkline.security.sanitize import sanitize_text

_SCALARS: Mapping[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool, "null": None}
_MAX_LEVELS = 4
_MAX_CHOICES = 64
_MAX_TEXT = 4000


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """One argument of a tool that can be a Python parameter."""

    name: str
    annotation: Any
    required: bool
    nullable: bool
    """Whether null is one of its values; if not, a None that is passed means: leave it out."""
    default: Any = None
    """The schema's default, or None; it is shown, and never sent."""
    description: str = ""


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a caller may pass to a tool."""

    arguments: tuple[Argument, ...]
    """Required ones first, each group in the schema's order; positional arguments follow it."""
    open: bool
    """Whether there are arguments that no parameter stands for."""

    def signature(self) -> Signature:
        """Give the signature of the tool's function."""
        parameters = [
            Parameter(
                one.name,
                Parameter.POSITIONAL_OR_KEYWORD,
                default=Parameter.empty if one.required else one.default,
                annotation=one.annotation,
            )
            for one in self.arguments
        ]
        if self.open:
            name = "arguments"
            while any(one.name == name for one in self.arguments):
                name += "_"
            parameters.append(Parameter(name, Parameter.VAR_KEYWORD, annotation=Any))
        return Signature(parameters, return_annotation=Reply)

    def bind(self, tool: str, given: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """Give the arguments of a call by name; whether they fit the schema is not looked at.

        Raises:
            TypeError: too many are given by position, or one is given twice.
        """
        if len(given) > len(self.arguments):
            raise TypeError(
                f"{tool}() takes {len(self.arguments)} positional arguments but {len(given)} were given"
            )
        bound = dict(zip((one.name for one in self.arguments), given, strict=False))
        if twice := bound.keys() & named.keys():
            raise TypeError(f"{tool}() got multiple values for argument {min(twice)!r}")
        bound |= named
        for one in self.arguments:
            if not (one.required or one.nullable) and bound.get(one.name, ...) is None:
                del bound[one.name]
        return bound


UNKNOWN = Parameters(arguments=(), open=True)
"""What is known of a tool that no server has listed yet."""


def parameters_of(tool: Tool) -> Parameters:
    """Read a tool's input schema; never raises, whatever the server wrote."""
    schema = tool.input_schema
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    listed = schema.get("required")
    required = frozenset(filter(_is_text, listed)) if isinstance(listed, list) else frozenset()
    arguments = [
        _argument(name, value, name in required, schema)
        for name, value in properties.items()
        if _is_parameter(name)
    ]
    arguments.sort(key=lambda one: not one.required)
    more = schema.get("additionalProperties", False) is not False or not properties
    return Parameters(arguments=tuple(arguments), open=more or len(arguments) < len(properties))


def docstring_of(tool: Tool, parameters: Parameters) -> str:
    """Give the tool's description and what its schema says of each parameter."""
    described = [
        f"    {one.name}: {one.description}" if one.description else f"    {one.name}"
        for one in parameters.arguments
    ]
    about = sanitize_text((tool.description or tool.title or "")[:_MAX_TEXT], multiline=True).strip()
    return "\n\n".join(filter(None, (about, "\n".join(["Args:", *described]) if described else "")))


def _argument(name: str, value: object, required: bool, root: Mapping[str, Any]) -> Argument:
    annotation = _annotation(value, root, _MAX_LEVELS)
    nullable = annotation is Any or None in _members(annotation)
    schema = value if isinstance(value, Mapping) else {}
    default = schema.get("default")
    description = schema.get("description")
    return Argument(
        name=name,
        annotation=annotation if required or nullable or default is not None else annotation | None,
        required=required,
        nullable=nullable,
        default=default,
        description=sanitize_text(description[:_MAX_TEXT]) if isinstance(description, str) else "",
    )


def _annotation(schema: object, root: Mapping[str, Any], levels: int) -> Any:
    resolved = resolve_reference(schema, root)
    if resolved is None or levels == 0:
        return Any
    if "const" in resolved:
        return _literal([resolved["const"]])
    if isinstance(choices := resolved.get("enum"), list) and choices:
        return _literal(choices)
    for word in ("anyOf", "oneOf"):
        if isinstance(parts := resolved.get(word), list) and parts:
            return _union([_annotation(part, root, levels - 1) for part in parts[:_MAX_CHOICES]])
    kinds = resolved.get("type")
    if isinstance(kinds, list):
        return _union([_simple(kind, resolved, root, levels) for kind in kinds[:_MAX_CHOICES]])
    return _simple(kinds, resolved, root, levels)


def _simple(kind: object, schema: Mapping[str, Any], root: Mapping[str, Any], levels: int) -> Any:
    if kind == "array":
        return list[_annotation(schema.get("items"), root, levels - 1)]  # type: ignore[misc] # made at run time
    if kind == "object":
        return dict[str, Any]
    return _SCALARS.get(kind, Any) if isinstance(kind, str) else Any


def _literal(choices: Sequence[Any]) -> Any:
    if len(choices) > _MAX_CHOICES or not all(one is None or isinstance(one, str | int) for one in choices):
        return Any
    return Literal[tuple(choices)]


def _union(parts: Sequence[Any]) -> Any:
    return Any if not parts or Any in parts else Union[tuple(parts)]  # noqa: UP007 - made at run time


def _members(annotation: Any) -> tuple[Any, ...]:
    members = getattr(annotation, "__args__", ()) if not isinstance(annotation, type) else ()
    return (annotation, *(None if one is type(None) else one for one in members))


def _is_parameter(name: object) -> bool:
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)


def _is_text(value: object) -> bool:
    return isinstance(value, str)
