"""Profiles: how one is activated, and what its tables win against."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.config import Policy, load
from trunkline.errors import ConfigError
from trunkline.testing import FakeServer

TOML = """
[defaults]
timeout = 1
idle = 1
[servers."db.*"]
timeout = 2
[servers."db.main"]
connect = 2
[tools."db.main.drop"]
validate = true
[profiles.ci.defaults]
timeout = 10
idle = 10
[profiles.ci.limits]
pages = 10
[profiles.ci.servers."db.*"]
timeout = 11
[profiles.ci.servers."*"]
connect = 12
[profiles.ci.tools."db.*"]
validate = false
[profiles.dev.defaults]
idle = 20
"""


def policy(profile: str | None = None, **environ: str) -> Policy:
    return load([], environ=environ, policy=tomllib.loads(TOML), profile=profile).policy


def test_without_a_profile_its_tables_do_nothing() -> None:
    assert policy().profile is None
    assert policy().for_server("db.main").timeout == 2
    assert policy().for_server("x").idle == 1


def test_a_profile_wins_against_what_is_equally_specific() -> None:
    rules = policy("ci").for_server("db.main")
    assert (rules.timeout, rules.idle, rules.limits.pages) == (11, 10, 10)


def test_what_is_more_specific_wins_against_a_profile() -> None:
    assert policy("ci").for_server("db.main").connect == 2
    assert policy("ci").for_server("web").connect == 12
    assert policy("ci").for_tool("db.main", "drop").validate is True
    assert policy("ci").for_tool("db.main", "read").validate is False


def test_only_one_profile_is_active() -> None:
    both = policy("ci").activate("dev")
    assert both.profile == "dev"
    assert (both.for_server("x").timeout, both.for_server("x").idle) == (1, 20)


def test_the_environment_names_a_profile_and_an_argument_wins_over_it() -> None:
    assert policy(TRUNKLINE_PROFILE="ci").profile == "ci"
    assert policy("dev", TRUNKLINE_PROFILE="ci").profile == "dev"
    assert policy("", TRUNKLINE_PROFILE="ci").profile is None
    assert policy(TRUNKLINE_PROFILE="").profile is None


def test_a_policy_that_was_read_already_stays_as_it_is() -> None:
    given = policy("dev")
    assert load([], environ={"TRUNKLINE_PROFILE": "ci"}, policy=given).policy is given
    assert load([], environ={}, policy=given, profile="ci").policy.profile == "ci"


def test_an_unknown_profile_is_an_error_that_lists_the_known(tmp_path: Path) -> None:
    (tmp_path / "trunkline.toml").write_text(TOML)
    with pytest.raises(ConfigError, match="no profile 'cj'; known are: ci, dev") as caught:
        load([], cwd=tmp_path, environ={}, profile="cj")
    assert caught.value.hint == "Did you mean 'ci'?"
    assert caught.value.source == str(tmp_path / "trunkline.toml")
    assert caught.value.line == TOML[: TOML.index("[profiles")].count("\n") + 1


def test_an_unknown_profile_of_the_environment_says_who_asks_for_it() -> None:
    with pytest.raises(ConfigError, match="known are: none") as caught:
        load([], environ={"TRUNKLINE_PROFILE": "ci"}, policy={})
    assert "TRUNKLINE_PROFILE" in (caught.value.hint or "")


@pytest.mark.anyio
async def test_connect_takes_a_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    content: Any = tomllib.loads(TOML)
    async with trunkline.connect({}, policy=content, profile="ci") as trunk:
        assert trunk.config.policy.profile == "ci"
    monkeypatch.setenv("TRUNKLINE_PROFILE", "dev")
    async with trunkline.connect({}, policy=content) as trunk:
        assert trunk.config.policy.profile == "dev"
    async with trunkline.connect(
        load({"x": FakeServer("x")}, environ={}, policy=content), profile="ci"
    ) as trunk:
        assert trunk.explain("x").profile == "ci"
        await trunk.add("y", FakeServer("y"))
        assert trunk.explain("y").profile == "ci"
    with pytest.raises(ConfigError, match="known are: ci, dev"):
        await trunkline.connect({}, policy=content, profile="nope").__aenter__()
