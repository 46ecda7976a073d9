"""Each program's files are found where that program keeps them, and its servers mean what they mean there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trunkline.config.hosts.places import Platform, places_of
from trunkline.config.hosts.program import PROGRAMS, HostFile, files_of
from trunkline.config.hosts.reading import HostReading, read_host
from trunkline.errors import ConfigError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "hö me/app/.git").mkdir(parents=True)
    return tmp_path / "hö me"


@pytest.fixture
def app(home: Path) -> Path:
    return home / "app"


def read(program: str, text: str | dict[str, Any], home: Path, *, project: Path | None = None) -> HostReading:
    """Put a file where the program has it, and read it as a user who is in `app`."""
    environ = {"HOME": str(home)}
    found = files_of(PROGRAMS[program], home / "app", places_of(environ, "linux"))
    path = found[0].path if project is None else project / str(PROGRAMS[program].project_file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    found = files_of(PROGRAMS[program], home / "app", places_of(environ, "linux"))
    return read_host(next(file for file in found if file.path == path), home / "app", environ)


def entries(reading: HostReading) -> dict[str, Any]:
    return {str(one.name): one.raw for one in reading.reading.definitions}


@pytest.mark.parametrize(
    ("program", "platform", "expected"),
    [
        ("claude-desktop", "linux", ".config/Claude/claude_desktop_config.json"),
        ("claude-desktop", "darwin", "Library/Application Support/Claude/claude_desktop_config.json"),
        ("claude-desktop", "windows", "AppData/Roaming/Claude/claude_desktop_config.json"),
        ("claude-code", "linux", ".claude.json"),
        ("claude-code", "windows", ".claude.json"),
        ("cursor", "darwin", ".cursor/mcp.json"),
        ("vscode", "linux", ".config/Code/User/mcp.json"),
        ("vscode", "darwin", "Library/Application Support/Code/User/mcp.json"),
        ("vscode", "windows", "AppData/Roaming/Code/User/mcp.json"),
        ("windsurf", "linux", ".codeium/windsurf/mcp_config.json"),
        ("codex", "linux", ".codex/config.toml"),
        ("gemini", "linux", ".gemini/settings.json"),
        ("zed", "linux", ".config/zed/settings.json"),
        ("zed", "darwin", ".config/zed/settings.json"),
        ("zed", "windows", "AppData/Roaming/Zed/settings.json"),
        ("goose", "linux", ".config/goose/config.yaml"),
        ("goose", "darwin", ".config/goose/config.yaml"),
        ("goose", "windows", "AppData/Roaming/Block/goose/config/config.yaml"),
    ],
)
def test_the_users_file_is_where_the_program_keeps_it(
    program: str, platform: Platform, expected: str, home: Path, app: Path
) -> None:
    environ = {"HOME": str(home), "USERPROFILE": str(home)}
    (file,) = files_of(PROGRAMS[program], app, places_of(environ, platform))
    assert (file.path, file.scope, file.folder) == (home / expected, "user", None)


@pytest.mark.parametrize(
    ("program", "variable", "value", "expected"),
    [
        ("claude-desktop", "XDG_CONFIG_HOME", "/x", "/x/Claude/claude_desktop_config.json"),
        ("vscode", "XDG_CONFIG_HOME", "/x", "/x/Code/User/mcp.json"),
        ("zed", "XDG_CONFIG_HOME", "/x", "/x/zed/settings.json"),
        ("goose", "XDG_CONFIG_HOME", "/x", "/x/goose/config.yaml"),
        ("goose", "GOOSE_PATH_ROOT", "/g", "/g/config/config.yaml"),
        ("codex", "CODEX_HOME", "/c", "/c/config.toml"),
        ("claude-code", "CLAUDE_CONFIG_DIR", "/d", "/d/.claude.json"),
    ],
)
def test_a_variable_of_the_program_moves_its_file(
    program: str, variable: str, value: str, expected: str, app: Path
) -> None:
    places = places_of({"HOME": "/home/ann", variable: value}, "linux")
    assert [str(file.path) for file in files_of(PROGRAMS[program], app, places)] == [expected]
    if variable == "XDG_CONFIG_HOME":
        mac = places_of({"HOME": "/home/ann", "APPDATA": "/a"}, "windows")
        assert str(files_of(PROGRAMS[program], app, mac)[0].path).startswith("/a/")


@pytest.mark.parametrize(
    ("program", "file"),
    [
        ("claude-code", ".mcp.json"),
        ("cursor", ".cursor/mcp.json"),
        ("vscode", ".vscode/mcp.json"),
        ("codex", ".codex/config.toml"),
        ("gemini", ".gemini/settings.json"),
        ("zed", ".zed/settings.json"),
    ],
)
def test_the_file_of_a_project_is_found_from_within_it(
    program: str, file: str, home: Path, app: Path
) -> None:
    (app / "src/deep").mkdir(parents=True)
    (app / file).parent.mkdir(exist_ok=True)
    (app / file).write_text("{}" if file.endswith("json") else "")
    first, *_ = files_of(PROGRAMS[program], app / "src/deep", places_of({"HOME": str(home)}, "linux"))
    assert first == HostFile(program=program, path=app / file, scope="project", folder=app)


def test_a_project_ends_at_its_repository_and_the_users_file_is_no_projects(home: Path, app: Path) -> None:
    (home / ".cursor").mkdir()
    (home / ".cursor/mcp.json").write_text("{}")
    places = places_of({"HOME": str(home)}, "linux")
    for folder in (app, home):
        assert [file.scope for file in files_of(PROGRAMS["cursor"], folder, places)] == ["user"]


def test_vscode_has_profiles_other_editions_and_old_settings(home: Path, app: Path) -> None:
    config = home / ".config"
    for path in ("Code/User/profiles/b/mcp.json", "Code/User/settings.json", "Code - Insiders/User/mcp.json"):
        (config / path).parent.mkdir(parents=True, exist_ok=True)
        (config / path).write_text("{}")
    found = files_of(PROGRAMS["vscode"], app, places_of({"HOME": str(home)}, "linux"))
    assert [str(file.path.relative_to(config)) for file in found] == [
        "Code/User/mcp.json",
        "Code/User/profiles/b/mcp.json",
        "Code/User/settings.json",
        "Code - Insiders/User/mcp.json",
    ]
    old = HostFile(program="vscode", path=config / "Code/User/settings.json", scope="user")
    old.path.write_text('{"editor.x": 1, // c\n "mcp": {"inputs": [{"id": "k", "type": "promptString"}],'
                        ' "servers": {"a": {"command": "c", "args": ["${input:k}"]}}},}')  # fmt: skip
    reading = read_host(old, app, {"HOME": str(home)})
    assert entries(reading) == {"a": {"command": "c", "args": ["${input:k}"]}}
    (definition,) = reading.reading.definitions
    assert definition.origin.locate(definition.path) == [(2, 71)]
    assert list(definition.inputs) == ["k"]


def test_claude_desktop_expands_nothing(home: Path) -> None:
    reading = read(
        "claude-desktop",
        {"mcpServers": {"fs": {"command": "npx", "args": ["${HOME}", "$X"], "env": {"A": "${B}"}}}, "x": 1},
        home,
    )
    assert entries(reading) == {
        "fs": {
            "command": "npx",
            "args": ["${DOLLAR:-$}{HOME}", "$X"],
            "env": {"A": "${DOLLAR:-$}{B}"},
        }
    }
    assert reading.reading.origin.workspace == home


def test_claude_code_has_servers_of_the_user_and_of_each_project(home: Path, app: Path) -> None:
    project = {
        "mcpServers": {
            "db": {"type": "stdio", "command": "db", "args": [], "env": {}},
            "off": {"command": "o"},
        },
        "disabledMcpServers": ["off"],
        "history": ["secret"],
    }
    content = {
        "numStartups": 3,
        "mcpServers": {"web": {"type": "http", "url": "https://h/${X:-d}"}, "db": {"command": "other"}},
        "projects": {str(app): project, "/elsewhere": {"mcpServers": {"no": {"command": "n"}}}},
    }
    reading = read("claude-code", content, home)
    assert [(one.name, one.raw) for one in reading.reading.definitions] == [
        ("db", {"type": "stdio", "command": "db"}),
        ("off", {"command": "o", "disabled": True}),
        ("web", {"type": "http", "url": "https://h/${X:-d}"}),
        ("db", {"command": "other"}),
    ]
    assert {one.origin.workspace for one in reading.reading.definitions} == {app}
    for nothing in ({}, {"projects": []}, {"projects": {str(app): 1}}):
        assert entries(read("claude-code", nothing, home)) == {}


@pytest.mark.parametrize(
    ("program", "key"), [("cursor", "mcpServers"), ("vscode", "servers"), ("windsurf", "mcpServers")]
)
def test_editors_have_variables_of_their_own(program: str, key: str, home: Path) -> None:
    entry = {
        "command": "${workspaceFolder}${/}run",
        "args": [
            "${workspaceFolderBasename}",
            "${env:A}",
            "${userHome}",
            "${workspaceFolder:one}${pathSeparator}x",
        ],
        "envFile": "${workspaceFolder}/.env",
        "unknown": 1,
    }
    assert entries(read(program, {key: {"é": entry}}, home)) == {
        "é": {
            "command": "${workspaceFolder}/run",
            "args": ["app", "${env:A}", "${userHome}", "${workspaceFolder}/x"],
            "envFile": "${workspaceFolder}/.env",
        }
    }


def test_windsurf_names_its_url_in_another_way(home: Path) -> None:
    reading = read("windsurf", {"mcpServers": {"w": {"serverUrl": "https://h/mcp", "disabled": True}}}, home)
    assert entries(reading) == {"w": {"serverUrl": "https://h/mcp", "disabled": True}}


CODEX = """\
model = "x"

