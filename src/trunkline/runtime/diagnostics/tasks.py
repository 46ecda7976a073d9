"""Codes of calls that became tasks."""

from __future__ import annotations

from trunkline.runtime.diagnostics.diagnostic import Diagnostic

DIAGNOSTICS = (
    Diagnostic(
        code="task_not_found",
        title="The server knows no task of this handle",
        causes=("The time for which it was kept is over.", "Another server made it."),
        fix="Start the call again, if its effect is not there.",
        command="trunkline task get HANDLE",
        example="the server knows no task 42",
    ),
    Diagnostic(
        code="task_lost",
        title="What became of a task is not known",
        causes=("Its server cannot be reached any more.",),
        fix="The task may still run; ask about it once the server is back.",
        command="trunkline task get HANDLE",
        example="what became of the task is not known: the server is gone",
    ),
    Diagnostic(
        code="task_expired",
        title="The server kept a task for too short a time to see its end",
        causes=("The task took longer than the server keeps tasks.",),
        fix="Check its effect before calling again.",
        example="the server kept the task for 60 s, and it had not ended by then",
    ),
    Diagnostic(
        code="task_cancelled",
        title="A task was cancelled, by whomever",
        causes=("Somebody cancelled it, or the server gave it up.",),
        fix="What it did before that is not known; check its effect before calling again.",
        example="the task was cancelled",
    ),
)
