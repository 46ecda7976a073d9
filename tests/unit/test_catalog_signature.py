"""A tool as a line of code: readable, bounded, safe."""

from __future__ import annotations

import pytest

from trunkline.catalog import parse_tool, render_signature
from trunkline.catalog.signature import MAX_SIGNATURE


def signature(properties=None, required=(), output=None, name="t", **schema):
    raw = {
        "name": name,
        "inputSchema": {"properties": properties or {}, "required": list(required), **schema},
    }
    return render_signature(parse_tool("s", raw if output is None else {**raw, "outputSchema": output}))


def shown(schema, **root):
    return signature({"x": schema}, ["x"], **root).removeprefix("t(x: ").removesuffix(")")


def test_required_defaulted_and_result_read_like_code():
    properties = {
        "a": {"type": "integer"},
        "b": {"type": "integer", "default": 1},
        "mode": {"enum": ["fast", "slow"], "default": "fast"},
    }
    output = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    assert signature(properties, ["a"], output, name="add") == (
        'add(a: int, b: int = 1, mode: "fast" | "slow" = "fast") -> {sum: int}'
    )


def test_optional_parameters_are_marked_and_stand_after_required_ones():
    properties = {"later": {"type": "string"}, "first": {"type": "boolean"}}
    assert signature(properties, ["first"]) == "t(first: bool, later?: str)"


def test_names_that_are_not_identifiers_are_quoted():
    assert signature({"first name": {"type": "string"}, "größe": {}}, ["größe"]) == (
        't(größe: any, "first name"?: str)'
    )


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "number"}, "float"),
        ({"type": ["string", "null"]}, "str | None"),
        ({"type": "array"}, "list"),
        ({"type": "array", "items": {"type": "string"}}, "list[str]"),
        ({"type": "object"}, "dict"),
        ({"properties": {"a": {"type": "null"}}}, "{a?: None}"),
        ({"anyOf": [{"type": "string"}, {"type": "string"}, {"type": "integer"}]}, "str | int"),
        ({"const": None}, "None"),
        ({"enum": [1, True, "x"]}, '1 | True | "x"'),
        ({}, "any"),
        (True, "any"),
        ({"type": 7}, "any"),
        ({"type": []}, "any"),
        ({"$ref": "https://example.com/schema"}, "any"),
        ({"$ref": "#/$defs/Missing"}, "any"),
    ],
)
def test_each_kind_of_schema_has_a_short_type(schema, expected):
    assert shown(schema) == expected


def test_local_references_are_followed_and_circles_end():
    assert shown({"$ref": "#/$defs/P"}, **{"$defs": {"P": {"type": "integer"}}}) == "int"
    circle = {"$defs": {"A": {"$ref": "#/$defs/A"}}}
    assert shown({"$ref": "#/$defs/A"}, **circle) == "any"
    tree = {"$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}}}
    assert shown({"$ref": "#/$defs/N"}, **tree) == "{next?: {next?: {next?: …}}}"


def test_a_tool_with_very_many_parameters_says_how_many_are_left():
    text = signature({f"parameter_{n}": {"type": "string"} for n in range(200)})
    assert len(text) <= MAX_SIGNATURE
    assert text.endswith(" more)")


def test_a_tool_that_fits_exactly_is_not_cut():
    assert "more" not in signature({f"p{n}": {"type": "string"} for n in range(30)})


def test_server_text_cannot_act_or_flood():
    text = signature(
        {"a\x1b[2J\n": {"default": "\u202e" * 1000, "enum": ["\x07" * 1000]}},
        name="n\x1b]0;x\x07" + "y" * 1000,
    )
    assert text.isprintable()
    assert len(text) <= MAX_SIGNATURE
