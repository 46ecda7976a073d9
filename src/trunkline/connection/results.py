"""From a response to its result: what is an error, or no result of the type asked for, is raised."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from trunkline.connection.meanings import advise_on
from trunkline.errors import ProtocolError, ServerError
from trunkline.protocol.eras import REFUSING_CODES
from trunkline.protocol.frames import Frame
from trunkline.protocol.tasks import TASK
from trunkline.telemetry.escape import escape_start


def read_result(
    frame: Frame, server: str, name: str, *, any_type: bool = False, may_be_task: bool = False
) -> dict[str, Any]:
    """Give the result in a response.

    Args:
        any_type: give a result of any `resultType`, for extensions.
        may_be_task: the request is one that may be answered with a task; for any other that is an error.

    Raises:
        ServerError: it holds an error.
        ProtocolError: it holds no result of a type that was asked for.
    """
    if frame.error is not UNSET:
        error = frame.error
        raise ServerError(
            f"the server answered with error {error.code}: {escape_start(error.message)}",
            rpc_code=error.code,
            rpc_message=error.message,
            data=error.data,
            server=server,
            delivery="refused" if error.code in REFUSING_CODES else "answered",
            hint=advise_on(error.code, server),
        )
    if not isinstance(frame.result, dict):
        raise _bad_result(server, f"the result of {name!r} is not an object")
    if not any_type and (kind := frame.result.get("resultType", "complete")) != "complete":
        if may_be_task and kind == TASK:
            return frame.result
        raise _bad_result(server, f"the result of {name!r} has the type {kind!r}, which was not asked for")
    return frame.result


def _bad_result(server: str, message: str) -> ProtocolError:
    return ProtocolError(
        message,
        code="malformed_answer",
        server=server,
        delivery="answered",
        hint="The tool may have run; report the malformed answer to the server's author.",
    )
