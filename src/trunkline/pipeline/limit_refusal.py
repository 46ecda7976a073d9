"""What a call is told that may neither run nor wait: pure, words only."""

from __future__ import annotations

from typing import Literal, NamedTuple

from trunkline.errors import RejectedError

Whose = Literal["server", "tool"]
Refusal = Literal["rate_limited", "queue_full", "queue_timeout"]


class LimitFacts(NamedTuple):
    """How a limiter is doing when it turns a call away."""

    whose: Whose
    """Whose calls it holds back."""
    running: int
    waiting: int
    queue_timeout: float
    own: bool
    """Whether it is for what the call's principal has, and not for what all have."""


def refuse(code: Refusal, facts: LimitFacts, wait: float) -> RejectedError:
    """Give the error of a call that is turned away.

    Args:
        wait: seconds after which another one may have more luck.
    """
    message, hint = _WORDS[code](facts)
    return RejectedError(
        message,
        code=code,
        delivery="never_sent",
        retryable=True,
        retry_after=round(wait, 3),
        hint=f"{hint} of the {facts.whose} in trunkline.toml.",
    )


def _of_rate(facts: LimitFacts) -> tuple[str, str]:
    allows = "the rate of one principal allows" if facts.own else "its rate allows"
    key = "principal_rate" if facts.own else "rate"
    return (
        f"more calls of the {facts.whose} than {allows}",
        f"Call again when the time has passed, or raise `limit.{key}`",
    )


def _of_queue(facts: LimitFacts) -> tuple[str, str]:
    as_many = "and its principal has its share of those who may" if facts.own else "as many as may"
    return (
        f"{facts.running} calls of the {facts.whose} run and {facts.waiting} wait, {as_many}",
        "Call less at a time, or raise `limit.concurrency` or `limit.queue`",
    )


def _of_patience(facts: LimitFacts) -> tuple[str, str]:
    return (
        f"its turn at the {facts.whose} did not come within {facts.queue_timeout:g} s",
        "Call less at a time, or raise `limit.queue_timeout`",
    )


_WORDS = {"rate_limited": _of_rate, "queue_full": _of_queue, "queue_timeout": _of_patience}
