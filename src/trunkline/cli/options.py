"""The options every command takes, before or after its name, and the settings they add up to.

A command written with `with_settings` has them all and gets one `Settings`; a new option is one field of
it and one line of `OPTIONS`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from trunkline.cli.values import PROFILE

SERVER_PANEL = "A server without a file"
"""The part of the help with the options that name one server on the command line."""

ConfigOption = Annotated[
    list[str] | None,
    typer.Option("--config", metavar="PATH", help="Server file or URL; repeatable. Default: look upward."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs on standard output.")]
TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", help="Longest time the command may wait.")
]
VerboseOption = Annotated[
    int,
    typer.Option(
        "-v",
        "--verbose",
        count=True,
        show_default=False,
        help="Show logs, and the traceback of an internal error, on stderr; -vv those of libraries too.",
    ),
]
ReadOnlyOption = Annotated[
    bool, typer.Option("--read-only", help="Only tools their server calls read-only; others are refused.")
]
NoDaemonOption = Annotated[
    bool, typer.Option("--no-daemon", help="Start servers anew, although `trunkline up` keeps some warm.")
]
NoCacheOption = Annotated[
    bool, typer.Option("--no-cache", help="Ask the server although an answer of an earlier call is kept.")
]


def _server_option(*names: str, metavar: str, help: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=help, rich_help_panel=SERVER_PANEL)


HttpOption = Annotated[str | None, _server_option("--http", metavar="URL", help="Streamable HTTP server.")]
SseOption = Annotated[str | None, _server_option("--sse", metavar="URL", help="HTTP+SSE server.")]
WsOption = Annotated[str | None, _server_option("--ws", metavar="URL", help="WebSocket server.")]
StdioOption = Annotated[
    str | None, _server_option("--stdio", metavar="COMMAND", help="Program to start, quoted as one word.")
]
HeaderOption = Annotated[
    list[str] | None, _server_option("-H", "--header", metavar="K: V", help="Header of a URL; repeatable.")
]
EnvOption = Annotated[
    list[str] | None, _server_option("-e", "--env", metavar="K=V", help="Variable of --stdio; repeatable.")
]
CwdOption = Annotated[
    str | None, _server_option("--cwd", metavar="DIR", help="Folder in which --stdio starts.")
]
NameOption = Annotated[
    str | None, _server_option("--name", metavar="NAME", help="What to call the server. Default: server.")
]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the common options ask for."""

    config: tuple[str, ...] = ()
    """Server files and URLs in the order given; empty means discovery."""
    as_json: bool = False
    timeout: float | None = None
    """Seconds, or None for the configured defaults."""
    verbose: int = 0
    """How often -v was given."""
    read_only: bool = False
    """Whether only tools with an explicit and uncontradicted `readOnlyHint` are shown and called."""
    http: str | None = None
    sse: str | None = None
    ws: str | None = None
    stdio: str | None = None
    """One command line, to be split like a shell's."""
    header: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    cwd: str | None = None
    name: str | None = None
    """What the server of `http`, `sse`, `ws` or `stdio` is called; None means `server`."""
    no_daemon: bool = False
    """Whether servers are started anew, although a background process keeps some warm."""
    command: str = ""
    """Name of the command; the program's own where none was given."""
    log_format: str = "text"
    """`text` or `json`."""
    profile: str | None = None
    """Profile of the policy file, or None for what the environment names."""
    wire: str | None = None
    """Where the log of the wire goes: a path, `-` for standard error, or None."""


OPTIONS: dict[str, tuple[Any, Any]] = {
    "config": (ConfigOption, None),
    "as_json": (JsonOption, False),
    "timeout": (TimeoutOption, None),
    "verbose": (VerboseOption, 0),
    "read_only": (ReadOnlyOption, False),
    "no_daemon": (NoDaemonOption, False),
    "http": (HttpOption, None),
    "sse": (SseOption, None),
    "ws": (WsOption, None),
    "stdio": (StdioOption, None),
    "header": (HeaderOption, None),
    "env": (EnvOption, None),
    "cwd": (CwdOption, None),
    "name": (NameOption, None),
}
"""The common options by their field of `Settings`, each as typer reads it and with its default."""


def with_settings(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the common options; its parameter `settings` takes them as one `Settings`.

    A parameter `ctx` takes the context; all others are the command's own, annotated as typer wants them.
    """
    declared = inspect.signature(command, eval_str=True).parameters
    own = [parameter for name, parameter in declared.items() if name not in ("ctx", "settings")]

    def run(ctx: typer.Context, **given: Any) -> int:
        common = {name: given.pop(name) for name in OPTIONS}
        if "ctx" in declared:
            given["ctx"] = ctx
        return command(settings=settings_of(ctx, **common), **given)

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("ctx", keyword, annotation=typer.Context)]
    parameters += [parameter.replace(kind=keyword) for parameter in own]
    parameters += [
        inspect.Parameter(name, keyword, annotation=annotation, default=default)
        for name, (annotation, default) in OPTIONS.items()
    ]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def settings_of(ctx: typer.Context, **given: Any) -> Settings:
    """Join a command's own options with those written before its name.

    What is repeatable or counted adds up, a flag stays set, and of anything else the later one wins.
    """
    before = ctx.obj if isinstance(ctx.obj, Settings) else Settings()
    changes = {name: joined(getattr(before, name), value) for name, value in given.items()}
    return replace(before, **changes, profile=ctx.meta.get(PROFILE), command=ctx.info_name or "")


def joined(before: Any, value: Any) -> Any:
    """Give what one field comes to when it is given once more."""
    if isinstance(before, tuple):
        return (*before, *(value or ()))
    if isinstance(before, bool):
        return before or value
    if isinstance(before, int):
        return before + value
    return before if value is None else value
