"""What `trunk.explain` answers, for a server, a tool and a bare tool name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

import trunkline
from trunkline.config import Explanation, Policy
from trunkline.errors import AmbiguousNameError, NotFoundError
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio

TOML = """\
[servers.db]
timeout = 5
[tools."db.drop_*"]
validate = false
[profiles.ci.defaults]
idle = 7
"""


@pytest.fixture
async def trunk(tmp_path: Path) -> AsyncIterator[trunkline.Trunk]:
    file = tmp_path / "trunkline.toml"
    file.write_text(TOML)
    db, web = FakeServer("db"), FakeServer("web")
    for server in (db, web):
        server.tool("get")
    db.tool("drop_table")
    async with trunkline.connect({"db": db, "web": web, "db.x": web}, policy=file, profile="ci") as trunk:
        await trunk.ready()
        yield trunk


async def test_a_server_is_explained_by_its_name(trunk: trunkline.Trunk, tmp_path: Path) -> None:
    explanation = trunk.explain("db")
    assert (explanation.server, explanation.tool, explanation.profile) == ("db", None, "ci")
    timeout = explanation["timeout"]
    assert (timeout.value, timeout.table, timeout.line) == (5.0, "servers.db", 2)
    assert timeout.source == str(tmp_path / "trunkline.toml")
    assert explanation["idle"].table == "profiles.ci.defaults"
    assert explanation["connect"].is_default
    with pytest.raises(KeyError):
        explanation["validate"]


async def test_a_tool_is_explained_by_its_public_name_and_by_its_bare_name(trunk: trunkline.Trunk) -> None:
    explanation = trunk.explain("db.drop_table")
    assert explanation == trunk.explain("drop_table")
    assert (explanation.server, explanation.tool) == ("db", "drop_table")
    assert (explanation["validate"].value, explanation["validate"].line) == (False, 4)
    assert explanation["timeout"].table == "servers.db"
    assert explanation["trust"].value is False


async def test_the_longest_server_name_is_meant(trunk: trunkline.Trunk) -> None:
    assert trunk.explain("db.x").tool is None
    assert (trunk.explain("db.x.get").server, trunk.explain("db.y.get").tool) == ("db.x", "y.get")


async def test_what_nothing_is_called_and_what_several_are_called_is_an_error(trunk: trunkline.Trunk) -> None:
    with pytest.raises(NotFoundError):
        trunk.explain("nothing")
    with pytest.raises(AmbiguousNameError):
        trunk.explain("get")


async def test_it_reads_as_a_table(trunk: trunkline.Trunk, tmp_path: Path) -> None:
    title, _, header, *rows = str(trunk.explain("db.drop_table")).splitlines()
    assert title == f"tool db.drop_table, policy {tmp_path / 'trunkline.toml'}, profile ci"
    assert header.split() == ["SETTING", "VALUE", "FROM"]
    assert rows[0].split(None, 2) == ["timeout", "5", f"{tmp_path / 'trunkline.toml'}:2 [servers.db]"]
    assert rows[2].split(None, 2)[:2] == ["validate", "false"]
    assert ["era", '"auto"', "default"] in [row.split() for row in rows]


async def test_an_explanation_is_frozen() -> None:
    explanation = Policy().explain("x")
    with pytest.raises(AttributeError):
        explanation.server = "y"  # type: ignore[misc]
    assert isinstance(msgspec.json.decode(msgspec.json.encode(explanation), type=Explanation), Explanation)
    assert str(explanation).startswith("server x, no trunkline.toml\n")


async def test_a_name_from_a_server_cannot_act_on_the_terminal() -> None:
    shown = str(Policy().explain("x", "a\x1b[31m\u202e\n"))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert shown.splitlines()[0] == "tool x.a\\x1b[31m\\u202e\\n, no trunkline.toml"