[mcp_servers.docs]
command = "npx"
args = ["-y", "docs", "${NOT}"]
cwd = "/srv"
env_vars = ["HOME", { name = "TOKEN", source = "local" }, { name = "FAR", source = "remote" }]
startup_timeout_sec = 20

[mcp_servers.docs.env]
KEY = "v${x}"

[mcp_servers."with space"]
url = "https://h/mcp"
bearer_token_env_var = "H_TOKEN"
http_headers = { "X-Region" = "eu" }
env_http_headers = { "X-Key" = "H_KEY" }
enabled = false

[mcp_servers.old]
url = "https://o/mcp"
bearer_token = "abc"
"""


def test_codex_names_variables_in_fields_of_their_own(home: Path) -> None:
    reading = read("codex", CODEX, home)
    assert entries(reading) == {
        "docs": {
            "command": "npx",
            "args": ["-y", "docs", "${DOLLAR:-$}{NOT}"],
            "cwd": "/srv",
            "env": {"HOME": "${HOME:-}", "TOKEN": "${TOKEN:-}", "KEY": "v${DOLLAR:-$}{x}"},
        },
        "with space": {
            "url": "https://h/mcp",
            "headers": {"X-Key": "${H_KEY}", "X-Region": "eu", "Authorization": "Bearer ${H_TOKEN}"},
            "disabled": True,
        },
        "old": {"url": "https://o/mcp", "headers": {"Authorization": "Bearer abc"}},
    }
    lines = {one.name: one.origin.locate(one.path) for one in reading.reading.definitions}
    assert lines == {"docs": [(3, 1)], "with space": [(13, 1)], "old": [(20, 1)]}
    docs = reading.reading.definitions[0]
    assert docs.origin.locate((*docs.path, "args", 2)) == [(5, 1)]
    assert docs.origin.locate((*docs.path, "env", "KEY")) == [(11, 1)]


def test_a_project_of_codex_speaks_for_its_folder(home: Path, app: Path) -> None:
    reading = read("codex", '[mcp_servers.a]\ncommand = "./x"\n', home, project=app)
    assert reading.reading.origin.workspace == app


def test_gemini_knows_variables_without_braces_and_switches(home: Path) -> None:
    content = {
        "mcpServers": {
            "web": {"httpUrl": "https://h/mcp", "url": "https://h/sse", "headers": {"A": "Bearer $TOK"}},
            "local": {"command": "c", "args": ["${A}/x", "$1", "a$B.c"], "trust": True},
            "sse": {"url": "https://h/sse"},
        },
        "mcp": {"excluded": ["sse"]},
    }  # fmt: skip
    assert entries(read("gemini", content, home)) == {
        "web": {"url": "https://h/mcp", "headers": {"A": "Bearer ${TOK}"}},
        "local": {"command": "c", "args": ["${A}/x", "$1", "a${B}.c"]},
        "sse": {"url": "https://h/sse", "disabled": True},
    }
    content["mcp"] = {"allowed": ["web"]}
    switched = entries(read("gemini", content, home))
    assert [name for name, raw in switched.items() if raw.get("disabled")] == ["local", "sse"]


ZED = """\
// settings of zed
{
  "theme": "One", /* c */
  "context_servers": {
    "new": {"source": "custom", "enabled": true, "command": "uvx", "args": ["a"], "env": {},},
    "nested": {"command": {"path": "npx", "args": ["b", "${x}"], "env": {"K": "v"}}, "settings": {}},
    "remote": {"url": "https://h/mcp", "headers": {"A": "b"}, "enabled": false},
    "from-extension": {"source": "extension", "settings": {"database_url": "x"}},
  },
}
"""


def test_zed_has_comments_two_forms_and_servers_of_extensions(home: Path) -> None:
    reading = read("zed", ZED, home)
    assert entries(reading) == {
        "new": {"command": "uvx", "args": ["a"], "enabled": True},
        "nested": {"command": "npx", "args": ["b", "${DOLLAR:-$}{x}"], "env": {"K": "v"}},
        "remote": {"url": "https://h/mcp", "headers": {"A": "b"}, "enabled": False},
    }
    assert reading.skipped == {"from-extension": "an extension of Zed provides it"}
    assert reading.reading.definitions[1].origin.locate(reading.reading.definitions[1].path) == [(6, 5)]


GOOSE = """\
GOOSE_MODEL: x
extensions:
  developer:
    type: builtin
    enabled: true
  files:
    cmd: npx
    args:
    - -y
    - "${x}"
    enabled: true
    env_keys:
    - TOKEN
    - LOG
    envs:
      LOG: debug
    type: stdio
  web:
    type: streamable_http
    uri: https://h/mcp
    headers:
      Authorization: Bearer ${TOKEN}
      X-Log: $LOG
    envs: {LOG: info}
    enabled: false
  old:
    enabled: true
    config:
      type: sse
      uri: https://h/sse
