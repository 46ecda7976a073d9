"""A server file is changed in one place; every other byte, comments and all, stays as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.config.server_text import add_input, add_server, names_in, remove_server
from trunkline.config.syntax import parse_json
from trunkline.config.text_edit import add_member, remove_member, render
from trunkline.errors import ConfigError

ENTRY = {"command": "uvx", "args": ["mcp-server-time"]}


def add(text: str, name: str = "new", entry: dict[str, Any] | None = None) -> str:
    return add_server(text, name, entry or {"url": "https://h"}, source="f")


def test_comments_formatting_and_unknown_keys_stay() -> None:
    text = (
        '// mine\n{\n\t/* keep */ "x-other":   [1,2 ,3],\n\t"mcpServers": { // servers\n'
        '\t\t"a": {"command": "c"}, // the first\n\t\t"b": {"url": "http://h"}   /* last */\n\t} ,\n'
        '\t"z": {}\n}\n// end'
    )
    changed = add(text, "é", {"command": "c", "env": {"K": "v"}})
    added = ',\n\t\t"é": {\n\t\t\t"command": "c",\n\t\t\t"env": {\n\t\t\t\t"K": "v"\n\t\t\t}\n\t\t}'
    comma, member = added[:1], added[1:]
    assert changed == text.replace('"http://h"}   /* last */', f'"http://h"}}{comma}   /* last */{member}')
    assert remove_server(changed, "é", source="f") == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"mcpServers": {}}', '{"mcpServers": {"new": {"url": "https://h"}}}'),
        (
            '{"mcpServers": {"a": {"command": "c"}}}',
            '{"mcpServers": {"a": {"command": "c"}, "new": {"url": "https://h"}}}',
        ),
        (
            '{"mcpServers": {"a": {"url": "u"},}}',
            '{"mcpServers": {"a": {"url": "u"}, "new": {"url": "https://h"},}}',
        ),
        ('{"mcpServers": null, "x": 1}', '{"mcpServers": {"new": {"url": "https://h"}}, "x": 1}'),
        ('{"servers": {}}', '{"servers": {"new": {"url": "https://h"}}}'),
        ('{"a": {"command": "c"}}', '{"a": {"command": "c"}, "new": {"url": "https://h"}}'),
        ("{}", '{"mcpServers": {"new": {"url": "https://h"}}}'),
        ('{"mcpServers": {/* none */}}', '{"mcpServers": {/* none */ "new": {"url": "https://h"}}}'),
        (
            '{\n    "mcpServers": {\n    }\n}\n',
            '{\n    "mcpServers": {\n        "new": {\n            "url": "https://h"\n        }\n    }\n}\n',
        ),
        (
            '{\r\n  "mcpServers": {\r\n    "a": {"url": "u"}, // x\r\n  }\r\n}\r\n',
            '{\r\n  "mcpServers": {\r\n    "a": {"url": "u"}, // x\r\n'
            '    "new": {\r\n      "url": "https://h"\r\n    },\r\n  }\r\n}\r\n',
        ),
        (
            '{"mcpServers": {\n  "a": {"url": "u"} // last\n}}',
            '{"mcpServers": {\n  "a": {"url": "u"}, // last\n  "new": {\n    "url": "https://h"\n  }\n}}',
        ),
        (
            '{"mcpServers": {\n  // only this\n}}',
            '{"mcpServers": {\n  // only this\n  "new": {\n    "url": "https://h"\n  }\n}}',
        ),
    ],
)  # fmt: skip
def test_a_server_is_added_in_the_style_of_the_file(text: str, expected: str) -> None:
    assert add(text) == expected


@pytest.mark.parametrize("text", ["", "  \n", "// nothing yet\n"])
def test_an_empty_file_becomes_a_whole_one(text: str) -> None:
    changed = add(text)
    assert changed.startswith(text.strip())
    assert parse_json(changed, source="f") == {"mcpServers": {"new": {"url": "https://h"}}}


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ('{"mcpServers": {"a": {}, "b": {}}}', "a", '{"mcpServers": {"b": {}}}'),
        ('{"mcpServers": {"a": {}, "b": {}}}', "b", '{"mcpServers": {"a": {}}}'),
        ('{"mcpServers": {"a": {}}}', "a", '{"mcpServers": {}}'),
        ('{"mcpServers": {"a": {}, "b": {}, }}', "b", '{"mcpServers": {"a": {}, }}'),
        (
            '{"mcpServers": {\n  "a": {\n    "url": "u"\n  },\n  // about b\n  "b": {} // after b\n}}',
            "a",
            '{"mcpServers": {\n  // about b\n  "b": {} // after b\n}}',
        ),
        (
            '{"mcpServers": {\n  "a": {}, // about a\n  // about b\n  "b": {}\n}}',
            "b",
            '{"mcpServers": {\n  "a": {} // about a\n  // about b\n}}',
        ),
        (
            '{"mcpServers": {"a": {}}, "servers": {"a": {}, "c": {}}}',
            "a",
            '{"mcpServers": {}, "servers": {"c": {}}}',
        ),
        ('{"mcpServers": {"a": {"x": 1}, "b": {}, "a": {"y": 2}}}', "a", '{"mcpServers": {"b": {}}}'),
    ],
)
def test_a_server_is_removed_and_every_comment_stays(text: str, name: str, expected: str) -> None:
    assert remove_server(text, name, source="f") == expected


def test_a_name_that_is_taken_or_missing_is_refused() -> None:
    text = '{"mcpServers": {"a": {}}}'
    with pytest.raises(ConfigError, match="server 'a': there is a server of this name already"):
        add(text, "a")
    with pytest.raises(ConfigError, match="no server of this name"):
        remove_server(text, "b", source="f")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"command": "c"}', "single entry without a name"),
        ("[1]", "must hold an object, not a list"),
        ('{"mcpServers": 3}', "cannot be changed safely, and was not changed"),
        ('{"mcpServers": ', "invalid JSON"),
    ],
)
def test_a_text_that_cannot_take_a_server_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        add(text)


def test_an_input_is_added_once() -> None:
    raw = {"type": "promptString", "id": "tok", "description": "t"}
    text = add_input('{"mcpServers": {}}', raw, source="f")
    assert parse_json(text, source="f")["inputs"] == [raw]
    assert add_input(text, raw, source="f") == text
    two = parse_json(add_input(text, {**raw, "id": "b"}, source="f"), source="f")
    assert [known["id"] for known in two["inputs"]] == ["tok", "b"]


def test_half_a_surrogate_pair_is_written_as_an_escape() -> None:
    changed = add("{}", "x", {"command": "\udc80"})
    assert "\\udc80" in changed
    changed.encode()


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(st.sampled_from('ab{}[],:"\\/*é\n '), max_size=6)
)
OBJECTS = st.dictionaries(
    NAMES, st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3), max_leaves=4), max_size=4
)
NOISE = st.lists(
    st.sampled_from(["", " ", "\n", "\t", "// c\n", "/* , { */", "\r\n"]), min_size=80, max_size=80
)


def noisy(value: Any, noise: list[str], *, trailing: bool) -> str:
    """Write JSON with comments and white space wherever they may stand."""
    supply = iter(noise * 50)

    def write(item: Any) -> str:
        if isinstance(item, dict):
            inner = ",".join(f"{next(supply)}{json.dumps(key)}{next(supply)}:{write(each)}{next(supply)}"
                             for key, each in item.items())  # fmt: skip
            return "{" + inner + ("," if trailing and item else "") + next(supply) + "}"
        if isinstance(item, list):
            return "[" + ",".join(write(each) + next(supply) for each in item) + "]"
        return f"{next(supply)} {json.dumps(item)}"

    return next(supply) + write(value)


@given(OBJECTS, OBJECTS, NOISE, st.booleans(), NAMES)
def test_whatever_the_text_one_member_is_added_and_removed_and_all_else_stays(
    outer: dict[str, Any], inner: dict[str, Any], noise: list[str], trailing: bool, key: str
) -> None:
    content = {**outer, "map": {name: item for name, item in inner.items() if name != key}}
    text = noisy(content, noise, trailing=trailing)
    added = add_member(text, ("map",), key, ENTRY, source="f")
    assert parse_json(added, source="f") == {**content, "map": {**content["map"], key: ENTRY}}
    assert is_subsequence(text, added)
    removed = remove_member(added, ("map",), key, source="f")
    assert parse_json(removed, source="f") == content
    assert removed.count("// c") == text.count("// c")
    assert removed.count("/* , { */") == text.count("/* , { */")


def is_subsequence(short: str, long: str) -> bool:
    """Say whether a text is in another one, in order, apart from white space that a new line replaces."""
    rest = iter("".join(long.split()))
    return all(character in rest for character in "".join(short.split()))


def test_names_are_those_of_every_map() -> None:
    assert names_in('{"mcpServers": {"a": {}}, "servers": {"b": {}}}', source="f") == ("a", "b")
    assert names_in('{"a": {"url": "u"}}', source="f") == ("a",)
    assert names_in("", source="f") == ()
    assert render([]) == "[]"
