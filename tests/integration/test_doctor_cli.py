"""`trunkline doctor` as a command: what it prints, how it exits, and that its page shows just that."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from trunkline.cli.main import main
from trunkline.runtime.diagnostics import DIAGNOSTICS
from trunkline.runtime.doctor.checkup import PHASES
from trunkline.testing import FakeServer

PAGE = (Path(__file__).parents[2] / "docs/how-to/troubleshooting.md").read_text("utf-8")
CONSOLE = [
    (command, text)
    for command, text in re.findall(r"^```console\n\$ (.+)\n((?:(?!```).*\n)*)```", PAGE, re.MULTILINE)
]
GONE = '{"url": "http://127.0.0.1:1/mcp"}'
BROKEN = '{"command": "sh", "args": ["-c", "echo \\"npm error code E404\\" >&2; exit 1"]}'


class Run(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Place:
    """A folder in which the program runs, with the servers that it has."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capture = capture

    def write(self, servers: dict[str, str], name: str = "mcp.json") -> None:
        """Put servers into a file, one on a line from the third on."""
        lines = ",\n".join(f'"{key}": {text}' for key, text in servers.items())
        (self.folder / name).write_text(f'{{\n"mcpServers": {{\n{lines}\n}}}}\n')

    def notes(self) -> str:
        """Give the entry of a healthy server."""
        server = FakeServer("notes")
        server.tool("add", returns="added")
        return json.dumps(server.to_stdio_entry(self.folder))

    def run(self, *argv: str) -> Run:
        code = main(argv)
        captured = self._capture.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Run(code, captured.out, captured.err)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Place:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TRUNKLINE_NO_DAEMON", "1")
    monkeypatch.setattr("trunkline.cli.loop.loop_factory", lambda: None)  # uvloop keeps a pipe for ever
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    for name in ("XDG_CONFIG_HOME", "FORCE_COLOR", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return Place(tmp_path, capfd)


def settled(text: str) -> str:
    """Give an output without what changes from run to run: times, and the widths of columns."""
    return re.sub(r"(?<=\S) +", " ", re.sub(r"\b\d+(\.\d+)? m?s\b", "... ms", text))


def pattern(text: str) -> str:
    """Give the expression of a shown output, in which `...` stands for anything on a line."""
    return re.escape(text).replace(r"\.\.\.", ".*")


@pytest.mark.parametrize(("command", "output"), CONSOLE, ids=[command for command, _ in CONSOLE])
def test_the_page_shows_what_the_command_prints(place: Place, command: str, output: str):
    place.write({"notes": place.notes(), "far": GONE, "tools": BROKEN})
    run = place.run(*shlex.split(command)[1:])
    shown = pattern(settled(output))
    printed = settled(run.out)
    assert re.match(shown, printed), f"{printed}\n---\n{output}"


def test_the_page_has_every_phase_and_its_commands():
    listed = re.findall(r"^\| `(\w+)` \| (all|programs|URLs) \|", PAGE, re.MULTILINE)
    assert {name for name, whose in listed if whose != "URLs"} == set(PHASES["stdio"])
    assert [name for name, whose in listed if whose != "programs"] == list(PHASES["http"])
    assert {name for name, whose in listed if whose == "all"} == set(PHASES["memory"])
    assert len(CONSOLE) == 2


def test_healthy_servers_take_a_line_each_and_exit_with_0(place: Place):
    place.write({"one": place.notes(), "two": place.notes(), "off": '{"command": "x", "disabled": true}'})
    run = place.run("doctor")
    assert (run.code, run.err) == (0, "")
    lines = run.out.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [["ok", "one"], ["ok", "two"]]
    assert lines[2:] == ["2 servers: 2 ok, 0 failed, 1 switched off"]


def test_all_shows_the_phases_of_healthy_servers_too(place: Place):
    place.write({"one": place.notes()})
    run = place.run("doctor", "--all")
    assert [line.split()[1] for line in run.out.splitlines()[1:-1]] == list(PHASES["stdio"])


def test_json_holds_every_phase_and_every_trouble(place: Place):
    place.write({"notes": place.notes(), "far": GONE})
    run = place.run("doctor", "--json")
    document = run.document
    assert (run.code, run.err, document["ok"]) == (4, "", False)
    assert document["summary"] == {"servers": 2, "ok": 1, "failed": 1, "disabled": []}
    notes, far = document["servers"]
    assert (notes["name"], notes["ok"], notes["troubles"], notes["tools"]) == ("notes", True, [], 1)
    assert [phase["name"] for phase in far["phases"]] == list(PHASES["http"])
    assert [phase["outcome"] for phase in far["phases"]] == [*["ok"] * 3, "failed", *["not_reached"] * 7]
    assert all(phase["duration_ms"] is not None for phase in far["phases"][:4])
    (trouble,) = far["troubles"]
    assert set(trouble) == {
        *("phase", "severity", "code", "message", "cause", "fix", "command", "stderr", "page"),
    }
    assert (trouble["code"], trouble["page"]) == ("connect_failed", "docs/diagnostics/connect_failed.md")


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ('{"url": "http://127.0.0.1:1/", "headers": {"A": "${UNSET_IN_TESTS}"}}', 2),
        ('{"command": "no-such-command-here"}', 4),
    ],
)
def test_the_exit_code_is_that_of_the_first_that_fails(place: Place, entry: str, code: int):
    place.write({"notes": place.notes(), "first": entry, "second": GONE})
    assert place.run("doctor").code == code


