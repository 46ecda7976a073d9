"""One session at a terminal, as somebody new would have it: bash in a pseudo-terminal, typed word by word.

Results go to files by `>`, so that each step also shows what standard output holds, and nothing else.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from trunkline.testing import FakeServer

BOUND = 30.0
PROMPT = "ready> "
INTERRUPT = "\x03"
FORMS = (
    ("notes.add text='buy milk' stars=3", {"text": "buy milk", "stars": 3}),
    ("notes/add text=x tags=a tags=b", {"text": "x", "tags": ["a", "b"]}),
    ("""notes add 'tags:=["a"]' text=x""", {"tags": ["a"], "text": "x"}),
    ("add text=@text.txt", {"text": "from a file"}),
    ("notes.add text=@- <<< piped", {"text": "piped\n"}),
    ("notes:add @whole.json stars=2", {"text": "whole", "stars": 2}),
    ("""notes.add '{"text": "json"}'""", {"text": "json"}),
    ("""notes.add <<< '{"text": "stdin"}'""", {"text": "stdin"}),
)
"""What is typed after `trunkline call`, and the arguments that reach the server."""
MISTAKES = (
    ("cal notes.add text=x", 2, "did you mean 'call'?"),
    ("call notes.add --jsno", 2, "did you mean '--json'?"),
    ("call notes.ad text=x", 5, "Did you mean notes.add?"),
    ("call note.add text=x", 5, "Did you mean notes.add"),
    ("call notes.add", 2, '"text" is a required property'),
    ("call notes.add text=x stars=many", 2, "stars"),
    ("call notes.add text=x color=red", 2, "color"),
    ("call notes.add text", 2, "argument 'text' has no value"),
    ("call notes.remove --read-only", 6, "refused by --read-only"),
    ("list --config nowhere.json", 2, "nowhere.json"),
)
"""What is typed after `trunkline`, the exit code, and a part of the message."""


class Session:
    """A shell to type into."""

    def __init__(self, place: Any) -> None:
        self.place = place
        self.folder: Path = place.folder
        self.journal = place.journal("notes")
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

    def output(self, command: str) -> str:
        """Give what a command that succeeds, and shows nothing, writes to its standard output."""
        code, out, shown = self.result(command)
        assert (code, shown) == (0, ""), command
        return out

    def wait_for_cancel(self) -> None:
        """Wait until the server has been told that nobody wants its last call any more."""
        for _ in range(int(BOUND / 0.02)):
            if self.journal.read().calls[-1].cancelled:
                return
            threading.Event().wait(0.02)
        pytest.fail("the call was not cancelled at the server")


@pytest.fixture
def session(bare_place: Any) -> Iterator[Session]:
    """A shell with `trunkline` on its path; another program's file names the server `notes`."""
    program = bare_place.folder / "bin/trunkline"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trunkline "$@"\n')
    program.chmod(0o755)
    sockets = tempfile.mkdtemp(prefix="tl-")
    bare_place.environ |= {
        "PATH": f"{program.parent}:{bare_place.environ['PATH']}",
        "XDG_RUNTIME_DIR": sockets,
        "XDG_STATE_HOME": str(bare_place.folder / "state"),
    }
    host = bare_place.folder / "home/.cursor/mcp.json"
    host.parent.mkdir(parents=True)
    host.write_text(json.dumps({"mcpServers": {"notes": offer().to_stdio_entry(bare_place.folder)}}))
    (bare_place.folder / "text.txt").write_text("from a file")
    (bare_place.folder / "whole.json").write_text('{"text": "whole"}')
    session = Session(bare_place)
    yield session
    session.shell.close(force=True)
    ended = bare_place.run("down", "--all")
    shutil.rmtree(sockets)
    assert (ended.code, bare_place.living("notes")) == (0, []), ended.err


def offer() -> FakeServer:
    server = FakeServer("notes")
    properties = {
        "text": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "stars": {"type": "integer"},
    }
    schema = {"type": "object", "properties": properties, "required": ["text"], "additionalProperties": False}
    server.tool("add", schema=schema, description="Write a note down.", reports="arguments")
    server.tool("find", description="Find notes by their words.", annotations={"readOnlyHint": True})
    server.tool("build", delay=60, progress=[(1, 4, "reading")])
    server.tool("steps", delay=0.2, progress=[(1, 2, "reading"), (2, 2, "writing")], returns="built")
    server.tool("remove", reports="arguments", annotations={"destructiveHint": True})
    return server


