"""The values of our own options, read without pydantic.

typer hands every value to a pydantic adapter, which costs each command some 150 ms before it does
anything. Our options are text, numbers and flags; `LeanCommand` and `LeanGroup` read those directly.
"""

from __future__ import annotations

import math
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


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
        return _with_readers(super().get_params(ctx))


class LeanGroup(TyperGroup):
    """A group of commands whose options are read without pydantic."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Give the parameters, each with our reader."""
        return _with_readers(super().get_params(ctx))


def _with_readers(params: list[Any]) -> list[Any]:
    for param in params:
        reader = _Reader(param.type_descriptor.annotation)
        param.get_runtime_param = lambda reader=reader: reader
    return params


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
