"""What a fake server answers to each method, once it is known who asks under which revision."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trunkline.testing import eras, tasks
from trunkline.testing.pages import cut_page
from trunkline.testing.script import Result, RpcError, Tool
from trunkline.testing.watching import METHODS

if TYPE_CHECKING:
    from trunkline.testing.dialogue import Conversation
    from trunkline.testing.exchange import Request
    from trunkline.testing.fake import FakeServer


def admit(conversation: Conversation, request: Request) -> None:
    """Let a request in, or say why not.

    Raises:
        RpcError: -32602 (2026-07-28 `basic`: required `_meta` is missing), -32022 (`basic/versioning`),
            -32600 (handshake missing) or -32601.
    """
    server, method = conversation.server, request.method
    if conversation.is_modern(method, request.params):
        admit_modern(server, request.params)
        known = "modern" in eras.METHODS.get(method, ())
    else:
        if method == "initialize" and not server.legacy_versions:
            raise unsupported(server, request.params.get("protocolVersion"))
        known = "legacy" in eras.METHODS.get(method, ())
        if known and conversation.version is None and method not in ("initialize", "ping"):
            raise RpcError(eras.INVALID_REQUEST, "Received request before initialization was complete")
    watching = method in METHODS and not server.watchable
    if not known or watching or method.partition("/")[0] in _unoffered(server):
        raise RpcError(eras.METHOD_NOT_FOUND, f"Method not found: {method}")


def admit_modern(server: FakeServer, params: Mapping[str, Any]) -> None:
    """Check what every modern request has to carry; raises RpcError."""
    meta = params.get("_meta")
    if not isinstance(meta, dict):
        raise RpcError(eras.INVALID_PARAMS, "missing required _meta")
    if not isinstance(meta.get(eras.META_VERSION), str):
        raise RpcError(eras.INVALID_PARAMS, f"missing required _meta field {eras.META_VERSION}")
    if not isinstance(meta.get(eras.META_CAPABILITIES), dict):
        raise RpcError(eras.INVALID_PARAMS, f"missing required _meta field {eras.META_CAPABILITIES}")
    if server.modern_versions and meta[eras.META_VERSION] not in server.modern_versions:
        raise unsupported(server, meta[eras.META_VERSION])
    if meta.get(eras.META_LOG_LEVEL, "debug") not in eras.LOG_LEVELS:
        raise RpcError(eras.INVALID_PARAMS, f"invalid log level {meta[eras.META_LOG_LEVEL]!r}")


def unsupported(server: FakeServer, requested: Any) -> RpcError:
    """Give the error that names the revisions the server does support, newest first."""
    supported = list(reversed(server.versions))
    message = f"Unsupported protocol version; supported: {', '.join(supported)}"
    return RpcError(eras.UNSUPPORTED_VERSION, message, {"supported": supported, "requested": requested})


def answer(conversation: Conversation, request: Request) -> Mapping[str, Any]:
    """Give the result of any admitted method but `tools/call`; raises RpcError."""
    server, params, version = conversation.server, request.params, request.version or ""
    match request.method:
        case "initialize":
            return _initialize(conversation, params)
        case "server/discover":
            return {
                "supportedVersions": list(reversed(server.versions)),
                **_introduce(server, eras.MODERN[-1]),
            }
        case "ping":
            return {}
        case "logging/setLevel":
            return _set_level(conversation, params)
        case "resources/subscribe" | "resources/unsubscribe":
            return server.watchers.subscribe(conversation, request.method, params)
        case "tools/list":
            return _page(server, "tools", [_define(tool, version) for tool in server.tools.values()], params)
        case "resources/list":
            listed = [one.define() for one in server.resources.values() if not one.is_template]
            return _page(server, "resources", listed, params)
        case "resources/templates/list":
            listed = [one.define() for one in server.resources.values() if one.is_template]
            return _page(server, "resourceTemplates", listed, params)
        case "resources/read":
            return _read(server, params.get("uri"), version)
        case "completion/complete":
            return _complete(server, params)
        case "prompts/list":
            return _page(server, "prompts", [one.define() for one in server.prompts.values()], params)
        case _:
            return _prompt(server, params)


def find_tool(server: FakeServer, name: str | None) -> Tool:
    """Give the tool of that name; raises RpcError -32602."""
    tool = server.tools.get(name or "")
    if tool is None:
        raise RpcError(eras.INVALID_PARAMS, f"Unknown tool: {name}")
    return tool


def scripted_value(tool: Tool, arguments: Mapping[str, Any], answers: Mapping[str, Any]) -> Any:
    """Give what a scripted tool returns; raises RpcError where it is scripted to.

    Args:
        answers: of the client to what the tool asked.
    """
    if tool.rpc_error is not None:
        raise RpcError(*tool.rpc_error)
    if tool.error is not None:
        return Result(content=[{"type": "text", "text": tool.error}], isError=True)
    match tool.reports:
        case "arguments":
            return dict(arguments)
        case "answers":
            return dict(answers)
        case "environment":
            asked = {name: os.environ[name] for name in arguments.get("values", ()) if name in os.environ}
            return {"names": sorted(os.environ), "values": asked}
        case "cwd":
            return os.getcwd()
        case "pid":
            return str(os.getpid())
        case _:
            return tool.returns


def _unoffered(server: FakeServer) -> set[str]:
    """Give the first parts of the methods that it does not have."""
    bare = {kind for kind in ("resources", "prompts") if not getattr(server, kind)}
    return bare if server.completions else {*bare, "completion"}


def _define(tool: Tool, version: str) -> dict[str, Any]:
    """Show a raw definition as it is and any other as the revision knows it."""
    return tool.define() if tool.definition is not None else eras.shape_definition(tool.define(), version)


def _initialize(conversation: Conversation, params: Mapping[str, Any]) -> Mapping[str, Any]:
    supported = conversation.server.legacy_versions
    requested = params.get("protocolVersion")
    conversation.version = requested if requested in supported else supported[-1]
    server_info = {"serverInfo": dict(conversation.server.info)}
    return {
        "protocolVersion": conversation.version,
        **server_info,
        **_introduce(conversation.server, conversation.version),
    }


def _introduce(server: FakeServer, version: str) -> dict[str, Any]:
    more = tasks.declare(server, version)
    spoken = {} if server.instructions is None else {"instructions": server.instructions}
    offered = {"resources", "prompts"} - _unoffered(server)
    if server.completions:
        offered.add("completions")
    kinds = {kind: _tell_changes(server, kind) for kind in ("tools", *sorted(offered))}
    return {"capabilities": {"logging": {}, **kinds, **more}, **spoken}


def _tell_changes(server: FakeServer, kind: str) -> dict[str, bool]:
    if not server.watchable or kind == "completions":
        return {}
    return {"listChanged": True, "subscribe": True} if kind == "resources" else {"listChanged": True}


def _set_level(conversation: Conversation, params: Mapping[str, Any]) -> Mapping[str, Any]:
    level = params.get("level")
    if level not in eras.LOG_LEVELS:
        raise RpcError(eras.INVALID_PARAMS, f"invalid log level {level!r}")
    conversation.log_level = level
    return {}


def _page(server: FakeServer, member: str, items: list[Any], params: Mapping[str, Any]) -> Mapping[str, Any]:
    page, following = cut_page(items, params.get("cursor"), server.page_size, server.cursors)
    return {member: page} if following is None else {member: page, "nextCursor": following}


def _read(server: FakeServer, uri: Any, version: str) -> Mapping[str, Any]:
    offered = server.resources.values() if isinstance(uri, str) else ()
    found = next((one for one in offered if one.matches(uri)), None)
    if found is None:
        legacy = eras.family(version) == "legacy"
        code = eras.LEGACY_RESOURCE_NOT_FOUND if legacy else eras.INVALID_PARAMS
        raise RpcError(code, "Resource not found", {"uri": uri})
    return {"contents": [found.give(uri)]}


def _complete(server: FakeServer, params: Mapping[str, Any]) -> Mapping[str, Any]:
    ref, argument = params.get("ref") or {}, params.get("argument") or {}
    target = str(ref.get("name" if ref.get("type") == "ref/prompt" else "uri"))
    found = server.completions.get((target, str(argument.get("name"))))
    if target not in server.prompts and target not in server.resources:
        raise RpcError(eras.INVALID_PARAMS, f"Unknown reference: {target}")
    values = [] if found is None else found.matching(str(argument.get("value", "")))
    return {"completion": {"values": values[:100], "total": len(values), "hasMore": len(values) > 100}}


def _prompt(server: FakeServer, params: Mapping[str, Any]) -> Mapping[str, Any]:
    prompt = server.prompts.get(params.get("name", ""))
    if prompt is None:
        raise RpcError(eras.INVALID_PARAMS, f"Unknown prompt: {params.get('name')}")
    try:
        text = prompt.render(params.get("arguments") or {})
    except KeyError as missing:
        raise RpcError(eras.INVALID_PARAMS, f"missing argument {missing}") from None
    described = {"description": prompt.description} if prompt.description else {}
    return {**described, "messages": [{"role": "user", "content": {"type": "text", "text": text}}]}
