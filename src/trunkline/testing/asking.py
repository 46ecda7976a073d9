"""Questions that a fake server's tools put to the client: forms, URLs, sampling, roots, in both families.

A legacy tool sends a request and waits for the response; a modern one answers `input_required` and is
called again. Sans-IO, like the exchange that plays it.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.testing.effects import Await, Effect, Write
from trunkline.testing.eras import INVALID_PARAMS, family
from trunkline.testing.script import Result, RpcError

if TYPE_CHECKING:
    from trunkline.testing.exchange import Exchange

Answers = Mapping[str, Mapping[str, Any]]
"""What the client answered, by key: the result, or `{"error": {...}}` of a legacy response."""


class Ask(NamedTuple):
    """One question to the client."""

    key: str
    """Names it among the questions of its tool."""
    method: str
    params: Mapping[str, Any] = {}

    @classmethod
    def form(cls, key: str, message: str, schema: Mapping[str, Any]) -> Ask:
        """Ask a person to fill in a form, given the properties of its fields or a whole schema."""
        whole = schema if schema.get("type") == "object" else _object(schema)
        return cls(key, "elicitation/create", {"mode": "form", "message": message, "requestedSchema": whole})

    @classmethod
    def visit(cls, key: str, message: str, url: str, elicitation_id: str | None = None) -> Ask:
        """Ask a person to visit a URL."""
        named = {} if elicitation_id is None else {"elicitationId": elicitation_id}
        return cls(key, "elicitation/create", {"mode": "url", "message": message, "url": url, **named})

    @classmethod
    def sample(cls, key: str, text: str, *, max_tokens: int = 100, **params: Any) -> Ask:
        """Ask for a model's answer to one message; `params` are further members as on the wire."""
        message = {"role": "user", "content": {"type": "text", "text": text}}
        return cls(key, "sampling/createMessage", {"messages": [message], "maxTokens": max_tokens, **params})

    @classmethod
    def roots(cls, key: str = "roots") -> Ask:
        """Ask for the client's roots."""
        return cls(key, "roots/list")


Rounds = tuple[tuple[Ask, ...], ...]


class InputRequired(Exception):  # noqa: N818 - not a failure: the answer is that there is more to ask
    """A modern tool's function asked something the client has not answered yet."""

    def __init__(self, asks: Sequence[Ask], answered: Answers) -> None:
        super().__init__()
        self.result = ask_modern(asks, answered)


def as_rounds(asks: Sequence[Ask | Sequence[Ask]]) -> Rounds:
    """Read `asks` of a script: questions of one round, or a list of rounds."""
    if not asks:
        return ()
    if all(isinstance(one, Ask) for one in asks):
        return (tuple(one for one in asks if isinstance(one, Ask)),)
    return tuple(tuple(Ask(*one) for one in round_) for round_ in asks)


def play_asks(exchange: Exchange, rounds: Rounds) -> Generator[Effect, Any, Answers | Result]:
    """Ask everything a scripted tool asks; give the answers, or the result that asks for them."""
    if not rounds:
        return {}
    if family(exchange.request.version or "") == "legacy":
        answers: dict[str, Mapping[str, Any]] = {}
        for asks in rounds:
            answers |= yield from ask_legacy(exchange, asks)
        return answers
    answered = read_answers(exchange.request.params)
    for asks in rounds:
        if missing := [ask for ask in asks if ask.key not in answered]:
            return ask_modern(missing, answered)
    return answered


def ask_legacy(exchange: Exchange, asks: Sequence[Ask]) -> Generator[Effect, Any, Answers]:
    """Send every question as a request, then wait for each response."""
    numbers = [exchange.conversation.number_request() for _ in asks]
    for number, ask in zip(numbers, asks, strict=True):
        yield Write(write_question(exchange, number, ask))
    answers = {}
    for number, ask in zip(numbers, asks, strict=True):
        response = yield Await(number)
        answers[ask.key] = read_response(response)
    return answers


def ask_modern(asks: Sequence[Ask], answered: Answers) -> Result:
    """Give the result that asks, with everything answered so far in its state."""
    questions = {
        ask.key: {"method": ask.method, **({"params": dict(ask.params)} if ask.params else {})}
        for ask in asks
    }
    state = json.dumps({"answered": answered})
    return Result(resultType="input_required", inputRequests=questions, requestState=state)


def write_question(exchange: Exchange, number: str, ask: Ask) -> bytes:
    """Give the bytes of a legacy request to the client; raises RpcError where none can be carried."""
    data = exchange.carrier.note(request_message(number, ask))
    if not data:
        raise RpcError(INVALID_PARAMS, "a JSON body carries no questions; serve with json=False")
    return data


def request_message(number: str, ask: Ask) -> dict[str, Any]:
    """Give a JSON-RPC request that asks."""
    params = {"params": dict(ask.params)} if ask.params else {}
    return {"jsonrpc": "2.0", "id": number, "method": ask.method, **params}


def read_response(response: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the answer in a JSON-RPC response: its result, or its error as a member."""
    return response["result"] if "result" in response else {"error": response.get("error")}


def read_answers(params: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Give what a modern request answers, this time and before; raises RpcError for a state not ours."""
    state = params.get("requestState")
    try:
        kept = {} if state is None else json.loads(state)["answered"]
    except (ValueError, TypeError, KeyError):
        raise RpcError(INVALID_PARAMS, "requestState is not what was given") from None
    return {**kept, **params.get("inputResponses", {})}


def required_error(*visits: Ask, message: str = "This request requires more information.") -> RpcError:
    """Give the error with which a 2025-11-25 server makes a call wait for visits to URLs (-32042)."""
    return RpcError(-32042, message, {"elicitations": [dict(one.params) for one in visits]})


def _object(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(fields), "required": list(fields)}
