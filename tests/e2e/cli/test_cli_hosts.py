"""Bringing one's servers: from another program's file to a call, and back by the undo line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

BOUND = 60.0


@pytest.fixture
def desk(bare_place: Any) -> Any:
    """A project folder without a server file, in a home folder where `echo` can be put anywhere."""
    bare_place.serve("echo")
    bare_place.entry = bare_place.entries.pop("echo")
    (bare_place.folder / "home").mkdir()
    return bare_place


def put(path: Path, text: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def undo(error: str) -> None:
    (line,) = [line for line in error.splitlines() if line.startswith("undo: ")]
    subprocess.run(["/bin/sh", "-c", line.removeprefix("undo: ")], check=True, timeout=BOUND)


def layouts(entry: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Give, for each program, its file and the text in which it has one server `echo`."""
    command, args, env = entry["command"], entry["args"], entry.get("env", {})
    toml_env = "".join(f"{key} = {json.dumps(value)}\n" for key, value in env.items())
    listed = "".join(f"    - {json.dumps(word)}\n" for word in args)
    yaml_env = "".join(f"      {key}: {json.dumps(value)}\n" for key, value in env.items())
    yaml = f"extensions:\n  echo:\n    type: stdio\n    cmd: {json.dumps(command)}\n    args:\n{listed}"
    plain = json.dumps({"mcpServers": {"echo": entry}})
    trusted = json.dumps({"mcpServers": {"echo": {**entry, "trust": True}}})
    return {
        "claude-desktop": (".config/Claude/claude_desktop_config.json", plain),
        "claude-code": (".claude.json", json.dumps({"mcpServers": {"echo": {"type": "stdio", **entry}}})),
        "cursor": (".cursor/mcp.json", plain),
        "vscode": (".config/Code/User/mcp.json", '{"servers": {"echo": ' + json.dumps(entry) + "}, // c\n}"),
        "windsurf": (".codeium/windsurf/mcp_config.json", plain),
        "codex": (
            ".codex/config.toml",
            f"[mcp_servers.echo]\ncommand = {json.dumps(command)}\nargs = {json.dumps(args)}\n"
            f"[mcp_servers.echo.env]\n{toml_env}",
        ),
        "gemini": (".gemini/settings.json", trusted),
        "zed": (".config/zed/settings.json", '{"context_servers": {"echo": ' + json.dumps(entry) + "},}"),
        "goose": (".config/goose/config.yaml", yaml + ("    envs:\n" + yaml_env if env else "")),
    }  # fmt: skip


PROGRAMS = (
    "claude-desktop",
    "claude-code",
    "cursor",
    "vscode",
    "windsurf",
    "codex",
    "gemini",
    "zed",
    "goose",
)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_server_of_another_program_is_imported_called_and_forgotten(desk: Any, program: str) -> None:
    file, text = layouts(desk.entry)[program]
    foreign = put(desk.folder / "home" / file, text)
    dry = desk.run("import", "--from", program, "--dry-run")
    assert (dry.code, dry.out) == (0, "")
    assert "would link 1 file; nothing was changed" in dry.err
    assert not (desk.folder / "home/.config/trunkline").exists()
    linked = desk.run("import", "--from", program)
    assert (linked.code, linked.out) == (0, "")
    called = desk.run("call", "echo.echo", "text=from there")
    assert called.code == 0, called.err
    assert "from there" in called.out
    assert foreign.read_text() == text
    undo(linked.err)
    assert desk.run("list").code == 2


def test_a_server_is_added_called_shown_exported_and_removed(desk: Any) -> None:
    command = [desk.entry["command"], *desk.entry["args"]]
    env = [f"{key}={value}" for key, value in desk.entry.get("env", {}).items()]
    options = [word for pair in env for word in ("-e", pair)]
    added = desk.run("add", "mine", *options, "--", *command)
    assert (added.code, added.out) == (0, ""), added.err
    assert "hi" in desk.run("call", "mine.echo", "text=hi").out
    assert "(local)" in added.err
    shown = desk.run("get", "mine", "--json")
    assert json.loads(shown.out)["server"]["scope"] == "local"
    exported = desk.run("export", "mine", "--with-secrets")
    put(desk.folder / "exported.json", exported.out)
    assert "yo" in desk.run("call", "--config", "exported.json", "mine.echo", "text=yo").out
    removed = desk.run("remove", "mine")
    assert removed.code == 0, removed.err
    assert desk.run("call", "mine.echo", "text=hi").code == 5
    undo(removed.err)
    assert "again" in desk.run("call", "mine.echo", "text=again").out
    assert not (desk.folder / ".mcp.json").exists()


def test_adds_that_run_at_once_lose_no_server(desk: Any) -> None:
    names = [f"s{number}" for number in range(6)]
    running = [desk.start("add", "-s", "project", name, "cmd") for name in names]
    ends = [desk.finish(process) for process in running]
    assert [(run.code, run.out) for run in ends] == [(0, "")] * 6, [run.err for run in ends]
    assert set(json.loads((desk.folder / ".mcp.json").read_text())["mcpServers"]) == set(names)


def test_one_programs_broken_file_is_reported_and_the_rest_imported(desk: Any) -> None:
    put(desk.folder / "home/.codex/config.toml", "model = \n")
    put(desk.folder / "home/.cursor/mcp.json", {"mcpServers": {"echo": desk.entry}})
    run = desk.run("import")
    assert run.code == 0
    assert f"warning: {desk.folder}/home/.codex/config.toml:1:9: invalid TOML" in run.err
    assert "hi" in desk.run("call", "echo.echo", "text=hi").out


def test_an_input_that_nobody_can_be_asked_for_fails_its_server_only(desk: Any) -> None:
    asking = {"command": "x", "env": {"A": "${input:tok}"}}
    put(desk.folder / ".vscode/mcp.json", {"servers": {"echo": desk.entry, "asks": asking}})
    assert "hi" in desk.run("call", "echo.echo", "text=hi").out
    run = desk.run("call", "asks.x")
    assert (run.code, run.out) == (2, "")
    assert "the input 'tok' has to be asked for, and nobody can be asked here" in run.err
