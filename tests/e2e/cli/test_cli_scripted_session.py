"""One session at a terminal, as somebody new would have it: bash in a pseudo-terminal, typed word by word.

Results go to files by `>`, so that each step also shows what standard output holds, and nothing else.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from trunkline.testing import FakeServer

BOUND = 30.0
PROMPT = "ready> "
INTERRUPT = "\x03"


class Session:
    """A shell to type into."""

    def __init__(self, place: Any) -> None:
        self.folder: Path = place.folder
        environ = place.environ | {"TERM": "xterm", "PS1": PROMPT, "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
        self.shell = pexpect.spawn(
            "bash", ["--norc", "--noprofile"], cwd=str(place.folder), env=environ,
            encoding="utf-8", timeout=BOUND, dimensions=(40, 200),
        )  # fmt: skip
        self.shell.expect_exact(PROMPT)
        self.shell.sendline("bind 'set enable-bracketed-paste off'; stty -echo")
        self.shell.expect_exact(PROMPT)

    def type(self, command: str) -> tuple[int, str]:
        """Run one command to its end; gives its exit code and what the terminal showed."""
        self.start(command)
        return self.end()

    def start(self, command: str) -> None:
        """Type a command and let it run."""
        self.shell.sendline(f'{command}; echo "<code $?>"')

    def end(self) -> tuple[int, str]:
        """Wait for the end of the command that runs."""
        self.shell.expect(r"<code (\d+)>\r\n")
        shown = self.shell.before.replace("\r\n", "\n")
        code = int(self.shell.match[1])
        self.shell.expect_exact(PROMPT)
        return code, shown

    def result(self, command: str) -> tuple[int, str, str]:
        """Run a command with its standard output in a file; gives code, that file, and what was shown."""
        code, shown = self.type(f"{command} > out")
        return code, (self.folder / "out").read_text(), shown


@pytest.fixture
def session(bare_place: Any) -> Iterator[Session]:
    """A shell with `trunkline` on its path; another program's file names the server `notes`."""
    server = FakeServer("notes")
    properties = {
        "text": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "stars": {"type": "integer"},
    }
    schema = {"type": "object", "properties": properties, "required": ["text"], "additionalProperties": False}
    server.tool("add", schema=schema, description="Write a note down.", reports="arguments")
    server.tool("find", description="Find notes by their words.", annotations={"readOnlyHint": True})
    server.tool("build", delay=20, progress=[(1, 4, "reading"), (2, 4, "writing")])
    server.tool("steps", delay=0.2, progress=[(1, 2, "reading"), (2, 2, "writing")], returns="built")
    server.tool("remove", reports="arguments", annotations={"destructiveHint": True})
    program = bare_place.folder / "bin/trunkline"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trunkline "$@"\n')
    program.chmod(0o755)
    bare_place.environ["PATH"] = f"{program.parent}:{bare_place.environ['PATH']}"
    host = bare_place.folder / "home/.cursor/mcp.json"
    host.parent.mkdir(parents=True)
    host.write_text(json.dumps({"mcpServers": {"notes": server.to_stdio_entry(bare_place.folder)}}))
    session = Session(bare_place)
    yield session
    session.shell.close(force=True)


def test_a_newcomer_brings_servers_finds_tools_and_calls_them(session: Session) -> None:
    code, shown = session.type("trunkline import --from cursor")
    assert (code, "notes" in shown) == (0, True)

    code, out, shown = session.result("trunkline list")
    assert (code, shown) == (0, "")
    assert re.match(r"notes  ready  \S+  stdio  5 tools\n  add\(text: str, tags\?: list\[str\]", out)
    code, out, shown = session.result("trunkline search write down a note --limit 1")
    assert (code, shown) == (0, "")
    assert "notes.add(text: str" in out
    assert "Write a note down." in session.result("trunkline info notes.add")[1]

    (session.folder / "text.txt").write_text("from a file")
    (session.folder / "whole.json").write_text('{"text": "whole"}')
    for words, arguments in (
        ("notes.add text='buy milk' stars=3", {"text": "buy milk", "stars": 3}),
        ("notes/add text=x tags=a tags=b", {"text": "x", "tags": ["a", "b"]}),
        ("""notes add 'tags:=["a"]' text=x""", {"tags": ["a"], "text": "x"}),
        ("add text=@text.txt", {"text": "from a file"}),
        ("notes:add @whole.json stars=2", {"text": "whole", "stars": 2}),
        ("""notes.add '{"text": "json"}'""", {"text": "json"}),
        ("""notes.add <<< '{"text": "stdin"}'""", {"text": "stdin"}),
    ):
        code, out, shown = session.result(f"trunkline call {words}")
        assert (code, json.loads(out), shown) == (0, arguments, ""), words


