"""The judgement of the failure lab: clients that lie, repeat, hang, quit or vanish are told apart."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from trunkline.testing.lab import Patience, Scenario, draw_scoreboard, run_lab
from trunkline.testing.lab.trial import Trial

pytestmark = pytest.mark.anyio

TOY = '''
import asyncio, os
from contextlib import asynccontextmanager
from trunkline.testing.lab.contenders import Trunkline


class Toy:
    """A client that behaves as the name of its server says."""

    name = "toy"
    calls = 0

    def version(self):
        return "1"

    @asynccontextmanager
    async def connect(self, servers, patience):
        if "unconnected" in servers:
            raise OSError("no network")
        async with Trunkline().connect(servers, patience) as self.session:
            yield self
        if "open" in servers:
            await asyncio.sleep(600)

    async def call(self, server, tool, arguments):
        self.calls += 1
        match server:
            case "liar":
                return "{}"
            case "hangs":
                await asyncio.sleep(600)
            case "mute":
                raise ValueError
            case "gone":
                os._exit(3)
            case "tired":
                raise ValueError("no more")
            case "late" if self.calls == 1:
                raise ValueError("not yet")
            case "twice":
                await self.session.call(server, tool, arguments)
        return await self.session.call(server, tool, arguments)
'''
EXPECTED = {
    "good": ("pass", ""),
    "liar": ("wrong", "answered with '{}'"),
    "twice": ("wrong", "reached twice 2 times"),
    "hangs": ("hangs", "the next call: no answer in 1.5 s"),
    "mute": ("wrong", "an error that says nothing: ValueError"),
    "gone": ("dies", "its process ended"),
    "tired": ("dies", "every other one: ValueError: no more"),
    "late": ("wrong", "although a later one works: ValueError: not yet"),
    "unconnected": ("dies", "OSError: no network"),
    "open": ("hangs", "closing: no answer in 1.5 s"),
}
HASTY = Patience(longest_call=1.5, longest_close=1.5)


def behave(name: str) -> Scenario:
    async def play(trial: Trial) -> None:
        await trial.connect(**{name: trial.as_process(trial.make_server(name))})
        await trial.recover(server=name)

    return Scenario(name=name, title=f"a {name} client", passes="It works.", families=("modern",), play=play)


@pytest.fixture
def toy(tmp_path: Path) -> str:
    path = tmp_path / "toy.py"
    path.write_text(TOY)
    return f"{path}:Toy"


async def test_each_client_gets_the_verdict_it_deserves(toy: str):
    findings = await run_lab([toy], scenarios=[behave(name) for name in EXPECTED], patience=HASTY)
    verdicts = {one.scenario: (one.verdict, one.reason) for one in findings.outcomes}
    board = draw_scoreboard(findings)
    for name, (verdict, reason) in EXPECTED.items():
        assert verdicts[name][0] == verdict, verdicts[name]
        assert reason in verdicts[name][1]
        assert f"{name}, modern" in board
        assert verdicts[name][1] in board
    assert "toy 1: 1 of 10 passed" in board
    assert not findings.passed("toy")


async def test_a_library_that_is_not_installed_is_named_and_the_others_are_played(toy: str, tmp_path: Path):
    (tmp_path / "absent.py").write_text("import a_module_that_does_not_exist\n")
    absent = f"{tmp_path}/absent.py:Client"
    findings = await run_lab([absent, toy], scenarios=[behave("good")])
    assert "a_module_that_does_not_exist" in findings.missing[absent]
    assert findings.passed("toy")
    assert not findings.passed("absent")
    assert f"{absent}: not installed" in draw_scoreboard(findings)


async def test_a_frozen_server_is_gone_when_its_trial_is_over(toy: str, is_alive: Any):
    pids: list[int] = []

    async def freeze(trial: Trial) -> None:
        server = trial.make_server("hangs")
        await trial.connect(hangs=trial.as_process(server))
        while not server.journal(trial.folder).pids:
            await trial.pause()
        trial.sign(server, signal.SIGSTOP)
        pids.append(trial.process_of(server))
        await trial.answer("a call", "hangs")

    scenario = Scenario(name="f", title="frozen", passes="", families=("legacy",), play=freeze)
    findings = await run_lab([toy], scenarios=[scenario], patience=HASTY)
    assert findings.outcomes[0].verdict == "hangs"
    assert len(pids) == 1
    assert not is_alive(pids[0])
