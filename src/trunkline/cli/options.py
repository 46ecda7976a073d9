"""The options every command takes, before or after its name, and the settings they add up to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from trunkline.cli.values import PROFILE

ConfigOption = Annotated[
    list[str] | None,
    typer.Option("--config", metavar="PATH", help="Server file or URL; repeatable. Default: look upward."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document for programs.")]
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
    log_format: str = "text"
    """`text` or `json`."""
    profile: str | None = None
    """Profile of the policy file, or None for what the environment names."""
    wire: str | None = None
    """Where the log of the wire goes: a path, `-` for standard error, or None."""


def settings_of(
    ctx: typer.Context,
    *,
    config: list[str] | None = None,
    as_json: bool = False,
    timeout: float | None = None,
    verbose: int = 0,
) -> Settings:
    """Join a command's own options with those written before its name; the later timeout wins."""
    before = ctx.obj if isinstance(ctx.obj, Settings) else Settings()
    return replace(
        before,
        config=(*before.config, *(config or ())),
        as_json=before.as_json or as_json,
        timeout=before.timeout if timeout is None else timeout,
        verbose=before.verbose + verbose,
        profile=ctx.meta.get(PROFILE),
    )
