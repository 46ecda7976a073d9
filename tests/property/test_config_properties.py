"""Configuration holds its promises for any input."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trunkline.config import BadEntry, HttpEntry, StdioEntry, load
from trunkline.config.dotenv import parse_dotenv
from trunkline.config.entry_error import EntryError
from trunkline.config.position import find_keys
from trunkline.config.syntax import parse_json, strip_comments
from trunkline.errors import ConfigError

ENVIRON = {"HOME": "/home/ann", "TOKEN": "sk-123456"}
KEYS = st.sampled_from(
    [
        "mcpServers",
        "servers",
        "command",
        "url",
        "args",
        "env",
        "headers",
        "cwd",
        "type",
        "envFile",
        "disabled",
    ]
)
TEXT = st.one_of(
    st.text(max_size=12), st.sampled_from(["${TOKEN}", "${", "${NONE}", "https://h:1", "~/x", "."])
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(KEYS, TEXT), inner, max_size=5)
    ),
    max_leaves=20,
)
FINITE = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)
SECRET = st.text(string.ascii_letters + string.digits, min_size=1, max_size=30)

settings.register_profile(
    "config", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CONFIG = settings.get_profile("config")


def refusal(file: Path) -> ConfigError | None:
    try:
        load(file, environ=ENVIRON, policy={})
    except ConfigError as error:
        return error
    return None


@CONFIG
@given(content=JSON)
def test_any_mapping_gives_a_config_or_a_config_error(content: Any) -> None:
    target = content if isinstance(content, dict) else {"a": content}
    try:
        config = load(target, environ=ENVIRON, policy={})
    except ConfigError:
        return
    for entry in config.entries:
        assert repr(entry)
        if isinstance(entry, StdioEntry | HttpEntry):
            assert len(entry.digest()) == 64


@CONFIG
@given(content=st.one_of(JSON.map(json.dumps), st.text(), st.text(alphabet='{}[]",:/*\\ \na1')))
def test_any_text_as_a_file_gives_a_config_or_a_config_error(content: str, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    error = refusal(file)
    assert error is None or error.hint
    assert str(error).encode()


@CONFIG
@given(content=JSON)
def test_any_policy_gives_settings_or_a_config_error(content: Any) -> None:
    for name in ("defaults", "servers", "tools", "limits"):
        try:
            policy = load([], environ=ENVIRON, policy={name: content}).policy
        except ConfigError:
            continue
        assert policy.for_server("x").timeout > 0
        assert policy.for_tool("x", "y").timeout > 0


@CONFIG
@given(value=FINITE, indent=st.sampled_from([None, 0, 2]))
def test_json_without_comments_is_read_as_the_standard_parser_reads_it(
    value: Any, indent: int | None
) -> None:
    text = json.dumps(value, indent=indent)
    assert strip_comments(text, source="x") == text
    assert parse_json(text, source="x") == json.loads(text)


@CONFIG
@given(
    value=FINITE,
    note=st.text(alphabet=st.characters(exclude_characters="*/", exclude_categories=["Cs"]), max_size=10),
)
def test_comments_and_trailing_commas_change_nothing_but_are_kept_in_place(value: Any, note: str) -> None:
    line = note.replace("\n", " ").replace("\r", " ")
    text = f'// {line}\n{{/*{note}*/"k": [{json.dumps(value)}, /*{note}*/ ], // {line}\n}} // {line}'
    plain = strip_comments(text, source="x")
    assert len(plain) == len(text)
    assert plain.count("\n") == text.count("\n")
    assert parse_json(text, source="x") == {"k": [json.loads(json.dumps(value))]}


@CONFIG
@given(value=st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_the_value_of_a_variable_arrives_as_it_is_wherever_it_is_used(value: str) -> None:
    raw = {"command": "x", "args": ["${V}", "<${V}>", "${V}${V}"], "env": {"A": "${V}"}}
    (entry,) = load({"s": raw}, environ={"V": value}, policy={}).entries
    assert isinstance(entry, StdioEntry)
    assert entry.args == (value, f"<{value}>", value + value)
    assert entry.env == {"A": value}


@CONFIG
@given(one=SECRET, two=SECRET)
def test_digest_and_repr_do_not_depend_on_secret_values(one: str, two: str) -> None:
    def seen(secret: str) -> list[tuple[str, str]]:
        raw = {
            "p": {
                "command": "x",
                "args": ["${T}", "a${T}b", f"--token={secret}", "--key", secret],
                "env": {"A": secret},
            },
            "h": {"url": f"https://u:{secret}@h/${{T}}?key={secret}", "headers": {"A": secret, "B": "${T}"}},
        }
        entries = load(raw, environ={"T": secret}, policy={}).entries
        assert not any(isinstance(entry, BadEntry) for entry in entries)
        return [(repr(entry), entry.digest()) for entry in entries if not isinstance(entry, BadEntry)]

    assert seen(one) == seen(two)


@CONFIG
@given(
    secret=st.text(string.ascii_letters, min_size=12, max_size=30),
    cut=st.integers(min_value=0, max_value=200),
)
def test_a_broken_file_never_shows_a_long_value(secret: str, cut: int, tmp_path: Path) -> None:
    text = json.dumps({"mcpServers": {"a": {"command": "x", "env": {"T": secret, "U": secret}}}})
    file = tmp_path / "mcp.json"
    file.write_text(text[:cut] + text[cut + 1 :])
    error = refusal(file)
    shown = f"{error} {error.hint}" if error else repr(load(file, environ=ENVIRON, policy={}))
    assert secret not in shown


@CONFIG
@given(content=FINITE)
def test_every_key_of_a_document_is_found_at_its_place(content: Any) -> None:
    text = json.dumps({"k": content}, indent=1)

    def walk(value: Any, path: tuple[str | int, ...]) -> None:
        items = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for key, item in items:
            (offset,) = find_keys(text, (*path, key))
            shown = json.dumps(key if isinstance(key, str) else item, indent=1)
            assert text.startswith(shown[:1], offset)
            if isinstance(key, str):
                assert text.startswith(json.dumps(key), offset)
            walk(item, (*path, key))

    walk({"k": content}, ())


@CONFIG
@given(text=st.one_of(st.text(), st.text(alphabet="A=\"'\\ #\n\t1")))
def test_any_env_file_gives_variables_or_one_error_with_its_line(text: str) -> None:
    error = None
    try:
        variables = parse_dotenv(text, source="x")
    except EntryError as caught:
        error = caught
    if error is None:
        assert all(name.isascii() and name for name in variables)
    else:
        assert error.line in range(1, text.count("\n") + 2)
