"""`docs/reference/cli.md` is what the program says of itself; TRUNKLINE_UPDATE_SNAPSHOTS=1 writes it anew."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/cli.md"
INTRODUCTION = """# Reference of the command line

Every command, option and exit code, as `trunkline --help-json` gives them. How they are used is in
[Use the command line](../how-to/use-the-command-line.md). This page is written by its test,
`tests/e2e/cli/test_cli_reference.py`.
"""

COMMON = "They may stand before or after the name of a command.\n"


def test_the_reference_page_is_what_the_program_says(bare_place: Any) -> None:
    run = bare_place.run("--help-json")
    assert (run.code, run.err) == (0, "")
    page = render_page(json.loads(run.out))
    if os.environ.get("TRUNKLINE_UPDATE_SNAPSHOTS"):
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "run this test once with TRUNKLINE_UPDATE_SNAPSHOTS=1"


def render_page(document: Mapping[str, Any]) -> str:
    common = [one for one in document["options"] if one["names"] != ["--version"]]
    lines = [INTRODUCTION, "## Common options", "", COMMON, *option_tables(common)]
    for command in leaves(document["commands"]):
        lines += [f"## `{command['name']}`", "", command["description"], "", f"    {command['usage']}", ""]
        lines += argument_table(command["arguments"])
        own = [one for one in command["options"] if one not in common]
        lines += option_tables(own) if own else []
        shared = [one for one in common if one in command["options"]]
        if len(shared) < len(common):
            names = ", ".join(f"`{one['names'][-1]}`" for one in shared)
            lines += [f"Of the common options it takes {names}.", ""]
    lines += [
        "## `trunkline`",
        "",
        "Without a command: `trunkline list`. `--version` prints the version.",
        "",
    ]
    lines += ["## Exit codes", "", "| Code | Meaning |", "|---|---|"]
    lines += [f"| {one['code']} | {one['meaning']} |" for one in document["exit_codes"]]
    return "\n".join(lines) + "\n"


def leaves(commands: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Give the commands that can be run; one that holds others stands for them."""
    for command in commands:
        yield from leaves(command["commands"]) if command["commands"] else [command]


def argument_table(arguments: Iterable[Mapping[str, Any]]) -> list[str]:
    rows = [
        (f"`{escape(one['name'])}{'...' if one['repeatable'] else ''}`", need(one), escape(one["help"]))
        for one in arguments
    ]
    return (
        ["| Argument | | |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows), ""] if rows else []
    )


def option_tables(options: Iterable[Mapping[str, Any]]) -> list[str]:
    lines: list[str] = []
    for section in dict.fromkeys(one["section"] for one in options):
        lines += [f"| {'Option' if section == 'Options' else section} | |", "|---|---|"]
        for one in options:
            if one["section"] == section:
                value = f" {one['metavar']}" if one["metavar"] else ""
                names = ", ".join(f"`{name}{escape(value)}`" for name in one["names"])
                lines.append(f"| {names} | {escape(one['help'])} |")
        lines.append("")
    return lines


def need(argument: Mapping[str, Any]) -> str:
    return "required" if argument["required"] else "optional"


def escape(text: str) -> str:
    return text.replace("|", "\\|")
