"""Exit codes: one row of the table per test case, and none forgotten."""

from __future__ import annotations

import pytest

import trunkline.errors
from trunkline.cli.exits import InterruptedRunError, UsageError, exit_code
from trunkline.errors import (
    AmbiguousNameError,
    AuthorizationRequiredError,
    CallError,
    ConfigError,
    DeadlineExceededError,
    DeniedError,
    ElicitationRequiredError,
    InvalidArgumentsError,
    LeaseLostError,
    NotFoundError,
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    ServerError,
    TrunklineError,
    UnavailableError,
)

ROWS = [
    (RuntimeError("x"), 1),
    (TrunklineError("x"), 1),
    (UsageError("x"), 2),
    (ConfigError("x"), 2),
    (InvalidArgumentsError("x"), 2),
    (AuthorizationRequiredError("x"), 3),
    (UnavailableError("x"), 4),
    (LeaseLostError("x"), 4),
    (RejectedError("x"), 4),
    (NotFoundError("x"), 5),
    (AmbiguousNameError("x", candidates=()), 5),
    (ServerError("x", rpc_code=-32000, rpc_message="x"), 5),
    (ElicitationRequiredError("x", rpc_code=-32042, rpc_message="x"), 5),
    (DeniedError("x"), 6),
    (DeadlineExceededError("x"), 7),
    (DeadlineExceededError("x", delivery="unknown"), 7),
    (OutcomeUnknownError("x"), 7),
    (ProtocolError("x", delivery="answered"), 1),
    (ProtocolError("x", delivery="never_sent"), 1),
    (ProtocolError("x", delivery="unknown"), 7),
    (InterruptedRunError("x"), 130),
    (KeyboardInterrupt(), 130),
]


@pytest.mark.parametrize(("error", "code"), ROWS, ids=lambda value: repr(value))
def test_each_kind_of_failure_has_its_exit_code(error: BaseException, code: int) -> None:
    assert exit_code(error) == code


def test_every_error_a_call_can_raise_has_a_row() -> None:
    kinds = {
        kind
        for kind in vars(trunkline.errors).values()
        if isinstance(kind, type) and issubclass(kind, CallError)
    }
    assert kinds - {CallError} <= {type(error) for error, _ in ROWS}


@pytest.mark.parametrize(
    ("cause", "code"),
    [(ConfigError("x"), 2), (AuthorizationRequiredError("x"), 3), (ProtocolError("x"), 4), (None, 4)],
)
def test_a_server_that_is_down_tells_why_by_its_exit_code(cause: Exception | None, code: int) -> None:
    error = UnavailableError("x")
    error.__cause__ = cause
    assert exit_code(error) == code
