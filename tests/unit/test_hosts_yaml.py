"""The YAML of settings files is read exactly, or refused with its line; never guessed at."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.config.hosts.export_text import to_yaml
from trunkline.config.hosts.yaml_scalar import YamlError
from trunkline.config.hosts.yaml_subset import read_member

GOOSE = """\
---
# settings of goose
GOOSE_PROVIDER: anthropic
odd: &anchor {never: looked at}
extensions:
  developer:
    bundled: true
    name: developer   # a comment
    timeout: 300
    type: builtin
  "my files":
    args:
    - -y
    - '@scope/server: it''s'
    - "tab\\there \\u00e9 \\x41"
    - https://x.example.com/mcp?a=b#c
    -   - nested
        -
    cmd: npx
    description: |-
      Reads: files
        # not a comment

      end
    folded: >
      one
      two

      three
    empty:
    none: ~
    flow: [a, "b", {c: d, e: [1, 2.5]}, 'f']
    long: [one,  # with a comment
      two,
      three]
    env_keys: []
    envs: {}
GOOSE_MODEL: x
"""


def read(text: str, key: str = "extensions") -> Any:
    return read_member(text, key)[0]


def test_a_settings_file_is_read() -> None:
    assert read(GOOSE) == {
        "developer": {"bundled": True, "name": "developer", "timeout": 300, "type": "builtin"},
        "my files": {
            "args": ["-y", "@scope/server: it's", "tab\there é A",
                     "https://x.example.com/mcp?a=b#c", ["nested", None]],
            "cmd": "npx",
            "description": "Reads: files\n  # not a comment\n\nend",
            "folded": "one two\nthree\n",
            "empty": None,
            "none": None,
            "flow": ["a", "b", {"c": "d", "e": [1, 2.5]}, "f"],
            "long": ["one", "two", "three"],
            "env_keys": [],
            "envs": {},
        },
    }  # fmt: skip


def test_line_ends_of_windows_make_no_difference() -> None:
    assert read(GOOSE.replace("\n", "\r\n")) == read(GOOSE)


def test_places_are_those_of_the_keys() -> None:
    _, places = read_member(GOOSE, "extensions")
    assert places[("extensions", "my files")] == (11, 3)
    assert places[("extensions", "my files", "args", 1)] == (14, 5)
    assert places[("extensions", "my files", "cmd")] == (19, 5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"), ("true", True), ("False", False), ("null", None), ("0x1F", 31), ("0o17", 15),
        ("-5", -5),
        ("+1.5e3", 1500.0), (".5", 0.5), ("1_000", "1_000"), ("30:0", "30:0"), ("1.2.3", "1.2.3"), ("-", "-"),
        ("a # b", "a"), ("a#b", "a#b"), ("a:b", "a:b"), ("'# x'", "# x"), ('"\\n"', "\n"), ("[a:b]", ["a:b"]),
        ("{a: , b}", {"a": None, "b": None}), ("- ", None), ('""', ""), ("''", ""), ("~", None),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert read(f"k: {text}\n", "k") == ([value] if text == "- " else value) or text == "- "


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("k: &a x", 1, "an anchor"),
        ("k:\n  a: *b", 2, "an alias"),
        ("k: !t x", 1, "a tag"),
        ("k:\n  ? a\n  : b", 2, "a complex key"),
        ("k:\n\ta: 1", 2, "a tab"),
        ("k:\n  a: 1\n  a: 2", 3, "written twice"),
        ("k:\n  a: 'open\n  b: 1", 2, "not closed on its line"),
        ("k:\n  a: plain\n    more", 3, "belongs to nothing above it"),
        ("k:\n  a: [1,\n  b: 2", 2, "never closed"),
        ("k: [1 2", 1, "never closed"),
        ("k: {a: 1 b: 2}", 1, "missing|quotes|comma"),
        ("k: ]", 1, "a bracket"),
        ("k: a: b", 1, "must stand in quotes"),
        ("k:\n    a: 1\n  b: 2", 3, "fits nothing above"),
        ("k: 1\n---\nk: 2", 2, "several documents"),
        ('k: "\\q"', 1, "unknown escape"),
        ("k: 'a' b", 1, "left over"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(YamlError, match=reason) as caught:
        read(text, "k")
    assert caught.value.line == line


def test_other_members_may_be_written_in_any_way() -> None:
    assert read("odd: &a [*b]\n'weird': |\n  k: 1\nk: 2\nmore: !x y\n", "k") == 2
    assert read("a: 1\n", "k") is None
    assert read("", "k") is None


TEXTS = st.text(st.sampled_from("ab:#-?[]{},&*!|>'\"%@`\\ \t\n~=.0é\u2028\x7f\x85"), max_size=8)
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXTS),
    lambda inner: st.one_of(st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, st.one_of(TREES, st.lists(TEXTS, max_size=3)), max_size=4))
def test_what_we_write_is_read_back(tree: dict[str, Any]) -> None:
    assert read(to_yaml({"before": 1, "extensions": tree, "after": {}})) == tree


@given(st.text(st.sampled_from("ab:#-?[]{},&*!|>'\"\\ \t\n~10"), max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(f"k: {text}\n", "k")
    except YamlError:
        return
