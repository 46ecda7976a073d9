"""What is asked about a task, and what its end means for the call that became it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.core.task import Task
from trunkline.errors import CallError, NotFoundError, OutcomeUnknownError, ProtocolError, ServerError
from trunkline.protocol.eras import INTERNAL_ERROR
from trunkline.telemetry.escape import escape_text


def request_about(call: Call, task: Task, method: str, **params: Any) -> Call:
    """Give the request of a method about a task that a call became."""
    return replace(
        call,
        method=method,
        name=task.id,
        arguments={},
        params={"taskId": task.id, **params},
        any_result=True,
        augment=False,
        headers={},
    )


def result_of(polled: Reply, task: Task) -> Reply:
    """Give the reply of a completed task: its result, as the tool call would have given it.

    Raises:
        ProtocolError: it has none, or one that is again a task or a question.
    """
    result = polled.raw.get("result")
    if not isinstance(result, Mapping) or result.get("resultType", "complete") != "complete":
        raise broken("the server says that the task is completed and gave no result", task)
    return replace(polled, raw=result)


def failed(error: object, task: Task) -> CallError:
    """Tell a task that failed: with a JSON-RPC error, as the call itself would have."""
    members = error if isinstance(error, Mapping) else {}
    code, message = members.get("code"), members.get("message") or task.message or "no reason was given"
    number = code if type(code) is int else INTERNAL_ERROR
    return ServerError(
        f"the task failed with error {number}: {escape_text(str(message))}",
        rpc_code=number,
        rpc_message=str(message),
        data=members.get("data"),
        server=task.server,
        delivery="answered",
    )


def cancelled(task: Task) -> CallError:
    """Tell a task that was cancelled, by whomever."""
    why = f" ({escape_text(task.message)})" if task.message else ""
    return OutcomeUnknownError(
        f"the task was cancelled{why}",
        code="task_cancelled",
        server=task.server,
        delivery="answered",
        hint="What the tool did before that is not known; check its effect before calling again.",
    )


def expired(task: Task) -> CallError:
    """Tell a task that its server did not keep long enough."""
    return OutcomeUnknownError(
        f"the server kept the task for {(task.ttl_ms or 0) / 1000:g} s, and it had not ended by then",
        code="task_expired",
        server=task.server,
        hint="The tool may have run; check its effect before calling again.",
    )


def not_found(task: Task, *, running: bool) -> CallError:
    """Tell that a server knows no such task, or none that runs."""
    return NotFoundError(
        f"the server knows no {'running ' * running}task {task.id}",
        code="task_not_found",
        server=task.server,
        delivery="answered",
        hint="The time for which it was kept may be over, or another server made it.",
    )


def lost(cause: CallError, task: Task) -> CallError:
    """Tell a task that cannot be followed any more."""
    error = OutcomeUnknownError(
        f"what became of the task is not known: {cause.message}",
        code="task_lost",
        server=task.server,
        status=cause.status,
        hint="The task may still run; `trunkline task get` asks about it.",
    )
    error.__cause__ = cause
    return error


def broken(message: str, task: Task, code: str = "malformed_answer") -> ProtocolError:
    """Tell what breaks the protocol; what became of the task is not known."""
    return ProtocolError(
        message,
        code=code,
        server=task.server,
        delivery="unknown",
        hint="The tool may have run; report the malformed answer to the server's author.",
    )