"""


def test_goose_calls_servers_extensions_and_some_are_its_own(home: Path) -> None:
    reading = read("goose", GOOSE, home)
    assert entries(reading) == {
        "files": {
            "command": "npx",
            "args": ["-y", "${DOLLAR:-$}{x}"],
            "env": {"LOG": "debug", "TOKEN": "${TOKEN}"},
        },
        "web": {
            "type": "http",
            "url": "https://h/mcp",
            "headers": {"Authorization": "Bearer ${TOKEN}", "X-Log": "info"},
            "disabled": True,
        },
        "old": {"type": "sse", "url": "https://h/sse"},
    }
    assert reading.skipped == {"developer": "it is a part of Goose"}
    files = reading.reading.definitions[0]
    assert files.origin.locate((*files.path, "command")) == [(6, 3)]


@pytest.mark.parametrize(
    ("program", "text", "message"),
    [
        ("cursor", '{"mcpServers": {"a": }}', "mcp.json:1:22: invalid JSON"),
        ("cursor", "[]", "must hold an object"),
        (
            "cursor",
            '{\n"mcpServers": []}',
            "mcp.json:2:1, field 'mcpServers': the servers must stand in an object",
        ),
        ("codex", 'a = "x\n[mcp_servers.b]', r"config.toml:1:\d+: invalid TOML"),
        ("codex", "mcp_servers = 3", "config.toml:1:1, field 'mcp_servers'"),
        ("goose", "extensions:\n  a: &x {}\n", "config.yaml:2:6: the YAML is not understood: an anchor"),
        ("goose", "extensions: [1]\n", "config.yaml:1:1, field 'extensions'"),
        (
            "zed",
            '{"context_servers": {} /* }',
            "settings.json:1:24: invalid JSON: this comment is never closed",
        ),
    ],
)
def test_a_broken_file_is_reported_with_its_place(program: str, text: str, message: str, home: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        read(program, text, home)


def test_an_entry_that_is_no_object_stays_for_its_own_error(home: Path) -> None:
    assert entries(read("cursor", {"mcpServers": {"a": "npx", "b": None}}, home)) == {"a": "npx", "b": None}
