"""`--help-json`: the commands, options and exit codes as one document, for programs and agents.

The shape is stable: members are added, never renamed or removed, while `schema` stays 1.
"""

from __future__ import annotations

from typing import Any

from trunkline._version import __version__
from trunkline.cli.exits import MEANINGS

SCHEMA = 1
_TYPES = {int: "integer", float: "number", bool: "boolean"}


def describe_program(ctx: Any) -> dict[str, Any]:
    """Describe the level that was asked about and everything beneath it."""
    codes = [{"code": code, "meaning": meaning} for code, meaning in MEANINGS.items()]
    return {
        "schema": SCHEMA,
        "program": "trunkline",
        "version": __version__,
        **_describe_command(ctx.command, ctx),
        "exit_codes": codes,
    }


def _describe_command(command: Any, ctx: Any) -> dict[str, Any]:
    params = [param for param in command.get_params(ctx) if not getattr(param, "hidden", False)]
    text = " ".join((command.help or "").split("\f")[0].split())
    return {
        "name": ctx.command_path,
        "summary": text.split(". ")[0].rstrip(".") + "." if text else "",
        "description": text,
        "usage": f"{ctx.command_path} {' '.join(command.collect_usage_pieces(ctx))}".strip(),
        "arguments": [_describe_argument(param) for param in params if param.param_type_name == "argument"],
        "options": [_describe_option(param) for param in params if param.param_type_name == "option"],
        "commands": [_describe_command(inner.command, inner) for inner in _inner_contexts(command, ctx)],
    }


def _inner_contexts(command: Any, ctx: Any) -> list[Any]:
    if not hasattr(command, "list_commands"):
        return []
    found = [(name, command.get_command(ctx, name)) for name in command.list_commands(ctx)]
    return [
        inner.context_class(inner, info_name=name, parent=ctx)
        for name, inner in found
        if inner is not None and not inner.hidden
    ]


def _describe_argument(param: Any) -> dict[str, Any]:
    return {
        "name": param.metavar or param.name,
        "type": "string",
        "required": param.required,
        "repeatable": param.nargs != 1,
        "help": param.help or "",
    }


def _describe_option(param: Any) -> dict[str, Any]:
    flag = param.is_flag
    return {
        "names": sorted(param.opts, key=lambda name: name.startswith("--")),  # typer's own have no order
        "type": "boolean" if flag else _TYPES.get(param.type_descriptor.annotation, "string"),
        "metavar": None if flag else param.metavar,
        "required": param.required,
        "repeatable": param.multiple,
        "default": _default(param.default),
        "section": param.rich_help_panel or "Options",
        "help": " ".join((param.help or "").split()),
    }


def _default(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else None
