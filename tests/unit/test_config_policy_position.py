"""Where the keys of a TOML text stand."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.config.policy_position import Places

TEXT = (
    '''\
# a comment with [brackets] and key = "value"
top = "x" # = [no]

[a."b.c"] # header
plain = 1.5
"quo\\u0074ed" = """
fake = 1
[fake]
"""
dot.ted.key = 'it'''
    + """''s'
inline = { one = 1, two = { three = [1, { deep = 2 }] } }
list = [
    # comment, with ] and }
    "a", 'b',
    { c = 1979-05-27 07:32:00 },
]
last = '''x'''
[ a . d ]
x = 1
[[many]]
y = 1
[['x=[y]'.'z']]
"""
)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("top",), (2, 1)),
        (("a",), (4, 1)),
        (("a", "b.c"), (4, 1)),
        (("a", "b.c", "plain"), (5, 1)),
        (("a", "b.c", "quoted"), (6, 1)),
        (("a", "b.c", "dot", "ted", "key"), (10, 1)),
        (("a", "b.c", "inline", "one"), (11, 12)),
        (("a", "b.c", "inline", "two", "three", 1, "deep"), (11, 43)),
        (("a", "b.c", "list", 1), (14, 10)),
        (("a", "b.c", "list", 2, "c"), (15, 7)),
        (("a", "b.c", "last"), (17, 1)),
        (("a", "d", "x"), (19, 1)),
        (("many", "y"), (21, 1)),
        (("x=[y]", "z"), (22, 1)),
        (("a", "b.c", "plain", "none"), (5, 1)),
        (("a", "b.c", "none", "none"), (4, 1)),
        (("none",), (None, None)),
        ((), (None, None)),
    ],
)
def test_a_key_is_found_where_it_stands_or_at_its_nearest_parent(path: Any, place: Any) -> None:
    text = TEXT.replace("'it''s'", "'its'")
    tomllib.loads(text)
    assert Places(text).find(path) == place


@pytest.mark.parametrize("text", ["", "[", "[a", "a =", "a = {", "a = [", 'a = "x', "= 1", "]]]", "a"])
def test_a_text_that_is_no_toml_gives_no_error(text: str) -> None:
    assert Places(text).find(("x",)) == (None, None)


def test_nesting_without_end_gives_no_error() -> None:
    assert Places("a = " + "[" * 100_000).find(("a",)) == (1, 1)


NAMES = st.text("ab.* =[]{}#,'\u00e9", min_size=1, max_size=4)


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers(0, 9), min_size=1), min_size=1))
def test_every_key_of_a_standard_file_is_on_its_own_line(content: dict[str, dict[str, int]]) -> None:
    lines: list[str] = []
    expected: dict[tuple[str, ...], int] = {}
    for table, members in content.items():
        lines += ["", f'["{table}"]']
        expected[table,] = len(lines)
        for key, value in members.items():
            lines.append(f'"{key}" = {value}')
            expected[table, key] = len(lines)
    places = Places("\n".join(lines))
    assert {path: places.find(path).line for path in expected} == expected
