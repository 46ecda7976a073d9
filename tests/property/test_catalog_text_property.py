"""Whatever a server sends, reading and showing it neither fails nor lets anything through."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.catalog import SearchIndex, header_arguments, parse_tools, render_signature
from trunkline.catalog.signature import MAX_SIGNATURE
from trunkline.security.sanitize import sanitize_text

HOSTILE = st.text(
    st.one_of(
        st.sampled_from(
            "\x1b[]m0;\x07\x9b\x9d\x9c\r\n\t\u2028\u200b\u200c\u200d\u202e\ufe0f\ufe0e\U000e0041\U000e007f"
        ),
        st.sampled_from("ab👍👩🏴می\u0644क\u094dष葛\U000e01001\u20e3"),
        st.characters(),
    ),
    max_size=40,
)
KEYS = st.one_of(
    st.sampled_from(
        [
            *("type", "properties", "items", "enum", "const", "default", "$ref", "$defs", "anyOf"),
            *("required", "description", "x-mcp-header", "title", "a"),
        ]
    ),
    HOSTILE,
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        HOSTILE,
        st.sampled_from(["object", "string", "array", "#/$defs/a", "#/properties/a", "#", "Region"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=25,
)
DEFINITIONS = st.fixed_dictionaries(
    {"name": HOSTILE, "inputSchema": st.dictionaries(KEYS, VALUES, max_size=5)},
    optional={"outputSchema": VALUES, "description": VALUES, "title": VALUES, "annotations": VALUES},
)


@settings(max_examples=500, deadline=None)
@given(HOSTILE, st.booleans())
def test_sanitized_text_cannot_act_and_does_not_change_when_sanitized_again(text, multiline):
    shown = sanitize_text(text, multiline=multiline)
    assert sanitize_text(shown, multiline=multiline) == shown
    allowed = "\n\t" if multiline else ""
    assert not [
        char
        for char in shown
        if unicodedata.category(char) in ("Cc", "Zl", "Zp", "Cs") and char not in allowed
    ]
    assert not set(shown) & set(
        "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\u2060"
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(VALUES, DEFINITIONS), max_size=6), st.sampled_from(["http", "stdio"]))
def test_any_json_is_read_as_tools_or_warnings_and_what_was_read_can_be_shown_and_found(raws, transport):
    tools, warnings = parse_tools("server", raws, transport=transport)
    assert len(tools) + len(warnings) == len(raws)
    assert all(warning.isprintable() or sanitize_text(warning) == warning for warning in warnings)
    for tool in tools:
        text = render_signature(tool)
        assert len(text) <= MAX_SIGNATURE
        assert sanitize_text(text) == text
        if transport == "http":
            header_arguments(tool)
    index = SearchIndex.build(tools)
    for tool in tools:
        index.search(f"{tool.name} {tool.description}")
