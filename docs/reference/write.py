"""Writes what is published about `trunkline.toml`, its JSON Schema and its page, from the code.

Run as `python docs/reference/write.py`; a test fails when the files are not what this gives.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from trunkline.config import policy_rule
from trunkline.config.policy_value import Rule
from trunkline.config.schema import POLICY_SCHEMA
from trunkline.config.settings import ServerPolicy, ToolPolicy
from trunkline.core.group import GroupPolicy

PAGE = Path(__file__).with_name("trunkline-toml.md")
TOOL_RULES = {key: rule for key, rule in policy_rule.TOOL_RULES.items() if "." not in key}
SERVER_RULES = {key: rule for key, rule in policy_rule.SERVER_RULES.items() if "." not in key}
GROUPS = policy_rule.GROUPS
PATTERN = "The most specific table that matches decides, each key on its own; patterns know *, ? and [abc]."
TABLES = {
    "defaults": "What holds for every server and tool unless a more specific table says otherwise.",
    "servers": f"Settings by server name or pattern. {PATTERN}",
    "tools": f"Settings by `server.tool` or pattern. {PATTERN}",
    "groups": "Equal tools of several servers under one name, which calls use as that of a tool.",
    **{group.name: group.about for group in GROUPS},
    **{f"{group.name}_of_a_tool": group.about for group in GROUPS if group.of_tools},
    "profiles": "Named sets of the same tables; those of the active one count as written last.",
}


def docstrings(struct: type) -> dict[str, str]:
    """Give the docstring beneath each field, those of the struct it extends among them, on one line."""
    found = {} if struct.__base__ in (None, msgspec.Struct) else docstrings(struct.__base__)
    (body,) = ast.parse(inspect.getsource(struct)).body
    lines = body.body if isinstance(body, ast.ClassDef) else []
    for field, after in pairwise(lines):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split())
    return found


def schema() -> dict[str, Any]:
    """Give the JSON Schema of `trunkline.toml`."""
    overlay = {name: {"$ref": f"#/$defs/{name}"} for name in policy_rule.OVERLAY_TABLES}
    every = {**SERVER_RULES, **TOOL_RULES}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "trunkline.toml",
        "description": "How Trunkline treats the servers of mcp.json and their tools.",
        **_object({**overlay, "profiles": {"$ref": "#/$defs/profiles"}}),
        "$defs": {
            "defaults": _described("defaults", _object(_settings(every) | _inner(ServerPolicy))),
            "servers": _described("servers", _map(_object(_settings(SERVER_RULES) | _inner(ServerPolicy)))),
            "tools": _described("tools", _map(_object(_settings(TOOL_RULES) | _inner(ToolPolicy)))),
            "groups": _described("groups", _named_groups()),
            **dict(_groups()),
            "profiles": _described("profiles", _map(_object(overlay))),
        },
    }


def schema_text() -> str:
    """Give the file of the schema."""
    return json.dumps(schema(), indent=2) + "\n"


def page() -> str:
    """Give the reference page."""
    return PROLOGUE + "".join(_sections()) + EPILOGUE


def _named_groups() -> dict[str, Any]:
    fields = _fields(policy_rule.GROUP_RULES, (GroupPolicy,))
    fields["tools"]["minItems"] = 1
    group = {**_object(fields), "required": ["tools"]}
    return {**_map(group), "propertyNames": {"pattern": r"^[^.]+$"}}


def _groups() -> Iterator[tuple[str, Any]]:
    for group in GROUPS:
        fields = _fields(group.rules, (group.kind,))
        yield group.name, _described(group.name, _object(fields))
        if group.of_tools:
            name = f"{group.name}_of_a_tool"
            yield name, _described(name, _object({key: fields[key] for key in group.of_tools}))


def _sections() -> Iterator[str]:
    for heading, rules, structs in (
        ('[servers."glob"]', SERVER_RULES, (ServerPolicy,)),
        ('[tools."glob"]', TOOL_RULES, (ToolPolicy,)),
        ("[groups.name]", policy_rule.GROUP_RULES, (GroupPolicy,)),
        *((group.name, group.rules, (group.kind,)) for group in GROUPS),
    ):
        yield f"\n## {heading}\n\n| key | value | default | meaning |\n|---|---|---|---|\n"
        for key, field in _fields(rules, structs).items():
            default = json.dumps(field["default"])
            yield f"| `{key}` | {rules[key].wanted} | `{default}` | {field['description']} |\n"
        for group in GROUPS if rules in (SERVER_RULES, TOOL_RULES) else ():
            if (text := docstrings(structs[0]).get(group.name)) is not None:
                yield f"| `{group.name}` | a table | see [{group.name}](#{group.name}) | {text} |\n"


def _settings(rules: Mapping[str, Rule]) -> dict[str, Any]:
    server = _fields({key: rule for key, rule in rules.items() if key in SERVER_RULES}, (ServerPolicy,))
    tool = _fields({key: rule for key, rule in rules.items() if key not in server}, (ToolPolicy,))
    if rules is TOOL_RULES:
        return _fields(rules, (ToolPolicy,))
    return server | tool


def _fields(rules: Mapping[str, Rule], structs: tuple[type, ...]) -> dict[str, Any]:
    (struct,) = structs
    texts, values = docstrings(struct), struct()
    return {
        key: {**rule.schema, "default": _plain(getattr(values, key)), "description": texts[key]}
        for key, rule in rules.items()
    }


def _inner(struct: type) -> dict[str, Any]:
    texts = docstrings(struct)
    suffix = "_of_a_tool" if struct is ToolPolicy else ""
    return {
        group.name: {"$ref": f"#/$defs/{group.name}{suffix}", "description": texts[group.name]}
        for group in GROUPS
        if group.name in texts
    }


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": dict(properties)}


def _map(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": dict(item)}


def _described(name: str, item: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": TABLES[name], **item}


PROLOGUE = """\
# trunkline.toml

Every table and key of the policy file. [Set policy](../how-to/set-policy.md) shows how they are used. This
page, and the JSON Schema that `trunkline config schema` prints, are written from the code by
`docs/reference/write.py`.

| table | holds |
|---|---|
| `[defaults]` | any key of `[servers]` and `[tools]`, for all of them |
| `[servers."glob"]` | settings of the servers whose name the glob matches |
| `[tools."glob"]` | settings of the tools whose `server.tool` the glob matches |
| `[groups.NAME]` | equal tools of several servers, called by the name of the group |
| `[limits]` | the same as `[defaults.limits]`, which wins |
| `[profiles.NAME.TABLE]` | any of these tables, in force while the profile `NAME` is active |

A glob knows `*`, `?` and `[abc]`. Each key is decided on its own. Tools beat servers, and servers beat
defaults. Among tables that match, an exact name beats a glob, then the one with more plain characters wins,
then the later one; the tables of the active profile count as written after all others. Unknown tables,
unknown keys and wrong types are errors.
"""

EPILOGUE = """
## Where it is looked for

Beside the first server file (for one in `.vscode`, then in the folder around it), else in the working
directory. The first one found is used. `trunkline config path --policy` prints it, and `connect(policy=...)`
takes another path, or a dict of the same shape.
"""


if __name__ == "__main__":
    POLICY_SCHEMA.parent.mkdir(exist_ok=True)
    POLICY_SCHEMA.write_text(schema_text(), "utf-8")
    PAGE.write_text(page(), "utf-8")
