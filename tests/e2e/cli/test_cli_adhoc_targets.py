"""Servers described on the command line: started, reached and called without any file."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
from typing import Any

import pytest

from trunkline.testing import FakeServer


def described(place: Any, *more: str) -> list[str]:
    """Give the options for the server `echo` as a program of its own."""
    entry = place.entries.pop("echo")
    words = [entry["command"], *entry["args"]]
    return ["--stdio", shlex.join(words), "-e", f"PYTHONPATH={entry['env']['PYTHONPATH']}", *more]


def test_a_program_is_listed_searched_and_called_without_a_file(place: Any) -> None:
    options = described(place)
    assert "server.echo(text: str, times?: int)" in place.run("tools", *options).out
    assert place.run("list", *options).out.startswith("server  ready")
    assert "server.echo" in place.run("search", *options, "give", "text", "back").out
    assert place.run("info", "echo", *options).out.startswith("server.echo(")
    assert place.run("status", *options).out.splitlines()[1].startswith("server")
    for tool in ("echo", "server.echo"):
        run = place.run("call", *options, tool, "text=hi", "times=2")
        assert (run.code, run.err) == (0, "")
        assert json.loads(run.out) == {"text": "hi", "times": 2}
    assert json.loads(place.run("call", *options, "--name", "mine", "mine.echo", "text=hi").out)
    assert not (place.folder / "mcp.json").exists()
    assert place.living() == []


def test_a_program_gets_its_variables_and_its_folder(place: Any) -> None:
    server = FakeServer("echo")
    server.tool("where", reports="cwd")
    server.tool("env", reports="environment")
    place.serve("echo", server)
    (place.folder / "sub").mkdir()
    place.environ["OUTER"] = "from outside"
    options = described(place, "--cwd", "sub", "-e", "GIVEN=a b", "-e", "COPIED=${OUTER}")
    assert place.run("call", *options, "where").out == f"{place.folder / 'sub'}\n"
    wanted = '{"values": ["GIVEN", "COPIED", "OUTER"]}'
    seen = json.loads(place.run("call", *options, "env", wanted).out)
    assert seen["values"] == {"GIVEN": "a b", "COPIED": "from outside"}


def test_the_policy_of_the_working_directory_applies(place: Any) -> None:
    options = described(place, "--name", "mine")
    (place.folder / "trunkline.toml").write_text('[servers."mine"]\ntimeout = 1\n')
    run = place.run("call", *options, "slow", "{}")
    assert run.code == 7
    (place.folder / "trunkline.toml").write_text("nonsense")
    assert place.run("list", *options).code == 2


@pytest.mark.anyio
async def test_a_url_is_called_with_its_headers(bare_place: Any) -> None:
    fake = FakeServer("web")
    fake.tool(
        "echo", schema={"type": "object", "properties": {"n": {"type": "integer"}}}, reports="arguments"
    )
    bare_place.environ["TOKEN"] = "s3cret-token"
    async with fake.http() as url:
        run = await asyncio.to_thread(
            bare_place.run, "call", "--http", url, "-H", "X-One: 1", "-H", "Authorization: Bearer ${TOKEN}",
            "echo", "n=3", "--json",
        )  # fmt: skip
        assert run.code == 0, run
        document = json.loads(run.out)
        assert (document["tool"], document["meta"]["transport"]) == ("server.echo", "http")
        assert document["result"]["content"][0]["text"] == '{"n": 3}'
        headers = fake.calls[0].headers
        assert (headers["x-one"], headers["authorization"]) == ("1", "Bearer s3cret-token")
        tools = await asyncio.to_thread(bare_place.run, "tools", "--http", url)
    assert tools.out == "server.echo(n?: int)\n"


@pytest.mark.parametrize("kind", ["--sse", "--ws"])
def test_other_kinds_of_url_are_taken_and_say_what_is_missing(bare_place: Any, kind: str) -> None:
    scheme = "ws" if kind == "--ws" else "http"
    for argument in ("{}", "text=x"):
        run = bare_place.run("call", kind, f"{scheme}://127.0.0.1:9/", "echo", argument)
        assert run.code in (2, 4), run
        assert "Traceback" not in run.err
        assert "server" in run.err
        assert run.err.startswith("trunkline: error: ")


def test_a_server_file_and_a_described_server_exclude_each_other(place: Any) -> None:
    run = place.run("list", "--config", "mcp.json", "--http", "http://127.0.0.1:9/")
    assert (run.code, run.out) == (2, "")
    assert "--config and --http exclude each other" in run.err


def test_names_seen_are_kept_for_the_user_alone(place: Any) -> None:
    assert place.run("list").code == 0
    (file,) = (place.folder / "home/.cache/trunkline/names").iterdir()
    assert os.stat(file).st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()) == ["echo", "slow", "sad", "rude", "loud", "draw"]
