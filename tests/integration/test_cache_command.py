"""`--cached` and `trunkline cache`: what an earlier command found, shown without a server, and forgotten."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline import FileStore
from trunkline.cli.main import main
from trunkline.testing import FakeServer


class Run(msgspec.Struct, frozen=True, kw_only=True):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Run]
NOTES = FakeServer("notes")
NOTES.tool("add", description="Write a note down.")
NOTES.tool("find", description="Find notes.", annotations={"readOnlyHint": True})
NOTES.resource("note://one", "one")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one server that works and one that does not, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("TRUNKLINE_NO_DAEMON", "1")
    monkeypatch.setattr("trunkline.cli.loop.loop_factory", lambda: None)
    entries = {"notes": NOTES.to_stdio_entry(tmp_path), "gone": {"command": "trunkline-test-no-such"}}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": entries}))
    return tmp_path


@pytest.fixture
def trunkline(place: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    assert place.is_dir()

    def run(*argv: str) -> Run:
        code = main(argv)
        captured = capfd.readouterr()
        return Run(code=code, out=captured.out, err=captured.err)

    return run


@pytest.fixture
def learned(trunkline: Command, place: Path) -> Path:
    """The same place, after one `trunkline list`."""
    assert trunkline("list").code == 0
    return place


def starts(place: Path) -> int:
    return len(NOTES.journal(place).pids)


def test_cached_views_start_nothing_and_mark_everything(learned: Path, trunkline: Command) -> None:
    listed, tools, found = (
        trunkline(*words, "--cached") for words in (("list",), ("tools", "notes"), ("search", "find"))
    )
    assert starts(learned) == 1
    assert listed.out.splitlines()[:3] == [
        "notes  stopped  2026-07-28  stdio  2 tools (stale)",
        "  add()  [stale]",
        "  find()  [stale]",
    ]
    assert (
        listed.err == "trunkline: warning: nothing is remembered of gone; without --cached they are asked\n"
    )
    assert tools.out.splitlines()[0] == "notes.add()  [stale]"
    assert "notes.find()  [stale]" in found.out
    assert [run.code for run in (listed, tools, found)] == [0, 0, 0]


def test_cached_documents_say_what_is_stale(learned: Path, trunkline: Command) -> None:
    document = trunkline("list", "--cached", "--json").document
    assert [(tool["public_name"], tool["stale"]) for tool in document["tools"]] == [
        ("notes.add", True),
        ("notes.find", True),
    ]
    assert [server["state"] for server in document["servers"]] == ["stopped", "stopped"]
    (match,) = trunkline("search", "find", "--cached", "--json", "--limit", "1").document["matches"]
    assert match["tool"]["stale"] is True
    tools = trunkline("tools", "--cached", "--json", "--read-only").document["tools"]
    assert [tool["name"] for tool in tools] == ["find"]
    assert starts(learned) == 1


def test_a_server_that_does_not_come_up_is_listed_with_what_it_had(learned: Path, trunkline: Command) -> None:
    script = next(learned.glob("notes*.json"))
    script.unlink()
    listed = trunkline("list")
    assert "2 tools (stale)" in listed.out
    assert "  add()  [stale]" in listed.out
    assert "not ready: notes, gone" in listed.err
    fresh = trunkline("list", "--json").document
    assert {tool["stale"] for tool in fresh["tools"]} == {True}


def test_what_came_up_is_marked_nowhere(learned: Path, trunkline: Command) -> None:
    assert "stale" not in trunkline("list").out
    assert {tool["stale"] for tool in trunkline("tools", "--json").document["tools"]} == {False}
    assert starts(learned) == 3


def test_cached_shows_nothing_when_nothing_was_kept(
    place: Path, trunkline: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNKLINE_NO_CACHE", "1")
    trunkline("list")
    assert not (place / "home" / "trunkline").exists()
    run = trunkline("list", "--cached")
    assert (run.code, "notes, gone" in run.err, "add" in run.out) == (0, True, False)


def test_show_tells_where_how_much_and_of_whom(learned: Path, trunkline: Command) -> None:
    run = trunkline("cache", "show")
    assert run.out.startswith(f"{learned}/home/trunkline/servers: ")
    head, row = run.out.splitlines()[1:]
    assert head.split() == ["SERVER", "ERA", "TOOLS", "RESOURCES", "PROMPTS", "SIZE", "CONFIRMED"]
    assert row.split()[:5] == ["notes", "2026-07-28", "2", "1", "0"]
    document = trunkline("cache", "show", "--json").document
    (entry,) = document["entries"]
    assert (entry["server"], entry["state"], entry["tools"]) == ("notes", "good", 2)
    assert entry["capabilities"] == ["logging", "resources", "tools"]
    assert document["bytes"] == entry["bytes"] > 100
    assert (document["enabled"], document["problem"]) == (True, None)
    assert 0 <= entry["age_s"] < 3600
    assert starts(learned) == 1


def test_show_tells_what_is_broken_or_newer(learned: Path, trunkline: Command) -> None:
    store = FileStore(learned / "home" / "trunkline" / "servers")
    for one in store.kept():
        store.put(one.key, b"\x1b[31m" if "." in one.key else b'{"version":99}')
    entries = trunkline("cache", "show", "--json").document["entries"]
    assert [entry["state"] for entry in entries] == ["broken"]
    shown = trunkline("cache", "show").out
    assert "(broken)" in shown
    assert "\x1b" not in shown


def test_clear_forgets_everything_and_leaves_no_trace_of_names(learned: Path, trunkline: Command) -> None:
    cache = learned / "home" / "trunkline"
    assert any(path.is_file() for path in (cache / "names").iterdir())
    assert trunkline("cache", "clear", "--json").document == {"ok": True, "cleared": 1, "answers": 0}
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    assert trunkline("cache", "clear").out == f"forgot 0 servers in {cache}/servers\n"
    assert "add" not in trunkline("list", "--cached").out


def test_clear_forgets_one_server_under_any_name_it_had(learned: Path, trunkline: Command) -> None:
    entries = json.loads((learned / "mcp.json").read_text())["mcpServers"]
    entries["renamed"] = entries.pop("notes")
    (learned / "mcp.json").write_text(json.dumps({"mcpServers": entries}))
    assert "renamed.add()" in trunkline("tools", "--cached").out
    assert trunkline("cache", "clear", "renamed").code == 0
    assert "renamed.add()" not in trunkline("tools", "--cached").out
    assert trunkline("cache", "show", "--json").document["entries"] == []


def test_clear_of_a_name_that_is_nobody_s_is_an_error_and_of_a_configured_one_is_not(
    learned: Path, trunkline: Command
) -> None:
    assert trunkline("cache", "clear", "gone").code == 0
    run = trunkline("cache", "clear", "never")
    assert (run.code, "cache show" in run.err) == (5, True)
    os.chdir("/")
    assert trunkline("cache", "clear", "notes").out.startswith("forgot 1 server")
    assert learned.is_dir()


@pytest.mark.parametrize("words", [("status",), ("config", "check"), ("cache", "show"), ("list", "--cached")])
def test_a_cache_that_cannot_be_used_is_said_and_stops_nothing(
    place: Path, trunkline: Command, words: tuple[str, ...]
) -> None:
    (place / "home" / "trunkline").mkdir(parents=True)
    (place / "home" / "trunkline" / "servers").write_text("a file")
    run = trunkline(*words)
    assert "only this user may write to" in run.out + run.err
    assert run.code == (2 if words[0] == "config" else 0)  # the command that is missing is an error there


def test_tools_are_shown_from_memory_sooner_than_a_slow_server_starts(
    place: Path, trunkline: Command
) -> None:
    slow = FakeServer("slow")
    slow.tool("late")
    entry = slow.to_stdio_entry(place, start_delay=0.4)
    (place / "mcp.json").write_text(json.dumps({"mcpServers": {"slow": entry}}))
    trunkline("list")
    begun = time.monotonic()
    cached = trunkline("list", "--cached")
    between = time.monotonic()
    fresh = trunkline("list")
    assert ("late()  [stale]" in cached.out, "late()\n" in fresh.out) == (True, True)
    assert between - begun < time.monotonic() - between
    assert len(slow.journal(place).pids) == 2


def test_answers_are_kept_on_disk_from_one_command_to_the_next_and_forgotten(
    place: Path, trunkline: Command
) -> None:
    (place / "trunkline.toml").write_text(
        '[servers.notes.cache]\nstore = "disk"\n'
        '[tools."notes.find"]\nread_only = true\ncache = { ttl = 600 }\n'
    )
    call = ("call", "notes.find", "word=secret", "--json")
    metas = [trunkline(*call, *more).document["meta"] for more in ((), (), ("--no-cache",))]
    assert [meta["cached"] for meta in metas] == [False, True, False]
    assert (metas[1]["stale"], metas[1]["age_ms"] >= 0, "age_ms" in metas[0]) == (False, True, False)
    folder = place / "home" / "trunkline" / "replies"
    assert all(b"secret" not in file.read_bytes() for file in folder.iterdir())
    shown = trunkline("cache", "show", "--json").document["answers"]
    assert (shown["entries"], shown["path"]) == (1, str(folder / "replies.sqlite"))
    assert "1 answer, " in trunkline("cache", "show").out
    assert trunkline("cache", "clear", "gone", "--json").document["answers"] == 0
    assert trunkline("cache", "clear", "notes").out.endswith("forgot 1 answer kept on disk\n")
    assert not trunkline(*call).document["meta"]["cached"]


@pytest.mark.parametrize("part", ["", "/servers"])
def test_what_cannot_be_forgotten_is_said_with_what_mends_it(
    trunkline: Command, place: Path, part: str
) -> None:
    """A file stands where the folder is to be, or a folder above it."""
    blocked = place / f"home/trunkline{part}"
    blocked.parent.mkdir(parents=True)
    blocked.touch()
    run = trunkline("cache", "clear")
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith(
        f"trunkline: error: {place}/home/trunkline/servers: what is remembered cannot be"
    )
    assert "  hint: Make it a folder of your own" in run.err
