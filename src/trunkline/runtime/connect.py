"""`connect`: the one function an application starts with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trunkline.core.handlers import Handlers
from trunkline.core.principal import Principal
from trunkline.pipeline.middleware import Function, Middleware
from trunkline.runtime.egress import Contexts
from trunkline.runtime.trunk import Trunk
from trunkline.store.port import Store
from trunkline.store.replies import ReplyStore
from trunkline.telemetry.tracer import Tracing
from trunkline.telemetry.wire_log import WireTarget


def connect(
    target: object = None,
    *,
    require: Sequence[str] = (),
    principal: Principal | None = None,
    policy: str | Path | Mapping[str, Any] | None = None,
    profile: str | None = None,
    handlers: Handlers | None = None,
    client_info: Mapping[str, str] | None = None,
    name: str | None = None,
    tracing: Tracing | bool | None = None,
    wire: WireTarget | None = None,
    tls: Contexts = None,
    control: bool | str = False,
    remember: bool = False,
    store: Store | None = None,
    watch: bool = False,
    middleware: Sequence[Middleware | Function] = (),
    cache: ReplyStore | None = None,
) -> Trunk:
    """Open many MCP servers as one catalog: `async with connect("mcp.json") as trunk: ...`.

    Args:
        target: a configuration file, a URL, a list of such sources, a mapping in the form of a
            configuration file or of one entry, or a peer in this process; None looks for the files
            the command line would use.
        require: servers that must be ready before entering returns.
        principal: on whose behalf calls are made.
        policy: a `trunkline.toml` or its content; without it the file beside the first source is used.
        profile: the profile of that policy to activate; without it the one `TRUNKLINE_PROFILE` names.
        handlers: what the application is willing to do for servers.
        client_info: the application's own `name` and `version`, shown to servers.
        name: the server's name when `target` is a single unnamed one.
        tracing: OpenTelemetry spans and metrics of calls; None traces where the application uses
            OpenTelemetry, True imports it, False never does, and a `Tracing` says more.
        wire: a file, or a function that takes each `WireRecord`: everything sent and received, with
            secrets removed.
        tls: the application's own `ssl.SSLContext`, for all servers or by server name; it replaces the `tls`
            settings of `policy`.
        control: whether `trunkline status`, `logs`, `restart` and `why` of the same user can ask this
            runtime, over a socket that nobody else may use; a text is what they call it. POSIX only.
        remember: keep each server's era and lists between runs, in the user's cache folder: the next start
            shows them at once, marked `stale`, and asks servers less.
        store: where to keep them instead; it implies `remember`.
        watch: follow the configuration files: what changes in them is taken up as by `Trunk.reload`, and
            what cannot be used changes nothing, see `Trunk.config_status`. Needs `trunkline[watch]`.
        middleware: functions of the application's own around calls, `async def mw(call, next)`, the first
            outermost; a `Middleware` says at which point one stands and for which tools. See `Trunk.use`.
        cache: where answers are kept that policy lets be kept, in place of memory; for servers whose entry
            is the same in another run. It is not closed.
    """
    return Trunk(
        target,
        require=require,
        principal=principal,
        policy=policy,
        profile=profile,
        handlers=handlers,
        client_info=client_info,
        name=name,
        tracing=tracing,
        wire=wire,
        tls=tls,
        control=control,
        remember=remember,
        store=store,
        watch=watch,
        middleware=middleware,
        cache=cache,
    )
