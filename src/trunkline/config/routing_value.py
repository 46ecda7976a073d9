"""The kinds of value that routing and fallbacks take in `trunkline.toml`; see `policy_value`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from trunkline.config.policy_value import Rule
from trunkline.config.replicas import are_tags, is_weight
from trunkline.core.fallback import Cause, Constant, OtherTool
from trunkline.core.group import GroupTool
from trunkline.core.needs import WANTED as A_NEED
from trunkline.core.needs import read_need
from trunkline.core.routing import Strategy

_STRATEGIES = get_args(Strategy)
_CAUSES = get_args(Cause)
_TOOL_KEYS = frozenset({"tool", "rename"})
_GROUP_KEYS = frozenset({"tool", "region", "weight", "tags"})


def _are_words(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) and one.strip() for one in value)


def _are_needs(value: object) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(one, str) and read_need(one) is not None for one in value
    )


def _is_alternative(one: object) -> bool:
    if isinstance(one, str):
        return bool(one.strip())
    if not isinstance(one, Mapping):
        return False
    if one.keys() == {"value"}:
        return True
    renamed = one.get("rename", {})
    named = isinstance(one.get("tool"), str) and bool(one["tool"].strip())
    return (
        named
        and one.keys() <= _TOOL_KEYS
        and isinstance(renamed, Mapping)
        and all(isinstance(new, str) for new in renamed.values())
    )


def _read_alternatives(value: list[Any]) -> tuple[OtherTool | Constant, ...]:
    return tuple(
        OtherTool(name=one)
        if isinstance(one, str)
        else Constant(one["value"])
        if "value" in one
        else OtherTool(name=one["tool"], rename=dict(one.get("rename", {})))
        for one in value
    )


def _is_group_tool(one: object) -> bool:
    if isinstance(one, str):
        return _is_public(one)
    return (
        isinstance(one, Mapping)
        and one.keys() <= _GROUP_KEYS
        and _is_public(one.get("tool"))
        and isinstance(one.get("region", ""), str)
        and is_weight(one.get("weight", 1))
        and are_tags(one.get("tags", []))
    )


def _is_public(name: object) -> bool:
    if not isinstance(name, str):
        return False
    server, _, tool = name.partition(".")
    return bool(server and tool)


def _read_group_tools(value: list[Any]) -> tuple[GroupTool, ...]:
    return tuple(
        GroupTool(tool=one)
        if isinstance(one, str)
        else GroupTool(
            tool=one["tool"],
            region=one.get("region", ""),
            weight=float(one.get("weight", 1.0)),
            tags=tuple(one.get("tags", ())),
        )
        for one in value
    )


_NAMES = {"type": "array", "items": {"type": "string", "pattern": r"\S"}}

STRATEGY = Rule(
    f"one of {', '.join(_STRATEGIES)}",
    lambda value: value in _STRATEGIES,
    str,
    '"latency"',
    {"enum": list(_STRATEGIES)},
)
STICKS_TO = Rule(
    '"principal" or "argument:NAME"',
    lambda value: (
        value == "principal"
        or (isinstance(value, str) and value.startswith("argument:") and value != "argument:")
    ),
    str,
    '"argument:session_id"',
    {"type": "string", "pattern": r"^(principal$|argument:(.|\n))"},
)
REGIONS = Rule("a list of regions, nearest first", _are_words, tuple, '["eu", "us"]', _NAMES)
NEEDS = Rule(f"a list of what a replica must have, each {A_NEED}", _are_needs, tuple, '["tag:gpu"]', _NAMES)
QUANTILE = Rule(
    "a number from 0.5 to 0.999",
    lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 0.5 <= value <= 0.999,
    float,
    "0.95",
    {"type": "number", "minimum": 0.5, "maximum": 0.999},
)
FALLBACK = Rule(
    'a list of tools, and of tables such as { tool = "b.find", rename = { q = "query" } } or { value = [] }',
    lambda value: isinstance(value, list | tuple) and all(_is_alternative(one) for one in value),
    _read_alternatives,
    '["other.tool"]',
    {
        "type": "array",
        "items": {
            "anyOf": [
                {"type": "string", "pattern": r"\S"},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["tool"],
                    "properties": {
                        "tool": {"type": "string", "pattern": r"\S"},
                        "rename": {"type": "object", "additionalProperties": {"type": "string"}},
                    },
                },
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["value"],
                    "properties": {"value": True},
                },
            ]
        },
    },
)
_PUBLIC = {"type": "string", "pattern": r"^[^.]+\.(.|\n)"}
GROUP_TOOLS = Rule(
    'a list of tools by their public names, and of tables such as { tool = "b.search", region = "eu" }',
    lambda value: isinstance(value, list | tuple) and all(_is_group_tool(one) for one in value),
    _read_group_tools,
    '["a.search", "b.search"]',
    {
        "type": "array",
        "items": {
            "anyOf": [
                _PUBLIC,
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["tool"],
                    "properties": {
                        "tool": _PUBLIC,
                        "region": {"type": "string"},
                        "weight": {"type": "number", "exclusiveMinimum": 0},
                        "tags": {"type": "array", "items": {"type": "string", "pattern": r"\S"}},
                    },
                },
            ]
        },
    },
)
CAUSES = Rule(
    f"a list of any of {', '.join(_CAUSES)}",
    lambda value: isinstance(value, list | tuple) and all(one in _CAUSES for one in value),
    tuple,
    '["tool_error"]',
    {"type": "array", "items": {"enum": list(_CAUSES)}},
)
