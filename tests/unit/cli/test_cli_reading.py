"""`trunkline read` and `trunkline prompt`: what is printed, piped, saved and refused."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.cli.main import main
from trunkline.core.prompt import Prompt, PromptArgument
from trunkline.core.resource import ReadReply, Resource, Template
from trunkline.errors import NotFoundError

Trunkline = Callable[..., Any]
"""Runs a command line; gives `code`, `out`, `err` and, parsed, `document`."""
BYTES = bytes(range(256))
BLOB = {"uri": "mem://b", "mimeType": "image/png", "blob": base64.b64encode(BYTES).decode()}
TEXT = {"uri": "mem://t", "mimeType": "text/plain", "text": "one\ntwo \x1b[31m"}


def resource(server: str, uri: str, **facts: Any) -> Resource:
    return Resource(
        uri=uri, name=facts.pop("name", uri), server=server, public_name=f"{server}.{uri}", **facts
    )


@pytest.fixture
def offering(world: Any) -> Any:
    """A world whose servers list something of everything."""
    world.resources = (resource("git", "mem://a", mime_type="text/plain", name="First"),)
    world.templates = (Template(uri_template="mem://{id}", name="Any", server="git", public_name="git.Any"),)
    arguments = (PromptArgument(name="code", required=True), PromptArgument(name="tone"))
    prompt = Prompt(name="review", server="git", public_name="git.review", description="Look. Twice.")
    world.prompts = (
        Prompt(
            name="review",
            server="git",
            public_name=prompt.public_name,
            description=prompt.description,
            arguments=arguments,
        ),
    )
    return world


def test_text_goes_to_a_pipe_to_the_byte(trunkline: Trunkline, world: Any) -> None:
    world.answer = {"contents": [TEXT]}
    run = trunkline("read", "mem://t", "--timeout", "3")
    assert (run.code, run.out, run.err) == (0, TEXT["text"], "")
    assert world.called == [("mem://t", {"server": None}, 3.0)]
    assert world.started == ["git", "time"]


def test_bytes_go_to_a_pipe_as_they_are(world: Any, capfdbinary: Any) -> None:
    world.answer = {"contents": [BLOB, {"uri": "x", "text": "end"}]}
    assert main(["read", "mem://b"]) == 0
    assert capfdbinary.readouterr().out == BYTES + b"end"


def test_only_the_named_server_is_started(trunkline: Trunkline, world: Any) -> None:
    world.answer = {"contents": [TEXT]}
    assert trunkline("read", "mem://t", "--server", "git").code == 0
    assert world.started == ["git"]
    assert world.called[0][1] == {"server": "git"}
    run = trunkline("read", "mem://t", "--server", "gti")
    assert run.code == 2
    assert "there is no server 'gti'" in run.err


def test_a_terminal_gets_harmless_text_and_never_bytes(
    trunkline: Trunkline, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    world.answer = {"contents": [TEXT]}
    assert trunkline("read", "mem://t").out == "one\ntwo \n"
    world.answer = {"contents": [BLOB]}
    run = trunkline("read", "mem://b")
    assert (run.code, run.out) == (0, "[resource mem://b image/png 256 B]\n")
    assert "-o PATH saves it" in run.err
    world.answer = {"contents": [TEXT]}
    assert trunkline("read", "mem://t", "-o", "-").out == "one\ntwo \n"
    world.answer = {"contents": [BLOB]}
    refused = trunkline("read", "mem://b", "-o", "-")
    assert (refused.code, refused.out) == (2, "")
    assert "never written to a terminal" in refused.err


def test_output_saves_it_under_the_given_name(trunkline: Trunkline, world: Any, tmp_path: Path) -> None:
    world.answer = {"contents": [BLOB]}
    run = trunkline("read", "mem://x/pic", "-o", str(tmp_path / "a.bin"))
    assert (run.code, run.out) == (0, "")
    assert (tmp_path / "a.bin").read_bytes() == BYTES
    assert trunkline("read", "mem://x/pic", "-o", str(tmp_path)).code == 0
    assert (tmp_path / "pic.png").read_bytes() == BYTES
    assert trunkline("read", "mem://x/..%2f..%2fetc", "-o", str(tmp_path)).code == 0
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == [
        "_.._etc",
        "a.bin",
        "pic.png",
    ]


def test_several_contents_become_numbered_files(trunkline: Trunkline, world: Any, tmp_path: Path) -> None:
    world.answer = {"contents": [TEXT, BLOB]}
    assert trunkline("read", "mem://x", "-o", str(tmp_path / "out")).code == 0
    assert (tmp_path / "out-1.txt").read_text() == TEXT["text"]
    assert (tmp_path / "out-2.png").read_bytes() == BYTES


def test_broken_base64_is_a_failure_and_saves_nothing(
    trunkline: Trunkline, world: Any, tmp_path: Path
) -> None:
    world.answer = {"contents": [TEXT, BLOB | {"blob": "!!"}]}
    run = trunkline("read", "mem://x", "-o", str(tmp_path / "out"))
    assert run.code == 1
    assert "base64" in run.err
    assert not list(tmp_path.glob("out*"))
    assert trunkline("read", "mem://x").code == 1


def test_json_is_one_envelope_and_raw_the_result(trunkline: Trunkline, world: Any) -> None:
    world.answer = {"contents": [BLOB], "ttlMs": 5}
    document = trunkline("read", "mem://b", "--json").document
    assert document == {
        "ok": True,
        "server": "git",
        "uri": "mem://b",
        "result": world.answer,
        "meta": document["meta"],
    }
    assert trunkline("read", "mem://b", "--raw").document == world.answer
    for words in (["--raw", "--json"], ["--raw", "-o", "x"]):
        assert trunkline("read", "mem://b", *words).code == 2
    assert trunkline("read", "-o", "x").code == 2


def test_an_unknown_resource_ends_with_five(trunkline: Trunkline, world: Any) -> None:
    world.answer = NotFoundError("no such resource", candidates=("mem://a",))
    run = trunkline("read", "mem://x")
    assert (run.code, run.out) == (5, "")
    assert "Did you mean mem://a?" in run.err


def test_without_a_uri_it_lists_what_there_is(trunkline: Trunkline, offering: Any) -> None:
    run = trunkline("read")
    assert [line.split() for line in run.out.splitlines()] == [
        ["mem://a", "git", "text/plain", "First"],
        ["mem://{id}", "git", "-", "Any"],
    ]
    assert offering.lists is True
    document = trunkline("read", "--json").document
    assert [one["uri"] for one in document["resources"]] == ["mem://a"]
    assert [one["uri_template"] for one in document["templates"]] == ["mem://{id}"]
    assert "raw" not in document["resources"][0]


def test_a_prompt_is_filled_in_and_printed(trunkline: Trunkline, world: Any) -> None:
    messages = [
        {"role": "user", "content": {"type": "text", "text": "Look at this \x1b[2J"}},
        {"role": "assistant", "content": {"type": "image", "data": "AAAA", "mimeType": "image/png"}},
    ]
    world.answer = {"messages": messages, "description": "d"}
    run = trunkline("prompt", "git.review", "code=x=1", "tone=7")
    assert (run.code, run.err) == (0, "")
    assert run.out == "user:\nLook at this \x1b[2J\n\nassistant:\n[image image/png 3 B]\n"
    assert world.called == [("git.review", {"code": "x=1", "tone": "7"}, None)]
    assert world.started == ["git"]
    document = trunkline("prompt", "git", "review", "--json").document
    assert document == {
        "ok": True,
        "server": "git",
        "prompt": "git.review",
        "result": world.answer,
        "meta": document["meta"],
    }
    assert trunkline("prompt", "git.review", "--raw").document == world.answer


def test_a_prompt_on_a_terminal_is_harmless(
    trunkline: Trunkline, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    world.answer = {
        "messages": [{"role": "user\x1b[1m", "content": {"type": "text", "text": "a\x1b[2Jb\u202e"}}]
    }
    assert trunkline("prompt", "review").out == "user:\nab\\u202e\n"


def test_without_a_name_or_with_a_server_prompts_are_listed(trunkline: Trunkline, offering: Any) -> None:
    for words in ((), ("git",)):
        assert trunkline("prompt", *words).out == "git.review(code, tone?)\n    Look.\n"
    assert offering.started == ["git"]
    (prompt,) = trunkline("prompt", "--json").document["prompts"]
    assert (prompt["public_name"], [one["name"] for one in prompt["arguments"]]) == (
        "git.review",
        ["code", "tone"],
    )
    assert trunkline("prompt", "--raw", "--json").code == 2


def test_info_of_a_server_shows_what_it_has_beside_tools(trunkline: Trunkline, offering: Any) -> None:
    run = trunkline("info", "git")
    assert "Resources:\n  mem://a" in run.out
    assert "Prompts:\n  git.review(code, tone?)" in run.out
    document = trunkline("info", "git", "--json").document
    assert [one["uri"] for one in document["resources"]] == ["mem://a"]
    assert [one["name"] for one in document["prompts"]] == ["review"]
    assert offering.lists is True


def test_list_and_status_say_how_much_there_is(trunkline: Trunkline, world: Any) -> None:
    world.sicken("git", state="ready", tools=1, resources=2, templates=0, prompts=1, last_error=None)
    assert trunkline("list").out.splitlines()[0].endswith("1 tool, 2 resources, 1 prompt")
    rows = [line.split() for line in trunkline("status").out.splitlines()]
    assert [rows[0][at] for at in (5, 6, 7)] == ["TOOLS", "RESOURCES", "PROMPTS"]
    assert rows[1][-6:-3] == ["1", "2", "1"]


def test_tools_are_shown_without_waiting_for_other_lists(trunkline: Trunkline, world: Any) -> None:
    trunkline("tools")
    assert world.lists is False


def test_a_reply_says_which_uri_it_is_of() -> None:
    reply = ReadReply(raw={"contents": [{"text": "x"}]}, server="s", tool="s mem://a", uri="mem://a")
    assert [one.uri for one in reply.contents] == ["mem://a"]
    assert reply.is_error is False
