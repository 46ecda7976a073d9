"""Which tools need a yes, what the question shows, and what --read-only lets through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from trunkline.cli.consent import mask_secrets, render_question
from trunkline.cli.hints import is_destructive, is_read_only, require_read_only
from trunkline.cli.style import plain
from trunkline.core.tool import Tool
from trunkline.errors import DeniedError

Trunkline = Callable[..., Any]
"""Runs a command line; gives `code`, `out`, `err` and, parsed, `document`."""


def tool(**annotations: Any) -> Tool:
    return Tool(name="rm", server="disk", public_name="disk.rm", input_schema={}, annotations=annotations)


@pytest.mark.parametrize(
    ("annotations", "destructive", "read_only"),
    [
        ({}, False, False),
        ({"destructiveHint": True}, True, False),
        ({"destructiveHint": "true", "readOnlyHint": 1}, False, False),
        ({"readOnlyHint": True}, False, True),
        ({"readOnlyHint": True, "destructiveHint": False}, False, True),
        ({"readOnlyHint": True, "destructiveHint": True}, True, False),
        ({"readOnlyHint": False, "destructiveHint": False}, False, False),
    ],
)
def test_only_what_a_server_says_outright_counts(
    annotations: dict[str, Any], destructive: bool, read_only: bool
) -> None:
    assert is_destructive(tool(**annotations)) is destructive
    assert is_read_only(tool(**annotations)) is read_only


@pytest.mark.parametrize(
    ("annotations", "why"),
    [
        ({}, "does not call it read-only"),
        ({"readOnlyHint": True, "destructiveHint": True}, "read-only and destructive at once"),
    ],
)
def test_a_refusal_says_why_and_that_hints_are_a_claim(annotations: dict[str, Any], why: str) -> None:
    with pytest.raises(DeniedError, match=why) as caught:
        require_read_only(tool(**annotations))
    assert "server's own claim" in (caught.value.hint or "")
    assert caught.value.delivery == "never_sent"


def test_secrets_are_masked_by_the_name_they_stand_under() -> None:
    given = {
        "path": "x",
        "api_key": "s",
        "keys": ["k"],
        "key": "s",
        "nested": [{"Password": "s", "userToken": {"a": "s"}, "user": "u"}],
        "Authorization": "s",
        "monkey": "banana",
    }
    masked = mask_secrets(given)
    assert masked == given | {
        "api_key": "********",
        "key": "********",
        "nested": [{"Password": "********", "userToken": "********", "user": "u"}],
        "Authorization": "********",
    }


def test_the_question_shows_what_would_happen_and_nothing_that_acts_on_the_terminal() -> None:
    question = render_question(
        tool(destructiveHint=True), {"path": "a\x1b[2J\nb", "token": "s3cret", "n": [1]}, plain
    )
    assert question == (
        "disk.rm may destroy something: its server says so.\n"
        "  path   a b\n  token  ********\n  n      [1]\n"
        "Call it? [y/N] "
    )
    assert "no arguments" in render_question(tool(), {}, plain)


@pytest.fixture
def hinted(monkeypatch: pytest.MonkeyPatch, world: Any) -> None:
    """Let git.log be read-only, git.status destructive, and time.now say nothing."""
    hints = {"git.log": {"readOnlyHint": True}, "git.status": {"destructiveHint": True}}
    opened = world.open

    def open_trunk(config: Any, handlers: Any = None) -> Any:  # noqa: ARG001
        trunk = opened(config)
        trunk.catalog.tools = tuple(
            msgspec.structs.replace(known, annotations=hints.get(known.public_name, {}))
            for known in trunk.catalog.tools
        )
        return trunk

    monkeypatch.setattr("trunkline.cli.session.open_trunk", open_trunk)


@pytest.mark.usefixtures("hinted")
def test_read_only_shows_and_calls_only_tools_that_claim_it(trunkline: Trunkline, world: Any) -> None:
    for command in ("list", "tools"):
        shown = trunkline(command, "--read-only").out
        assert "log(" in shown
        assert "status(" not in shown
        assert "now(" not in shown
    assert [
        match["tool"]["name"]
        for match in trunkline("search", "S", "--read-only", "--json").document["matches"]
    ] == ["log"]
    assert trunkline("call", "git.log", "{}", "--read-only").code == 0
    for name in ("git.status", "time.now", "now"):
        run = trunkline("--read-only", "call", name, "{}")
        assert (run.code, run.out) == (6, "")
        assert "refused by --read-only" in run.err
    assert [name for name, *_ in world.called] == ["git.log"]


@pytest.mark.usefixtures("hinted")
def test_without_a_terminal_a_destructive_tool_is_called_without_asking(
    trunkline: Trunkline, world: Any
) -> None:
    assert trunkline("call", "git.status", "{}").code == 0
    assert [name for name, *_ in world.called] == ["git.status"]
