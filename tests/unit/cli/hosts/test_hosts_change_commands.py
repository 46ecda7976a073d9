"""Commands that change or show server files: what is said, what is written, what is left alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.config import load

Trunkline = Callable[..., Any]
SECRET = "s3cret-VALUE"


def put(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def cursor(home: Path, **entries: object) -> Path:
    return put(home / ".cursor/mcp.json", {"mcpServers": entries or {"a": {"command": "c"}}})


@pytest.mark.parametrize(
    ("scope", "file"),
    [(None, "projects"), ("local", "projects"), ("project", "app/.mcp.json"), ("user", "trunkline/mcp.json")],
)
def test_add_writes_to_the_file_of_its_scope(trunkline: Trunkline, scope: str | None, file: str) -> None:
    run = trunkline("add", *(("--scope", scope) if scope else ()), "s", "cmd")
    assert run.code == 0
    assert f"({scope or 'local'})" in run.err
    (entry,) = load().entries
    assert file in entry.source
    run.undo()
    assert not Path(entry.source).exists()


def test_add_keeps_the_file_to_the_byte_and_its_undo_line_restores_it(
    trunkline: Trunkline, home: Path
) -> None:
    before = (
        '\ufeff// ours\r\n{\r\n\t"mcpServers": {\r\n\t\t"a": {"command": "c"}, // é\r\n'
        '\t},\r\n\t"z": 1\r\n}\r\n'
    )
    path = home / "app/.mcp.json"
    path.write_bytes(before.encode())
    run = trunkline("add", "-s", "project", "b", "https://h")
    added = '\t\t"b": {\r\n\t\t\t"type": "http",\r\n\t\t\t"url": "https://h"\r\n\t\t},\r\n'
    assert path.read_bytes().decode() == before.replace("// é\r\n", f"// é\r\n{added}")
    run.undo()
    assert path.read_bytes().decode() == before


def test_add_as_json_names_file_backup_and_undo(trunkline: Trunkline, home: Path) -> None:
    put(home / "app/.mcp.json", "{}")
    document = trunkline("add", "-s", "project", "b", "https://h", "--json").document
    assert set(document) == {"ok", "server", "scope", "type", "file", "backup", "undo"}
    assert (document["server"], document["scope"], document["type"]) == ("b", "project", "http")
    assert Path(document["backup"]).read_text() == "{}"


def test_a_name_that_exists_is_not_overwritten(trunkline: Trunkline, home: Path) -> None:
    path = put(home / "app/.mcp.json", {"mcpServers": {"a": {"command": "c"}}})
    run = trunkline("add", "-s", "project", "a", "other")
    assert (run.code, path.read_text()) == (2, '{"mcpServers": {"a": {"command": "c"}}}')
    assert f"{path}, server 'a': there is a server of this name already" in run.err


def test_add_says_which_of_two_files_wins_a_name(trunkline: Trunkline, home: Path) -> None:
    put(home / "app/.mcp.json", {"mcpServers": {"a": {"command": "c"}}})
    assert "a is now used in place of the one in" in trunkline("add", "a", "x").err
    assert "a is not used here:" in trunkline("add", "-s", "user", "a", "x").err


def test_add_warns_of_plain_credentials_unset_variables_and_hidden_files(
    trunkline: Trunkline, home: Path
) -> None:
    put(home / "mcp.json", {"mcpServers": {"up": {"command": "c"}}})
    run = trunkline(
        "add", "-s", "project", "-e", f"GH_TOKEN={SECRET}", "OTHER=${NOPE_NOT_SET}", "--", "a", "cmd"
    )
    assert "env.GH_TOKEN is written in plain text; ${GH_TOKEN} would take it from the environment" in run.err
    assert "the environment variable NOPE_NOT_SET is not set" in run.err
    assert f"{home}/mcp.json is not read here any more" in run.err
    assert SECRET not in run.err
    quiet = trunkline("add", "-s", "project", "-e", "GH_TOKEN=${HOME}", "LEVEL=3", "--", "b", "cmd")
    assert "warning" not in quiet.err


def test_read_only_and_broken_files_are_left_alone(trunkline: Trunkline, home: Path) -> None:
    path = put(home / "app/.mcp.json", "{}")
    path.chmod(0o444)
    run = trunkline("add", "-s", "project", "a", "c")
    assert (run.code, path.read_text()) == (2, "{}")
    assert "read-only, and was not changed" in run.err
    path.chmod(0o644)
    path.write_text('{"mcpServers": {')
    run = trunkline("add", "-s", "project", "a", "c")
    assert (run.code, path.read_text()) == (2, '{"mcpServers": {')
    assert f"{path}:1:17: invalid JSON" in run.err


def test_a_linked_file_is_changed_at_its_target(trunkline: Trunkline, home: Path) -> None:
    target = put(home / "dotfiles/mcp.json", "{}")
    (home / "app/.mcp.json").symlink_to(target)
    trunkline("add", "-s", "project", "a", "c")
    assert (home / "app/.mcp.json").is_symlink()
    assert "a" in json.loads(target.read_text())["mcpServers"]


def test_remove_takes_the_server_from_the_one_file_that_has_it(trunkline: Trunkline, home: Path) -> None:
    path = put(
        home / "app/.vscode/mcp.json", '{"servers": {"a": {"command": "c"}, /* b */ "b": {"command": "c"}}}'
    )
    run = trunkline("remove", "a")
    assert path.read_text() == '{"servers": {/* b */ "b": {"command": "c"}}}'
    run.undo()
    assert "a" in json.loads(path.read_text().replace("/* b */", ""))["servers"]


def test_remove_asks_which_file_when_several_have_the_name(trunkline: Trunkline, home: Path) -> None:
    put(home / "app/.mcp.json", {"mcpServers": {"a": {"command": "c"}}})
    put(home / ".config/trunkline/mcp.json", {"mcpServers": {"a": {"command": "d"}}})
    run = trunkline("remove", "a")
    assert run.code == 2
    assert "(project)" in run.err
    assert "(user)" in run.err
    assert trunkline("remove", "a", "--scope", "user").code == 0
    assert [getattr(entry, "command", None) for entry in load().entries] == ["c"]
    assert trunkline("remove", "a", "--scope", "user").code == 5


def test_remove_does_not_touch_another_programs_file(trunkline: Trunkline, home: Path) -> None:
    path = cursor(home)
    trunkline("import")
    run = trunkline("remove", "a")
    assert run.code == 2
    assert f"a is linked from {path}, which is only read" in run.err
    assert "trunkline import --from cursor --unlink" in run.err


@pytest.mark.parametrize("command", ["remove", "get", "export"])
def test_an_unknown_name_exits_five_with_the_nearest(trunkline: Trunkline, home: Path, command: str) -> None:
    put(home / "app/.mcp.json", {"mcpServers": {"github": {"command": "c"}}})
    run = trunkline(command, "gitub")
    assert (run.code, run.out) == (5, "")
    assert "Did you mean 'github'?" in run.err
    assert trunkline(command, "gitub", "--json").document["error"]["code"] == "not_found"


def test_get_shows_entry_origin_and_policy_without_any_secret(trunkline: Trunkline, home: Path) -> None:
    entry = {
        "command": "npx",
        "args": ["--token", SECRET, "a b"],
        "env": {"API_KEY": SECRET, "REF": "${HOME}"},
    }
    put(home / "app/.mcp.json", json.dumps({"mcpServers": {"a": entry}}, indent=2))
    put(home / ".config/trunkline/mcp.json", {"mcpServers": {"a": {"command": "d"}}})
    put(home / "app/trunkline.toml", "[servers.a]\ntimeout = 7\n")
    run = trunkline("get", "a")
    lines = [line.split(maxsplit=1) for line in run.out.splitlines()]
    assert lines[0] == ["a"]
    assert ["file", f"{home}/app/.mcp.json:3:5"] in lines
    assert ["scope", "project"] in lines
    assert ["args", "--token *** 'a b'"] in lines
    assert ["env", "API_KEY=***"] in lines
    assert ["env", "REF=${HOME}"] in lines
    assert re.search(rf"timeout +7\.0 +\({home}/app/trunkline\.toml:\d+ \[servers\.a\]\)\n", run.out)
    assert any(
        line[0] == "not" and ".config/trunkline/mcp.json" in line[1] for line in lines if len(line) > 1
    )
    document = trunkline("get", "a", "--json").document["server"]
    assert document["entry"]["env"] == {"API_KEY": "***", "REF": "${HOME}"}
    assert document["policy"]["timeout"]["value"] == 7
    assert SECRET not in run.out + json.dumps(document)


def test_get_shows_headers_urls_errors_and_disabled_servers(trunkline: Trunkline, home: Path) -> None:
    put(home / "app/.mcp.json", {"mcpServers": {
        "web": {"url": f"https://u:{SECRET}@h/?token={SECRET}",
                "headers": {"A": f"Bearer {SECRET}", "B": "Bearer ${X_Y}"}},
        "off": {"command": "c", "disabled": True},
        "odd": 3,
    }})  # fmt: skip
    web = trunkline("get", "web").out
    assert "https://***@h/?token=***" in web
    assert "A: ***" in web
    assert "B: Bearer ${X_Y}" in web
    assert "the environment variable X_Y is not set" in web
    assert SECRET not in web
    assert "switched off" in trunkline("get", "off").out
    assert "the entry must be an object" in trunkline("get", "odd").out


def test_get_names_the_program_a_server_is_linked_from(trunkline: Trunkline, home: Path) -> None:
    cursor(home)
    trunkline("import")
    assert "linked from Cursor" in trunkline("get", "a").out
    document = trunkline("get", "a", "--json").document["server"]
    assert (document["scope"], document["program"]) == ("link", "cursor")
    assert document["file"].startswith(f"{home}/.cursor/mcp.json:1:")


def test_export_withholds_credentials_unless_they_are_asked_for(trunkline: Trunkline, home: Path) -> None:
    put(
        home / "app/.mcp.json",
        {"mcpServers": {"a": {"command": "c", "env": {"API_KEY": SECRET}}, "b": {"command": "d"}}},
    )
    run = trunkline("export", "a")
    assert json.loads(run.out) == {"mcpServers": {"a": {"command": "c", "env": {"API_KEY": "${API_KEY}"}}}}
    assert "a: set API_KEY, which stands for env.API_KEY" in run.err
    assert (
        json.loads(trunkline("export", "--with-secrets").out)["mcpServers"]["a"]["env"]["API_KEY"] == SECRET
    )
    assert list(json.loads(trunkline("export", "-f", "vscode").out)["servers"]) == ["a", "b"]
    assert trunkline("export", "--format", "codex", "b").out == '[mcp_servers.b]\ncommand = "d"\n'
    assert set(trunkline("export", "--json").document) == {"ok", "format", "servers", "text", "notes"}
    assert "formats are mcp.json, claude-desktop" in trunkline("export", "-f", "emacs").err


def test_an_export_is_imported_by_what_it_was_written_for(trunkline: Trunkline, home: Path) -> None:
    put(home / "app/.mcp.json", {"mcpServers": {"a": {"command": "c", "args": ["ü"]}}})
    text = trunkline("export", "-f", "goose").out
    (home / "app/.mcp.json").unlink()
    put(home / ".config/goose/config.yaml", text)
    trunkline("import", "--from", "goose")
    (entry,) = load().entries
    assert (getattr(entry, "command", None), getattr(entry, "args", None)) == ("c", ("ü",))


def test_a_named_file_is_changed_and_shown_alone(trunkline: Trunkline, home: Path) -> None:
    path = home / "elsewhere.json"
    assert trunkline("add", "--config", str(path), "a", "c").code == 0
    shown = trunkline("get", "--config", str(path), "a").out
    assert not [line for line in shown.splitlines() if line.split()[:1] == ["enabled"]]
    assert trunkline("add", "--config", str(path), "--scope", "user", "b", "c").code == 2
    assert trunkline("remove", "--config", str(path), "a").code == 0
    assert json.loads(path.read_text()) == {"mcpServers": {}}
