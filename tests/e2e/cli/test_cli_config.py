"""`trunkline config` as a process: what it prints where, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

TWELVE = """\
{
  "mcpServers": {
    "one": {"command": "sh", "env": {"TOKEN": "${TRUNKLINE_TEST_UNSET}"}},
    "two": {"command": "sh", "url": "https://two.example/mcp"},
    "three": {"type": "pigeon", "url": "https://three.example/mcp"},
    "four": {"url": "htp://four.example"},
    "five": {"command": "sh", "envFile": "gone.env"},
    "six": {"command": "trunkline-test-no-such-command"},
    "seven": {"command": "sh", "arg": ["x"]},
    "one": {"command": "sh"}
  }
}
"""
TWELVE_POLICY = """\
[defaults]
timeout = "10s"

[servers.one]
conect = 5

[servers."db.*"]
idle = -1
"""
EXPECTED = [
    ("mcp.json", 3, "error", "mcpServers.one.env.TOKEN", "is not set", "Set TRUNKLINE_TEST_UNSET"),
    ("mcp.json", 4, "error", "mcpServers.two", "both command and url", "Keep command"),
    ("mcp.json", 5, "error", "mcpServers.three.type", "'pigeon' is not known", "Remove it"),
    ("mcp.json", 6, "error", "mcpServers.four.url", "scheme 'htp'", "Start it with http://"),
    ("mcp.json", 7, "error", "mcpServers.five.envFile", "does not exist", "create the file"),
    ("mcp.json", 8, "error", "mcpServers.six.command", "not on the PATH", "Install trunkline-test-no"),
    ("mcp.json", 9, "warning", "mcpServers.seven.arg", "unknown", "Rename arg to args"),
    ("mcp.json", 10, "warning", "mcpServers.one", "defined again", "Rename or remove"),
    ("trunkline.toml", 2, "error", "defaults.timeout", "number of seconds", "timeout = 30"),
    ("trunkline.toml", 5, "error", "servers.one.conect", "unknown key", "Did you mean 'connect'?"),
    ("trunkline.toml", 7, "warning", 'servers."db.*"', "matches no server", "Configured servers are: one"),
    ("trunkline.toml", 8, "error", 'servers."db.*".idle', "number of seconds", "idle = 30"),
]
POLICY = """\
[defaults]
idle = 50
[servers."e*"]
timeout = 20
[tools."echo.slow"]
timeout = 5
[profiles.ci.servers.echo]
timeout = 9
"""


@pytest.fixture
def planted(bare_place: Any) -> Any:
    """A folder with all the mistakes."""
    bare_place.write(TWELVE)
    (bare_place.folder / "trunkline.toml").write_text(TWELVE_POLICY)
    return bare_place


@pytest.fixture
def governed(place: Any) -> Any:
    """A folder with one server and a policy."""
    place.entries["off"] = {"command": "sh", "disabled": True}
    place.entries["web"] = {"url": "https://web.example/mcp?token=hunter22", "headers": {"X-Key": "hunter22"}}
    place.entries["bad"] = {"command": "sh", "args": ["${TRUNKLINE_TEST_UNSET}"]}
    (place.folder / "trunkline.toml").write_text(POLICY)
    return place


def test_every_planted_mistake_is_reported_in_one_run_with_file_key_problem_and_fix(planted: Any) -> None:
    run = planted.run("config", "check")
    assert (run.code, run.err) == (2, "")
    *lines, last = run.out.splitlines()
    assert len(EXPECTED) == 12
    assert last == "9 errors and 3 warnings in 2 files"
    assert len(lines) == 2 * len(EXPECTED)
    for (file, at, severity, key, problem, fix), first, second in zip(
        EXPECTED, lines[::2], lines[1::2], strict=True
    ):
        assert first.startswith(f"{planted.folder / file}:{at}:")
        assert f": {severity}: {key}: " in first
        assert problem in first.partition(f"{key}: ")[2]
        assert second.startswith("    fix: ")
        assert fix in second


def test_the_report_for_programs_holds_the_same(planted: Any) -> None:
    run = planted.run("config", "check", "--json")
    assert (run.code, run.err) == (2, "")
    document = json.loads(run.out)
    assert (document["ok"], document["errors"], document["warnings"]) == (False, 9, 3)
    assert document["files"] == [str(planted.folder / name) for name in ("mcp.json", "trunkline.toml")]
    found = [
        (Path(problem["source"]).name, problem["line"], problem["severity"], problem["key"])
        for problem in document["problems"]
    ]
    assert found == [expected[:4] for expected in EXPECTED]
    assert all(problem["message"] and problem["hint"] for problem in document["problems"])


def test_a_check_without_problems_and_one_with_warnings_only_exit_zero(bare_place: Any) -> None:
    bare_place.write('{"mcpServers": {"a": {"command": "sh"}}}')
    run = bare_place.run("config", "check")
    assert (run.code, run.out, run.err) == (0, "no problems in 1 file\n", "")
    bare_place.write('{"mcpServers": {"a": {"command": "sh", "arg": []}}}')
    run = bare_place.run("config", "check")
    assert (run.code, run.err) == (0, "")
    assert run.out.endswith("0 errors and 1 warning in 1 file\n")
    assert json.loads(bare_place.run("config", "check", "--json").out)["ok"] is True


def test_a_broken_file_is_shown_and_the_others_are_checked(bare_place: Any) -> None:
    bare_place.write('{\n  "a" {"command": "sh"}\n}')
    (bare_place.folder / "trunkline.toml").write_text("[servers.a]\ntrust = 1\n")
    run = bare_place.run("config", "check")
    assert run.code == 2
    assert f"{bare_place.folder}/mcp.json:2:7: error: invalid JSON" in run.out
    assert '      "*" {"command": "**"}\n          ^\n    fix: ' in run.out
    assert "trunkline.toml:2:1: error: servers.a.trust: must be true or false" in run.out


def test_nothing_to_check_is_an_error(bare_place: Any) -> None:
    run = bare_place.run("config", "check")
    assert (run.code, run.err) == (2, "")
    assert "no .mcp.json" in run.out


def test_show_gives_every_server_and_the_policy_that_is_not_default(governed: Any) -> None:
    run = governed.run("config", "show")
    assert run.code == 0
    assert run.err == ""
    policy = governed.folder / "trunkline.toml"
    lines = run.out.splitlines()
    assert lines[0].split()[:2] == ["echo", "stdio"]
    assert lines[0].endswith(f"{governed.folder / 'mcp.json'}:1")
    assert lines[1:4] == [
        f'    timeout = 20  ({policy}:4 [servers."e*"])',
        f"    idle = 50  ({policy}:2 [defaults])",
        f'    echo.slow: timeout = 5  ({policy}:6 [tools."echo.slow"])',
    ]
    assert "web   http      https://web.example/mcp?token=***" in run.out
    assert "bad   error" in run.out
    assert "TRUNKLINE_TEST_UNSET is not set" in run.out
    assert any(line.split()[:2] == ["off", "disabled"] for line in lines)
    assert lines[-1] == f"policy: {policy} (profiles: ci)"
    assert "hunter22" not in run.out
    assert place_is_idle(governed)


def test_show_for_programs_has_a_stable_shape(governed: Any) -> None:
    run = governed.run("--json", "config", "show", "--profile", "ci")
    document = json.loads(run.out)
    assert document["policy"] == {
        "source": str(governed.folder / "trunkline.toml"),
        "profile": "ci",
        "profiles": ["ci"],
    }
    by_name = {server["name"]: server for server in document["servers"]}
    assert list(by_name) == ["echo", "web", "bad", "off"]
    assert {frozenset(server) for server in document["servers"]} == {frozenset(by_name["echo"])}
    assert " ".join(by_name["echo"]) == (
        "name kind command url cwd env_names headers source line error policy tools"
    )
    assert by_name["web"]["headers"] == ["X-Key"]
    assert by_name["off"]["kind"] == "disabled"
    assert by_name["echo"]["policy"][0] == {
        "key": "timeout",
        "value": 9.0,
        "source": str(governed.folder / "trunkline.toml"),
        "table": "profiles.ci.servers.echo",
        "line": 8,
    }
    assert by_name["bad"]["error"]["hint"]
    assert "hunter22" not in run.out


def test_sources_shows_every_file_looked_at_and_who_won(governed: Any) -> None:
    (governed.folder / ".mcp.json").write_text('{"echo": {"command": "sh"}}')
    run = governed.run("config", "sources")
    assert (run.code, run.err) == (0, "")
    lines = [line.split(None, 2) for line in run.out.splitlines()]
    folder = governed.folder
    assert ["project", "used", str(folder / ".mcp.json")] in lines
    assert ["project", "missing", str(folder / ".vscode/mcp.json")] in lines
    assert ["user", "missing", str(folder / "home/.config/trunkline/mcp.json")] in lines
    assert ["echo", "line", f"1  not used: {folder / '.mcp.json'} has it first"] in lines
    assert ["off", "line", "1  disabled"] in lines
    assert lines[-1][:2] == ["policy", "used"]
    assert 'servers."e*", tools."echo.slow", profiles.ci.servers.echo' in run.out.splitlines()[-1]
    files = json.loads(governed.run("config", "sources", "--json").out)["files"]
    assert [(file["role"], file["used"]) for file in files] == [
        ("project", True), ("project", True), ("project", False), ("user", False), ("policy", True),
    ]  # fmt: skip
    assert files[1]["servers"][0]["state"] == "overridden"


def test_sources_shows_a_broken_file_and_exits_zero(planted: Any) -> None:
    run = planted.run("config", "sources")
    assert run.code == 0
    assert "field 'defaults.timeout'" in run.out


def test_explain_gives_file_line_and_table_without_starting_the_server(governed: Any) -> None:
    policy = governed.folder / "trunkline.toml"
    run = governed.run("config", "explain", "echo.slow")
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith(f"tool echo.slow, policy {policy}\n")
    rows = [line.split(None, 2) for line in run.out.splitlines()]
    assert ["timeout", "5", f'{policy}:6 [tools."echo.slow"]'] in rows
    assert ["idle", "50", f"{policy}:2 [defaults]"] in rows
    assert ["trust", "false", "default"] in rows
    document = json.loads(governed.run("config", "explain", "off", "--json").out)
    assert (document["server"], document["tool"]) == ("off", None)
    assert document["settings"][1] == {
        "key": "idle", "value": 50.0, "source": str(policy), "table": "defaults", "line": 2,
    }  # fmt: skip
    assert place_is_idle(governed)


@pytest.mark.parametrize("form", ["option before", "option after", "option between", "environment", "both"])
def test_a_profile_is_chosen_by_option_or_environment(governed: Any, form: str) -> None:
    argv = {
        "option before": ("--profile", "ci", "config", "explain", "echo"),
        "option after": ("config", "explain", "echo", "--profile", "ci"),
        "option between": ("config", "--profile", "ci", "explain", "echo"),
        "environment": ("config", "explain", "echo"),
        "both": ("--profile", "other", "config", "explain", "echo", "--profile", "ci"),
    }[form]
    if form == "environment":
        governed.environ["TRUNKLINE_PROFILE"] = "ci"
    run = governed.run(*argv)
    assert run.code == 0
    assert "[profiles.ci.servers.echo]" in run.out
    assert ", profile ci\n" in run.out


def test_a_profile_holds_for_a_call(governed: Any) -> None:
    (governed.folder / "trunkline.toml").write_text("[profiles.hasty.tools.'echo.slow']\ntimeout = 0.5\n")
    run = governed.run("call", "echo.slow", "{}", "--profile", "hasty")
    assert run.code == 7
    assert "0.5 s" in run.err


@pytest.mark.parametrize("argv", [("list",), ("config", "show"), ("config", "explain", "echo")])
def test_an_unknown_profile_is_an_error_that_lists_the_known(governed: Any, argv: tuple[str, ...]) -> None:
    run = governed.run(*argv, "--profile", "cj")
    assert (run.code, run.out) == (2, "")
    assert "there is no profile 'cj'; known are: ci" in run.err
    assert place_is_idle(governed)


def test_explain_of_an_unknown_name_exits_five(governed: Any) -> None:
    run = governed.run("config", "explain", "ecko.slow")
    assert (run.code, run.out) == (5, "")
    assert "Did you mean 'echo'? Write a tool as server.tool." in run.err
    run = governed.run("config", "explain", "slow", "--json")
    assert run.code == 5
    assert json.loads(run.out)["error"]["code"] == "not_found"


def test_path_prints_the_file_in_use_or_the_one_to_create(bare_place: Any) -> None:
    folder = bare_place.folder

    def path(*argv: str) -> str:
        run = bare_place.run("config", "path", *argv)
        assert (run.code, run.err) == (0, "")
        return str(run.out).removesuffix("\n")

    assert path() == path("--project") == str(folder / ".mcp.json")
    assert path("--user") == str(folder / "home/.config/trunkline/mcp.json")
    assert path("--policy") == str(folder / "trunkline.toml")
    bare_place.write("{}")
    (folder / "sub").mkdir()
    (folder / "sub/one.json").write_text("{}")
    assert path() == path("--project") == str(folder / "mcp.json")
    assert path("--config", "sub/one.json") == str(folder / "sub/one.json")
    assert path("--config", "sub/one.json", "--policy") == str(folder / "sub/trunkline.toml")
    assert json.loads(path("--json")) == {"ok": True, "path": str(folder / "mcp.json")}


def test_path_refuses_two_questions_at_once(bare_place: Any) -> None:
    run = bare_place.run("config", "path", "--user", "--policy")
    assert (run.code, run.out) == (2, "")
    assert "--user and --policy" in run.err


def test_schema_prints_the_published_schemas(bare_place: Any) -> None:
    run = bare_place.run("config", "schema")
    assert (run.code, run.err) == (0, "")
    schema = json.loads(run.out)
    assert schema["title"] == "trunkline.toml"
    assert "timeout" in schema["$defs"]["defaults"]["properties"]
    assert json.loads(bare_place.run("config", "schema", "--servers").out)["title"] == "mcp.json"


@pytest.mark.parametrize("argv", [("show",), ("sources",), ("explain", "echo"), ("check",), ("--help",)])
def test_nothing_is_colored_in_a_pipe(governed: Any, argv: tuple[str, ...]) -> None:
    governed.environ["TERM"] = "xterm-256color"
    run = governed.run("config", *argv)
    assert "\x1b" not in run.out + run.err


def test_help_lists_every_part_and_an_unknown_one_is_refused(bare_place: Any) -> None:
    run = bare_place.run("config", "--help")
    assert run.code == 0
    assert all(
        f"\n  {name} " in run.out for name in ("show", "sources", "explain", "check", "schema", "path")
    )
    assert bare_place.run("config", "chek").code == 2
    assert bare_place.run("config").code == 2


def place_is_idle(place: Any) -> bool:
    """Whether no server was ever started."""
    return bool(place.journal().pids == [])
