"""The pure parts of the doctor: challenges, last words, installing, commands, and the chart of phases."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from trunkline.config.entry import HttpEntry, StdioEntry
from trunkline.runtime.doctor.advice import Facts, fill_in, quote
from trunkline.runtime.doctor.background import Background
from trunkline.runtime.doctor.challenge import read_challenge
from trunkline.runtime.doctor.chart import Chart
from trunkline.runtime.doctor.checkup import Phase, Trouble
from trunkline.runtime.doctor.installing import find_elsewhere, install_command
from trunkline.runtime.doctor.last_words import explain_end


def facts(entry: StdioEntry | HttpEntry, **more: object) -> Facts:
    known = {"entry": entry, "background": Background(file="/etc/mcp.json"), "environ": {}, "clean": str}
    return Facts(**(known | more))  # type: ignore[arg-type]


STDIO = StdioEntry(
    name="my server",
    command="/opt/my tool",
    cwd="/srv/data",
    source="mcp.json",
    shown=("/opt/my tool", "--key=${KEY}", "it's"),
)
HTTP = HttpEntry(
    name="far", url="https://far.example/mcp?key=1", source="x", shown="https://far.example/${KEY}"
)


@pytest.mark.parametrize(
    ("header", "scheme", "parameters"),
    [
        ("Bearer", "Bearer", {}),
        ("Basic realm=shop", "Basic", {"realm": "shop"}),
        ('Bearer realm="a, b", error=invalid_token', "Bearer", {"realm": "a, b", "error": "invalid_token"}),
        ('Bearer scope="a \\"b\\" c"', "Bearer", {"scope": 'a "b" c'}),
        ("Negotiate dG9rZW4=", "Negotiate", {}),
        ('Bearer realm="x", Basic realm="y"', "Bearer", {"realm": "x"}),
        ('bearer RESOURCE_METADATA = "https://x/"', "bearer", {"resource_metadata": "https://x/"}),
    ],
)
def test_a_challenge_is_read_as_it_is_written(header: str, scheme: str, parameters: dict[str, str]):
    challenge = read_challenge(header)
    assert challenge is not None
    assert (challenge.scheme, challenge.parameters) == (scheme, parameters)


def test_no_challenge_is_read_from_nothing():
    assert read_challenge("") is None
    assert read_challenge("=,;") is None


@pytest.mark.parametrize(
    ("code", "stderr", "program", "cause"),
    [
        (1, "Traceback\nModuleNotFoundError: No module named 'x'", "python", "A Python package"),
        (1, "Error: listen EADDRINUSE: address already in use", "node", "Another process uses the port"),
        (1, "npm error code E404\nnpm error code ENOTFOUND", "npx", "A host that it needs was not found"),
        (127, "", "sh", "A program that it starts was not found"),
        (125, "", "docker", "The container could not be started"),
        (-9, "ModuleNotFoundError", "python", "The system ran out of memory"),
    ],
)
def test_the_end_of_a_process_points_to_its_cause(code: int, stderr: str, program: str, cause: str):
    assert (explain_end(code, stderr, program) or "").startswith(cause)


def test_nothing_is_guessed_where_nothing_points_anywhere():
    assert explain_end(1, "it does not work, says the sentence about a missing module", "x") is None
    assert explain_end(125, "", "sh") is None
    assert explain_end(None, "", "x") is None


@pytest.mark.parametrize(
    ("installer", "program", "line"),
    [
        ("brew", "npx", "brew install node"),
        ("apt-get", "npx", "sudo apt-get install nodejs npm"),
        ("dnf", "/usr/bin/docker", "sudo dnf install docker"),
        ("apt-get", "uvx", "curl -LsSf https://astral.sh/uv/install.sh | sh"),
        ("apt-get", "no-such-program", None),
        ("none", "npx", None),
    ],
)
def test_a_well_known_program_is_installed_with_what_there_is(
    installer: str, program: str, line: str | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shutil, "which", lambda name: name if name == installer else None)
    assert install_command(program) == line


def test_a_program_in_a_folder_of_the_home_is_found_elsewhere(tmp_path: Path):
    program = tmp_path / ".local/bin/uvx"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_elsewhere("uvx", {"HOME": str(tmp_path)}) == str(program)
    assert find_elsewhere("./uvx", {"HOME": str(tmp_path)}) is None


def test_a_command_is_filled_in_or_left_out():
    known = facts(STDIO, place=("far.example", 443), program="/opt/my tool")
    assert fill_in("nc -vz HOST PORT", known) == "nc -vz far.example 443"
    assert fill_in("chmod +x FILE", known) == "chmod +x '/opt/my tool'"
    assert fill_in("trunkline doctor SERVER", known) == "trunkline doctor 'my server'"
    by_hand = "cd /srv/data && '/opt/my tool' \"--key=${KEY}\" 'it'\"'\"'s' </dev/null"
    assert fill_in("COMMAND ARGUMENTS </dev/null", known) == by_hand
    assert fill_in("curl -v URL", known) is None
    assert fill_in("curl -sS -i URL", facts(HTTP)) == 'curl -sS -i "https://far.example/${KEY}"'
    assert fill_in("trunkline doctor SERVER", facts(HTTP, background=Background())) is None
    assert fill_in("", known) is None
    assert fill_in("date", known) == "date"
    bare = StdioEntry(name="x", command="x", source="x", shown=("x",))
    assert fill_in("COMMAND ARGUMENTS </dev/null", facts(bare)) == "x </dev/null"


def test_quoting_leaves_variables_and_nothing_else_to_the_shell():
    assert quote("${env:KEY}`id`") == '"${KEY}\\`id\\`"'
    assert quote('${KEY}"$(id)\\') == '"${KEY}\\"\\$(id)\\\\"'
    assert quote("$(id)") == "'$(id)'"


class TestChart:
    @pytest.fixture
    def moments(self) -> list[float]:
        return [0.0]

    @pytest.fixture
    def chart(self, moments: list[float]) -> Chart:
        return Chart("http", lambda: moments[0])

    def trouble(self, phase: Phase, severity: str = "error") -> Trouble:
        return Trouble(phase=phase, severity=severity, code="x", message="", cause="", fix="")  # type: ignore[arg-type]

    def test_phases_keep_their_time_and_the_rest_is_not_reached(self, chart: Chart, moments: list[float]):
        chart.end("here")
        chart.begin("proxy")
        moments[0] = 0.5
        chart.end("none")
        chart.begin("dns")
        moments[0] = 0.75
        chart.fail(self.trouble("dns"))
        shown = [(phase.name, phase.outcome, phase.seconds) for phase in chart.phases()[:4]]
        assert shown == [
            ("configuration", "ok", 0.0),
            ("proxy", "ok", 0.5),
            ("dns", "failed", 0.25),
            ("tcp", "not_reached", None),
        ]

    def test_a_failure_found_later_takes_back_what_came_after_its_phase(
        self, chart: Chart, moments: list[float]
    ):
        for name in chart.names[1:6]:
            chart.begin(name)
            moments[0] += 1
            chart.end("fine")
        chart.fail(self.trouble("proxy"))
        outcomes = [phase.outcome for phase in chart.phases()]
        assert outcomes[:3] == ["not_reached", "failed", "not_reached"]
        assert set(outcomes[2:]) == {"not_reached"}
        assert chart.phases()[1].seconds == 1

    def test_a_phase_is_split_where_the_first_answer_came(self, chart: Chart, moments: list[float]):
        chart.begin("http")
        moments[0] = 3.0
        chart.split("http", "negotiation", 1.0, "200")
        chart.end()
        seconds = {phase.name: phase.seconds for phase in chart.phases()}
        assert (seconds["http"], seconds["negotiation"]) == (1.0, 2.0)

    def test_errors_come_before_warnings(self, chart: Chart):
        chart.add(self.trouble("tls", "warning"))
        chart.fail(self.trouble("http"))
        assert [trouble.phase for trouble in chart.troubles()] == ["http", "tls"]
