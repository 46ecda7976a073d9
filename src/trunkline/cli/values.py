"""The values of our own options, read without pydantic.

typer hands every value to a pydantic adapter, which costs each command some 150 ms before it does
anything. Our options are text, numbers and flags; `LeanCommand` and `LeanGroup` read those directly.
"""

from __future__ import annotations

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
    """A command whose options are read without pydantic."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Give the parameters, each with our reader."""
        return _complete(super().get_params(ctx))


class LeanGroup(TyperGroup):
    """A group of commands whose options are read without pydantic."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Give the parameters, each with our reader."""
        return _complete(super().get_params(ctx))


def _complete(params: list[Any]) -> list[Any]:
    """Add `--profile`, which every command takes, before `--help`; give each parameter our reader."""
    params = [*params[:-1], _profile_option(), *params[-1:]]
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
