"""Arguments mirrored into HTTP headers: the constraints of MCP 2026-07-28, server/tools "x-mcp-header"."""

from __future__ import annotations

import pytest

from trunkline.catalog import HeaderArgument, header_arguments, parse_tool

REGION = {"type": "string", "x-mcp-header": "Region"}


def tool_with(properties, **schema):
    return parse_tool(
        "api", {"name": "t", "inputSchema": {"type": "object", "properties": properties, **schema}}
    )


def test_a_tool_without_annotations_mirrors_nothing():
    assert header_arguments(tool_with({"a": {"type": "string"}})) == ()


def test_each_primitive_parameter_gives_its_header_path_and_type_in_schema_order():
    nested = {"type": "object", "properties": {"page": {"type": "integer", "x-mcp-header": "Page"}}}
    tool = tool_with(
        {"region": REGION, "options": nested, "dry": {"type": "boolean", "x-mcp-header": "Dry-Run"}}
    )
    assert header_arguments(tool) == (
        HeaderArgument(header="Mcp-Param-Region", path=("region",), type="string"),
        HeaderArgument(header="Mcp-Param-Page", path=("options", "page"), type="integer"),
        HeaderArgument(header="Mcp-Param-Dry-Run", path=("dry",), type="boolean"),
    )


@pytest.mark.parametrize(
    "name", ["", "two words", "a:b", "line\r\nbreak", "ü", "tab\t", "end\n", None, 7, ["A"]]
)
def test_a_value_that_is_no_header_token_is_invalid(name):
    with pytest.raises(ValueError, match="not a header name"):
        header_arguments(tool_with({"a": {"type": "string", "x-mcp-header": name}}))


@pytest.mark.parametrize("kind", ["number", "object", "array", "null", None, ["string", "null"]])
def test_only_string_integer_and_boolean_may_be_mirrored(kind):
    with pytest.raises(ValueError, match="not string, integer or boolean"):
        header_arguments(tool_with({"a": {"type": kind, "x-mcp-header": "A"}}))


def test_two_annotations_that_differ_in_case_alone_are_invalid():
    with pytest.raises(ValueError, match="twice"):
        header_arguments(tool_with({"a": REGION, "b": {"type": "string", "x-mcp-header": "REGION"}}))


@pytest.mark.parametrize(
    ("properties", "schema"),
    [
        ({"list": {"type": "array", "items": REGION}}, {}),
        ({"list": {"type": "array", "prefixItems": [REGION]}}, {}),
        ({"a": {"anyOf": [REGION]}}, {}),
        ({"a": {"items": {"properties": {"b": REGION}}}}, {}),
        ({"a": {"$ref": "#/$defs/R"}}, {"$defs": {"R": REGION}}),
        ({}, {"oneOf": [{"properties": {"a": REGION}}]}),
        ({}, {"if": {"properties": {"a": REGION}}}),
        ({}, {"patternProperties": {"^a": REGION}}),
        ({}, {"additionalProperties": REGION}),
        ({}, {"x-mcp-header": "Root"}),
    ],
)
def test_an_annotation_that_properties_alone_do_not_reach_is_invalid(properties, schema):
    with pytest.raises(ValueError, match="not on a parameter reached by properties alone"):
        header_arguments(tool_with(properties, **schema))


def test_the_key_as_a_parameter_name_or_inside_data_is_no_annotation():
    properties = {
        "x-mcp-header": {"type": "object"},
        "a": {"default": {"x-mcp-header": ""}, "enum": [{"x-mcp-header": ""}], "const": {"x-mcp-header": ""}},
    }
    assert header_arguments(tool_with(properties)) == ()


def test_a_very_deep_schema_is_walked_without_recursion():
    schema = {"type": "string", "x-mcp-header": "Deep"}
    for _ in range(5000):
        schema = {"type": "object", "properties": {"a": schema}}
    tool = parse_tool("api", {"name": "t", "inputSchema": schema})
    assert len(header_arguments(tool)[0].path) == 5000
