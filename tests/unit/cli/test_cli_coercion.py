"""Text coerced by an input schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.cli.coercion import coerce_text, coerce_values
from trunkline.cli.schemas import property_schema, walk


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        ({"type": "string"}, "007", "007"),
        ({"type": "string"}, "null", "null"),
        ({"type": "string"}, '{"a": 1}', '{"a": 1}'),
        ({"type": "integer"}, "007", 7),
        ({"type": "integer"}, "+7", 7),
        ({"type": "integer"}, " 7\n", 7),
        ({"type": "integer"}, "7.0", "7.0"),
        ({"type": "integer"}, "1_000", "1_000"),
        ({"type": "integer"}, "\u0667", "\u0667"),
        ({"type": "integer"}, "9" * 5000, "9" * 5000),
        ({"type": "number"}, "7", 7),
        ({"type": "number"}, "-7.5e-1", -0.75),
        ({"type": "number"}, ".5", 0.5),
        ({"type": "number"}, "nan", "nan"),
        ({"type": "number"}, "inf", "inf"),
        ({"type": "number"}, "1e999", "1e999"),
        ({"type": "boolean"}, "TRUE", True),
        ({"type": "boolean"}, "off", False),
        ({"type": "boolean"}, "0", False),
        ({"type": "boolean"}, "maybe", "maybe"),
        ({"type": "null"}, "null", None),
        ({"type": "null"}, "none", "none"),
        ({"type": "object"}, '{"a": [1]}', {"a": [1]}),
        ({"type": "object"}, "[1]", "[1]"),
        ({"type": "object"}, '{"a": NaN}', '{"a": NaN}'),
        ({"properties": {"a": {}}}, '{"a": 1}', {"a": 1}),
        ({"items": {"type": "integer"}}, "3", [3]),
        ({"type": "array"}, "3", ["3"]),
        ({"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}, "3", ["3"]),
        ({"type": ["integer", "null"]}, "null", None),
        ({"type": ["integer", "string"]}, "5", 5),
        ({"type": ["string", "integer"]}, "5", "5"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "5", 5),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "null", None),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "x", "x"),
        ({"oneOf": [{"type": "boolean"}, {"type": "string"}]}, "yes", True),
        ({"oneOf": [{"type": "string"}, {"type": "boolean"}]}, "yes", "yes"),
        ({"allOf": [{"$ref": "#/$defs/size"}]}, "4", 4),
        ({"$ref": "#/$defs/size"}, "4", 4),
        ({"$ref": "#/$defs/a~1b"}, "on", True),
        ({"$ref": "#/$defs/gone"}, "4", "4"),
        ({"$ref": "https://elsewhere.example/schema"}, "4", "4"),
        ({"enum": ["1", 2]}, "1", "1"),
        ({"enum": ["1", 2]}, "2", 2),
        ({"enum": [True, None]}, "true", True),
        ({"enum": [1]}, "true", "true"),
        ({"enum": ["a"]}, "b", "b"),
        ({"const": 3}, "3", 3),
        ({"anyOf": [{"const": 3}, {"enum": ["x"]}]}, "x", "x"),
        ({}, "5", "5"),
        ({"type": "any"}, "5", "5"),
        ({"type": 7}, "5", "5"),
    ],
)
def test_text_becomes_what_the_schema_asks_for(schema: dict[str, Any], text: str, expected: Any) -> None:
    root = {"$defs": {"size": {"type": "integer"}, "a/b": {"type": "boolean"}}}
    found = coerce_text(text, schema, root)
    assert found == expected
    assert type(found) is type(expected)


def test_a_nullable_list_collects_what_is_repeated() -> None:
    schema = {
        "properties": {"x": {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]}}
    }
    assert coerce_values("x", [("1", False), ("2", False)], schema) == [1, 2]


def test_a_parameter_described_in_an_alternative_is_found() -> None:
    schema = {"anyOf": [{"properties": {"a": {"type": "integer"}}}, {"$ref": "#/$defs/other"}]}
    root = schema | {"$defs": {"other": {"properties": {"b": {"type": "boolean"}}}}}
    assert property_schema(root, "a") == {"type": "integer"}
    assert property_schema(root, "b") == {"type": "boolean"}
    assert property_schema(root, "c") == {}


def test_a_parameter_that_is_not_named_follows_additional_properties() -> None:
    assert coerce_values("x", [("5", False)], {"additionalProperties": {"type": "integer"}}) == 5
    assert coerce_values("x", [("5", False)], {"additionalProperties": False}) == "5"


def test_a_schema_that_refers_to_itself_ends() -> None:
    tree: dict[str, Any] = {
        "anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"type": "array", "items": {"$ref": "#"}}]
    }
    assert coerce_text("x", tree, tree) == ["x"]
    loop = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
    assert coerce_text("x", loop, loop) == "x"


def test_alternatives_that_multiply_are_visited_once_each() -> None:
    names = [f"d{number}" for number in range(30)]
    every = {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in names]}
    root = {"$defs": {name: {"anyOf": [dict(part) for part in every["anyOf"]]} for name in names}}
    assert len(list(walk(every, root))) == 31


_schemas = st.recursive(
    st.fixed_dictionaries(
        {}, optional={"type": st.sampled_from(["string", "integer", "boolean", "array", "x", 3])}
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "anyOf": st.lists(inner, max_size=3),
            "items": inner,
            "enum": st.lists(st.integers() | st.text(max_size=3)),
            "$ref": st.sampled_from(["#", "#/$defs/a", "#/items", "x", ""]),
            "properties": st.dictionaries(st.text(max_size=2), inner, max_size=2),
        },
    ),
    max_leaves=10,
)


@given(text=st.text(max_size=20), schema=_schemas)
def test_any_schema_gives_a_value(text: str, schema: dict[str, Any]) -> None:
    coerce_values("a", [(text, False)], schema | {"properties": {"a": schema}})
