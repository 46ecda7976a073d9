"""`--wire` and `call --curl` as a person uses them: in processes, with sh and curl for what is printed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio

SECRET = "canary'3f9a17"
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "x-mcp-header": "N"}, "t": {"type": "string"}},
}
HOSTILE = "it's $HOME `id` \\ ! \u202e\n@x"


class Run(NamedTuple):
    code: int
    out: str
    err: str


class Place:
    """A folder with an `mcp.json`, and programs run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
            "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", ""),
            "TOKEN": SECRET,
        }

    def write(self, **servers: Any) -> None:
        (self.folder / "mcp.json").write_text(json.dumps({"mcpServers": servers}))

    async def trunkline(self, *words: str) -> Run:
        return await self.run(sys.executable, "-m", "trunkline", *words)

    async def shell(self, text: str) -> Run:
        return await self.run("/bin/sh", "-c", text)

    async def run(self, *command: str) -> Run:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env=self.environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
        )
        out, err = await asyncio.wait_for(process.communicate(), 50)
        assert process.returncode is not None
        return Run(process.returncode, out.decode(), err.decode())


def make_server(**options: Any) -> FakeServer:
    server = FakeServer("fake", **options)
    server.tool("echo", schema=SCHEMA, reports="arguments")
    return server


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write(fake=make_server().to_stdio_entry(tmp_path))
    return place


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("list",),
        ("tools",),
        ("info", "fake"),
        ("search", "echo"),
        ("status",),
        ("call", "fake.echo", "n=1"),
    ],
    ids=lambda words: words[0] if words else "none",
)
async def test_every_command_that_connects_writes_what_it_says_to_its_servers(
    place: Place, words: tuple[str, ...]
) -> None:
    done = await place.trunkline(*words, "--wire", "wire.log")
    assert done.code == 0, done.err
    text = (place.folder / "wire.log").read_text()
    assert "fake (stdio)  tools/list #" in text
    assert ("fake (stdio)  tools/call #" in text) == ("call" in words)


async def test_a_command_that_meets_no_server_does_not_take_the_option(place: Place) -> None:
    done = await place.trunkline("get", "fake", "--wire", "wire.log")
    assert done.code == 2
    assert "--wire" in done.err


async def test_the_option_may_stand_before_the_command(place: Place) -> None:
    await place.trunkline("--wire", "wire.log", "call", "fake.echo", "n=1")
    assert "tools/call" in (place.folder / "wire.log").read_text()


async def test_a_dash_writes_to_standard_error_and_leaves_the_result_alone(place: Place) -> None:
    done = await place.trunkline("call", "fake.echo", "n=1", "--wire", "-")
    assert done.out == '{"n": 1}\n'
    assert "--> " in done.err
    assert '"method": "tools/call"' in done.err


async def test_a_file_that_cannot_be_written_ends_the_command_before_a_server_starts(place: Place) -> None:
    done = await place.trunkline("call", "fake.echo", "n=1", "--wire", "no/wire.log")
    assert done.code == 2
    assert "the log of the wire cannot be written to no/wire.log" in done.err
    assert list(make_server().journal(place.folder).pids) == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("eras", [["modern"], ["legacy"]], ids=["modern", "legacy"])
async def test_the_printed_request_does_what_the_call_would_have_done(tmp_path: Path, eras: Any) -> None:
    place, server = Place(tmp_path), make_server(eras=eras)
    async with server.http(json=True) as url:
        place.write(web={"url": f"{url}?k=${{TOKEN}}", "headers": {"Authorization": "Bearer ${TOKEN}"}})
        printed = await place.trunkline("call", "web.echo", "n=4", f"t={HOSTILE}", "--curl")
        assert (printed.code, printed.err) == (0, "")
        assert server.calls == []
        assert SECRET not in printed.out
        assert '-H "Authorization: Bearer $TOKEN"' in printed.out
        done = await place.shell(printed.out)
    (call,) = server.calls
    assert call.arguments == {"n": 4, "t": HOSTILE}
    assert call.headers["authorization"] == f"Bearer {SECRET}"
    assert json.loads(done.out)["result"]["structuredContent"] == {"n": 4, "t": HOSTILE}
    if eras == ["modern"]:
        assert call.headers["mcp-param-n"] == "4"


async def test_a_secret_that_stands_in_the_file_is_masked_and_said_to_be_missing(tmp_path: Path) -> None:
    place = Place(tmp_path)
    async with make_server().http() as url:
        headers = {"Authorization": "Bearer in-the-file", "X-Region": "Europe"}
        place.write(web={"url": f"{url}?token=in-the-url", "headers": headers})
        printed = await place.trunkline("call", "web.echo", "t=in-the-file", "--curl")
    assert "in-the-file" not in printed.out + printed.err
    assert "in-the-url" not in printed.out + printed.err
    assert "'Authorization: ***'" in printed.out
    assert "a secret that is no variable is left out" in printed.err


async def test_a_request_to_a_server_that_is_down_is_printed_for_the_latest_revision(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(web={"url": "http://127.0.0.1:1/mcp"})
    printed = await place.trunkline("call", "web.echo", "n=4", "--curl")
    assert printed.code == 0
    assert "MCP-Protocol-Version: 2026-07-28" in printed.out
    assert "web could not be asked what it speaks" in printed.err


@pytest.mark.parametrize("eras", [["modern"], ["legacy"]], ids=["modern", "legacy"])
async def test_a_program_gets_an_error_and_a_line_for_the_shell_that_works(tmp_path: Path, eras: Any) -> None:
    place, server = Place(tmp_path), make_server(eras=eras)
    place.write(fake=server.to_stdio_entry(tmp_path))
    printed = await place.trunkline("call", "fake.echo", "n=4", f"t={HOSTILE}", "--curl")
    assert printed.code == 2
    assert "fake is reached over stdio, so there is no HTTP request" in printed.err
    assert server.journal(tmp_path).read().calls == []
    done = await place.shell(printed.out.replace("sleep 5", "sleep 2"))
    last = json.loads(done.out.strip().splitlines()[-1])
    assert last["result"]["structuredContent"] == {"n": 4, "t": HOSTILE}


@pytest.mark.parametrize("other", ["--json", "--raw", "-o=x"])
async def test_a_request_has_no_reply_to_print_or_save(place: Place, other: str) -> None:
    done = await place.trunkline("call", "fake.echo", "--curl", *other.split("="))
    assert done.code == 2
    assert "--curl excludes" in done.out + done.err
