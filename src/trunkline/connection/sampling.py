"""Sampling and roots: what a server asks of the application, read and answered in the protocol's form.

Sources: specification 2026-07-28 and 2025-11-25, client/sampling and client/roots.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from trunkline.connection.refusal import failed, malformed
from trunkline.core.content import parse_content
from trunkline.core.sampling import ModelPreferences, Root, SampleMessage, SampleRequest, SampleResult

_MOST_TOKENS = 2**31


def read_sample(server: str, params: Mapping[str, Any], tool: str | None) -> SampleRequest:
    """Read the params of `sampling/createMessage`.

    Raises:
        RefusalError: they break the protocol.
    """
    most = params.get("maxTokens")
    if type(most) is not int or not 0 < most < _MOST_TOKENS:
        raise malformed("its `maxTokens` is not a positive number")
    messages = tuple(_read_message(one) for one in _list(params.get("messages")))
    if not messages:
        raise malformed("it has no messages")
    _check_tool_use(messages)
    choice = params.get("toolChoice")
    return SampleRequest(
        server=server,
        messages=messages,
        max_tokens=most,
        system_prompt=_text(params.get("systemPrompt")),
        model_preferences=_read_preferences(params.get("modelPreferences")),
        temperature=_number(params.get("temperature")),
        stop_sequences=tuple(one for one in _list(params.get("stopSequences")) if isinstance(one, str)),
        tools=tuple(one for one in _list(params.get("tools")) if isinstance(one, Mapping)),
        tool_choice=_text(choice.get("mode") if isinstance(choice, Mapping) else None) or "auto",
        include_context=_text(params.get("includeContext")) or "none",
        metadata=params["metadata"] if isinstance(params.get("metadata"), Mapping) else {},
        tool=tool,
        raw=params,
    )


def read_sampled(given: object) -> SampleResult:
    """Read what a `sample` handler gave.

    Raises:
        RefusalError: it is no model's answer.
    """
    members = msgspec.structs.asdict(given) if isinstance(given, SampleResult) else _rename(given)
    try:
        result = msgspec.convert(members, SampleResult)
    except msgspec.ValidationError as cause:
        raise failed(f"the handler gave no SampleResult: {cause}") from cause
    if not result.model:
        raise failed("the handler's SampleResult names no model")
    if not all(isinstance(one, Mapping) and isinstance(one.get("type"), str) for one in _blocks(result)):
        raise failed("the content of the handler's SampleResult is neither text nor content blocks")
    return result


def write_sampled(result: SampleResult) -> dict[str, Any]:
    """Give the result to send; one block goes alone, as every revision knows it."""
    blocks = _blocks(result)
    stopped = {} if result.stop_reason is None else {"stopReason": result.stop_reason}
    content = blocks[0] if len(blocks) == 1 else blocks
    return {"role": result.role, "content": content, "model": result.model, **stopped}


def write_roots(given: object) -> dict[str, Any]:
    """Give the result of `roots/list` for what a handler gave; None is no roots.

    Raises:
        RefusalError: something in it is no `file://` URI, or one that could lead elsewhere.
    """
    if given is None:
        return {"roots": []}
    if isinstance(given, str | Mapping | Root | Path) or not isinstance(given, Iterable):
        raise failed("the handler gave no list of roots")
    return {"roots": [_write_root(one) for one in given]}


def _write_root(one: object) -> dict[str, str]:
    if isinstance(one, Mapping):
        one = Root(uri=one.get("uri", ""), name=one.get("name"))
    if isinstance(one, Path) or (isinstance(one, str) and "://" not in one):
        one = Root(uri=Path(os.path.abspath(one)).as_uri())
    root = one if isinstance(one, Root) else Root(uri=str(one))
    if not _is_plain_file(root.uri):
        raise failed("a root is not a plain `file://` URI")
    return {"uri": root.uri} if root.name is None else {"uri": root.uri, "name": root.name}


def _is_plain_file(uri: object) -> bool:
    if not isinstance(uri, str):
        return False
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    path = unquote(parts.path)
    steps = {*path.split("/"), *unquote(path).split("/")}
    clean = path.startswith("/") and steps.isdisjoint({"..", "."}) and not set("\0\\").intersection(path)
    whole = not parts.query and not parts.fragment
    return parts.scheme == "file" and parts.netloc in ("", "localhost") and clean and whole


def _read_message(message: object) -> SampleMessage:
    if not isinstance(message, Mapping) or message.get("role") not in ("user", "assistant"):
        raise malformed("a message has no role `user` or `assistant`")
    content = message.get("content")
    blocks = content if isinstance(content, list) else [content]
    return SampleMessage(
        role=message["role"], content=tuple(parse_content(one) for one in blocks), raw=message
    )


def _check_tool_use(messages: tuple[SampleMessage, ...]) -> None:
    """Each use of a tool is followed by a message of nothing but its results."""
    wanted: set[str] = set()
    for message in messages:
        kinds = [str(one.raw.get("type")) for one in message.content]
        results = {str(one.raw.get("toolUseId")) for one in message.content if _is(one, "tool_result")}
        if results and set(kinds) != {"tool_result"}:
            raise malformed("tool results are mixed with other content")
        if wanted - results:
            raise malformed("a tool result is missing")
        uses = [one for one in message.content if _is(one, "tool_use")]
        wanted = {str(one.raw.get("id")) for one in uses} if message.role == "assistant" else set()


def _is(block: Any, kind: str) -> bool:
    return bool(block.raw.get("type") == kind)


def _read_preferences(value: object) -> ModelPreferences | None:
    if not isinstance(value, Mapping):
        return None
    hints = [one.get("name") for one in _list(value.get("hints")) if isinstance(one, Mapping)]
    return ModelPreferences(
        hints=tuple(name for name in hints if isinstance(name, str)),
        cost_priority=_number(value.get("costPriority")),
        speed_priority=_number(value.get("speedPriority")),
        intelligence_priority=_number(value.get("intelligencePriority")),
    )


def _blocks(result: SampleResult) -> list[Any]:
    content = result.content
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [content] if isinstance(content, Mapping) else list(content)


def _rename(given: object) -> object:
    """Take the protocol's own spelling too."""
    if isinstance(given, Mapping) and "stopReason" in given:
        rest = {key: value for key, value in given.items() if key != "stopReason"}
        return {**rest, "stop_reason": given["stopReason"]}
    return given


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