def test_only_what_is_named_is_examined(place: Place):
    place.write({"notes": place.notes(), "far": GONE})
    place.write({"other": GONE, "third": GONE}, "more.json")
    assert place.run("doctor", "notes").code == 0
    run = place.run("doctor", "notes", "more.json", "http://127.0.0.1:2/mcp", "--json")
    assert [server["name"] for server in run.document["servers"]] == ["notes", "other", "third", "server"]
    run = place.run("doctor", "--http", "http://127.0.0.1:2/mcp", "--name", "adhoc", "--json")
    assert [server["name"] for server in run.document["servers"]] == ["adhoc"]


def test_each_endpoint_of_a_server_is_examined_and_named(place: Place):
    place.write({"notes": place.notes(), "far": GONE})
    policy = place.folder / "trunkline.toml"
    policy.write_text('[servers.far]\nreplicas = ["http://127.0.0.1:2/mcp"]\n')
    run = place.run("doctor")
    heads = [line[8:].split("  ")[0] for line in run.out.splitlines() if line.startswith(("ok", "failed"))]
    assert (run.code, heads) == (4, ["notes", "far", "far (replica 1)"])
    assert run.out.splitlines()[-1] == "2 servers: 1 ok, 1 failed"
    document = place.run("doctor", "far", "--json").document
    assert document["summary"] == {"servers": 1, "ok": 0, "failed": 1, "disabled": []}
    told = [(one["name"], one["replica"], one["address"]) for one in document["servers"]]
    assert told == [("far", 0, "http://127.0.0.1:1/mcp"), ("far", 1, "http://127.0.0.1:2/mcp")]


def test_a_url_needs_no_configuration(place: Place):
    run = place.run("doctor", "http://127.0.0.1:2/mcp", "--json")
    assert (run.code, run.document["servers"][0]["troubles"][0]["code"]) == (4, "connect_failed")


def test_a_name_that_is_nothing_is_told_with_the_nearest(place: Place):
    place.write({"notes": place.notes()})
    run = place.run("doctor", "nots")
    assert run.code == 5
    assert "there is no server and no file 'nots'" in run.err
    assert "Did you mean 'notes'?" in run.err
    place.write({"notes": '{"command": "x", "disabled": true}'})
    assert "switched off" in place.run("doctor", "notes").err


def test_a_file_that_cannot_be_read_is_a_mistake_of_the_configuration(place: Place):
    (place.folder / "mcp.json").write_text("{")
    run = place.run("doctor")
    assert (run.code, run.out) == (2, "")
    assert "mcp.json" in run.err


def test_no_secret_of_the_configuration_is_printed(place: Place, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_TOKEN", "sensitive-token-value")
    place.write(
        {
            "far": '{"url": "http://127.0.0.1:1/${MY_TOKEN}", "headers": {"Authorization": "${MY_TOKEN}"}}',
            "sh": '{"command": "sh", "args": ["-c", "echo $MY_TOKEN $0 >&2; exit 1", "${MY_TOKEN}"],'
            ' "env": {"MY_TOKEN": "${MY_TOKEN}"}}',
        }
    )
    for arguments in ((), ("--json",), ("--wire", "-")):
        run = place.run("doctor", *arguments)
        assert run.code == 4
        assert "sensitive-token-value" not in run.out + run.err
        assert "[redacted]" in run.out


def test_the_wire_shows_what_passes(place: Place):
    place.write({"notes": place.notes()})
    run = place.run("doctor", "--wire", "wire.log")
    assert run.code == 0
    assert "server/discover" in (place.folder / "wire.log").read_text()


def test_a_page_is_printed_by_its_code(place: Place):
    run = place.run("doctor", "--explain", "tls_expired")
    assert (run.code, run.out) == (0, DIAGNOSTICS["tls_expired"].page())
    run = place.run("doctor", "--explain", "tls_expird")
    assert (run.code, run.out) == (5, "")
    assert "Did you mean tls_expired?" in run.err
    document = place.run("doctor", "--explain", "tls_expired", "--json").document
    assert (document["ok"], document["diagnostic"]["code"]) == (True, "tls_expired")
    listed = place.run("doctor", "--explain", "all").out.splitlines()
    assert [line.split()[0] for line in listed] == list(DIAGNOSTICS)
    every = place.run("doctor", "--explain", "all", "--json").document["diagnostics"]
    assert [one["code"] for one in every] == list(DIAGNOSTICS)


def test_an_error_of_another_command_leads_to_its_page(place: Place):
    place.write({"far": GONE})
    run = place.run("call", "far.tool")
    assert run.code == 4
    assert "  more: trunkline doctor --explain connect_failed\n" in run.err


def test_time_is_what_the_command_is_given(place: Place):
    place.write({"silent": '{"command": "sh", "args": ["-c", "exec sleep 30"]}'})
    run = place.run("doctor", "--timeout", "0.3", "--json")
    (server,) = run.document["servers"]
    assert server["troubles"][0]["code"] == "no_answer"
    assert server["duration_ms"] < 10_000
