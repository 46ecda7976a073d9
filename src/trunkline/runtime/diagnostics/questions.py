"""Codes of questions that a server asks in the course of a call."""

from __future__ import annotations

from trunkline.runtime.diagnostics.diagnostic import Diagnostic

_LIMITS = "See `trunkline.HandlerLimits`; raise it for servers that you trust."

DIAGNOSTICS = (
    Diagnostic(
        code="elicitation_required",
        title="A person has to visit URLs before the server makes the call",
        causes=("It wants a login or a payment in the browser.",),
        fix="Visit the URLs that are named, then call again.",
        example="the server answered with error -32042: visit a URL first",
    ),
    Diagnostic(
        code="undeclared_input_request",
        title="The server asked for something that this client does not offer",
        causes=("The application has no handler for it.",),
        fix="Give `trunkline.Handlers` a function for it.",
        example="the server asked for elicitation/create: this client does not offer elicitation/create",
    ),
    Diagnostic(
        code="unknown_input_request",
        title="The server asked something that no revision of the protocol has",
        causes=("It uses an extension.", "It has a defect."),
        fix="If an extension defines it, give `trunkline.Handlers(requests={...})` a function for it.",
        example="the server asked for vendor/ask: this client does not know vendor/ask",
    ),
    Diagnostic(
        code="malformed_input_request",
        title="A question of the server breaks the protocol",
        causes=("The server has a defect.",),
        fix="Report it to the server's author.",
        example="the server asked for elicitation/create: it has no message",
    ),
    Diagnostic(
        code="declined",
        title="The application or its person said no",
        causes=("The person who was asked declined.",),
        fix="The call can be made again if the answer would be another one.",
        example="the server asked for sampling/createMessage: the user declined the sampling request",
    ),
    Diagnostic(
        code="handler_failed",
        title="The application's handler gave nothing that can be sent",
        causes=("The handler raised an error, took too long, or gave what does not fit.",),
        fix="Correct the handler given to `trunkline.Handlers`; the log shows its traceback.",
        example="the server asked for roots/list: this client could not answer",
    ),
    Diagnostic(
        code="too_many_prompts",
        title="The server asked too often during one call",
        causes=("It asks in a loop.",),
        fix=_LIMITS,
        example="the server asked for elicitation/create: it has asked often enough during this call",
    ),
    Diagnostic(
        code="too_many_questions",
        title="Too many questions of the server wait for an answer",
        causes=("It asks many at a time.",),
        fix=_LIMITS,
        example="the server asked for roots/list: too many of its questions wait for an answer",
    ),
    Diagnostic(
        code="sample_budget_spent",
        title="The server has had as many tokens generated as it may",
        causes=("It asks for long answers, or often.",),
        fix=_LIMITS,
        example="the server asked for sampling/createMessage: the token budget for this server is spent",
    ),
)
