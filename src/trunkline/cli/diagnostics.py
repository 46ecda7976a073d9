"""Options that show what happens beneath a command: `--log-format` on all, `--wire` where servers are met."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trunkline.cli.options import Settings

if TYPE_CHECKING:
    from trunkline.telemetry.wire import WireRecord
    from trunkline.telemetry.wire_log import WireTarget

LogFormatOption = Annotated[
    str | None, typer.Option("--log-format", metavar="text|json", help="How -v writes its log lines.")
]
WireOption = Annotated[
    str | None,
    typer.Option("--wire", metavar="PATH", help="Write all messages, secrets redacted; - is stderr."),
]

_asked: ContextVar[str | None] = ContextVar("wire", default=None)
_FORMATS = ("text", "json")
_STDERR = "-"


def with_diagnostics(command: Callable[..., int], *, connects: bool = True) -> Callable[..., int]:
    """Give a command these options; what they ask for is in the context before the command reads it.

    Args:
        connects: whether it talks to servers; else it has no `--wire`.
    """
    options = {"log_format": LogFormatOption} | ({"wire": WireOption} if connects else {})

    def run(**given: Any) -> int:
        ctx: typer.Context = given["ctx"]
        log_format, wire = given.pop("log_format"), given.pop("wire", None)
        if log_format not in (None, *_FORMATS):
            raise typer.BadParameter(
                f"{log_format!r} is not text or json", ctx=ctx, param_hint="--log-format"
            )
        before = ctx.obj if isinstance(ctx.obj, Settings) else Settings()
        ctx.obj = replace(before, log_format=log_format or before.log_format, wire=wire or before.wire)
        return command(**given)

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        parameter.replace(kind=keyword)
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
    ]
    for name, annotation in options.items():
        parameters.append(inspect.Parameter(name, keyword, annotation=annotation, default=None))
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def ask_for_wire(settings: Settings) -> None:
    """Remember what `--wire` says for the runtime that this command opens."""
    _asked.set(settings.wire)


def wire_target() -> WireTarget | None:
    """Give where the log of the wire goes, or None."""
    path = _asked.get()
    return _write_to_stderr if path == _STDERR else path


def _write_to_stderr(record: WireRecord) -> None:
    import sys

    from trunkline.telemetry.wire import render_record

    sys.stderr.write(render_record(record))
    sys.stderr.flush()
