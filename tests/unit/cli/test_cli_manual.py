"""`--help-json`: a stable description of every level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trunkline import errors
from trunkline.cli.commands import COMMANDS
from trunkline.cli.exits import MEANINGS, exit_code
from trunkline.cli.options import OPTIONS, Settings

Trunkline = Callable[..., Any]
"""Runs a command line; gives `code`, `out`, `err` and, parsed, `document`."""
COMMON = {"name", "summary", "description", "usage", "arguments", "options", "commands"}


def test_the_program_describes_all_its_commands(trunkline: Trunkline) -> None:
    document = trunkline("--help-json").document
    assert set(document) == COMMON | {"schema", "program", "version", "exit_codes"}
    assert (document["schema"], document["program"], document["name"]) == (1, "trunkline", "trunkline")
    assert [command["name"] for command in document["commands"]] == [f"trunkline {name}" for name in COMMANDS]
    assert {one["code"]: one["meaning"] for one in document["exit_codes"]} == MEANINGS


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_describes_itself_with_no_argument_given(trunkline: Trunkline, command: str) -> None:
    document = trunkline(command, "--help-json").document
    whole = trunkline("--help-json").document
    (same,) = [one for one in whole["commands"] if one["name"] == f"trunkline {command}"]
    assert {key: document[key] for key in COMMON} == same
    assert document["summary"].endswith(".")
    assert document["description"].startswith(document["summary"].rstrip("."))


def test_options_have_names_types_and_whether_they_repeat(trunkline: Trunkline) -> None:
    document = trunkline("call", "--help-json").document
    options = {one["names"][-1]: one for one in document["options"]}
    assert options["--timeout"] == {
        "names": ["--timeout"],
        "type": "number",
        "metavar": "SECONDS",
        "required": False,
        "repeatable": False,
        "default": None,
        "section": "Options",
        "help": "Longest time the command may wait.",
    }
    assert (options["--yes"]["names"], options["--yes"]["type"]) == (["-y", "--yes"], "boolean")
    assert options["--header"]["repeatable"] is True
    assert options["--header"]["section"] == "A server without a file"
    assert document["arguments"][0] == {
        "name": "TOOL",
        "type": "string",
        "required": True,
        "repeatable": False,
        "help": "As server.tool.",
    }
    (limit,) = [one for one in trunkline("search", "--help-json").document["options"] if one["default"] == 5]
    assert (limit["names"], limit["type"]) == (["--limit"], "integer")


@pytest.mark.parametrize("command", ["list", "tools", "info", "search", "call", "status"])
def test_a_command_that_connects_takes_every_common_option(trunkline: Trunkline, command: str) -> None:
    document = trunkline("--help-json").document
    wanted = {name for one in document["options"] for name in one["names"]} - {"--version"}
    assert "--http" in wanted
    (same,) = [one for one in document["commands"] if one["name"] == f"trunkline {command}"]
    assert wanted <= {name for one in same["options"] for name in one["names"]}


def test_each_common_option_is_a_setting() -> None:
    assert set(OPTIONS) <= set(Settings.__dataclass_fields__)


def test_each_exit_code_of_an_error_has_a_meaning() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    raised = [kind for kind in kinds if issubclass(kind, errors.CallError)]
    assert len(raised) > 10
    assert {exit_code(kind.__new__(kind, "")) for kind in raised if kind is not errors.ProtocolError} <= set(
        MEANINGS
    )
