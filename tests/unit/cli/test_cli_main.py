"""The command line itself: common options, mistyped words, help and version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Trunkline = Callable[..., Any]
"""Runs a command line; gives `code`, `out`, `err` and, parsed, `document`."""


def test_common_options_are_taken_before_and_after_the_command(trunkline: Trunkline, world: Any) -> None:
    trunkline("--config", "a.json", "--timeout", "5", "list", "--config", "b.json", "--timeout", "7")
    assert world.read == [("a.json", "b.json")]
    assert world.waited == [(None, 7.0)]
    assert trunkline("--json", "status").document["ok"] is True


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (("lst",), "no such command 'lst'; did you mean 'list'?"),
        (
            ("list", "--timeout", "soon"),
            "invalid value for '--timeout': 'soon' is not a number of seconds above 0",
        ),
        (("list", "--timeout", "0"), "'0' is not a number of seconds above 0"),
        (("list", "--timeout", "nan"), "'nan' is not a number of seconds above 0"),
        (("search", "x", "--limit", "0"), "'0' is not a whole number above 0"),
        (("cal",), "no such command 'cal'; did you mean 'call'?"),
        (("git.log", "path=x"), "no such command 'git.log'; to call a tool: trunkline call git.log"),
        (("list", "--nope"), "no such option: --nope"),
        (("list", "--tiemout", "3"), "no such option: --tiemout; did you mean '--timeout'?"),
        (("--jsno", "list"), "no such option: --jsno; did you mean '--json'?"),
        (("completion", "tcsh"), "there is no completion for 'tcsh'"),
        (("call",), "missing argument 'TOOL'"),
        (("search",), "missing argument 'WORD"),
        (("call", "git.log", "word"), "argument 'word' has no value"),
        (("call", "a=b"), "'a=b' is an argument, not a tool"),
    ],
)
def test_a_mistyped_command_line_exits_two_with_one_message(
    trunkline: Trunkline, world: Any, argv: tuple[str, ...], complaint: str
) -> None:
    run = trunkline(*argv)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("trunkline: error: ")
    assert complaint in run.err
    document = trunkline(*argv, "--json").document
    assert document["error"]["code"] == "usage_error"
    assert world.started == []


def test_version_and_help_print_to_standard_output(trunkline: Trunkline) -> None:
    assert trunkline("--version").out.startswith("trunkline ")
    for words in (["--help"], ["-h"], ["call", "--help"], ["status", "-h"]):
        run = trunkline(*words)
        assert run.code == 0
        assert run.out.startswith("Usage: trunkline")
