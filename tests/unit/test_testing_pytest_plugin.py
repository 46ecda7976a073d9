"""The public fixtures, used as an application's tests would use them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import trunkline
from trunkline.testing.pytest_plugin import (  # noqa: F401 - fixtures are found by their names
    fake_server,
    make_hostile_server,
    mock_trunk,
    no_configuration,
    run_in_virtual_time,
)


def test_a_mock_runs_in_virtual_time(mock_trunk: Any, run_in_virtual_time: Any):  # noqa: F811
    async def sleepy(_: Any) -> str:
        await asyncio.sleep(3600)
        return "late"

    async def main() -> tuple[str, float]:
        async with mock_trunk({"a.t": sleepy}, policy={"defaults": {"idle": 9000, "timeout": 9000}}) as trunk:
            return (await trunk.call("a.t")).text, asyncio.get_running_loop().time()

    text, now = run_in_virtual_time(main(), seed=3)
    assert text == "late"
    assert now >= 3600


def test_a_fake_server_is_new_and_answers(fake_server: Any, run_in_virtual_time: Any):  # noqa: F811
    fake_server.tool("echo", reports="arguments")

    async def main() -> Any:
        async with trunkline.connect({"fake": fake_server}) as trunk:
            return (await trunk.call("fake.echo", {"n": 1})).value

    assert run_in_virtual_time(main()) == {"n": 1}


def test_a_hostile_server_is_made_by_its_id(make_hostile_server: Any):  # noqa: F811
    assert "attack" in make_hostile_server("B03").tools


def test_no_configuration_of_the_person_is_seen(no_configuration: Path):  # noqa: F811
    assert Path.cwd() == no_configuration.resolve()
    assert list(no_configuration.iterdir()) == []
    assert os.environ["HOME"] == str(no_configuration.parent / "home")


def test_the_plugin_is_found_by_its_documented_name(tmp_path: Path):
    import subprocess
    import sys

    (tmp_path / "conftest.py").write_text('pytest_plugins = ["trunkline.testing.pytest_plugin"]\n')
    (tmp_path / "test_mine.py").write_text(
        "def test_mine(mock_trunk, run_in_virtual_time):\n"
        "    async def main():\n"
        "        async with mock_trunk({'a.t': 'x'}) as trunk:\n"
        "            return (await trunk.call('a.t')).text\n"
        "    assert run_in_virtual_time(main()) == 'x'\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=50,
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout
