"""The JSON documents of `--json`: stable shapes, snake_case, empty lists rather than null."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from trunkline.core.prompt import Prompt, PromptReply
from trunkline.core.reply import Reply
from trunkline.core.resource import ReadReply, Resource, Template
from trunkline.core.status import ServerStatus
from trunkline.core.tool import Tool
from trunkline.errors import CallError, ConfigError, TrunklineError, UnavailableError


def reply_document(reply: Reply) -> dict[str, Any]:
    """Give the envelope of one answered call; a tool's own error sets `ok` to false and stays complete.

    `meta.warnings` is there only when there are any, `meta.age_ms` and `meta.stale` only when the reply is
    cached, and `meta.degraded`, which says why, only when it stands in for a better one.
    """
    document: dict[str, Any] = {
        "ok": not reply.is_error,
        "server": reply.server,
        "tool": reply.tool,
        "result": reply.raw,
        "meta": {
            "duration_ms": round(reply.elapsed * 1000, 3),
            "attempts": reply.attempts,
            "cached": reply.cached,
            "era": reply.era,
            "transport": reply.transport,
        },
    }
    if reply.cached:
        document["meta"] |= {"age_ms": round(reply.age * 1000), "stale": reply.stale}
    if reply.degraded:
        document["meta"]["degraded"] = reply.reason
    if reply.warnings:
        document["meta"]["warnings"] = list(reply.warnings)
    if reply.is_error:
        document["error"] = _error("tool_error", reply.text, None, "answered", reply.server)
    return document


def read_document(reply: ReadReply) -> dict[str, Any]:
    """Give the envelope of a resource that was read."""
    return _without_tool(reply_document(reply)) | {"uri": reply.uri}


def prompt_document(reply: PromptReply) -> dict[str, Any]:
    """Give the envelope of a prompt that was got."""
    return _without_tool(reply_document(reply)) | {"prompt": reply.tool}


def error_document(error: BaseException) -> dict[str, Any]:
    """Give the envelope of a command that failed.

    `delivery` is null where no request was concerned, and `task` is there only if the call became one; what
    is not an error of ours is `internal_error`.
    """
    if not isinstance(error, TrunklineError):
        return {"ok": False, "error": _error("internal_error", error_message(error), None, None, None)}
    delivery = error.delivery if isinstance(error, CallError) else None
    server = getattr(error, "server", None)
    members = _error(error.code, error_message(error), error.hint, delivery, server)
    task = getattr(error, "task", None)
    return {"ok": False, "error": members if task is None else {**members, "task": task}}


def error_message(error: BaseException) -> str:
    """Say what went wrong in one sentence that names the server or tool.

    For a server that is down because of its entry, that is file, position and field of the entry.
    """
    if not isinstance(error, TrunklineError):
        return f"internal error: {type(error).__name__}: {error}"
    if isinstance(error, UnavailableError) and isinstance(error.__cause__, ConfigError):
        return str(error.__cause__)
    return str(error)


def tool_document(tool: Tool) -> dict[str, Any]:
    """Give everything a tool's definition says, under our names."""
    return {
        "name": tool.name,
        "public_name": tool.public_name,
        "server": tool.server,
        "title": tool.title,
        "description": tool.description,
        "input_schema": tool.input_schema,
        "output_schema": tool.output_schema,
        "annotations": tool.annotations,
        "stale": tool.stale,
    }


def server_document(name: str, status: ServerStatus) -> dict[str, Any]:
    """Give the status of one server."""
    return {"name": name} | msgspec.structs.asdict(status)


def tools_document(tools: Iterable[Tool]) -> dict[str, Any]:
    """Give the document of `trunkline tools`."""
    return {"ok": True, "tools": [tool_document(tool) for tool in tools]}


def servers_document(statuses: Mapping[str, ServerStatus]) -> dict[str, Any]:
    """Give the document of `trunkline status`."""
    return {"ok": True, "servers": [server_document(name, status) for name, status in statuses.items()]}


def list_document(statuses: Mapping[str, ServerStatus], tools: Iterable[Tool]) -> dict[str, Any]:
    """Give the document of `trunkline list`."""
    return servers_document(statuses) | tools_document(tools)


def resources_document(resources: Iterable[Resource], templates: Iterable[Template]) -> dict[str, Any]:
    """Give the document of `trunkline read` without a URI."""
    return {
        "ok": True,
        "resources": [_definition(resource) for resource in resources],
        "templates": [_definition(template) for template in templates],
    }


def prompts_document(prompts: Iterable[Prompt]) -> dict[str, Any]:
    """Give the document of `trunkline prompt` without a name."""
    return {"ok": True, "prompts": [_definition(prompt) for prompt in prompts]}


def matches_document(query: str, matches: Iterable[Any]) -> dict[str, Any]:
    """Give the document of `trunkline search`."""
    listed = [{"score": match.score, "tool": tool_document(match.tool)} for match in matches]
    return {"ok": True, "query": query, "matches": listed}


def encode_document(document: object, *, indent: bool = False) -> str:
    """Give JSON text in which every control and direction character is escaped.

    Such characters occur only inside JSON strings, so the escaped text means the same and cannot move
    the cursor or reorder the line of the terminal it is printed to.
    """
    encoded = msgspec.json.encode(document)
    text = (msgspec.json.format(encoded, indent=2) if indent else encoded).decode()
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(_escape(character) for character in text)


def _definition(item: Resource | Template | Prompt) -> dict[str, Any]:
    """Give everything a definition says, under our names."""
    members = msgspec.structs.asdict(item)
    del members["raw"]
    return members


def _without_tool(document: dict[str, Any]) -> dict[str, Any]:
    del document["tool"]
    return document


def _escape(character: str) -> str:
    if character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp"):
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


def _error(
    code: str, message: str, hint: str | None, delivery: str | None, server: str | None
) -> dict[str, Any]:
    return {"code": code, "message": message, "hint": hint, "delivery": delivery, "server": server}