def test_a_newcomer_gets_from_another_programs_file_to_warm_servers_and_back(session: Session) -> None:
    bring_servers(session)
    find_tools(session)
    follow_progress(session)
    interrupt_a_call(session)
    assert session.place.living("notes") == []
    assert session.type("trunkline up --wait > out")[0] == 0
    started = len(session.journal.pids)
    look_around(session)
    call_in_every_form(session)
    make_mistakes(session)
    interrupt_a_call(session)
    agree_to_destroy(session)
    complete_a_name(session)
    assert len(session.journal.pids) == started
    code, out, shown = session.result("trunkline down")
    assert (code, out) == (0, "")
    assert re.fullmatch(r"trunkline: ended process \d+ of .*/home/\.cursor/mcp\.json\n", shown)
    assert json.loads(session.output("trunkline call notes.add text=alone")) == {"text": "alone"}
    assert len(session.journal.pids) == started + 1


def bring_servers(session: Session) -> None:
    code, out, shown = session.result("trunkline import --from cursor")
    assert (code, out) == (0, "")
    assert "notes" in shown


def find_tools(session: Session) -> None:
    listed = session.output("trunkline list")
    assert re.match(r"notes  ready  \S+  stdio  5 tools\n  add\(text: str, tags\?: list\[str\]", listed)
    assert "notes.add(text: str" in session.output("trunkline search write down a note --limit 1")
    assert "Write a note down." in session.output("trunkline info notes.add")


def follow_progress(session: Session) -> None:
    code, out, shown = session.result("trunkline call notes.steps --stream")
    assert (code, out) == (0, "built\n")
    assert shown == "progress: 1 of 2 (50 %) reading\nprogress: 2 of 2 (100 %) writing\n"


def interrupt_a_call(session: Session) -> None:
    session.start("trunkline call notes.build > out")
    session.shell.expect_exact("25 %  1 of 4")
    session.shell.send(INTERRUPT)
    code, shown = session.end()
    assert (code, (session.folder / "out").read_text()) == (130, "")
    assert shown.endswith("trunkline: error: interrupted\n")
    session.wait_for_cancel()


def look_around(session: Session) -> None:
    assert session.output("trunkline") == session.output("trunkline list")
    listed = session.output("trunkline tools")
    assert "notes.add(text: str, tags?: list[str], stars?: int)\n    Write a note down.\n" in listed
    assert session.output("trunkline status").splitlines()[1].startswith("notes   ready")


def call_in_every_form(session: Session) -> None:
    for words, arguments in FORMS:
        assert json.loads(session.output(f"trunkline call {words}")) == arguments, words


def make_mistakes(session: Session) -> None:
    calls = len(session.journal.read().calls)
    for words, code, said in MISTAKES:
        ended, out, shown = session.result(f"trunkline {words}")
        assert (ended, out) == (code, ""), words
        assert said in shown, words
        assert re.search(r"^trunkline: error: ", shown, re.MULTILINE), words
    code, out, shown = session.result("trunkline call notes.ad text=x --json")
    assert (code, json.loads(out)["error"]["code"], shown) == (5, "not_found", "")
    assert len(session.journal.read().calls) == calls


def agree_to_destroy(session: Session) -> None:
    calls = len(session.journal.read().calls)
    for answer, code in (("n", 6), ("y", 0)):
        session.start("trunkline call notes.remove password=s3cret > out")
        session.shell.expect_exact("Call it? [y/N] ")
        assert "password  ********" in session.shell.before
        session.shell.sendline(answer)
        assert session.end()[0] == code
    assert len(session.journal.read().calls) == calls + 1


def complete_a_name(session: Session) -> None:
    assert session.type("source <(trunkline completion bash)")[0] == 0
    session.shell.sendline("stty echo")
    session.shell.expect_exact(PROMPT)
    session.shell.send("trunkline call notes.ad\t")
    session.shell.expect_exact("notes.add ")
    session.shell.sendline('text=typed; echo "<code $?>"')
    code, shown = session.end()
    assert (code, '{"text": "typed"}' in shown) == (0, True)
    session.shell.sendline("stty -echo")
    session.shell.expect_exact(PROMPT)