def test_long_calls_show_progress_and_end_at_the_server_on_ctrl_c(session: Session, bare_place: Any) -> None:
    session.type("trunkline import --from cursor")
    session.start("trunkline call notes.build > out")
    session.shell.expect_exact("50 %  2 of 4")
    session.shell.send(INTERRUPT)
    code, shown = session.end()
    assert code == 130
    assert shown.endswith("trunkline: error: interrupted\n")
    assert (session.folder / "out").read_text() == ""
    assert [call.cancelled for call in bare_place.journal("notes").read().calls] == [True]
    assert bare_place.living("notes") == []

    code, out, shown = session.result("trunkline call notes.steps --stream")
    assert (code, out) == (0, "built\n")
    assert shown == "progress: 1 of 2 (50 %) reading\nprogress: 2 of 2 (100 %) writing\n"
    code, out, shown = session.result("trunkline call notes.steps --stream --json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert ([line.get("event") for line in lines], shown) == (["progress", "progress", None], "")
    assert lines[-1]["ok"] is True

    session.start("trunkline status --watch --interval 0.2")
    session.shell.expect(r"notes +ready.*notes +ready")
    session.shell.send(INTERRUPT)
    assert session.end()[0] == 130


def test_mistakes_are_told_apart_and_leave_standard_output_empty(session: Session) -> None:
    session.type("trunkline import --from cursor")
    for command, code, said in (
        ("trunkline cal notes.add text=x", 2, "did you mean 'call'?"),
        ("trunkline call notes.add --jsno", 2, "did you mean '--json'?"),
        ("trunkline call notes.ad text=x", 5, "Did you mean notes.add?"),
        ("trunkline call note.add text=x", 5, "Did you mean notes.add"),
        ("trunkline call notes.add", 2, '"text" is a required property'),
        ("trunkline call notes.add text=x stars=many", 2, "stars"),
        ("trunkline call notes.add text=x color=red", 2, "color"),
        ("trunkline call notes.add text", 2, "argument 'text' has no value"),
        ("trunkline call notes.remove --read-only", 6, "refused by --read-only"),
        ("trunkline list --config nowhere.json", 2, "nowhere.json"),
    ):
        ended, out, shown = session.result(command)
        assert (ended, out) == (code, ""), command
        assert said in shown, command
        assert shown.startswith("trunkline: error: ") or "\ntrunkline: error: " in shown, command
    code, out, shown = session.result("trunkline call notes.ad text=x --json")
    assert (code, json.loads(out)["error"]["code"], shown) == (5, "not_found", "")


def test_a_tool_that_may_destroy_is_called_after_a_yes_only(session: Session, bare_place: Any) -> None:
    session.type("trunkline import --from cursor")
    for answer, code in (("n", 6), ("y", 0)):
        session.start("trunkline call notes.remove password=s3cret > out")
        session.shell.expect_exact("Call it? [y/N] ")
        assert "password  ********" in session.shell.before
        session.shell.sendline(answer)
        assert session.end()[0] == code
    assert len(bare_place.journal("notes").read().calls) == 1
    assert session.type("trunkline call notes.remove --yes > out")[0] == 0


def test_tab_completes_tools_after_the_first_list(session: Session) -> None:
    session.type("trunkline import --from cursor")
    assert session.type("source <(trunkline completion bash); trunkline list > out")[0] == 0
    session.shell.sendline("stty echo")
    session.shell.expect_exact(PROMPT)
    session.shell.send("trunkline call notes.ad\t")
    session.shell.expect_exact("notes.add ")
    session.shell.sendline('text=typed; echo "<code $?>"')
    code, shown = session.end()
    assert code == 0
    assert '{"text": "typed"}' in shown


def test_servers_are_kept_warm_between_commands_until_down(session: Session, bare_place: Any) -> None:
    session.type("trunkline import --from cursor")
    cold = [session.result("trunkline call notes.add text=x --json")[1] for _ in range(2)]
    assert [json.loads(out)["result"]["structuredContent"] for out in cold] == [{"text": "x"}] * 2
    started = len(bare_place.journal("notes").pids)
    assert session.type("trunkline up")[0] == 0
    try:
        for words in ("notes.add text=x", "notes/add text=y", 'notes.add \'{"text": "z"}\''):
            code, out, shown = session.result(f"trunkline call {words}")
            assert (code, json.loads(out)["text"] in "xyz", shown) == (0, True, "")
        assert len(bare_place.journal("notes").pids) == started + 1
        code, out, shown = session.result("trunkline call notes.ad text=x")
        assert (code, out, "Did you mean notes.add?" in shown) == (5, "", True)
        session.start("trunkline call notes.build > out")
        session.shell.expect_exact("50 %  2 of 4")
        session.shell.send(INTERRUPT)
        assert session.end()[0] == 130
        assert bare_place.journal("notes").read().calls[-1].cancelled
    finally:
        ended, said = session.type("trunkline down")
    assert ended == 0
    assert said.startswith("trunkline: ended process ")
    assert bare_place.living("notes") == []
