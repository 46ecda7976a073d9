"""Replies as values of a type the caller names: `await trunk.call(..., as_=Weather)`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec

from trunkline.core.reply import Reply
from trunkline.errors import CallError, ProtocolError

_LONGEST = 300
_WRAPPER = "result"
"""The member that server frameworks put a result in that is no object, since older revisions want one."""


def check_type(wanted: Any) -> None:
    """Refuse what no reply can become, before anything is sent.

    Raises:
        TypeError: `wanted` is not a type that JSON can be converted to.
    """
    if not hasattr(wanted, "model_validate"):
        msgspec.json.Decoder(wanted, dec_hook=_convert_foreign)


def convert_reply(reply: Reply, wanted: Any) -> Any:
    """Give the value of a reply as an instance of a type.

    It is made from the structured content, else from the text read as JSON, else from the text itself.
    Text is what `str` gives, unless the structured content is a string.

    Args:
        wanted: a msgspec Struct, dataclass, TypedDict, named tuple, attrs or pydantic class, a builtin,
            or a generic or union of these.

    Raises:
        CallError: the tool reports a failure of its own; code `tool_error`.
        ProtocolError: the reply does not fit; code `unexpected_result`. Both carry `reply`.
    """
    if reply.is_error:
        raise _tool_error(reply)
    if wanted is str and not isinstance(reply.structured, str):
        return reply.text
    mismatches: list[str] = []
    for where, value in _readings(reply):
        try:
            return _convert(value, wanted)
        except ValueError as cause:
            mismatches.append(f"{where}{_describe(cause)}")
    raise _unexpected(reply, wanted, "; ".join(mismatches))


def _readings(reply: Reply) -> Iterator[tuple[str, Any]]:
    """Give what the reply may mean, likeliest first, and what to say of each that does not fit."""
    if reply.structured is None:
        text = reply.text
        with contextlib.suppress(msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            yield "", msgspec.json.decode(text)
        yield "as text: ", text
        return
    yield "", reply.structured
    if isinstance(reply.structured, dict) and set(reply.structured) == {_WRAPPER}:
        yield f"in `{_WRAPPER}`: ", reply.structured[_WRAPPER]


def _convert(value: Any, wanted: Any) -> Any:
    if hasattr(wanted, "model_validate"):
        return wanted.model_validate(value)
    return msgspec.convert(value, wanted, dec_hook=_convert_foreign)


def _convert_foreign(wanted: Any, value: Any) -> Any:
    if hasattr(wanted, "model_validate"):
        return wanted.model_validate(value)
    raise TypeError(f"a reply cannot become {_name(wanted)}")


def _tool_error(reply: Reply) -> CallError:
    error = CallError(
        f"the tool reports a failure: {_cut(reply.text)}",
        code="tool_error",
        delivery="answered",
        hint="The reply is `error.reply`; leave out `as_` to get it as a value.",
    )
    return _attach(error, reply)


def _unexpected(reply: Reply, wanted: Any, mismatch: str) -> CallError:
    error = ProtocolError(
        f"the reply is no {_name(wanted)}: {mismatch}",
        code="unexpected_result",
        delivery="answered",
        hint="The tool has run. The reply is `error.reply`; correct the type, or ask the server's author.",
    )
    return _attach(error, reply)


def _attach(error: CallError, reply: Reply) -> CallError:
    error.reply = reply
    error.complete(
        call_id=reply.call_id,
        server=reply.server,
        tool=reply.tool,
        attempts=reply.attempts,
        elapsed=reply.elapsed,
        stderr="",
    )
    return error


def _describe(cause: ValueError) -> str:
    """Say what does not fit and where; pydantic tells the path apart from its text."""
    problems = getattr(cause, "errors", None)
    if not callable(problems):
        return _cut(str(cause))
    first = problems()[0]
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
    return _cut(f"{first['msg']} - at `${path}`")


def _name(wanted: Any) -> str:
    return wanted.__qualname__ if isinstance(wanted, type) else str(wanted)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
