"""Variables: what is expanded, from where, and exactly once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from trunkline.config import BadEntry, HttpEntry, StdioEntry, load
from trunkline.errors import ConfigError

ENVIRON = {"HOME": "/home/ann", "A": "one", "EMPTY": "", "NESTED": "${A} $A ${file:/etc/passwd}"}


def expand(text: str, *, cwd: Path | None = None, environ: Mapping[str, str] = ENVIRON) -> str:
    (entry,) = load({"s": {"command": "x", "args": [text]}}, cwd=cwd, environ=environ).entries
    if isinstance(entry, BadEntry):
        raise entry.error
    assert isinstance(entry, StdioEntry)
    return entry.args[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "one"),
        ("<${A}-${A}>", "<one-one>"),
        ("${env:A}", "one"),
        ("${A:-two}", "one"),
        ("${NONE:-two}", "two"),
        ("${env:NONE:-two}", "two"),
        ("${NONE:-}", ""),
        ("${NONE:-a:-b}", "a:-b"),
        ("${EMPTY}", ""),
        ("${EMPTY:-two}", "two"),
        ("${env:EMPTY:-two}", "two"),
        ("${userHome}/x", "/home/ann/x"),
        ("$A $$A $${A} %A% {A}", "$A $$A $one %A% {A}"),
        ("${DOLLAR:-$}{A}", "${A}"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_a_reference_gives_its_value(text: str, value: str) -> None:
    assert expand(text) == value


def test_what_comes_out_of_a_variable_is_never_expanded_again() -> None:
    assert expand("${NESTED}") == ENVIRON["NESTED"]
    assert expand("${NONE:-$}{A}") == "${A}"


def test_folders_stand_for_the_file_and_the_caller(tmp_path: Path) -> None:
    for folder, workspace in ((".vscode", "."), (".cursor", "."), ("sub", "sub")):
        file = tmp_path / folder / "mcp.json"
        file.parent.mkdir()
        file.write_text('{"s": {"command": "x", "args": ["${workspaceFolder}", "${cwd}"]}}')
        (entry,) = load(file, cwd=tmp_path, environ=ENVIRON).entries
        assert isinstance(entry, StdioEntry)
        assert entry.args == (os.path.normpath(tmp_path / workspace), str(tmp_path))


def test_every_field_is_expanded(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one.env").write_text("FROM_FILE=${A}\n")
    raw: dict[str, Any] = {
        "p": {
            "command": "${A}",
            "args": ["${A}"],
            "env": {"V": "${A}"},
            "cwd": "${A}",
            "envFile": "${A}.env",
        },
        "u": {"url": "https://${A}/${A}", "headers": {"H": "${A}"}},
    }
    process, remote = load(raw, cwd=tmp_path, environ=ENVIRON).entries
    assert isinstance(process, StdioEntry)
    assert (process.command, process.args, process.cwd) == ("one", ("one",), str(tmp_path / "one"))
    assert process.env == {"HOME": "/home/ann", "FROM_FILE": "${A}", "V": "one"}
    assert isinstance(remote, HttpEntry)
    assert (remote.url, remote.headers) == ("https://one/one", {"H": "one"})


def test_variables_of_the_entry_itself_are_not_seen_by_references() -> None:
    (entry,) = load({"s": {"command": "${OWN}", "env": {"OWN": "x"}}}, environ=ENVIRON).entries
    assert isinstance(entry, BadEntry)
    assert entry.error.message == "the environment variable OWN is not set"


def test_an_unset_variable_is_named_with_its_field_and_the_fix() -> None:
    for text in ("${NONE}", "${env:NONE}"):
        with pytest.raises(ConfigError) as caught:
            expand(text)
        error = caught.value
        assert (error.server, error.field) == ("s", "args[0]")
        assert error.message == "the environment variable NONE is not set"
        assert error.hint == "Set NONE in the environment, or give a default: ${NONE:-value}."


def test_an_unset_variable_close_to_a_set_one_is_a_likely_mistake() -> None:
    with pytest.raises(ConfigError) as caught:
        expand("${GITHUB_TOKN}", environ={"GITHUB_TOKEN": "sk-123456"})
    assert "Did you mean GITHUB_TOKEN" in (caught.value.hint or "")
    assert "sk-123456" not in (caught.value.hint or "")


@pytest.mark.parametrize(
    "text",
    [
        "${}", "${A", "${A-lit-x}", "${A:?lit-x}", "${A:+lit-x}", "${a b}", "${1}", "${NONE:-${A}}",
        "${command:lit-x}", "${env:}", "${workspaceFolder:lit-x}",
    ],
)  # fmt: skip
def test_a_reference_of_another_form_is_refused_without_repeating_its_text(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        expand(text)
    assert caught.value.hint
    assert "lit-x" not in str(caught.value) + caught.value.hint


def test_an_input_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigError, match="the input 'api-key' has to be asked for") as caught:
        expand("${input:api-key}")
    assert "environment variable" in (caught.value.hint or "")


def test_a_file_gives_its_text_without_the_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xef\xbb\xbfone\ntwo ${A}\r\n\n")
    assert expand("<${file:token}>", cwd=tmp_path) == "<one\ntwo ${A}>"
    assert expand(f"${{file:{tmp_path}/token}}") == "one\ntwo ${A}"
    assert expand("${file:~/token}", environ={"HOME": str(tmp_path)}) == "one\ntwo ${A}"


def test_a_file_is_relative_to_the_configuration_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/token").write_text("t0ken")
    (tmp_path / "sub/mcp.json").write_text('{"s": {"command": "x", "args": ["${file:token}"]}}')
    (entry,) = load("sub/mcp.json", cwd=tmp_path, environ=ENVIRON).entries
    assert isinstance(entry, StdioEntry)
    assert entry.args == ("t0ken",)


def test_a_file_that_cannot_be_taken_is_refused_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * (64 * 1024 + 1))
    (tmp_path / "fits").write_bytes(b"x" * (64 * 1024))
    (tmp_path / "latin").write_bytes(b"gr\xfcn")
    (tmp_path / "nul").write_bytes(b"a\0b")
    os.mkfifo(tmp_path / "pipe")
    reasons = {
        "none": "cannot be read: No such file", "big": "is larger than 64 KiB", "latin": "is not UTF-8",
        "pipe": "is not a regular file", ".": "is not a regular file", "nul": "NUL",
    }  # fmt: skip
    for name, reason in reasons.items():
        with pytest.raises(ConfigError, match=reason) as caught:
            expand(f"${{file:{name}}}", cwd=tmp_path)
        assert caught.value.hint
    assert len(expand("${file:fits}", cwd=tmp_path)) == 64 * 1024
