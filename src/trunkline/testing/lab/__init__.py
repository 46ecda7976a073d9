"""The failure lab: ordinary failures of MCP servers, and what each client library makes of them.

`python -m trunkline.testing.lab` plays every scenario against Trunkline, the official SDK's client and
fastmcp, and prints a scoreboard. A client of your own is one small class, see `Client`. The servers are
fakes that use no MCP library; every client runs in processes of its own.
"""

from __future__ import annotations

from trunkline.testing.lab.client import Client, Patience, Session
from trunkline.testing.lab.outcome import Contender, Outcome, Verdict
from trunkline.testing.lab.running import run_lab
from trunkline.testing.lab.scenarios import SCENARIOS, Scenario
from trunkline.testing.lab.scoreboard import draw_scoreboard

__all__ = [
    "SCENARIOS",
    "Client",
    "Contender",
    "Outcome",
    "Patience",
    "Scenario",
    "Session",
    "Verdict",
    "draw_scoreboard",
    "run_lab",
]
