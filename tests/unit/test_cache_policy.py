"""What `trunkline.toml` may say of the cache, and which tools it may answer for."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from trunkline.config.loading import load
from trunkline.config.policy_file import parse_policy
from trunkline.config.reply_place import is_place
from trunkline.config.settings import ServerPolicy, ToolPolicy
from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL
from trunkline.core.tool import Tool
from trunkline.errors import ConfigError
from trunkline.runtime.caching import changes_nothing
from trunkline.runtime.layering import Subject


def parse(toml: str) -> Any:
    return parse_policy(tomllib.loads(toml), source="t.toml")


def test_each_key_of_a_tools_cache_is_decided_on_its_own() -> None:
    policy = parse(
        '[defaults.cache]\nttl = 5\nmax_bytes = "1 MiB"\n[servers."db*".cache]\nstale_if_error = 60\n'
        '[tools."db.read*".cache]\nttl = 30\nshare = "public"\ninvalidates = ["db.list"]\n'
    )
    tool = policy.for_tool("db", "read_row").cache
    assert (tool.ttl, tool.stale_if_error, tool.share, tool.invalidates) == (
        30.0,
        60.0,
        "public",
        ("db.list",),
    )
    assert policy.for_server("db").cache.max_bytes == 1024 * 1024
    assert policy.for_tool("db", "list").cache.ttl == 5.0
    assert policy.explain("db", "read_row")["cache.ttl"].where == 't.toml [tools."db.read*"]'
    assert policy.explain("db", "read_row")["cache.max_bytes"].where == "t.toml [defaults]"


@pytest.mark.parametrize(
    ("toml", "field", "wanted"),
    [
        ("[defaults.cache]\nttl = -1", "defaults.cache.ttl", "number of seconds from 0"),
        ("[servers.x.cache]\nshare = true", "servers.x.cache.share", '"never", "public" or "always"'),
        (
            "[servers.x.cache]\nstore = 'redis://:secret@host'",
            "servers.x.cache.store",
            "passwords as ${NAME}",
        ),
        ("[servers.x.cache]\nmax_bytes = 'much'", "servers.x.cache.max_bytes", "a size such as"),
        ("[tools.x.cache]\ninvalidates = 'all'", "tools.x.cache.invalidates", "a list of words"),
        ("[tools.x.cache]\nstore = 'disk'", "tools.x.cache.store", "does not belong here"),
        ("[tools.x.prefetch]\nconfidence = 2", "tools.x.prefetch.confidence", "from 0, which is none, to 1"),
    ],
)
def test_a_mistake_names_the_key_and_what_it_takes(toml: str, field: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(toml)
    assert caught.value.field == field
    assert wanted in caught.value.message


@pytest.mark.parametrize(
    ("place", "taken"),
    [
        ("memory", True),
        ("disk", True),
        ("redis://host:6379/0", True),
        ("rediss://user:${PASSWORD}@host", True),
        ("unix:///run/redis.sock", True),
        ("${CACHE_URL}", True),
        ("rediss://user:secret@host", False),
        ("http://host", False),
        ("", False),
        (3, False),
    ],
)
def test_places_are_named_without_secrets(place: object, taken: bool) -> None:
    assert is_place(place) == taken


def test_a_place_that_cannot_be_had_is_told_when_the_runtime_opens(tmp_path: Path) -> None:
    from trunkline.runtime.reply_places import Places

    policy = load(
        {"db": {"command": "x"}},
        cwd=tmp_path,
        environ={},
        policy={"defaults": {"cache": {"store": "${CACHE_URL_}"}}},
    ).policy
    with pytest.raises(ConfigError) as caught:
        Places(None).open(policy.for_server("db").cache, "db", policy)
    assert (caught.value.server, caught.value.field) == ("db", "cache.store")
    assert "CACHE_URL_" in str(caught.value)


READS = {"readOnlyHint": True}
IDEMPOTENT = {"idempotentHint": True, "destructiveHint": False}


@pytest.mark.parametrize(
    ("annotations", "trust", "policy", "allowed"),
    [
        ({}, False, {}, False),
        ({}, True, {}, False),
        (READS, False, {}, False),
        (READS, True, {}, True),
        (READS | {"destructiveHint": True}, True, {}, False),
        (IDEMPOTENT, False, {}, False),
        (IDEMPOTENT, True, {}, True),
        ({"idempotentHint": True}, True, {}, False),
        ({"idempotentHint": True, "destructiveHint": True}, True, {}, False),
        ({}, False, {"read_only": True}, True),
        ({}, False, {"idempotent": True}, True),
        ({"destructiveHint": True}, False, {"idempotent": True}, False),
        ({}, True, {"idempotency_key": "key"}, False),
        ({"destructiveHint": False}, True, {"idempotency_key": "key"}, False),
    ],
)
def test_only_policy_and_trusted_servers_say_that_a_tool_may_be_answered_for(
    annotations: dict[str, Any], trust: bool, policy: dict[str, Any], allowed: bool
) -> None:
    tool = Tool(name="t", server="s", public_name="s.t", input_schema={}, annotations=annotations)
    subject = Subject(
        server="s",
        tool="t",
        of_server=ServerPolicy(trust=trust),
        of_tool=ToolPolicy(**policy),
        known=lambda _: tool,
    )
    call = Call(
        id="c",
        server="s",
        name="t",
        public_name="s.t",
        arguments={},
        principal=LOCAL,
        deadline=1.0,
        idle=1.0,
        flight=Flight(0.0),
    )
    assert changes_nothing(subject, call) == allowed
