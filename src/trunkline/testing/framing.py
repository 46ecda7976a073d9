"""Messages as bytes: JSON encoding, the spoiled replies, and one line per message for memory and stdio."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from trunkline.testing.effects import Effect, End, Pause, Write
from trunkline.testing.eras import INTERNAL_ERROR, PARSE_ERROR
from trunkline.testing.faults import HTTP_ONLY, STREAM_ONLY, Fault
from trunkline.testing.script import RpcError

GARBAGE = b"Traceback (most recent call last): this is not JSON"
_MARK = "@spoiled@"
_ENDLESS_PIECE = b"x" * 65536


def encode(message: Mapping[str, Any]) -> bytes:
    """Give compact JSON in UTF-8."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def decode(frame: bytes) -> Any:
    """Read one JSON message; raises RpcError -32700 where it is not JSON."""
    try:
        return json.loads(frame)
    except ValueError:
        raise RpcError(PARSE_ERROR, "Parse error") from None


def result_message(request_id: str | int, result: Mapping[str, Any]) -> dict[str, Any]:
    """Give a JSON-RPC response that carries a result."""
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def error_message(request_id: str | int | None, error: RpcError) -> dict[str, Any]:
    """Give a JSON-RPC response that carries an error."""
    return {"jsonrpc": "2.0", "id": request_id, "error": error.to_error()}


def note_message(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Give a JSON-RPC notification."""
    return {"jsonrpc": "2.0", "method": method, "params": params}


def encode_reply(message: Mapping[str, Any], fault: Fault | None) -> bytes:
    """Encode a reply, spoiled where the fault is one of content; other faults leave it as it is."""
    match fault.kind if fault else None:
        case "garbage":
            return GARBAGE
        case "raw" if fault:
            return fault.text.replace("$ID", json.dumps(message["id"])).encode()
        case "oversized" | "gzip_bomb" if fault:
            bare = encode(_with_text(message, _MARK))
            return bare.replace(_MARK.encode(), b"x" * max(0, fault.size - len(bare) + len(_MARK)))
        case "invalid_utf8":
            return encode(_with_text(message, _MARK)).replace(_MARK.encode(), b"\xc3\x28\xff")
        case "deep" if fault:
            nest = b"[" * fault.size + b"]" * fault.size
            return encode(_with_member(message, _MARK)).replace(json.dumps(_MARK).encode(), nest)
        case "wrong_id":
            return encode({**message, "id": f"not-{message['id']}"})
        case _:
            return encode(message)


def endless_reply(request_id: str | int) -> Iterator[bytes]:
    """Give the start of a reply and then text for ever."""
    start = encode(result_message(request_id, {"content": [{"type": "text", "text": _MARK}]}))
    yield start.partition(_MARK.encode())[0]
    while True:
        yield _ENDLESS_PIECE


class Lines:
    """Carries one exchange as newline-delimited JSON.

    Args:
        whole: only whole frames can travel and there is no process behind, as in memory.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self._whole = whole

    def note(self, message: Mapping[str, Any]) -> bytes:
        """Give the bytes of a notification."""
        return encode(message) + b"\n"

    def reply(self, message: Mapping[str, Any], fault: Fault | None) -> Iterator[Effect]:
        """Give the effects that answer the request, or fail to."""
        if fault is not None and (fault.kind in HTTP_ONLY or (self._whole and fault.kind in STREAM_ONLY)):
            needs = "HTTP" if fault.kind in HTTP_ONLY else "stdio or HTTP"
            refusal = RpcError(INTERNAL_ERROR, f"fault {fault.kind!r} needs {needs}")
            message, fault = error_message(message["id"], refusal), None
        data = encode_reply(message, fault) + b"\n"
        match fault.kind if fault else None:
            case "crash" | "kill" | "close" as how:
                yield End(how)
            case "hang":
                yield Pause(None)
            case "truncated":
                yield Write(data[: len(data) // 2])
                yield End("crash")
            case "duplicate":
                yield Write(data)
                yield Write(data)
            case "drip" if fault:
                yield Write(data, fault.size, fault.seconds)
            case "endless":
                for piece in endless_reply(message["id"]):
                    yield Write(piece)
                    yield Pause(0)
            case _:
                yield Write(data)


def _with_text(message: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Add text to a reply where a client of its kind would read it."""
    result = message.get("result")
    if isinstance(result, Mapping) and isinstance(result.get("content"), list):
        content = [*result["content"], {"type": "text", "text": text}]
        return {**message, "result": {**result, "content": content}}
    return _with_member(message, text)


def _with_member(message: Mapping[str, Any], value: Any) -> dict[str, Any]:
    if "error" in message:
        return {**message, "error": {**message["error"], "data": value}}
    result = message["result"]
    if "content" in result:
        return {**message, "result": {**result, "structuredContent": value}}
    return {**message, "result": {**result, "_meta": {**result.get("_meta", {}), "padding": value}}}
