"""The commands as typer builds them, made lean: own readers of values, help in parts, `--help-json`.

typer hands every value to a pydantic adapter, which costs each command some 150 ms before it does
anything. Our options are text, numbers and flags; `LeanCommand` and `LeanGroup` read those directly.
"""

from __future__ import annotations

import copy
import math
from functools import cache
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command as build_command

PROFILE = "trunkline.profile"
"""Where the context of a command line keeps the value of `--profile`; the one written last wins."""


class _Reader:
    """What typer asks of the reader of one parameter."""

    def __init__(self, annotation: Any) -> None:
        self._annotation = annotation

    def coerce(self, value: Any, param: Any, ctx: typer.Context) -> Any:
        if value is None or not isinstance(value, str):
            return value
        if self._annotation is float:
            return _read_seconds(value, param, ctx)
        return _read_count(value, param, ctx) if self._annotation is int else value


class LeanCommand(TyperCommand):
    """A command whose options are read without pydantic, and which describes itself for programs."""

    _help_json: Any = None

    def get_params(self, ctx: Any) -> list[Any]:
        """Give the parameters, each with our reader."""
        self._help_json = self._help_json or _help_json_option(self, ctx)
        return _complete(super().get_params(ctx), self._help_json)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Give the words of the usage line, each argument as it is called in the help."""
        return _usage(self, ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the parameters in their parts."""
        _write_params(self, ctx, formatter)


class LeanGroup(TyperGroup):
    """A group of commands whose options are read without pydantic, and which describes itself."""

    _help_json: Any = None

    def get_params(self, ctx: Any) -> list[Any]:
        """Give the parameters, each with our reader."""
        self._help_json = self._help_json or _help_json_option(self, ctx)
        return _complete(super().get_params(ctx), self._help_json)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then the parameters in their parts."""
        self.format_commands(ctx, formatter)
        _write_params(self, ctx, formatter)


def _complete(params: list[Any], help_json: Any) -> list[Any]:
    """Add `--profile` before `--help`, and `--help-json` after it; give each parameter our reader."""
    params = [*params[:-1], _profile_option(), *params[-1:], help_json]
    for param in params:
        reader = _Reader(param.type_descriptor.annotation)
        param.get_runtime_param = lambda reader=reader: reader
    return params


@cache
def _profile_option() -> Any:
    only = typer.Typer(add_completion=False)
    only.command()(_takes_profile)
    return build_command(only).params[0]


def _keep_profile(ctx: typer.Context, value: str | None) -> None:
    if value is not None:
        ctx.meta[PROFILE] = value


def _takes_profile(
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="Profile of trunkline.toml. Default: TRUNKLINE_PROFILE.",
            expose_value=False,
            callback=_keep_profile,
        ),
    ] = None,
) -> None: ...


def _help_json_option(command: Any, ctx: Any) -> Any:
    """Make `--help-json` after the model of `--help`, whose object typer keeps one of per command."""
    option = copy.copy(command.get_help_option(ctx))
    option.name, option.opts, option.secondary_opts = "help_json", ["--help-json"], []
    option.help = "Describe this level for programs and exit."
    option.callback = _print_manual
    return option


def _print_manual(ctx: Any, _param: Any, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from trunkline.cli.manual import describe_program
        from trunkline.cli.options import Settings
        from trunkline.cli.terminal import Terminal

        Terminal(Settings()).print_document(describe_program(ctx))
        ctx.exit()


def _write_params(command: Any, ctx: Any, formatter: Any) -> None:
    parts: dict[str, list[Any]] = {}
    for param in command.get_params(ctx):
        if param.param_type_name == "argument":
            parts.setdefault("Arguments", []).append((_argument_name(param), param.help or ""))
        elif (record := param.get_help_record(ctx)) is not None:
            parts.setdefault(param.rich_help_panel or "Options", []).append(record)
    for title, records in parts.items():
        with formatter.section(title):
            formatter.write_dl(records)


def _usage(command: Any, ctx: Any) -> list[str]:
    arguments = [param for param in command.get_params(ctx) if param.param_type_name == "argument"]
    return ["[OPTIONS]", *map(_argument_name, arguments)]


def _argument_name(param: Any) -> str:
    name = param.metavar or param.name.upper()
    return name if param.nargs == 1 else f"{name}..."


def _read_seconds(text: str, param: Any, ctx: typer.Context) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise typer.BadParameter(f"{text!r} is not a number of seconds above 0", ctx=ctx, param=param)
    return seconds


def _read_count(text: str, param: Any, ctx: typer.Context) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0 and len(text) < 10):
        raise typer.BadParameter(f"{text!r} is not a whole number above 0", ctx=ctx, param=param)
    return int(text)
