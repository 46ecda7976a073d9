"""JSON-RPC 2.0 frames: bytes to values and back.

One parser serves every caller. A frame that cannot be used becomes a `Broken` that still names the
request it answers where that can be read, so that one bad frame fails one call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from trunkline.core.limits import Limits
from trunkline.protocol.eras import META_LOG_LEVEL
from trunkline.protocol.limits import LimitExceeded, check_shape
from trunkline.protocol.rounds import INPUT_REQUIRED

RequestId = int | str


class RpcError(msgspec.Struct, frozen=True, kw_only=True):
    """The `error` member of a response."""

    code: int
    message: str = ""
    data: Any = None


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One incoming message: a response, a request or a notification."""

    id: RequestId | UnsetType | None = UNSET
    method: str | UnsetType = UNSET
    params: Any = UNSET
    result: Any = UNSET
    error: RpcError | UnsetType = UNSET


class _State(msgspec.Struct):
    requestState: msgspec.Raw | UnsetType = UNSET  # noqa: N815 - the protocol's spelling


class _StateFrame(msgspec.Struct):
    result: _State


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """An incoming frame that cannot be used."""

    reason: str
    id: RequestId | None = None
    """The request it answers, where that could be read."""
    array: bytes | None = None
    """The frame itself where it is an array, which is no message but in a revision that has batches."""


_decoder = msgspec.json.Decoder(Frame)
_state_decoder = msgspec.json.Decoder(_StateFrame)
_batch_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_id_decoder: msgspec.json.Decoder[RequestId] = msgspec.json.Decoder(RequestId)
_encoder = msgspec.json.Encoder()
_LOG_LEVEL = b',"' + META_LOG_LEVEL.encode() + b'":"%s"'
_NOTHING: Mapping[str, str] = {}
IN_AN_ARRAY = "it came in an array, which no revision but 2025-03-26 has"
"""Why an answer is none that came in a batch where there are no batches."""
_ARRAY = re.compile(rb"\s*\[")
_ID_AT_START = re.compile(
    rb'\s*\{(?:\s*"jsonrpc"\s*:\s*"2\.0"\s*,)?\s*"id"\s*:\s*(-?\d+|"(?:[^"\\]|\\.)*")\s*[,}]'
)
_ID_AT_END = re.compile(
    rb'[}\]"\dels]\s*,\s*"id"\s*:\s*(-?\d+|"(?:[^"\\]|\\.)*")\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*\Z'
)
_METHOD_AT_START = re.compile(
    rb'\s*\{(?:\s*"(?:jsonrpc|id)"\s*:\s*(?:-?\d+|"(?:[^"\\]|\\.)*")\s*,)*\s*"method"\s*:\s*"'
)
_METHOD_AT_END = re.compile(rb'"method"\s*:\s*"(?:[^"\\]|\\.)*"\s*,\s*"id"\s*:[^,:}]*\}\s*\Z')


