"""What is exported for a program is read back from it as the same server; credentials become variables."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.config.hosts.conversion import CONVERSIONS
from trunkline.config.hosts.export import FORMATS, Exported, export
from trunkline.config.hosts.export_text import Flat, to_toml
from trunkline.config.hosts.server import Setting
from trunkline.config.hosts.withhold import withhold
from trunkline.config.hosts.yaml_subset import read_member
from trunkline.config.inputs import InputSpec
from trunkline.config.survey import is_same_server

PROGRAMS = [name for name in FORMATS if name != "mcp.json"]
SETTING = Setting(folder=Path("/p"), workspace=Path("/p"))


def written(style: str, entries: dict[str, Any]) -> str:
    return export([Exported(name=name, raw=raw) for name, raw in entries.items()], [], style).text


def parse(style: str, text: str) -> Any:
    if style == "codex":
        return tomllib.loads(text)
    if style == "goose":
        return {"extensions": read_member(text, "extensions")[0]}
    return json.loads(text)


def read_back(style: str, text: str) -> dict[str, Any]:
    found = CONVERSIONS[style](parse(style, text), SETTING)
    return {
        server.name: {
            "url" if key in ("serverUrl", "httpUrl") else key: value for key, value in server.raw.items()
        }
        for server in found
    }


ENTRIES = {
    "plain": {"command": "npx", "args": ["-y", 'a "b" \\ é\n', ""], "env": {"K": "v", "Ä": "x y"}},
    "with space.dot": {"type": "http", "url": "https://h/mcp?a=b#c", "headers": {"X-Region": "eu"}},
    "literal": {"command": "sh", "args": ["-c", "echo ${DOLLAR:-$}{HOME}"]},
}


@pytest.mark.parametrize("style", PROGRAMS)
def test_a_program_reads_back_what_was_exported_for_it(style: str) -> None:
    entries = {name: raw for name, raw in ENTRIES.items() if style != "claude-desktop" or "url" not in raw}
    if style in ("cursor", "vscode", "windsurf", "gemini", "claude-code"):
        entries.pop("literal")  # they have no way to write ${ itself
    again = read_back(style, written(style, entries))
    assert list(again) == list(entries)
    for name, raw in entries.items():
        kept = {key: value for key, value in again[name].items() if key != "enabled"}
        assert is_same_server(kept, raw), (kept, raw)


def test_the_standard_form_keeps_entries_as_they_are() -> None:
    entries = {
        "a": {"command": "c", "env": {"T": "${T:-x}"}, "disabled": True},
        "b": {"url": "https://h", "type": "sse"},
    }
    assert json.loads(written("mcp.json", entries)) == {"mcpServers": entries}
    assert json.loads(written("mcp.json", {"b": {"serverUrl": "https://h", "enabled": False}})) == {
        "mcpServers": {"b": {"type": "http", "url": "https://h", "disabled": True}}
    }


@pytest.mark.parametrize("style", ["cursor", "vscode", "windsurf"])
def test_editors_get_variables_in_their_form(style: str) -> None:
    entry = {
        "command": "${workspaceFolder}/x",
        "args": ["${A}", "${env:B}", "${C:-}"],
        "env": {"D": "${D:-no}"},
    }
    made = export([Exported(name="a", raw=entry)], [], style)
    (raw,) = next(iter(json.loads(made.text).values())).values()
    assert raw["command"] == "${workspaceFolder}/x"
    assert raw["args"] == ["${env:A}", "${env:B}", "${env:C}"]
    assert raw["env"] == {"D": "${env:D}"}
    assert made.notes == ("a: the default of ${D} is left out; set the variable",)


def test_codex_and_goose_get_variables_in_fields_of_their_own() -> None:
    entries = {
        "a": {"command": "c", "env": {"TOKEN": "${TOKEN}", "LOG": "x"}, "disabled": True},
        "b": {
            "url": "https://h",
            "headers": {"Authorization": "Bearer ${T}", "X-Key": "${K}", "X-Plain": "p"},
        },
    }
    tables = tomllib.loads(written("codex", entries))["mcp_servers"]
    assert tables["a"] == {"command": "c", "env_vars": ["TOKEN"], "env": {"LOG": "x"}, "enabled": False}
    assert tables["b"] == {
        "url": "https://h",
        "bearer_token_env_var": "T",
        "http_headers": {"X-Plain": "p"},
        "env_http_headers": {"X-Key": "K"},
    }
    goose = parse("goose", written("goose", entries))["extensions"]
    assert (goose["a"]["env_keys"], goose["a"]["envs"], goose["a"]["enabled"]) == (
        ["TOKEN"],
        {"LOG": "x"},
        False,
    )


@pytest.mark.parametrize(
    ("style", "entry", "note"),
    [
        ("claude-desktop", {"command": "c", "args": ["${A}"]}, "Claude Desktop does not expand ${A}"),
        ("claude-desktop", {"url": "https://h"}, "left out"),
        ("zed", {"command": "c", "env": {"A": "${A}"}}, "Zed does not expand ${A}"),
        ("codex", {"command": "c", "args": ["x${file:f}"]}, "Codex does not expand ${file:f}"),
        ("goose", {"command": "${A}"}, "Goose does not expand ${A}"),
        ("cursor", {"command": "c", "args": ["${file:f}"]}, "Cursor does not know ${file:f}"),
    ],
)
def test_what_a_program_cannot_say_is_noted(style: str, entry: dict[str, Any], note: str) -> None:
    (found,) = export([Exported(name="a", raw=entry)], [], style).notes
    assert found.startswith("a: ")
    assert note in found


def test_vscode_and_the_standard_form_carry_the_inputs() -> None:
    spec = InputSpec(id="t", description="Token", password=True, default="x", options=())
    entry = Exported(name="a", raw={"command": "c", "args": ["${input:t}"]})
    for style in ("vscode", "mcp.json"):
        made = export([entry], [spec], style)
        assert json.loads(made.text)["inputs"] == [
            {"type": "promptString", "id": "t", "description": "Token", "password": True, "default": "x"}
        ]
        assert made.notes == ()


def test_disabled_servers_stay_disabled_where_the_program_can_say_so() -> None:
    entries = {"a": {"command": "c", "disabled": True}, "b": {"command": "c"}}
    assert json.loads(written("gemini", entries))["mcp"] == {"excluded": ["a"]}
    zed = json.loads(written("zed", entries))["context_servers"]
    assert [zed[name]["enabled"] for name in "ab"] == [False, True]
    assert read_back("gemini", written("gemini", entries))["a"]["disabled"] is True


KEYS = st.text(st.sampled_from("ab-_. é\"'\\\n\x7f"), min_size=1, max_size=5)
VALUES = st.one_of(
    st.text(max_size=6), st.booleans(), st.integers(-9, 9), st.lists(st.text(max_size=4), max_size=3)
)


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, min_size=1, max_size=3), max_size=3))
def test_toml_is_read_back_by_the_standard_parser(tables: dict[str, Any]) -> None:
    content = {name: {**table, "flat": Flat({"k": "v"})} for name, table in tables.items()}
    assert tomllib.loads(to_toml({"outer": content})) == ({"outer": content} if content else {})


SECRET = "s3cret-VALUE"


AUTH, KEY, ARG, URL = "MY_SRV_AUTHORIZATION", "MY_SRV_X_API_KEY", "MY_SRV_SECRET", "MY_SRV_URL_SECRET"


@pytest.mark.parametrize(
    ("key", "value", "expected", "variables"),
    [
        ("env", {"API_KEY": SECRET, "LOG": "x"}, {"API_KEY": "${API_KEY}", "LOG": "x"}, ["API_KEY"]),
        ("env", {"API_KEY": "${OTHER}"}, {"API_KEY": "${OTHER}"}, []),
        ("env", {"DB": f"postgres://u:{SECRET}@h/d"}, {"DB": "${DB}"}, ["DB"]),
        (
            "headers",
            {"Authorization": f"Bearer {SECRET}"},
            {"Authorization": f"Bearer ${{{AUTH}}}"},
            [AUTH],
        ),
        ("headers", {"X-Api-Key": SECRET, "X-V": "2"}, {"X-Api-Key": f"${{{KEY}}}", "X-V": "2"}, [KEY]),
        (
            "args",
            ["--token", SECRET, f"--key={SECRET}", "x"],
            ["--token", f"${{{ARG}}}", f"--key=${{{ARG}_2}}", "x"],
            [ARG, f"{ARG}_2"],
        ),
        ("args", ["--token", "${T}"], ["--token", "${T}"], []),
        ("url", f"https://h/mcp?token={SECRET}&a=1", f"https://h/mcp?token=${{{URL}}}&a=1", [URL]),
        ("args", ["plain"], ["plain"], []),
    ],
)
def test_plain_credentials_become_variables(
    key: str, value: Any, expected: Any, variables: list[str]
) -> None:
    changed, found = withhold("my srv", {"command": "c", key: value})
    assert changed == {"command": "c", key: expected}
    assert [item.variable for item in found] == variables
    assert SECRET not in repr((changed, found))
