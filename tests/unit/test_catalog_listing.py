"""Reading what a server listed: one bad definition costs exactly itself."""

from __future__ import annotations

import pytest

from trunkline.catalog import parse_tool, parse_tools

GOOD = {"name": "add", "inputSchema": {"type": "object"}}


def test_a_full_definition_keeps_every_part_and_its_raw_form():
    raw = {
        "name": "admin.add",
        "title": "Add",
        "description": "Adds.",
        "inputSchema": {"type": "object", "properties": {"a": {"type": "integer"}}},
        "outputSchema": {"type": "array"},
        "annotations": {"readOnlyHint": True},
        "icons": [],
    }
    tool = parse_tool("calc.v2", raw)
    assert (tool.server, tool.name, tool.public_name) == ("calc.v2", "admin.add", "calc.v2.admin.add")
    assert (tool.title, tool.description) == ("Add", "Adds.")
    assert tool.input_schema == raw["inputSchema"]
    assert tool.output_schema == {"type": "array"}
    assert tool.annotations == {"readOnlyHint": True}
    assert tool.raw is raw


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, "not an object"),
        ([], "not an object"),
        ({}, "no name"),
        ({"name": "", "inputSchema": {}}, "no name"),
        ({"name": 7, "inputSchema": {}}, "no name"),
        ({"name": "x"}, "inputSchema is missing"),
        ({"name": "x", "inputSchema": None}, "inputSchema is missing"),
        ({"name": "x", "inputSchema": []}, "inputSchema is not an object"),
        ({"name": "x", "inputSchema": True}, "inputSchema is not an object"),
        ({"name": "x", "inputSchema": {"type": "array"}}, "'array'"),
        ({"name": "x", "inputSchema": {"type": ["object", "null"]}}, "not 'object'"),
    ],
)
def test_a_malformed_definition_is_refused_with_its_reason(raw, reason):
    with pytest.raises(ValueError, match=reason):
        parse_tool("calc", raw)


def test_optional_parts_of_the_wrong_type_count_as_absent():
    tool = parse_tool(
        "calc",
        {**GOOD, "title": 1, "description": None, "outputSchema": "x", "annotations": ["readOnlyHint"]},
    )
    assert (tool.title, tool.description, tool.output_schema, tool.annotations) == (None, "", None, {})


def test_a_schema_without_type_and_with_unknown_keywords_is_taken_as_it_is():
    schema = {"properties": {}, "x-vendor": {"a": 1}, "oneOf": [{}]}
    assert parse_tool("calc", {"name": "x", "inputSchema": schema}).input_schema == schema


def test_a_very_long_or_oddly_spelled_name_is_accepted():
    name = "ünïcode name " * 40
    assert parse_tool("calc", {"name": name, "inputSchema": {}}).name == name


def test_the_title_of_older_servers_is_read_from_the_annotations():
    assert parse_tool("calc", {**GOOD, "annotations": {"title": "Add"}}).title == "Add"


def test_one_bad_tool_of_three_hundred_leaves_two_hundred_ninety_nine():
    raws = [{"name": f"tool{n}", "inputSchema": {"type": "object"}} for n in range(300)]
    raws[41] = {"name": "broken", "inputSchema": {"type": "string"}}
    tools, warnings = parse_tools("big", raws, transport="stdio")
    assert len(tools) == 299
    assert warnings == (
        "server 'big': dropped tool 42 'broken': inputSchema has type 'string', not 'object'",
    )


def test_of_two_tools_with_one_name_the_first_stays_with_a_warning():
    second = {**GOOD, "description": "another"}
    tools, warnings = parse_tools("calc", [GOOD, second], transport="stdio")
    assert [tool.description for tool in tools] == [""]
    assert warnings == ("server 'calc': dropped tool 2 'add': an earlier tool has the same name",)


def test_a_warning_cannot_carry_control_characters_or_endless_text():
    _, warnings = parse_tools("calc", [{"name": "\x1b]0;evil\x07\n" + "y" * 10_000}], transport="stdio")
    assert warnings[0].isprintable()
    assert len(warnings[0]) < 250


def test_an_invalid_header_annotation_drops_the_tool_over_http_only():
    bad = {"name": "bad", "inputSchema": {"type": "object", "properties": {"a": {"x-mcp-header": ""}}}}
    tools, warnings = parse_tools("api", [GOOD, bad], transport="http")
    assert [tool.name for tool in tools] == ["add"]
    assert "tool 2 'bad'" in warnings[0]
    assert len(parse_tools("api", [GOOD, bad], transport="stdio")[0]) == 2
