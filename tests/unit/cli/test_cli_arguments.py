"""Arguments on the command line: every form, what each means, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.cli.arguments import needs_schema, parse_arguments, parse_stdin, resolve_arguments
from trunkline.cli.exits import UsageError

FILES = {
    "body.json": '{"a": 1, "b": [2]}',
    "list.json": "[1]",
    "broken.json": '{"a": 1,\n  "b": }',
    "note.txt": "two\nlines\n",
    "five": "5\n",
    "-": '{"from": "stdin"}',
    "bom.json": '\ufeff{"a": 1}',
}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "on": {"type": "boolean"},
        "none": {"type": "null"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "ids": {"type": "array", "items": {"type": "integer"}},
        "rows": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
        "where": {"type": "object"},
    },
}


def read(path: str) -> str:
    if path == "binary":
        return b"\xff".decode()
    if path not in FILES:
        raise FileNotFoundError(2, "No such file or directory")
    return FILES[path]


def arguments(*words: str, schema: dict[str, Any] | None = SCHEMA) -> dict[str, Any]:
    return resolve_arguments(parse_arguments(words, read), schema)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), {}),
        (("name=x",), {"name": "x"}),
        (("name=",), {"name": ""}),
        (("name=a=b",), {"name": "a=b"}),
        (("name=http://x/?a:=b",), {"name": "http://x/?a:=b"}),
        (("a:b=c",), {"a:b": "c"}),
        (("name=5",), {"name": "5"}),
        (("name= x ",), {"name": " x "}),
        (("count=5",), {"count": 5}),
        (("count=-5",), {"count": -5}),
        (("count=five",), {"count": "five"}),
        (("share=0.5",), {"share": 0.5}),
        (("on=true",), {"on": True}),
        (("none=null",), {"none": None}),
        (("unknown=5",), {"unknown": "5"}),
        (("unknown:=5",), {"unknown": 5}),
        (('where={"a": 1}',), {"where": {"a": 1}}),
        (("where=plain",), {"where": "plain"}),
        (("name:=null",), {"name": None}),
        (('tags:=["a"]',), {"tags": ["a"]}),
        (("tags=a",), {"tags": ["a"]}),
        (("tags=a", "tags=b"), {"tags": ["a", "b"]}),
        (("tags=a,b",), {"tags": ["a,b"]}),
        (('tags=["a", "b"]',), {"tags": ["a", "b"]}),
        (('tags=["a"',), {"tags": '["a"'}),
        (('tags=["a"]', "tags=b"), {"tags": ['["a"]', "b"]}),
        (("ids=1", "ids:=2", "ids=x"), {"ids": [1, 2, "x"]}),
        (("rows=[1]", "rows=[2, 3]"), {"rows": [[1], [2, 3]]}),
        (("name=@note.txt",), {"name": "two\nlines\n"}),
        (("count=@five",), {"count": 5}),
        (("where=@body.json",), {"where": {"a": 1, "b": [2]}}),
        (("name=@@handle",), {"name": "@handle"}),
        (("name=@@@",), {"name": "@@"}),
        (("name=@-",), {"name": '{"from": "stdin"}'}),
        (("@body.json",), {"a": 1, "b": [2]}),
        (("@bom.json",), {"a": 1}),
        (("@-",), {"from": "stdin"}),
        (("{}",), {}),
        (('{"a": 1}',), {"a": 1}),
        (("name=x", '{"name": "y", "z": 1}'), {"name": "x", "z": 1}),
        (("@body.json", "a=9"), {"a": "9", "b": [2]}),
        (("a:=9", "@body.json"), {"a": 9, "b": [2]}),
    ],
)
def test_each_form_gives_its_value(words: tuple[str, ...], expected: dict[str, Any]) -> None:
    found = arguments(*words)
    assert found == expected
    assert json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("word",), "argument 'word' has no value"),
        (("=x",), "argument '=x' has no name"),
        ((":=1",), "argument ':=1' has no name"),
        (("a:=",), "argument 'a': not valid JSON"),
        (("a:={",), "argument 'a': not valid JSON: .* at line 1 column 2"),
        (("a:=NaN",), "argument 'a': not valid JSON: NaN"),
        (("a:=" + "[" * 100_000,), "argument 'a': the JSON is nested too deep"),
        (("a:=" + "1" * 5000,), "argument 'a': not valid JSON"),
        (("a=@nowhere",), "argument 'a': cannot read 'nowhere': No such file"),
        (("a=@",), "argument 'a' names no file"),
        (("a=@binary",), "argument 'a': 'binary' is not UTF-8"),
        (("@",), "argument @ names no file"),
        (("@nowhere",), "argument @nowhere: cannot read"),
        (("@list.json",), "argument @list.json: must be a JSON object, not an array"),
        (("@broken.json",), "argument @broken.json: not valid JSON: .* line 2 column 8"),
        (("[1]",), "must be a JSON object, not an array"),
        (("{bad}",), "not valid JSON"),
        (("{}", "a=1"), "a JSON object must be the last argument"),
        (("@body.json", "{}"), "the whole object is given twice"),
        (("@body.json", "@body.json"), "the whole object is given twice"),
        (("name=a", "name=b"), "argument 'name' is given 2 times"),
        (("unknown=a", "unknown=b"), "argument 'unknown' is given 2 times"),
        (("name:=1", "name=b"), "argument 'name' is given 2 times"),
        (("a=@-", "b=@-"), "standard input is asked for twice"),
        (("@-", "b=@-"), "standard input is asked for twice"),
        (("a=\udcff",), "argument 'a' is not valid Unicode"),
        (('{"a": "\\ud800"}',), "the JSON object is not valid Unicode"),
    ],
)
def test_a_bad_form_is_refused_by_name(words: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        arguments(*words)


def test_a_handle_taken_for_a_file_is_answered_with_the_way_to_write_it() -> None:
    with pytest.raises(UsageError) as caught:
        arguments("to=@bob")
    assert caught.value.hint == "For a value that begins with @ write @@bob."


def test_a_long_word_is_shortened_in_the_message() -> None:
    with pytest.raises(UsageError) as caught:
        arguments("{" + "x" * 500)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_empty_standard_input_means_no_arguments(text: str) -> None:
    assert resolve_arguments(parse_stdin(text), SCHEMA) == {}


def test_standard_input_is_the_whole_object() -> None:
    assert resolve_arguments(parse_stdin('{"count": "5"}\n'), SCHEMA) == {"count": "5"}


@pytest.mark.parametrize("text", ["[]", "5", "nope", '"x"', "null", "true"])
def test_standard_input_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="standard input"):
        parse_stdin(text)


@pytest.mark.parametrize(
    ("words", "needed"),
    [((), False), (("{}",), False), (("a:=1",), False), (("a=1",), True), (("a:=1", "a:=2"), True)],
)
def test_the_schema_is_needed_only_where_it_decides(words: tuple[str, ...], needed: bool) -> None:
    assert needs_schema(parse_arguments(words, read)) is needed


def _json_values() -> st.SearchStrategy[Any]:
    text = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
    scalars = (
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
    )
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=8,
    )


keys = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="="), min_size=1, max_size=12
).filter(lambda key: not key.startswith(("@", "{", "[")) and not key.endswith(":"))


@given(key=keys, value=_json_values())
def test_a_json_value_arrives_as_it_was_written_whatever_the_schema(key: str, value: Any) -> None:
    schema = {"properties": {key: {"type": "string"}}}
    for word in (f"{key}:={json.dumps(value)}", json.dumps({key: value})):
        assert arguments(word, schema=schema) == {key: value}


@given(key=keys, text=st.text(st.characters(exclude_categories=("Cs",)), max_size=40))
def test_a_string_parameter_keeps_any_text_to_the_letter(key: str, text: str) -> None:
    written = "@" + text if text.startswith("@") else text
    assert arguments(f"{key}={written}", schema={"properties": {key: {"type": "string"}}}) == {key: text}


@given(words=st.lists(st.text(max_size=12), max_size=4), schema=_json_values())
def test_any_words_and_any_schema_give_arguments_or_a_usage_error(words: list[str], schema: Any) -> None:
    try:
        found = arguments(*words, schema=schema if isinstance(schema, dict) else None)
    except UsageError:
        return
    assert json.loads(json.dumps(found)) == found
