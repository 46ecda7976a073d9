"""Policy: which table decides, where each value came from, and how mistakes are named."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from trunkline.config import Explanation, Limits, Policy, ServerPolicy, Setting, ToolPolicy, load
from trunkline.config.policy_file import examine_policy
from trunkline.errors import ConfigError


def policy_of(toml: str) -> Policy:
    return load([], environ={}, policy=tomllib.loads(toml)).policy


def told(explanation: Explanation) -> dict[str, tuple[Any, str]]:
    return {setting.key: (setting.value, setting.where) for setting in explanation.settings}


def refused(toml: str, tmp_path: Path) -> ConfigError:
    (tmp_path / "trunkline.toml").write_text(toml)
    with pytest.raises(ConfigError) as caught:
        load([], cwd=tmp_path, environ={})
    assert caught.value.source == str(tmp_path / "trunkline.toml")
    assert caught.value.hint
    return caught.value


def test_without_any_table_the_defaults_hold() -> None:
    policy = policy_of("")
    server = policy.for_server("x")
    assert server == ServerPolicy()
    assert (server.timeout, server.idle, server.connect, server.era, server.trust) == (
        600,
        60,
        30,
        "auto",
        False,
    )
    assert server.limits == Limits()
    assert (server.limits.frame_bytes, server.limits.depth, server.limits.nodes) == (67_108_864, 64, 200_000)
    assert (server.limits.stderr_line_bytes, server.limits.pages, server.limits.items) == (
        65_536,
        1000,
        100_000,
    )
    assert policy.for_tool("x", "t") == ToolPolicy(timeout=600, idle=60, validate=True)


def test_defaults_reach_every_server_and_tool() -> None:
    policy = policy_of("[defaults]\ntimeout = 5\nvalidate = false\nera = 'legacy'\nlimits = { depth = 9 }")
    assert policy.for_server("any") == ServerPolicy(timeout=5, era="legacy", limits=Limits(depth=9))
    assert policy.for_tool("any", "t") == ToolPolicy(timeout=5, validate=False)


def test_limits_may_stand_in_a_table_of_their_own() -> None:
    policy = policy_of("[limits]\ndepth = 9\nitems = 7\n[defaults.limits]\nitems = 8")
    assert policy.for_server("any").limits == Limits(depth=9, items=8)


@pytest.mark.parametrize(
    ("tables", "winner"),
    [
        (['"*"', '"db.*"'], 2),
        (['"db.*"', '"*"'], 1),
        (['"db.main"', '"db.*"', '"*"'], 1),
        (['"db.*"', '"*.main"', '"*"'], 2),
        (['"*.main"', '"db.*"'], 1),
        (['"d?.main"', '"db.mai*"'], 2),
        (['"db.mai[mn]"', '"db.mai?"'], 2),
        (['"other"', '"*x"'], 0),
        (['"DB.main"'], 0),
    ],
)
def test_the_most_specific_table_wins_and_of_two_alike_the_later(tables: list[str], winner: int) -> None:
    toml = "\n".join(f"[servers.{name}]\ntimeout = {at}" for at, name in enumerate(tables, 1))
    assert policy_of(toml).for_server("db.main").timeout == (winner or 600)


def test_each_key_is_decided_on_its_own() -> None:
    toml = (
        "[servers.db]\nidle = 1\n[servers.'d*']\nidle = 2\ntimeout = 3\n[defaults]\ntimeout = 4\nconnect = 5"
    )
    assert policy_of(toml).for_server("db") == ServerPolicy(idle=1, timeout=3, connect=5)


def test_a_name_with_wildcards_in_it_is_matched_exactly_first() -> None:
    policy = policy_of(
        "[servers.'[xy]*']\ntimeout = 1\n[servers.'*']\ntimeout = 2\n[servers.'y1']\ntimeout = 3"
    )
    assert policy.for_server("[xy]*").timeout == 1
    assert policy.for_server("y1").timeout == 3
    assert policy.for_server("z").timeout == 2


def test_a_tool_takes_its_servers_times_unless_a_tool_table_has_its_own() -> None:
    toml = (
        "[servers.'*']\ntimeout = 1\nidle = 2\n"
        "[tools.'db.*']\ntimeout = 3\n[tools.'db.drop_*']\nvalidate = false\n[tools.'*']\nidle = 9"
    )
    policy = policy_of(toml)
    assert policy.for_tool("db", "drop_table") == ToolPolicy(timeout=3, idle=9, validate=False)
    assert policy.for_tool("web", "get") == ToolPolicy(timeout=1, idle=9)
    assert policy.for_server("db").timeout == 1


def test_settings_are_made_once_and_the_cache_stays_bounded() -> None:
    policy = policy_of("[tools.'*']\ntimeout = 1")
    assert policy.for_server("a") is policy.for_server("a")
    assert policy.for_tool("a", "t") is policy.for_tool("a", "t")
    for number in range(10_000):
        policy.for_tool("a", str(number))
    assert len(policy._by_tool) <= 4096


def test_every_value_remembers_file_line_and_table(tmp_path: Path) -> None:
    file = tmp_path / "trunkline.toml"
    file.write_text(
        "[defaults]\nidle = 7\n[servers.'db.*']\ntimeout = 5\nlimits = { pages = 3 }\n"
        "[tools.'db.x.*']\nvalidate = false"
    )
    policy = load([], cwd=tmp_path, environ={}).policy
    server = {
        "timeout": (5.0, f'{file}:4 [servers."db.*"]'),
        "idle": (7.0, f"{file}:2 [defaults]"),
        "connect": (30.0, "default"),
        "era": ("auto", "default"),
        "trust": (False, "default"),
        "health_check_interval": (30.0, "default"),
        "auto_reconnect": (True, "default"),
        "max_restarts": (5, "default"),
        "restart_delay": (2.0, "default"),
        "restart_delay_max": (30.0, "default"),
        "probe_interval": (60.0, "default"),
        "remember": (True, "default"),
        "lazy": (False, "default"),
        "max_concurrency": (0, "default"),
        "replicas": ((), "default"),
        "proxy": ("environment", "default"),
        "pool.min": (1, "default"),
        "pool.max": (1, "default"),
        "pool.max_idle": (60.0, "default"),
        "tls.ca": ("", "default"),
        "tls.cert": ("", "default"),
        "tls.key": ("", "default"),
        "tls.key_password": ("", "default"),
        "tls.minimum": ("1.2", "default"),
        "tls.verify": (True, "default"),
        "process.memory": (0, "default"),
        "process.cpu_seconds": (0.0, "default"),
        "process.processes": (0, "default"),
        "process.files": (0, "default"),
        "retry.attempts": (3, "default"),
        "retry.delay": (0.1, "default"),
        "retry.delay_max": (2.0, "default"),
        "retry.throttled_delay": (1.0, "default"),
        "retry.throttled_delay_max": (30.0, "default"),
        "retry.codes": ((), "default"),
        "retry.budget": (0.2, "default"),
        "retry.budget_per_second": (10.0, "default"),
        "breaker.enabled": (True, "default"),
        "breaker.failure_rate": (0.8, "default"),
        "breaker.least_calls": (50, "default"),
        "breaker.window": (10.0, "default"),
        "breaker.consecutive": (0, "default"),
        "breaker.open_for": (5.0, "default"),
        "breaker.jitter": (False, "default"),
        "breaker.probe_timeout": (10.0, "default"),
        "breaker.codes": ((), "default"),
        **dict.fromkeys(
            (
                *("limit.concurrency", "limit.principal_concurrency", "limit.priority"),
                *("limit.burst", "limit.principal_burst"),
            ),
            (0, "default"),
        ),
        **dict.fromkeys(("limit.rate", "limit.principal_rate", "limit.queue_timeout"), (0.0, "default")),
        "limit.queue": (100, "default"),
        "limit.adaptive": (False, "default"),
        "limit.adaptive_min": (1, "default"),
        "limit.adaptive_max": (200, "default"),
        "batch.milliseconds": (0.0, "default"),
        "batch.size": (20, "default"),
        "coalesce": (False, "default"),
        "cache.ttl": (0.0, "default"),
        "cache.hints": ("shorten", "default"),
        "cache.stale_while_revalidate": (0.0, "default"),
        "cache.stale_if_error": (0.0, "default"),
        "cache.share": ("never", "default"),
        "cache.invalidates": ((), "default"),
        "cache.max_entries": (10_000, "default"),
        "cache.max_bytes": (67_108_864, "default"),
        "cache.max_reply_bytes": (4_194_304, "default"),
        "cache.store": ("memory", "default"),
        "prefetch.enabled": (False, "default"),
        "prefetch.confidence": (0.5, "default"),
        "prefetch.least": (3, "default"),
        "prefetch.budget": (0.25, "default"),
        **dict.fromkeys(("route.regions", "route.needs"), ((), "default")),
        "route.strategy": ("least_loaded", "default"),
        "route.by": ("principal", "default"),
        "hedge.share": (0.0, "default"),
        "hedge.quantile": (0.95, "default"),
        "ejection.failures": (5, "default"),
        "ejection.seconds": (5.0, "default"),
        "ejection.seconds_max": (300.0, "default"),
        "ejection.share": (0.5, "default"),
        "limits.frame_bytes": (67_108_864, "default"),
        "limits.inflation": (100, "default"),
        "limits.depth": (64, "default"),
        "limits.nodes": (200_000, "default"),
        "limits.stderr_line_bytes": (65_536, "default"),
        "limits.notifications": (1_000, "default"),
        "limits.pages": (3, f'{file}:5 [servers."db.*"]'),
        "limits.items": (100_000, "default"),
    }
    assert told(policy.explain("db.x")) == server
    assert told(policy.explain("db.x", "drop")) == server | {
        "validate": (False, f'{file}:7 [tools."db.x.*"]'),
        "read_only": (False, "default"),
        "idempotent": (False, "default"),
        "idempotency_key": ("", "default"),
        "fallback": ((), "default"),
        "fallback_on": ((), "default"),
    }


def test_a_policy_from_code_has_tables_and_no_lines() -> None:
    assert policy_of("[servers.db]\ntimeout = 5").explain("db")["timeout"] == Setting(
        key="timeout", value=5.0, source="argument", table="servers.db"
    )


@pytest.mark.parametrize(
    ("toml", "field", "message", "hint"),
    [
        ("[default]", "default", "unknown table; known are", "Did you mean 'defaults'?"),
        ("zzz = 1", "zzz", "unknown table; known are", "Remove it"),
        ("servers = 3", "servers", "must be a table, not a number", "[servers]"),
        ("[servers]\ndb = 3", "servers.db", "must be a table, not a number", "[servers.db]"),
        ("[servers.'db.*']\ntimeot = 1", 'servers."db.*".timeot', "unknown key; known are", "'timeout'"),
        (
            "[tools.x]\nvalidat = 1",
            "tools.x.validat",
            "unknown key; known are ",
            "'validate'",
        ),
        ("[defaults]\ntimeout = '10s'", "defaults.timeout", "must be a number of seconds", "timeout"),
        ("[defaults]\ntimeout = 0", "defaults.timeout", "greater than 0", "timeout"),
        ("[defaults]\nidle = -1", "defaults.idle", "greater than 0", "idle"),
        ("[defaults]\nidle = inf", "defaults.idle", "greater than 0", "idle"),
        ("[defaults]\nidle = nan", "defaults.idle", "greater than 0", "idle"),
        ("[defaults]\nidle = true", "defaults.idle", "not true", "idle"),
        ("[servers.x]\nera = 'new'", "servers.x.era", '"auto", "legacy" or "modern"', "era"),
        ("[servers.x]\ntrust = 1", "servers.x.trust", "must be true or false", "trust"),
        ("[servers.x]\nvalidate = false", "servers.x.validate", "does not belong here", '[tools."name"]'),
        ("[tools.x]\nera = 'auto'", "tools.x.era", "does not belong here", '[servers."name"]'),
        ("[servers.x]\ndepth = 3", "servers.x.depth", "does not belong here", "limits = {...}"),
        ("[servers.x]\nlimits = 3", "servers.x.limits", "must be a table, not a number", "key = value"),
        ("[servers.x]\nlimits = { dept = 3 }", "servers.x.limits.dept", "unknown key", "'depth'"),
        ("[servers.x]\nlimits = { depth = 0 }", "servers.x.limits.depth", "whole number greater", "depth"),
        ("[servers.x]\nlimits = { depth = 1.5 }", "servers.x.limits.depth", "whole number greater", "depth"),
        ("[limits]\npages = '3'", "limits.pages", "whole number greater than 0, not a string", "pages"),
        ("timeout = 3", "timeout", "does not belong here", "[defaults]"),
        ("[profiles]\nci = 1", "profiles.ci", "must be a table", "[profiles.ci]"),
        ("[profiles.ci]\ntimeout = 3", "profiles.ci.timeout", "not belong here", "[profiles.ci.defaults]"),
        ("[profiles.ci.profiles.x]", "profiles.ci.profiles", "unknown table; known are defaults", "Remove"),
        ("[profiles.ci.server.x]", "profiles.ci.server", "unknown table", "'servers'"),
        (
            "[profiles.ci.servers.x]\nvalidate = true",
            "profiles.ci.servers.x.validate",
            "not belong",
            '[profiles.ci.tools."name"]',
        ),
        ("[profiles.ci.tools.x]\nidle = 0", "profiles.ci.tools.x.idle", "number of seconds", "idle = 30"),
    ],
)
def test_a_mistake_names_file_key_and_what_is_allowed(
    toml: str, field: str, message: str, hint: str, tmp_path: Path
) -> None:
    error = refused(toml, tmp_path)
    assert error.field == field
    assert message in error.message
    assert hint in (error.hint or "")


@pytest.mark.parametrize(
    ("toml", "line", "column"),
    [("[defaults]\ntimeout 5", 2, 9), ("[defaults", 1, None), ("a = 1\na = 2\n", 2, 6), ("x = 'a\nb'", 1, 7)],
)
def test_broken_toml_names_the_line(toml: str, line: int, column: int | None, tmp_path: Path) -> None:
    error = refused(toml, tmp_path)
    assert error.line == line
    assert error.column == column
    assert error.message.startswith("invalid TOML: ")
    assert "line" not in error.message


def test_toml_nested_without_end_is_an_error(tmp_path: Path) -> None:
    assert "nested too deeply" in refused("a = " + "[" * 100_000, tmp_path).message


@pytest.mark.parametrize("content", [{1: {}}, {"servers": {1: {}}}, {"servers": {"x": {1: 2}}}])
def test_a_mapping_from_code_is_checked_as_a_file_is(content: Any) -> None:
    with pytest.raises(ConfigError):
        load([], environ={}, policy=content)


def test_all_mistakes_are_found_in_one_reading_each_with_its_line() -> None:
    toml = (
        "timeout = 1\n[default]\n[servers.'db.*']\ntimeot = 1\nidle = -1\nera = 'auto'\n"
        "limits = { depth = 'x', dept = 1 }\n[profiles.ci.tools.x]\nera = 'auto'\nvalidate = 3\n"
    )
    examined = examine_policy(tomllib.loads(toml), source="t.toml", text=toml)
    assert [(error.field, error.line, error.column) for error in examined.mistakes] == [
        ("timeout", 1, 1),
        ("default", 2, 1),
        ('servers."db.*".timeot', 4, 1),
        ('servers."db.*".idle', 5, 1),
        ('servers."db.*".limits.depth', 7, 12),
        ('servers."db.*".limits.dept', 7, 25),
        ("profiles.ci.tools.x.era", 9, 1),
        ("profiles.ci.tools.x.validate", 10, 1),
    ]
    assert all(error.source == "t.toml" and error.hint for error in examined.mistakes)
    assert examined.policy.for_server("db.x") == ServerPolicy()
    with pytest.raises(ConfigError) as caught:
        load([], environ={}, policy=tomllib.loads(toml))
    assert caught.value.field == "timeout"
