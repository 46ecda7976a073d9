"""What commands give that the scripted session does not come across: envelopes, images, sick servers."""

from __future__ import annotations

import json
import re
from typing import Any


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
        told = [line for line in run.err.splitlines() if not line.startswith("trunkline: no runtime runs")]
        assert told == ["trunkline: warning: 2 of 3 servers are not ready: gone, crash"]
        assert (told != run.err.splitlines()) == (command == "status"), "only `status` asks what runs"
    assert place.run("search", "text").code == 0


def test_a_url_is_taken_for_a_configuration(place: Any) -> None:
    run = place.run("list", "--config", "http://127.0.0.1:9/mcp")
    assert run.code == 0
    assert re.match(r"server +backoff", run.out)
