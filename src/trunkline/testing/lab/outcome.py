"""What came of one scenario with one client."""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["pass", "wrong", "hangs", "dies"]
"""Passed; told what is not so, or did too little or too much; never came back; came back and never works."""


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """One client that took part."""

    name: str
    version: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one scenario with one client."""

    scenario: str
    family: str | None
    """`legacy` or `modern`: what the servers spoke; None where it makes no difference."""
    client: str
    verdict: Verdict
    reason: str
    """In one sentence, why it did not pass; empty if it did."""
    seen: tuple[str, ...]
    """What happened, step by step."""
    seconds: float


class Judged(Exception):  # noqa: N818 - it ends a scenario, and is no error of the lab
    """A scenario is over, because the client has shown what it does."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(verdict, reason)
        self.verdict: Verdict = verdict
        self.reason = reason
