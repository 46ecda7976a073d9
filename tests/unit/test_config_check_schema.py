"""The published schemas say what the code does, and the published page what the settings say."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import os
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema_rs
import pytest

from trunkline.config import ServerPolicy, ToolPolicy
from trunkline.config.expansion import Scope
from trunkline.config.mistakes import diagnose
from trunkline.config.policy_file import examine_policy
from trunkline.config.policy_rule import GROUPS, SERVER_RULES, TOOL_RULES
from trunkline.config.schema import POLICY_SCHEMA, policy_schema, servers_schema

ROOT = Path(__file__).resolve().parents[2]
POLICY = jsonschema_rs.validator_for(json.loads(policy_schema()))
SERVERS = jsonschema_rs.validator_for(json.loads(servers_schema()))

GOOD = [
    "",
    "[defaults]",
    "[defaults]\ntimeout = 600\nidle = 0.5\nconnect = 1_000_000_000\nera = 'legacy'\nvalidate = false",
    "[defaults.limits]\nframe_bytes = 1\n[limits]\ndepth = 64.0",
    "[servers.'db.*']\ntimeout = 1\nlimits = { depth = 9, nodes = 1, inflation = 1, stderr_line_bytes = 1 }",
    "[servers]\n[tools]\n[profiles]",
    "[tools.'db.*']\ntimeout = 1\nidle = 1\nvalidate = true",
    "[profiles.ci]",
    "[profiles.ci.defaults]\nidle = 3\n[profiles.ci.limits]\npages = 3\n[profiles.ci.tools.y]",
    "[profiles.'any name']\nservers.x.trust = false",
    "[servers.x]\nproxy = false",
    "[servers.x]\nproxy = ''",
    "[servers.x]\nproxy = 'none'",
    "[servers.x]\nproxy = 'HTTP://p:1'",
    "[servers.x]\nproxy = '${PROXY}'",
    "[defaults.tls]\nca = ''\nkey_password = ''\nverify = false\nminimum = '1.3'",
    "[servers.x.tls]\ncert = 'a'\nkey = 'b'\nkey_password = '${file:~/pw}'",
    "[servers.x.tls]\nkey_password = '${env:A}'",
    "[servers.x.process]\nmemory = '512 MB'\ncpu_seconds = 0.5\nprocesses = 20\nfiles = 256",
    "[defaults.process]\nmemory = '1.5 GiB'\ncpu_seconds = 0\nprocesses = 0\nfiles = 0",
    "[servers.x]\nprocess = { memory = 512000000 }",
    "[servers.x]\nprocess = { memory = 0 }",
    "[servers.x]\npool = { min = 0, max = 4, max_idle = 0 }\nmax_concurrency = 0\nlazy = true",
    "[servers.x]\nreplicas = []",
    "[servers.x]\nreplicas = ['https://a.example/mcp', { url = 'ws://b', region = 'eu', weight = 0.5 }]",
    "[servers.x]\nreplicas = ['${URL}', 'https://a.example/${PATH}?token=${TOKEN}']",
]
BAD = [
    "timeout = 3",
    "[default]",
    "defaults = 3",
    "servers = []",
    "[servers]\nx = 3",
    "[[servers.x]]",
    "[defaults]\ntimeout = '10s'",
    "[defaults]\ntimeout = 0",
    "[defaults]\ntimeout = -1",
    "[defaults]\ntimeout = true",
    "[defaults]\ntimeout = 1e10",
    "[defaults]\nidle = [1]",
    "[servers.x]\nera = 'new'",
    "[servers.x]\nera = 3",
    "[servers.x]\ntrust = 1",
    "[servers.x]\nvalidate = true",
    "[servers.x]\ntimeot = 1",
    "[servers.x]\ndepth = 1",
    "[servers.x]\nlimits = 1",
    "[servers.x]\nlimits = { dept = 1 }",
    "[servers.x]\nlimits = { depth = 0 }",
    "[servers.x]\nlimits = { depth = 1.5 }",
    "[servers.x]\nlimits = { depth = true }",
    "[tools.x]\nera = 'auto'",
    "[tools.x]\nlimits = { depth = 1 }",
    "[tools.x]\nvalidate = 'yes'",
    "[limits]\npages = '3'",
    "[limits]\npage = 3",
    "[profiles]\nci = 1",
    "[profiles.ci]\ntimeout = 1",
    "[profiles.ci.profiles.x]",
    "[profiles.ci.servers.x]\ntimeot = 1",
    "[profiles.ci.tools.x]\nidle = 0",
    "[servers.x]\nproxy = true",
    "[servers.x]\nproxy = 'socks5://p:1'",
    "[servers.x]\nproxy = 'p:1'",
    "[servers.x.tls]\nkey_password = 'x'",
    "[servers.x.tls]\nkey_password = '${A:-x}'",
    "[servers.x.tls]\nminimum = '1.1'",
    "[servers.x.tls]\nverify = 'no'",
    "[tools.x]\ntls = {}",
    "[servers.x.process]\nmemory = 512",
    "[servers.x.process]\nmemory = '512'",
    "[servers.x.process]\nmemory = '512 XB'",
    "[servers.x.process]\nmemory = -1",
    "[servers.x.process]\nmemory = true",
    "[servers.x.process]\ncpu_seconds = -1",
    "[servers.x.process]\nprocesses = 1.5",
    "[servers.x.process]\nfiles = 3",
    "[servers.x.process]\nfile = 300",
    "[servers.x]\nmemory = '512 MB'",
    "[tools.x.process]\nmemory = '512 MB'",
    "[servers.x]\npool = 3",
    "[servers.x]\npool = { max = 0 }",
    "[servers.x]\npool = { min = 1001 }",
    "[servers.x]\npool = { max_idle = -1 }",
    "[servers.x]\nmax_concurrency = 1.5",
    "[servers.x]\nlazy = 1",
    "[servers.x]\nreplicas = 'https://a'",
    "[servers.x]\nreplicas = ['a.example']",
    "[servers.x]\nreplicas = [{ region = 'eu' }]",
    "[servers.x]\nreplicas = [{ url = 'https://a', weight = 0 }]",
    "[servers.x]\nreplicas = [{ url = 'https://a', zone = 'b' }]",
    "[tools.x]\npool = {}",
]


@pytest.mark.parametrize("toml", GOOD)
def test_schema_and_code_accept_the_same(toml: str) -> None:
    content = tomllib.loads(toml)
    assert examine_policy(content, source="x").mistakes == ()
    assert list(POLICY.iter_errors(content)) == []


@pytest.mark.parametrize("toml", BAD)
def test_schema_and_code_refuse_the_same(toml: str) -> None:
    content = tomllib.loads(toml)
    assert examine_policy(content, source="x").mistakes
    assert not POLICY.is_valid(content)


def members(schema: Any) -> list[dict[str, Any]]:
    """Give every object below that lists properties."""
    found = [schema["properties"]] if isinstance(schema, dict) and "properties" in schema else []
    for value in schema.values() if isinstance(schema, dict) else schema:
        found += members(value) if isinstance(value, dict | list) else []
    return found


INNER = {group.name for group in GROUPS}


def fields(struct: type) -> dict[str, str]:
    """Give the docstring of every field; fails when one has none."""
    body = ast.parse(inspect.getsource(struct)).body[0].body  # type: ignore[attr-defined]
    found = {}
    for at, node in enumerate(body):
        if isinstance(node, ast.AnnAssign):
            found[node.target.id] = " ".join(body[at + 1].value.value.split())  # type: ignore[union-attr]
    assert list(found) == list(struct.__struct_fields__)  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize(
    ("table", "struct"),
    [
        ("servers", ServerPolicy),
        ("tools", ToolPolicy),
        *((group.name, group.kind) for group in GROUPS),
    ],
)
def test_every_setting_is_in_the_schema_with_its_docstring_and_default(table: str, struct: type) -> None:
    schema = json.loads(policy_schema())["$defs"][table]
    listed = schema.get("properties") or schema["additionalProperties"]["properties"]
    assert {key: value["description"] for key, value in listed.items()} == fields(struct)
    made = struct()
    assert {key: value["default"] for key, value in listed.items() if key not in INNER} == {
        key: list(value) if isinstance(value := getattr(made, key), tuple) else value
        for key in fields(struct)
        if key not in INNER
    }


def test_every_setting_can_be_written_in_a_file() -> None:
    for struct, rules, tools in ((ServerPolicy, SERVER_RULES, False), (ToolPolicy, TOOL_RULES, True)):
        written = {key.partition(".")[0] for key in rules}
        assert written == set(struct.__struct_fields__)
        for group in GROUPS:
            if group.name in written:
                assert {key for key in rules if key.startswith(f"{group.name}.")} == set(
                    group.prefixed(tools=tools)
                )
    for group in GROUPS:
        assert set(group.rules) == set(group.kind.__struct_fields__)
        assert set(group.of_tools) <= set(group.rules)
    defaults = json.loads(policy_schema())["$defs"]["defaults"]["properties"]
    assert set(defaults) == set(ServerPolicy.__struct_fields__) | set(ToolPolicy.__struct_fields__)


def test_no_object_of_the_schema_allows_what_it_does_not_list() -> None:
    schema = json.loads(policy_schema())
    jsonschema_rs.meta.validate(schema)
    closed = re.findall(r'"additionalProperties": false', policy_schema())
    assert len(closed) == len(members(schema))


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_reference", ROOT / "docs/reference/write.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_schema_and_page_are_what_the_code_gives(writer: ModuleType) -> None:
    again = "run `python docs/reference/write.py`"
    assert POLICY_SCHEMA.read_text() == writer.schema_text(), again
    assert writer.PAGE.read_text() == writer.page(), again


ENTRIES = [
    ({"command": "x"}, True),
    ({"command": "x", "args": ["a"], "env": {"A": "b", "C": 3, "D": None}, "cwd": "."}, True),
    ({"command": "x", "type": "stdio", "url": None}, True),
    ({"url": "https://x/", "type": "http", "headers": {"A": "b"}}, True),
    ({"httpUrl": "http://x/"}, True),
    ({"url": "wss://x/", "type": "ws"}, True),
    ({"command": "x", "whatever": {"a": 1}}, True),
    ({"disabled": True}, True),
    ({"enabled": False, "command": 3}, None),
    ({"command": "x", "enabled": True}, True),
    ({}, False),
    (3, False),
    ({"command": "x", "url": "https://x/"}, False),
    ({"command": ""}, False),
    ({"command": 3}, False),
    ({"command": "x", "args": "a"}, False),
    ({"command": "x", "args": [3]}, False),
    ({"command": "x", "env": []}, False),
    ({"command": "x", "env": {"A": []}}, False),
    ({"command": "x", "env": {"A": True}}, False),
    ({"command": "x", "env": {"A=B": "c"}}, False),
    ({"command": "x", "type": "http"}, False),
    ({"command": "x", "type": "pigeon"}, False),
    ({"command": "x", "disabled": "no"}, False),
    ({"url": "https://x/", "type": "stdio"}, False),
    ({"url": "htp://x/"}, False),
    ({"url": "x"}, False),
    ({"url": "https://x/", "headers": {"a b": "c"}}, False),
]


@pytest.mark.parametrize(("entry", "good"), ENTRIES)
def test_the_schema_of_servers_and_the_code_agree(entry: Any, good: bool | None, tmp_path: Path) -> None:
    place = str(tmp_path)
    scope = Scope(environ={}, public={}, home=place, workspace=place, cwd=place)
    mistakes = diagnose("a", entry, scope=scope, source="x").mistakes
    if good is not None:
        assert (not mistakes) is good
        assert SERVERS.is_valid({"mcpServers": {"a": entry}}) is good
        assert SERVERS.is_valid({"a": entry, "inputs": []}) is good


def test_the_schema_of_servers_takes_every_shape_of_a_file() -> None:
    jsonschema_rs.meta.validate(json.loads(servers_schema()))
    assert SERVERS.is_valid({"servers": {"a": {"command": "x"}}, "inputs": [], "other": 3})
    assert SERVERS.is_valid({"mcp_servers": None})
    assert SERVERS.is_valid({"command": "x", "args": []})
    assert not SERVERS.is_valid({"mcpServers": []})
    assert not SERVERS.is_valid([])


def test_the_schema_of_servers_knows_every_key_that_is_read() -> None:
    from trunkline.config.fields import KNOWN_KEYS

    server = json.loads(servers_schema())["$defs"]["server"]
    assert set(server["properties"]) == set(KNOWN_KEYS)
    assert os.path.isfile(POLICY_SCHEMA)
