"""The ways that work, from the first list to a saved image."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest


def test_the_way_of_a_newcomer_from_list_to_reply(place: Any) -> None:
    listed = place.run()
    assert listed.code == 0
    assert re.match(r"echo +ready +\S+ +stdio +6 tools\n  echo\(text: str", listed.out)
    assert place.run("list").out.splitlines()[1:] == listed.out.splitlines()[1:]
    assert "echo.echo(text: str, times?: int)\n    Gives the text back.\n" in place.run("tools").out
    assert re.match(r" \d\.\d{3}  echo\.echo\(", place.run("search", "give", "text", "back").out)
    assert "  text   string   required\n" in place.run("info", "echo", "echo").out
    assert place.run("status").out.splitlines()[1].startswith("echo")
    called = place.run("call", "echo.echo", "text=hi", "times=3")
    assert (called.code, called.err) == (0, "")
    assert json.loads(called.out) == {"text": "hi", "times": 3}
    assert place.living() == []


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["echo/echo", '{"text": "x"}'], None),
        (["echo:echo", 'text:="x"'], None),
        (["echo", "echo", "text=@-"], b"x"),
        (["echo", "@args.json"], None),
        (["echo.echo"], b'{"text": "x"}'),
    ],
)
def test_every_selector_and_form_of_argument_reaches_the_server(
    place: Any, argv: list[str], text: bytes | None
) -> None:
    (place.folder / "args.json").write_text('{"text": "x"}')
    run = place.run("call", *argv, text=text)
    assert (run.code, run.err) == (0, "")
    assert json.loads(run.out) == {"text": "x"}


def test_json_output_is_one_line_of_the_stated_envelope(place: Any) -> None:
    run = place.run("call", "echo.draw", "{}", "--json")
    assert run.out.count("\n") == 1
    document = json.loads(run.out)
    assert set(document) == {"ok", "server", "tool", "result", "meta"}
    assert set(document["meta"]) == {"duration_ms", "attempts", "cached", "era", "transport"}
    assert document["result"]["content"][1]["mimeType"] == "image/png"
    assert (document["ok"], document["server"], document["tool"]) == (True, "echo", "echo.draw")


def test_an_image_prints_as_a_line_and_saves_as_its_bytes(place: Any) -> None:
    assert place.run("call", "echo.draw", "{}").out == "a dot\n[image image/png 28 B]\n"
    run = place.run("call", "echo.draw", "{}", "-o", "dot.png")
    assert (run.code, run.out) == (0, "")
    assert run.err == "trunkline: saved dot.png (image/png, 28 bytes)\n  a dot\n"
    assert (place.folder / "dot.png").read_bytes() == bytes(28)


def test_only_the_server_that_is_called_is_started(place: Any) -> None:
    place.serve("other")
    assert place.run("call", "echo.echo", "text=x").code == 0
    assert (len(place.journal().pids), place.journal("other").pids) == (1, [])


def test_a_sick_server_costs_a_list_one_warning_and_no_exit_code(place: Any) -> None:
    place.entries["gone"] = {"command": "trunkline-test-no-such-command"}
    place.serve("crash", failing_starts=9, stderr=["no license"])
    for command in ("list", "tools", "status"):
        run = place.run(command)
        assert run.code == 0
        assert run.err == "trunkline: warning: 2 of 3 servers are not ready: gone, crash\n"
    assert place.run("search", "text").code == 0


def test_a_url_is_taken_for_a_configuration(place: Any) -> None:
    run = place.run("list", "--config", "http://127.0.0.1:9/mcp")
    assert run.code == 0
    assert re.match(r"server +failed", run.out)