def decode_frame(data: bytes, limits: Limits) -> Frame | Broken:
    """Decode one message; never raises."""
    try:
        check_shape(data, limits)
        frame = _decoder.decode(data)
        result = frame.result
        if result.__class__ is dict and result.get("resultType") == INPUT_REQUIRED:
            _keep_state(data, result)
        return frame
    except LimitExceeded as over:
        return Broken(reason=f"the message {over}", id=recover_id(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        reason = f"the message is not valid JSON-RPC ({cause})"
        if _ARRAY.match(data):
            return Broken(reason=reason, array=data)
        return Broken(reason=reason, id=recover_id(data))


def _keep_state(data: bytes, result: dict[str, Any]) -> None:
    """Keep `requestState` as it was written: it is echoed byte for byte, and decoding may change it."""
    state = _state_decoder.decode(data).result.requestState
    if state is not UNSET:
        result["requestState"] = state.copy()


def decode_frames(
    data: bytes, limits: Limits, *, batches: bool = True
) -> Iterable[tuple[Frame | Broken, int]]:
    """Decode a message or a batch of them, each when it is asked for, with its bytes; never raises.

    A message of a batch that cannot be used leaves the others alone. Source: specification 2025-03-26,
    basic/index, "Batching".

    Args:
        batches: whether the era has them; where it has not, an array is no message.
    """
    if not (batches and data.lstrip()[:1] == b"["):
        return ((decode_frame(data, limits), len(data)),)
    return _decode_batch(data, limits)


def _decode_batch(data: bytes, limits: Limits) -> Iterator[tuple[Frame | Broken, int]]:
    try:
        # How deep a message nests is checked for each; how many there are, before there are any.
        if data.count(b",") >= limits.nodes:
            check_shape(data, limits)
        parts = _batch_decoder.decode(data)
    except (LimitExceeded, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        yield Broken(reason=f"the batch is not valid JSON-RPC ({cause})"), len(data)
        return
    for part in parts:
        yield decode_frame(one := bytes(part), limits), len(one)


def recover_id(data: bytes, tail: bytes | None = None) -> RequestId | None:
    """Read the id of a response whose body cannot be decoded, from its first or last members only.

    Looks at the edges of the frame, where an id belongs to the envelope and not to the payload. The id
    of a request is the server's own and never given.

    Args:
        data: the frame, or its beginning.
        tail: the end of the frame, when `data` is only its beginning.
    """
    end = data if tail is None else tail
    if _METHOD_AT_START.match(data[:1024]) or _METHOD_AT_END.search(end[-1024:]):
        return None
    match = _ID_AT_START.match(data[:1024]) or _ID_AT_END.search(end[-1024:])
    if match is None:
        return None
    try:
        return _id_decoder.decode(match[1])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class Encoder:
    """Encodes what one connection sends; the era's `_meta` members are encoded once."""

    def __init__(self, meta: Mapping[str, object]) -> None:
        encoded = _encoder.encode(dict(meta))
        self._meta_tail = b"," + encoded[1:] if meta else b"}"
        self._meta = encoded if meta else None

    def call_tool(
        self,
        request_id: int,
        name: str,
        arguments: Mapping[str, Any],
        *,
        log_level: str | None = None,
        trace: Mapping[str, str] = _NOTHING,
        more: Mapping[str, Any] = _NOTHING,
    ) -> bytes:
        """Encode `tools/call`, asking for progress under the request's own id.

        Args:
            log_level: ask for log messages too, where the era lets a request do so.
            trace: members of `_meta` that let the server continue a trace (SEP-414); mostly empty.
            more: further members of the params, such as the answers of a round.

        Raises:
            TypeError: an argument is not JSON.
        """
        number = b"%d" % request_id
        return b"".join(
            (
                b'{"jsonrpc":"2.0","id":',
                number,
                b',"method":"tools/call","params":{"name":',
                _encoder.encode(name),
                b',"arguments":',
                _encoder.encode(arguments),
                b"," + _encoder.encode(more)[1:-1] if more else b"",
                b',"_meta":{"progressToken":',
                number,
                b"" if log_level is None or self._meta is None else _LOG_LEVEL % log_level.encode(),
                b"," + _encoder.encode(trace)[1:-1] if trace else b"",
                self._meta_tail,
                b"}}",
            )
        )

    def request(
        self,
        request_id: int,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        progress: bool = False,
        log_level: str | None = None,
        trace: Mapping[str, str] = _NOTHING,
    ) -> bytes:
        """Encode any request; members of `_meta` in `params` are kept beside the era's own.

        Args:
            progress: ask for progress under the request's own id.
            log_level, trace: as in `call_tool`.

        Raises:
            TypeError: a parameter is not JSON.
        """
        own: dict[str, Any] = {"progressToken": request_id} if progress else {}
        if log_level is not None and self._meta is not None:
            own[META_LOG_LEVEL] = log_level
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": request_id, "method": method}
        if (complete := self._with_meta(params, {**own, **trace})) is not None:
            message["params"] = complete
        return _encoder.encode(message)

    def _with_meta(
        self, params: Mapping[str, Any] | None, own: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        if self._meta is None and not own:
            return params
        given = (params or {}).get("_meta") or {}
        era_meta = {} if self._meta is None else msgspec.json.decode(self._meta)
        return {**(params or {}), "_meta": {**given, **own, **era_meta}}


def encode_notification(method: str, params: Mapping[str, Any] | None = None) -> bytes:
    """Encode a notification."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        message["params"] = params
    return _encoder.encode(message)


def encode_result(request_id: RequestId, result: Mapping[str, Any]) -> bytes:
    """Encode the answer to a legacy server's request."""
    return _encoder.encode({"jsonrpc": "2.0", "id": request_id, "result": result})


def encode_error(request_id: RequestId, code: int, message: str) -> bytes:
    """Encode the refusal of a legacy server's request."""
    return _encoder.encode({"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}})
