"""`check`: every problem of every file in one run, each with file, key, problem and fix."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from trunkline.config.checking import Problem, Report, check
from trunkline.config.loading import load
from trunkline.config.policy_reach import may_name_a_tool

ENVIRON = {"HOME": "/nowhere", "PATH": os.environ["PATH"]}


def checked(folder: Path, servers: object, policy: str | None = None, **options: Any) -> Report:
    """Check a folder with these two files."""
    text = servers if isinstance(servers, str) else json.dumps({"mcpServers": servers}, indent=2)
    (folder / "mcp.json").write_text(text)
    if policy is not None:
        (folder / "trunkline.toml").write_text(policy)
    environ = ENVIRON | options.pop("environ", {})
    return check(cwd=folder, environ=environ, **options)


def only(report: Report) -> Problem:
    assert len(report.problems) == 1, report.problems
    return report.problems[0]


MISTAKES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "no object": ({"a": 3}, "mcpServers.a", "must be an object", '{"command"'),
    "neither": ({"a": {}}, "mcpServers.a", "neither command nor url", "Add command"),
    "misspelled command": ({"a": {"cmd": "sh"}}, "mcpServers.a", "neither", "Rename cmd to command"),
    "both": ({"a": {"command": "sh", "url": "https://x/"}}, "mcpServers.a", "both command and url", "Keep"),
    "unset variable": (
        {"a": {"command": "sh", "env": {"T": "${NOPE}"}}},
        "mcpServers.a.env.T",
        "NOPE is not set",
        "Set NOPE",
    ),
    "unknown transport": (
        {"a": {"type": "pigeon", "url": "https://x/"}},
        "mcpServers.a.type",
        "pigeon",
        "type",
    ),
    "bad URL": ({"a": {"url": "htp://x"}}, "mcpServers.a.url", "scheme 'htp'", "http://"),
    "empty command": ({"a": {"command": " "}}, "mcpServers.a.command", "is empty", "Write a value"),
    "wrong args": ({"a": {"command": "sh", "args": "x"}}, "mcpServers.a.args", "a list of strings", "list"),
    "wrong argument": (
        {"a": {"command": "sh", "args": ["x", 3]}},
        "mcpServers.a.args[1]",
        "a number",
        "quotes",
    ),
    "missing envFile": (
        {"a": {"command": "sh", "envFile": "no"}},
        "mcpServers.a.envFile",
        "not exist",
        "Check",
    ),
    "missing cwd": ({"a": {"command": "sh", "cwd": "no"}}, "mcpServers.a.cwd", "does not exist", "Create"),
    "bad header": (
        {"a": {"url": "https://x/", "headers": {"a b": "c"}}},
        'mcpServers.a.headers."a b"',
        "name",
        "Name",
    ),
    "bad switch": (
        {"a": {"command": "sh", "disabled": "no"}},
        "mcpServers.a.disabled",
        "true or false",
        "Write",
    ),
    "missing command": (
        {"a": {"command": "no-such"}},
        "mcpServers.a.command",
        "not on the PATH",
        "Install no-such",
    ),
    "missing program": (
        {"a": {"command": "./no"}},
        "mcpServers.a.command",
        "does not exist",
        "Correct the path",
    ),
    "no program": (
        {"a": {"command": "./mcp.json"}},
        "mcpServers.a.command",
        "cannot be executed",
        "executable",
    ),
    "empty name": ({" ": {"command": "sh"}}, 'mcpServers." "', "name of the server is empty", "Give"),
}


def test_a_value_that_is_asked_for_at_a_terminal_is_a_warning(tmp_path: Path) -> None:
    problem = only(checked(tmp_path, {"a": {"command": "sh", "args": ["${input:key}"]}}))
    assert (problem.severity, problem.key) == ("warning", "mcpServers.a.args[0]")
    assert "'key'" in problem.message
    assert "variable" in problem.hint


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_of_an_entry_is_an_error_with_file_key_and_fix(case: str, tmp_path: Path) -> None:
    servers, key, message, hint = MISTAKES[case]
    problem = only(checked(tmp_path, servers))
    assert (problem.severity, problem.key) == ("error", key)
    assert problem.source == str(tmp_path / "mcp.json")
    assert problem.line is not None
    assert problem.column is not None
    assert message in problem.message
    assert hint in problem.hint
    assert problem.server == next(iter(servers))


WARNINGS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "latest": (
        {"a": {"command": "npx", "args": ["-y", "s@latest"]}},
        "mcpServers.a.args[1]",
        "s@latest",
        "s@1.2.3",
    ),
    "latest by path": (
        {"a": {"command": "bin/uvx", "args": ["s@latest"]}},
        "mcpServers.a.args[0]",
        "last",
        "s@",
    ),
    "open wire": (
        {"a": {"url": "http://x.example/", "headers": {"X-Key": "k"}}},
        "mcpServers.a.url",
        "X-Key",
        "https",
    ),
    "open socket": (
        {"a": {"url": "ws://x.example/?token=abcdef"}},
        "mcpServers.a.url",
        "credential",
        "wss://",
    ),
    "misspelled": ({"a": {"command": "sh", "arg": []}}, "mcpServers.a.arg", "unknown", "Rename arg to args"),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_what_is_only_unsafe_or_unread_is_a_warning(case: str, tmp_path: Path) -> None:
    for name in ("npx", "uvx"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.touch(mode=0o755)
    servers, key, message, hint = WARNINGS[case]
    report = checked(tmp_path, servers, environ={"PATH": f"{tmp_path / 'bin'}:{ENVIRON['PATH']}"})
    problem = only(report)
    assert (report.errors, report.warnings) == (0, 1)
    assert (problem.severity, problem.key, problem.server) == ("warning", key, "a")
    assert problem.line is not None
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    "entry",
    [
        {"command": "sh", "args": ["s@latest"]},
        {"url": "http://127.0.0.1/", "headers": {"Authorization": "x"}},
        {"url": "http://[::1]:80/", "headers": {"Authorization": "x"}},
        {"url": "ws://a.localhost/?token=abcdef"},
        {"url": "https://x.example/", "headers": {"Authorization": "x"}},
        {"url": "http://x.example/", "headers": {"Accept": "*/*"}},
        {"command": "no-such", "cwd": "no", "env": {"A": "${NOPE}"}, "disabled": True},
        {"command": "sh", "x-note": 1, "alwaysAllow": ["x"]},
    ],
)
def test_what_is_fine_gives_no_problem(entry: dict[str, Any], tmp_path: Path) -> None:
    assert checked(tmp_path, {"a": entry}).problems == ()


def test_all_mistakes_of_one_entry_are_found_each_at_its_place(tmp_path: Path) -> None:
    entry = {
        "type": "pigeon",
        "command": "no-such",
        "args": ["${A}", 3, "ok", "${B"],
        "env": {"C": "${C}", "D": [], "E=F": "x", "G": "fine"},
        "envFile": "no.env",
        "cwd": "no",
        "disabled": 1,
    }
    report = checked(tmp_path, {"a": entry})
    assert [problem.key for problem in report.problems] == [
        "mcpServers.a.type",
        "mcpServers.a.args[0]",
        "mcpServers.a.args[1]",
        "mcpServers.a.args[3]",
        "mcpServers.a.env.C",
        "mcpServers.a.env.D",
        'mcpServers.a.env."E=F"',
        "mcpServers.a.envFile",
        "mcpServers.a.cwd",
        "mcpServers.a.disabled",
    ]
    lines = [problem.line for problem in report.problems]
    assert lines == sorted(lines)
    assert len(set(lines)) == len(lines)


def test_both_targets_do_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    entry = {"command": "sh", "url": "https://x/", "args": 3, "env": 4}
    keys = [problem.key for problem in checked(tmp_path, {"a": entry}).problems]
    assert keys == ["mcpServers.a", "mcpServers.a.args", "mcpServers.a.env"]
    remote = {"url": "x", "httpUrl": "https://x/", "headers": {"A": "a\n"}}
    keys = [problem.key for problem in checked(tmp_path, {"a": remote}).problems]
    assert keys == ["mcpServers.a.httpUrl", "mcpServers.a.headers.A"]


def test_the_path_of_the_server_is_the_one_that_counts(tmp_path: Path) -> None:
    (tmp_path / "prog").touch(mode=0o755)
    servers = {"a": {"command": "prog", "env": {"PATH": str(tmp_path)}}, "b": {"command": "prog"}}
    assert only(checked(tmp_path, servers)).server == "b"


def test_a_mistake_inside_an_env_file_is_placed_there(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nnonsense\n")
    problem = only(checked(tmp_path, {"a": {"command": "sh", "envFile": ".env"}}))
    assert (problem.source, problem.line) == (str(tmp_path / ".env"), 2)
    assert problem.key == "mcpServers.a.envFile"


def test_no_problem_shows_a_secret(tmp_path: Path) -> None:
    servers = {
        "a": {"command": "no-such", "args": ["--token", "hunter22"], "env": {"T": "hunter22", "U": "${NO}"}},
        "b": {"url": "http://x.example/?token=hunter22", "headers": {"Authorization": "Bearer hunter22"}},
        "c": {"url": "http://x y/?token=hunter22"},
        "d": {"command": "${PROGRAM}"},
    }
    report = checked(tmp_path, servers, environ={"PROGRAM": "hunter22"})
    assert report.errors == 4
    assert "hunter22" not in repr(report)


def test_a_name_written_twice_is_a_warning_at_each_further_place(tmp_path: Path) -> None:
    text = '{"mcpServers": {\n"a": {"command": "sh"},\n"a": {},\n"a": {}\n}}'
    problems = checked(tmp_path, text).problems
    assert [(problem.severity, problem.line, problem.key) for problem in problems] == [
        ("warning", 3, "mcpServers.a"),
        ("warning", 4, "mcpServers.a"),
    ]
    assert "again" in problems[0].message


def test_a_name_of_two_files_is_a_warning_that_names_the_winner(tmp_path: Path) -> None:
    (tmp_path / ".mcp.json").write_text('{"a": {"command": "sh"}}')
    problem = only(checked(tmp_path, {"a": {}}))
    assert problem.severity == "warning"
    assert problem.source == str(tmp_path / "mcp.json")
    assert str(tmp_path / ".mcp.json") in problem.message


@pytest.mark.parametrize("broken", ['{"a" 3}', "[]", '{"servers": []}', "\xff", ""])
def test_a_file_that_cannot_be_used_hides_no_other(broken: str, tmp_path: Path) -> None:
    (tmp_path / ".mcp.json").write_text(broken, "latin-1")
    report = checked(tmp_path, {"b": {"command": "no-such"}}, "[tools.x]\nidle = -1")
    assert [Path(problem.source or "").name for problem in report.problems] == [
        ".mcp.json", "mcp.json", "trunkline.toml",
    ]  # fmt: skip
    assert report.errors == 3
    assert report.sources == tuple(
        str(tmp_path / name) for name in (".mcp.json", "mcp.json", "trunkline.toml")
    )


def test_a_policy_that_is_no_toml_hides_no_server(tmp_path: Path) -> None:
    report = checked(tmp_path, {"b": {"command": "no-such"}}, "[defaults", environ={"TRUNKLINE_PROFILE": "x"})
    assert [(Path(problem.source or "").name, problem.line) for problem in report.problems] == [
        ("mcp.json", 4), ("trunkline.toml", 1),
    ]  # fmt: skip


def test_all_mistakes_of_a_policy_are_found(tmp_path: Path) -> None:
    policy = "[defaults]\ntimeout = '1'\n[servers.a]\ntimeot = 1\n[profiles.ci.tools.'a.x']\nidle = -1\n"
    report = checked(tmp_path, {"a": {"command": "sh"}}, policy, profile="ca")
    assert [(problem.line, problem.key) for problem in report.problems] == [
        (2, "defaults.timeout"),
        (4, "servers.a.timeot"),
        (5, "profiles"),
        (6, 'profiles.ci.tools."a.x".idle'),
    ]
    assert report.errors == 4


def test_a_table_that_reaches_no_server_is_a_warning(tmp_path: Path) -> None:
    policy = (
        "[servers.'db.*']\n[servers.tme]\n[servers.'t*']\n[servers.off]\n[tools.'tme.get']\n[tools.'*.get']\n"
        "[tools.'time.get']\n[tools.'ti*e.get']\n[tools.'get']\n[profiles.ci.servers.'z?']\n"
    )
    servers = {"time": {"command": "sh"}, "off": {"command": "sh", "disabled": True}}
    report = checked(tmp_path, servers, policy)
    assert (report.errors, report.warnings) == (0, 5)
    assert [(problem.line, problem.key) for problem in report.problems] == [
        (1, 'servers."db.*"'),
        (2, "servers.tme"),
        (5, 'tools."tme.get"'),
        (9, "tools.get"),
        (10, 'profiles.ci.servers."z?"'),
    ]
    assert "time, off" in report.problems[0].hint
    assert report.problems[1].hint == "Did you mean 'time'?"
    assert report.problems[2].hint == "Did you mean 'time.tool'?"


def test_a_tool_table_may_begin_with_a_name_that_looks_like_a_pattern() -> None:
    assert may_name_a_tool("[db].get", "[db]")
    assert may_name_a_tool("[dc]b.get", "db")
    assert not may_name_a_tool("[dc].get", "db")
    assert not may_name_a_tool("db", "db")


def test_which_tables_reach_a_server_is_not_judged_while_a_server_file_is_broken(tmp_path: Path) -> None:
    assert only(checked(tmp_path, "{", "[servers.x]\ntimeout = 1")).source == str(tmp_path / "mcp.json")


def test_an_unknown_profile_of_the_environment_is_an_error(tmp_path: Path) -> None:
    problem = only(checked(tmp_path, {}, environ={"TRUNKLINE_PROFILE": "ci"}))
    assert (problem.severity, problem.key) == ("error", "profiles")
    assert "TRUNKLINE_PROFILE" in problem.hint


def test_no_file_at_all_is_an_error(tmp_path: Path) -> None:
    problem = only(check(cwd=tmp_path, environ=ENVIRON))
    assert "no .mcp.json" in problem.message
    assert problem.place == "argument"


def test_named_files_are_checked_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text("{")
    (tmp_path / "one.json").write_text('{"a": {"command": "sh"}}')
    report = check(["one.json", "two.json", "htp://x", "https://x.example/"], cwd=tmp_path, environ=ENVIRON)
    assert [problem.source for problem in report.problems] == [
        str(tmp_path / "two.json"), str(tmp_path / "htp:/x"),
    ]  # fmt: skip


def test_without_an_error_here_load_gives_no_bad_entry_and_with_one_it_does(tmp_path: Path) -> None:
    for servers, *_ in (*MISTAKES.values(), *WARNINGS.values()):
        report = checked(tmp_path, servers)
        errors = [problem for problem in report.problems if problem.severity == "error"]
        bad = [entry for entry in load(cwd=tmp_path, environ=ENVIRON).entries if hasattr(entry, "error")]
        assert [entry.error.message for entry in bad] == [
            problem.message for problem in errors if problem.key != "mcpServers.a.command" or bad
        ]


def test_limits_of_processes_that_this_system_cannot_hold_are_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = {"run": {"command": "sh"}, "web": {"url": "https://example.com/mcp"}}
    policy = "[defaults.process]\nmemory = '1 GB'\nfiles = 64\n"
    assert checked(tmp_path, servers, policy).problems == ()
    monkeypatch.setattr("trunkline.config.process_support.COUNTS", False)
    problem = only(checked(tmp_path, servers, policy))
    assert (problem.severity, problem.server, problem.key) == ("warning", "run", "defaults.process.memory")
    assert (problem.source, problem.line) == (str(tmp_path / "trunkline.toml"), 2)
    assert "memory" in problem.message
    assert problem.hint


def test_a_limit_of_memory_without_its_unit_is_an_error_with_field_server_and_fix(tmp_path: Path) -> None:
    problem = only(checked(tmp_path, {"run": {"command": "sh"}}, "[servers.run.process]\nmemory = 512\n"))
    assert (problem.severity, problem.key, problem.line) == ("error", "servers.run.process.memory", 2)
    assert "512 MB" in problem.hint


def test_a_switch_that_cannot_be_read_is_the_mistake_and_hides_no_other(tmp_path: Path) -> None:
    problem = only(checked(tmp_path, {"web": {"url": "https://example.com/mcp", "disabled": 1}}))
    assert problem.key == "mcpServers.web.disabled"


def test_a_replica_whose_url_cannot_be_known_is_an_error_at_its_key(tmp_path: Path) -> None:
    policy = '[servers.x]\nreplicas = ["https://b.example/mcp", "${NOWHERE_SET}"]\n'
    problem = only(checked(tmp_path, {"x": {"url": "https://a.example/mcp"}}, policy))
    assert (problem.severity, problem.server, problem.line) == ("error", "x", 2)
    assert "NOWHERE_SET" in problem.message
