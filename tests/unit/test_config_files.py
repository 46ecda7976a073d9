"""Configuration files: what is accepted, and how exactly a mistake is reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trunkline.config import BadEntry, Config, HttpEntry, StdioEntry, load
from trunkline.errors import ConfigError

Load = Callable[..., Config]
ENVIRON = {"HOME": "/home/ann", "PATH": "/usr/bin"}


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """Load a text as `mcp.json`."""

    def load_file(text: str | bytes, name: str = "mcp.json") -> Config:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        with open(file, "wb") as stream:
            stream.write(text.encode() if isinstance(text, str) else text)
        return load(file, cwd=tmp_path, environ=ENVIRON)

    return load_file


def refused(load_text: Load, text: str | bytes) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_text(text)
    return caught.value


@pytest.mark.parametrize("key", ["mcpServers", "servers", "mcp_servers"])
def test_servers_are_read_below_every_usual_key(load_text: Load, key: str) -> None:
    config = load_text(f'{{"{key}": {{"time": {{"command": "uvx"}}}}}}')
    assert [entry.name for entry in config.entries] == ["time"]


def test_a_bare_map_of_servers_is_read(load_text: Load) -> None:
    config = load_text('{"$schema": "x", "inputs": [], "b": {"command": "b"}, "a": {"url": "https://a"}}')
    assert [entry.name for entry in config.entries] == ["b", "a"]


def test_a_file_that_is_one_entry_is_called_server(load_text: Load) -> None:
    (entry,) = load_text('{"command": "uvx"}').entries
    assert isinstance(entry, StdioEntry)
    assert entry.name == "server"


def test_other_keys_of_host_files_are_ignored(load_text: Load) -> None:
    text = (
        '{"inputs": [{"id": "x"}], "theme": "dark", "servers": {"a": {"command": "a", "autoApprove": ["x"]}}}'
    )
    config = load_text(text)
    assert len(config.entries) == 1
    assert config.warnings == ()


def test_comments_and_trailing_commas_are_allowed(load_text: Load) -> None:
    text = """// first
    {"mcpServers": { /* two
    lines */ "a": {"command": "a", "args": ["//not", "/* a */", ",]",],}, // last
    },}
    """
    (entry,) = load_text(text).entries
    assert isinstance(entry, StdioEntry)
    assert entry.args == ("//not", "/* a */", ",]")


def test_a_byte_order_mark_is_tolerated(load_text: Load) -> None:
    assert len(load_text(b'\xef\xbb\xbf{"a": {"command": "a"}}').entries) == 1


def test_names_may_hold_any_character_and_keep_their_order(load_text: Load) -> None:
    names = ["z.y", "a/b c", "日本", "db.*", "[x]", "a\\nb"]
    text = ", ".join(f'"{name}": {{"command": "x"}}' for name in names)
    config = load_text(f'{{"mcpServers": {{{text}}}}}')
    assert [entry.name for entry in config.entries] == [*names[:-1], "a\nb"]
    assert not any(isinstance(entry, BadEntry) for entry in config.entries)


def test_an_empty_map_gives_no_servers(load_text: Load) -> None:
    assert load_text("{}").entries == ()
    assert load_text('{"mcpServers": null}').entries == ()


@pytest.mark.parametrize(
    ("text", "line", "column", "fix"),
    [
        ('{\n  "a": {\n    "command" "x"\n  }\n}', 3, 15, "colon"),
        ('{\n  "a": {"command": "x"}\n  "b": {}\n}', 3, 3, "comma"),
        ('{"a": }', 1, 7, "missing value"),
        ("{'a': 1}", 1, 2, "double quotes"),
        ('{"a": {"command": "C:\\tools\\x"}}', 1, 28, "backslash twice"),
        ('{"a": "b\n"}', 1, 9, "Close the string"),
        ('{"a": "b', 1, 7, "Close this string"),
        ('{"a": 1} x', 1, 10, "Remove what follows"),
        ('# servers\n{"a": 1}', 1, 1, "//"),
        ("{}\n/* never", 2, 1, "*/"),
        ("{", 1, 2, "ends too early"),
        ('{"a": [,]}', 1, 8, "commas"),
        ('{"a": [1,,2]}', 1, 10, "commas"),
        ('// x\n/* y\n */ {"a" = 1}', 3, 10, '"key": value'),
        ('\t{"a": tru}', 1, 8, "double quotes"),
    ],
)
def test_invalid_json_names_line_and_column_and_the_fix(
    load_text: Load, text: str, line: int, column: int, fix: str
) -> None:
    error = refused(load_text, text)
    assert (error.line, error.column) == (line, column)
    assert str(error).startswith(f"{error.source}:{line}:{column}: invalid JSON: ")
    assert error.hint is not None
    assert fix in error.hint


def test_invalid_json_shows_the_line_with_a_caret_below_the_place(load_text: Load) -> None:
    error = refused(load_text, '{\n  "servers": {"a" {}}\n}')
    assert error.message.splitlines()[1:] == ['      "servers": {"*" {}}', "                      ^"]


def test_the_excerpt_of_a_long_line_is_cut_around_the_caret(load_text: Load) -> None:
    error = refused(load_text, '{"a": {' + '"k": 1, ' * 200 + "oops}}")
    excerpt, caret = error.message.splitlines()[1:]
    assert len(excerpt) < 90
    assert excerpt[len(caret) - 1 :].startswith("oops")


@pytest.mark.parametrize(
    "line",
    [
        '"env": {"TOKEN": "sk-secret-123" "B": "x"}',
        '"env": {"TOKEN": "sk-secret-123, "B": "x"}',
        "'env': {'TOKEN': 'sk-secret-123'}",
        '"env": {TOKEN": "sk-secret-123"}',
        '"env": {"TOKEN": sk-secret-123}',
    ],
)
def test_the_excerpt_never_shows_a_value(load_text: Load, line: str) -> None:
    error = refused(load_text, f'{{"a": {{"command": "x", {line}}}}}')
    assert "invalid JSON" in error.message
    assert "secret" not in error.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        (" \n// nothing\n", "the file is empty"),
        ("[1]", "the file must hold an object, not a list"),
        ('"mcp"', "the file must hold an object, not a string"),
        ('{"mcpServers": []}', "must be an object of servers, not a list"),
        ("[" * 200_000, "the JSON is nested too deeply"),
        ('{"a": 1' + "0" * 9000 + "}", "the JSON holds a number with too many digits"),
    ],
)
def test_a_file_that_cannot_hold_servers_is_refused_in_one_sentence(
    load_text: Load, text: str, message: str
) -> None:
    error = refused(load_text, text)
    assert error.message == message
    assert error.source is not None
    assert error.source.endswith("mcp.json")
    assert error.hint


def test_a_file_that_is_not_utf8_names_the_byte(load_text: Load) -> None:
    error = refused(load_text, '{\n  "a": "grün"}'.encode("latin-1"))
    assert (error.line, error.column, error.hint) == (2, 11, "Save the file as UTF-8.")


def test_a_missing_file_a_folder_and_an_unreadable_file_are_told_apart(tmp_path: Path) -> None:
    found = []
    (tmp_path / "loop").symlink_to("loop")
    for name in ("none.json", ".", "loop", "a\0b"):
        with pytest.raises(ConfigError) as caught:
            load(name, cwd=tmp_path, environ=ENVIRON)
        assert caught.value.hint
        found.append(caught.value.message)
    assert found[0] == "the file does not exist"
    assert found[1] == "this is a folder, not a file"
    assert found[2].startswith("the file cannot be read: ")
    assert found[3] == "this is not a usable path"


def test_a_file_without_permission_is_reported_as_such(
    load_text: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr(Path, "open", refuse)
    assert refused(load_text, "{}").message == "the file may not be read"


def test_a_huge_file_is_refused_unread(load_text: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline.config.syntax.read_text.__kwdefaults__", {"max_bytes": 1024})
    assert refused(load_text, " " * 1025).message == "the file is larger than 1 KiB"


def test_of_a_name_written_twice_the_first_is_used_with_a_warning_naming_both_lines(load_text: Load) -> None:
    text = '{"mcpServers": {\n"a": {"command": "one"},\n"b": {"command": "b"},\n"a": {"command": "two"}\n}}'
    config = load_text(text)
    assert [(entry.name, getattr(entry, "command", "")) for entry in config.entries] == [
        ("a", "one"),
        ("b", "b"),
    ]
    (warning,) = config.warnings
    assert "server 'a' is defined more than once (lines 2 and 4)" in warning


def test_one_file_full_of_mistakes_gives_one_named_error_per_server(load_text: Load) -> None:
    text = """{
  // every line below is a mistake but the last two
  "mcpServers": {
    "unset":     {"command": "x", "env": {"TOKEN": "${NOT_SET_ANYWHERE}"}},
    "empty":     {},
    "both":      {"command": "x", "url": "https://a"},
    "args":      {"command": "x", "args": ["a", "b", 3]},
    "scheme":    {"url": "ftp://a"},
    "host":      {"url": "https://"},
    "port":      {"url": "https://a:99999/mcp"},
    "type":      {"type": "stdoi", "command": "x"},
    "folder":    {"command": "x", "cwd": "nowhere"},
    "envfile":   {"command": "x", "envFile": "nowhere.env"},
    "header":    {"url": "https://a", "headers": {"Authorization": ["x"]}},
    "number":    3,
    "input":     {"command": "x", "args": ["--key", "${input:api-key}"]},
    "switch":    {"command": "x", "disabled": "true"},
    "":          {"command": "x"},
    "fine":      {"command": "x"},
    "remote":    {"url": "https://a/mcp"}
  }
}"""
    config = load_text(text)
    bad = {entry.name: entry.error for entry in config.entries if isinstance(entry, BadEntry)}
    where = {name: (error.server, error.field, error.line) for name, error in bad.items()}
    fields = {
        "unset": "env.TOKEN", "empty": None, "both": None, "args": "args[2]", "scheme": "url", "host": "url",
        "port": "url", "type": "type", "folder": "cwd", "envfile": "envFile",
        "header": "headers.Authorization",
        "number": None, "input": "args[1]", "switch": "disabled", "": None,
    }  # fmt: skip
    assert where == {name: (name, field, 4 + at) for at, (name, field) in enumerate(fields.items())}
    assert [entry.name for entry in config.entries][-2:] == ["fine", "remote"]
    for error in bad.values():
        assert "\n" not in str(error)
        assert error.hint
        assert error.hint.endswith((".", "?"))
        assert error.hint.count("\n") == 0
    assert "NOT_SET_ANYWHERE" in bad["unset"].message
    assert "'api-key'" in bad["input"].message
    assert bad["type"].hint == "Did you mean 'stdio'?"


def test_a_target_that_is_a_text_is_a_url_or_a_path(tmp_path: Path) -> None:
    for url in ("http://h/mcp", "https://h", "ws://h", "wss://h/x", "HTTPS://h"):
        (entry,) = load(url, environ=ENVIRON).entries
        assert isinstance(entry, HttpEntry)
        assert (entry.name, entry.url, entry.source) == ("server", url, "argument")
    (tmp_path / "x.json").write_text('{"a": {"command": "a"}}')
    config = load("x.json", cwd=tmp_path, environ=ENVIRON)
    assert config.sources == (str(tmp_path / "x.json"),)


def test_a_mapping_is_a_file_one_entry_or_a_bare_map() -> None:
    entry = {"command": "x"}
    for target in ({"mcpServers": {"a": entry}}, {"servers": {"a": entry}}, {"a": entry}):
        assert [found.name for found in load(target, environ=ENVIRON).entries] == ["a"]
    for target in (entry, {"url": "https://h"}):
        assert [found.name for found in load(target, environ=ENVIRON).entries] == ["server"]
        assert [found.name for found in load(target, environ=ENVIRON, name="n").entries] == ["n"]
    assert [found.name for found in load({"command": entry}, environ=ENVIRON).entries] == ["command"]


def test_several_sources_are_merged_and_the_first_wins_a_name(tmp_path: Path) -> None:
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    first.write_text('{"a": {"command": "one"}, "off": {"command": "x", "disabled": true}}')
    second.write_text('{"b": {"command": "b"}, "a": {"command": "two"}, "off": {"command": "x"}}')
    config = load([first, str(second), {"c": {"command": "c"}}], environ=ENVIRON)
    assert [(entry.name, getattr(entry, "command", "")) for entry in config.entries] == [
        ("a", "one"), ("b", "b"), ("c", "c"),
    ]  # fmt: skip
    assert config.sources == (str(first), str(second), "argument")
    assert config.disabled == ("off",)
    assert config.warnings == (
        f"{second}: server 'a' is not used, {first} defines it first",
        f"{second}: server 'off' is not used, {first} defines it first",
    )


def test_several_unnamed_sources_all_stay() -> None:
    config = load(["https://a", "https://b", {"command": "c"}], environ=ENVIRON)
    assert [entry.name for entry in config.entries] == ["server", "server-2", "server-3"]


@pytest.mark.parametrize("target", [{"a": {"command": "x"}}, ["https://a", "https://b"], []])
def test_a_name_for_anything_but_one_unnamed_server_is_refused(target: object) -> None:
    with pytest.raises(ConfigError, match="names one unnamed server"):
        load(target, name="n", environ=ENVIRON)


@pytest.mark.parametrize("target", [3, b"mcp.json", [["https://a"]], {1: {"command": "x"}}, object()])
def test_a_target_of_another_kind_is_refused(target: object) -> None:
    with pytest.raises(ConfigError) as caught:
        load(target, environ=ENVIRON)
    assert caught.value.hint
