"""What people see, to the letter: help, tables and messages, kept as files under `snapshots/`.

Run with TRUNKLINE_UPDATE_SNAPSHOTS=1 after a change that is meant, and read the difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from trunkline.cli.commands import COMMANDS
from trunkline.testing import FakeServer

Snapshot = Callable[[str, str], None]
VIEWS: dict[str, list[str]] = {
    "list": ["list"],
    "tools": ["tools"],
    "tools-read-only": ["tools", "--read-only"],
    "search": ["search", "remove", "a", "note"],
    "info-tool": ["info", "notes.add"],
    "info-server": ["info", "notes"],
    "status": ["status"],
    "call-error": ["call", "notes.fail"],
    "wrong-command": ["cal", "notes.add"],
    "wrong-option": ["call", "notes.add", "--jsn"],
    "wrong-server": ["call", "note.add", "text=x"],
    "wrong-tool": ["call", "notes.ad", "text=x"],
    "wrong-argument": ["call", "notes.add", "txt=x"],
    "wrong-type": ["call", "notes.add", "text=x", "stars=many"],
    "wrong-form": ["call", "notes.add", "text"],
    "read-only": ["call", "notes.remove", "id=1", "--read-only"],
}


@pytest.fixture
def notes_place(bare_place: Any) -> Any:
    """A folder with two servers, one of which does not start; help is 100 columns wide."""
    server = FakeServer("notes", eras=["legacy"], versions=["2025-11-25"])
    properties = {
        "text": {"type": "string", "description": "what it says"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "stars": {"type": "integer", "default": 3},
    }
    schema = {"type": "object", "properties": properties, "required": ["text"], "additionalProperties": False}
    number = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
    server.tool("add", schema=schema, description="Write a note down. It is kept.", reports="arguments")
    server.tool("find", description="Find notes by their words.", annotations={"readOnlyHint": True})
    server.tool("remove", schema=number, description="Remove a note.", annotations={"destructiveHint": True})
    server.tool("fail", error="out of ink")
    bare_place.serve("notes", server)
    bare_place.entries["gone"] = {"command": "trunkline-test-no-such-command"}
    bare_place.environ["COLUMNS"] = "100"
    return bare_place


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_what_it_was(notes_place: Any, command: str, snapshot: Snapshot) -> None:
    run = notes_place.run(*command.split(), "--help")
    assert (run.code, run.err) == (0, "")
    snapshot(f"help-{command}".rstrip("-"), run.out)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_what_it_was(notes_place: Any, view: str, snapshot: Snapshot) -> None:
    run = notes_place.run(*VIEWS[view])
    text = f"exit code {run.code}\n--- standard output\n{run.out}--- standard error\n{run.err}"
    snapshot(f"view-{view}", steady(text))


def steady(text: str) -> str:
    """Put signs of the same length for what differs from run to run."""
    text = re.sub(r"\d+\.\d (s|ms)\b", lambda found: re.sub(r"\d", "0", found[0]), text)
    return re.sub(r"(?m)^ \d\.\d{3}  ", " 0.000  ", text)
