"""What `trunkline.toml` says of routes, ejection, hedging, groups and fallbacks: read, refused, explained."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import jsonschema_rs
import pytest

from trunkline.config.policy_file import examine_policy, parse_policy
from trunkline.config.policy_reach import unreached
from trunkline.config.schema import policy_schema
from trunkline.core.fallback import Constant, OtherTool
from trunkline.core.group import GroupTool
from trunkline.core.routing import EjectionSettings, HedgeSettings, RouteSettings

SCHEMA = jsonschema_rs.validator_for(json.loads(policy_schema()))

GOOD = [
    "[servers.x.route]\nstrategy = 'sticky'\nby = 'argument:session id'",
    "[tools.'x.*'.route]\nneeds = ['tasks', 'tag:gpu', 'era>=2025-11-25', 'version!=2']\nregions = ['eu']",
    "[defaults]\nroute = { strategy = 'failover' }\nhedge = { share = 0.02, quantile = 0.5 }",
    "[tools.x]\nhedge = { share = 0 }\nfallback = []\nfallback_on = []",
    "[servers.x.ejection]\nfailures = 0\nseconds = 0.5\nseconds_max = 1\nshare = 1",
    "[tools.x]\nfallback = ['a.b', { tool = 'c', rename = { q = 'query' } }, { value = [1, { a = '' }] }]",
    "[tools.x]\nfallback_on = ['tool_error', 'invalid_arguments', 'denied', 'outcome_unknown']",
    "[groups.g]\ntools = ['a.b.c', { tool = 'b.c', region = 'eu', weight = 2, tags = ['x'] }]",
    "[groups.g]\ntools = ['a.b']\nby = 'principal'",
    "[profiles.p.groups.g]\ntools = ['a.b']\nneeds = []",
    "[servers.x]\nreplicas = [{ url = 'https://a.example', tags = ['gpu'] }]",
]
BAD = [
    ("[servers.x.route]\nstrategy = 'best'", "servers.x.route.strategy", "one of least_loaded"),
    ("[servers.x.route]\nby = 'argument:'", "servers.x.route.by", "argument:NAME"),
    ("[servers.x.route]\nby = 'caller'", "servers.x.route.by", "principal"),
    ("[servers.x.route]\nregions = 'eu'", "servers.x.route.regions", "nearest first, not a string"),
    ("[tools.x.hedge]\nshare = 2", "tools.x.hedge.share", "from 0"),
    ("[tools.x.hedge]\nquantile = 1", "tools.x.hedge.quantile", "0.5 to 0.999"),
    ("[tools.x.ejection]\nfailures = 2", "tools.x.ejection", "does not belong here"),
    ("[servers.x]\nfallback = ['a.b']", "servers.x.fallback", "belong here"),
    ("[tools.x]\nfallback = 'a.b'", "tools.x.fallback", "a list of tools"),
    ("[tools.x]\nfallback = [{ tool = 'a', value = 1 }]", "tools.x.fallback", "a list of tools"),
    ("[tools.x]\nfallback = [{ rename = {} }]", "tools.x.fallback", "a list of tools"),
    ("[tools.x]\nfallback_on = ['errors']", "tools.x.fallback_on", "tool_error"),
    ("[groups.g]\ntools = ['search']", "groups.g.tools", "public names"),
    ("[groups.g]\ntools = [{ tool = 'a.b', wait = 1 }]", "groups.g.tools", "public names"),
    ("[groups.g]\ntools = ['a.b']\nstrategi = 'latency'", "groups.g.strategi", "unknown key"),
    ("[servers.x]\nreplicas = [{ url = 'http://a', tags = [''] }]", "servers.x.replicas", "list of URLs"),
]  # fmt: skip
ONLY_READER = [
    ("[servers.x.route]\nneeds = ['a b']", "servers.x.route.needs", "tag:gpu"),
    ("[groups.'a.b']\ntools = ['a.b']", 'groups."a.b"', "name of a group"),
    ("[groups.g]\nstrategy = 'latency'", "groups.g", "a group needs tools"),
]


@pytest.mark.parametrize("toml", GOOD)
def test_what_the_reader_takes_the_schema_takes(toml: str):
    content = tomllib.loads(toml)
    assert examine_policy(content, source="p", text=toml).mistakes == ()
    assert SCHEMA.is_valid(content)


@pytest.mark.parametrize(("toml", "field", "message"), BAD)
def test_what_cannot_be_meant_is_refused_by_name_and_by_the_schema(toml: str, field: str, message: str):
    content = tomllib.loads(toml)
    (mistake,) = examine_policy(content, source="p", text=toml).mistakes
    assert (mistake.field, mistake.hint is not None) == (field, True)
    assert message in mistake.message
    assert not SCHEMA.is_valid(content)


@pytest.mark.parametrize(("toml", "field", "message"), ONLY_READER)
def test_what_only_the_reader_can_know_is_refused_by_name(toml: str, field: str, message: str):
    (mistake,) = examine_policy(tomllib.loads(toml), source="p", text=toml).mistakes
    assert mistake.field == field
    assert message in mistake.message


def policy(toml: str) -> Any:
    return parse_policy(tomllib.loads(toml), source="p")


def test_a_tool_has_the_route_of_its_server_but_for_what_it_says_itself():
    read = policy(
        "[servers.x]\nroute = { strategy = 'geography', regions = ['eu'] }\n"
        "[tools.'x.t'.route]\nby = 'argument:a'"
    )
    route = RouteSettings(strategy="geography", regions=("eu",))
    assert read.for_server("x").route == read.for_tool("x", "other").route == route
    assert read.for_tool("x", "t").route == RouteSettings(
        strategy="geography", regions=("eu",), by="argument:a"
    )
    assert read.for_tool("x", "t").hedge == HedgeSettings()
    assert read.for_server("x").ejection == EjectionSettings()


def test_alternatives_are_read_and_shown_as_they_are_written():
    read = policy("[tools.'*']\nfallback = ['a.b', { tool = 'c', rename = { q = 'query' } }, { value = [] }]")
    rules = read.for_tool("x", "t")
    assert rules.fallback == (OtherTool(name="a.b"), OtherTool(name="c", rename={"q": "query"}), Constant([]))
    shown = str(read.explain("x", "t"))
    assert '["a.b", { tool = "c", rename = { "q" = "query" } }, { value = [] }]' in shown


def test_a_group_of_a_profile_takes_the_place_of_one_of_the_file():
    read = policy(
        "[groups.g]\ntools = ['a.t']\n[profiles.p.groups.g]\ntools = [{ tool = 'b.t', weight = 2 }]"
    )
    assert read.groups["g"].tools == (GroupTool(tool="a.t"),)
    active = read.activate("p")
    assert active.groups["g"].tools == (GroupTool(tool="b.t", weight=2.0),)
    assert active.explain_group("g")["tools"].where == "p [profiles.p.groups.g]"


def test_a_group_with_a_tool_of_no_server_is_found():
    read = policy("[groups.g]\ntools = ['aa.t', 'brave.t']")
    (found,) = unreached(read, ["aa", "braver"])
    assert (found.key, found.message) == ("groups.g", "holds a tool of no server: 'brave.t'")
    assert found.hint == "Did you mean 'braver.tool'?"


@pytest.mark.parametrize(
    "line",
    ["route.strategy = 'best'", "route.needs = ['a b']", "replicas = [{ url = 'http://a', weight = 0 }]"],
)
def test_a_wrong_value_of_the_right_kind_is_not_told_to_be_of_the_wrong_one(line: str):
    content = tomllib.loads(f"[servers.x]\n{line}")
    (problem,) = examine_policy(content, source="p").mistakes
    assert "must be " in problem.message
    assert ", not a" not in problem.message


def test_a_fallback_to_a_tool_of_no_server_is_found():
    read = policy("[tools.'a.t']\nfallback = ['b.t', 'c.t', 'c', { tool = 'd.t' }, { value = 'e.t' }]")
    found = [one.message for one in unreached(read, ["a", "b"])]
    assert found == [f"falls back to a tool of no server: '{name}.t'" for name in "cd"]


@pytest.mark.parametrize(
    ("regions", "told"),
    [("[]", "no regions"), ("['EU', 'us']", "regions that no replica is in: EU"), ("['eu']", None)],
)
def test_regions_that_no_replica_is_in_are_found(regions: str, told: str | None):
    places = "[{ url = 'https://a.example', region = 'eu' }, { url = 'https://b.example', region = 'us' }]"
    route = f"{{ strategy = 'geography', regions = {regions} }}"
    read = policy(f"[servers.x]\nreplicas = {places}\nroute = {route}")
    found = list(unreached(read, ["x"]))
    if told is None:
        assert not found
        return
    (one,) = found
    assert (one.key, one.message) == ("servers.x.route", f"the strategy geography has {told}, for server 'x'")
    assert "eu, us" in one.hint
