"""Multi-round-trip requests: what a server wants to know first, and the members that carry the answers.

Pure. A request is repeated with a new id, the same params, the answers of the round just ended, and the
`requestState` of that round as the very bytes in which it came; nothing is kept for any other request
(specification 2026-07-28, basic/patterns/mrtr, "Client Requirements").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import msgspec
from msgspec import UNSET, UnsetType

INPUT_REQUIRED = "input_required"
METHODS = frozenset({"tools/call", "prompts/get", "resources/read"})
"""The requests that may be answered so; for any other it breaks the protocol."""
_MOST_QUESTIONS = 64
_encoder = msgspec.json.Encoder()


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One input request."""

    method: str
    params: Any = None


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What one `input_required` result asks. The state never shows in a repr."""

    questions: Mapping[str, Question]
    """By the server's key, in the order in which they came."""
    state: msgspec.Raw | UnsetType = UNSET
    """`requestState` as JSON, or UNSET where there was none."""

    def __repr__(self) -> str:
        return f"Round({', '.join(self.questions)})"


class MalformedRoundError(Exception):
    """The result asks for nothing that can be given, in words that follow "the server"."""


def wants_input(result: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a result asks for more, instead of being one."""
    return isinstance(result, dict) and result.get("resultType") == INPUT_REQUIRED


def read_round(result: Mapping[str, Any]) -> Round:
    """Read an `input_required` result.

    Raises:
        MalformedRoundError: it has neither input requests nor a state, or they break the protocol.
    """
    asked = result.get("inputRequests", {})
    state = result.get("requestState", UNSET)
    if not isinstance(asked, dict):
        raise MalformedRoundError("asked for input in a form that is no object")
    if not asked and state is UNSET:
        raise MalformedRoundError("asked for input without saying which")
    if len(asked) > _MOST_QUESTIONS:
        raise MalformedRoundError(f"asked for more than {_MOST_QUESTIONS} inputs at once")
    questions = {key: _read_question(key, value) for key, value in asked.items()}
    if not isinstance(state, msgspec.Raw | UnsetType):
        state = msgspec.Raw(_encoder.encode(state))
    return Round(questions=questions, state=state)


def continue_with(asked: Round, answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Give the members that the repeated request's params need besides its own, in the round's order.

    Args:
        answers: a result for each question of the round.
    """
    members: dict[str, Any] = {}
    if asked.questions:
        members["inputResponses"] = {key: answers[key] for key in asked.questions}
    if asked.state is not UNSET:
        members["requestState"] = asked.state
    return members


def _read_question(key: str, value: object) -> Question:
    method = value.get("method") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(method, str):
        raise MalformedRoundError(f"asked for the input {key[:60]!r} without a method")
    return Question(method=method, params=value.get("params"))
