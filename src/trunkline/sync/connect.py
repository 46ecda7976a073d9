"""`connect` for code that does not await."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trunkline.core.handlers import Handlers
from trunkline.core.principal import Principal
from trunkline.pipeline.middleware import Function, Middleware
from trunkline.runtime.connect import connect as connect_async
from trunkline.runtime.egress import Contexts
from trunkline.store.port import Store
from trunkline.store.replies import ReplyStore
from trunkline.sync.trunk import Trunk
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
    """Open many MCP servers as one catalog: `with connect("mcp.json") as trunk: ...`.

    Returns at once and open: servers connect in the background, on a daemon thread and an event loop
    that belong to this trunk. `close()` or leaving `with` ends them; so does the end of the interpreter.
    The arguments are those of `trunkline.connect`. Async handlers run on the trunk's
    thread and must not block it; sync ones run in threads of their own and may use the trunk. Middleware
    is async, and runs on the trunk's thread.

    Raises:
        ConfigError: a file cannot be used, or `require` names no server.
        UnavailableError: a required server could not be connected.
        RuntimeError: this thread runs an event loop, and is not a notebook's; see `Trunk`.
    """
    return Trunk(
        connect_async(
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
    )
