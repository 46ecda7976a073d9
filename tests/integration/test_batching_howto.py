"""The page about batches: its program prints what it shows, and its settings and figures are true."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import trunkline.sync
from trunkline.config import load
from trunkline.connection import batching
from trunkline.core.batch import BatchSettings
from trunkline.testing import FakeServer

TEXT = (Path(__file__).parents[2] / "docs/how-to/batch-calls.md").read_text("utf-8")


def test_the_program_prints_what_the_page_shows():
    ((program, output),) = re.findall(r"```python\n((?:(?!```).)*)```\n\n```text\n(.*?)```", TEXT, re.DOTALL)
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.stdout, run.returncode) == (output, 0), run.stderr


def test_the_settings_can_be_used():
    (toml,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    policy = load([], environ={}, policy=tomllib.loads(toml)).policy
    assert policy.for_server("shop").batch == BatchSettings(size=20, milliseconds=5)
    assert policy.for_server("other").batch.milliseconds == 0


def test_a_second_is_what_a_server_has_to_answer_the_pings():
    assert batching._PATIENCE == 1.0
    assert "within a second" in TEXT


@pytest.mark.leaves_open("uvloop keeps a pipe for ever")
def test_the_blocking_library_batches_as_the_page_says():
    server = FakeServer("shop")
    server.tool("price", reports="arguments")
    with trunkline.sync.connect({"shop": server}) as trunk:
        with trunk.batch() as batch:
            one, two = (batch.call("shop.price", {"n": n}) for n in (1, 2))
            three = batch.call("shop.price", {"n": 3})
            assert three.cancel("not wanted")
            assert not one.done
        assert (one.result().value, two.result().value) == ({"n": 1}, {"n": 2})
        with trunk.lease("shop") as lease, lease.batch() as batch:
            four = batch.call("price", {"n": 4})
            batch.send()
            assert four.result().value == {"n": 4}
    assert sorted(call.arguments["n"] for call in server.calls) == [1, 2, 4]


@pytest.mark.parametrize("value", ["fast", -1, 20_000, True])
def test_what_is_no_number_of_milliseconds_is_refused_by_name(value: object):
    policy = {"servers": {"shop": {"batch": {"milliseconds": value}}}}
    with pytest.raises(trunkline.ConfigError, match=r"batch\.milliseconds.*a number of milliseconds"):
        load([], environ={}, policy=policy)
