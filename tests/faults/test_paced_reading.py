"""A server over stdio that floods us is read less, and what it answers still arrives."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

import trunkline
from bench.target import ROOT

pytestmark = pytest.mark.anyio

FLOOD = 3_000
SERVER = """
import json, os, sys
from bench.answers import Answers

params = {"level": "info", "data": "x"}
line = json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": params})
answers = Answers("legacy", None, 2)
for asked in map(json.loads, sys.stdin):
    if asked.get("method") == "tools/call":
        last = "last" in asked["params"]["arguments"]["text"]
        sys.stdout.write((line + chr(10)) * (12_000 if last else FLOOD))
    if (response := answers.respond(asked)) is not None:
        sys.stdout.write(json.dumps(response) + chr(10))
        sys.stdout.flush()
    if asked.get("method") == "tools/call" and last:
        os._exit(0)
"""
ENTRY: dict[str, Any] = {
    "command": sys.executable,
    "args": ["-c", SERVER.replace("FLOOD", str(FLOOD))],
    "env": {"PYTHONPATH": str(ROOT)},
}


async def echo(trunk: trunkline.Trunk, text: str) -> str:
    return (await trunk.call("flood.echo", {"n": 1, "text": text}, timeout=20)).text


async def test_answers_behind_a_flood_arrive_and_the_flood_is_read_less():
    async with trunkline.connect({"flood": ENTRY}) as trunk:
        assert [await echo(trunk, text) for text in ("one", "two")] == ["one", "two"]
        link = trunk._fleet.get("flood").connection.link
        assert link._pace.flooding
        assert link.core.share.total >= 2 * FLOOD


async def test_the_last_words_of_a_flooding_server_that_exits_are_read():
    async with trunkline.connect({"flood": ENTRY}) as trunk:
        assert await echo(trunk, "one") == "one"
        assert await echo(trunk, "the last") == "the last"


async def test_closing_does_not_wait_for_a_flood_to_be_read():
    async with trunkline.connect({"flood": ENTRY}) as trunk:
        await trunk.ready()
        calls = [asyncio.create_task(echo(trunk, "more")) for _ in range(20)]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        async with asyncio.timeout(10):
            await trunk.aclose()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(one) for one in outcomes} <= {
            str,
            trunkline.OutcomeUnknownError,
            trunkline.UnavailableError,
        }
