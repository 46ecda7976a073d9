"""The table of what may be repeated, one test for each cell."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.errors import (
    AuthorizationRequiredError,
    CallError,
    DeadlineExceededError,
    DeniedError,
    InvalidArgumentsError,
    LeaseLostError,
    NotFoundError,
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    ServerError,
    UnavailableError,
)
from trunkline.pipeline.verdict import READS, Safety, Verdict, is_throttled, may_repeat, safety_of


def answered(code: int = -32603) -> ServerError:
    return ServerError("it failed", rpc_code=code, rpc_message="it failed")


CELLS: list[tuple[str, CallError, Verdict, Verdict, Verdict]] = [
    # failure, error, what it means for: read, repeatable, once
    ("connection refused", UnavailableError("refused", code="connect_failed"), *("again",) * 3),
    ("server lost before sending", UnavailableError("lost", code="lost"), *("again",) * 3),
    ("breaker open", RejectedError("open", code="breaker_open"), *("elsewhere",) * 3),
    ("queue full", RejectedError("full", code="queue_full"), *("elsewhere",) * 3),
    ("bad arguments", InvalidArgumentsError("no"), *("never",) * 3),
    ("not found", NotFoundError("no"), *("never",) * 3),
    ("denied", DeniedError("no"), *("never",) * 3),
    ("deadline before sending", DeadlineExceededError("late", delivery="never_sent"), *("never",) * 3),
    ("lease lost", LeaseLostError("gone"), *("never",) * 3),
    ("command not found", UnavailableError("no", retryable=False), *("never",) * 3),
    ("HTTP 401", AuthorizationRequiredError("who?", status=401), *("never",) * 3),
    (
        "HTTP 429 with Retry-After",
        RejectedError("busy", status=429, retry_after=1.0, delivery="refused"),
        *("again", "again", "once_more"),
    ),
    (
        "HTTP 503 with Retry-After",
        UnavailableError("busy", status=503, retry_after=1.0, delivery="refused"),
        *("again", "again", "once_more"),
    ),
    (
        "HTTP 429 without Retry-After",
        RejectedError("busy", status=429, delivery="unknown", retryable=False),
        *("again", "again", "never"),
    ),
    ("bare HTTP 502", OutcomeUnknownError("bad gateway", status=502), "again", "again", "never"),
    ("reset after sending", OutcomeUnknownError("lost"), "again", "again", "never"),
    ("deadline after sending", DeadlineExceededError("late", delivery="unknown"), *("never",) * 3),
    ("malformed answer", ProtocolError("bad", code="malformed_answer"), "once_more", "once_more", "never"),
    ("answer too large", ProtocolError("big", code="answer_too_large"), "once_more", "once_more", "never"),
    ("method not found", answered(-32601), *("never",) * 3),
    ("internal error of the server", answered(), *("never",) * 3),
]


@pytest.mark.parametrize("cell", CELLS, ids=[cell[0] for cell in CELLS])
@pytest.mark.parametrize(("safety", "column"), [("read", 2), ("repeatable", 3), ("once", 4)])
def test_each_cell_of_the_table(cell: tuple[Any, ...], safety: Safety, column: int) -> None:
    assert may_repeat(cell[1], safety) == cell[column]


def test_a_code_that_policy_names_is_repeated_where_that_is_safe() -> None:
    error = answered()
    assert may_repeat(error, "read", ("server_error",)) == "again"
    assert may_repeat(error, "once", ("server_error",)) == "never"
    rejected = RejectedError("open", code="breaker_open")
    assert may_repeat(rejected, "once", ("breaker_open",)) == "again"


@pytest.mark.parametrize("method", sorted(READS))
def test_what_only_reads_by_the_protocol_needs_no_trust(method: str) -> None:
    assert safety_of(method, {}, trusted=False) == "read"


@pytest.mark.parametrize("method", ["tasks/cancel", "resources/subscribe", "x/own", "notifications/x"])
def test_any_other_method_happens_once(method: str) -> None:
    assert safety_of(method, {"readOnlyHint": True}, trusted=True) == "once"


@pytest.mark.parametrize(
    ("annotations", "trusted", "policy", "safety"),
    [
        ({}, True, {}, "once"),
        ({"readOnlyHint": True}, True, {}, "read"),
        ({"readOnlyHint": True}, False, {}, "once"),
        ({"idempotentHint": True}, True, {}, "repeatable"),
        ({"idempotentHint": True, "destructiveHint": True}, True, {}, "repeatable"),
        ({"idempotentHint": True}, False, {}, "once"),
        ({"readOnlyHint": True, "destructiveHint": True}, True, {}, "once"),
        ({"readOnlyHint": True, "destructiveHint": True, "idempotentHint": True}, True, {}, "once"),
        ({"readOnlyHint": "true"}, True, {}, "once"),
        ({"readOnlyHint": 1}, True, {}, "once"),
        ({}, False, {"read_only": True}, "read"),
        ({}, False, {"idempotent": True}, "repeatable"),
        ({"readOnlyHint": True}, True, {"idempotent": True}, "read"),
    ],
)
def test_hints_count_where_they_are_trusted_and_agree(
    annotations: dict[str, Any], trusted: bool, policy: dict[str, bool], safety: Safety
) -> None:
    assert safety_of("tools/call", annotations, trusted=trusted, **policy) == safety


def test_what_asks_to_come_back_later_is_throttled() -> None:
    assert is_throttled(RejectedError("busy", status=429))
    assert is_throttled(UnavailableError("busy", retry_after=0.0))
    assert not is_throttled(OutcomeUnknownError("bad gateway", status=502))
    assert not is_throttled(CallError("x"))
