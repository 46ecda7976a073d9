"""The application's handlers as one server meets them: a question goes in, a result fit to send comes out.

One rule holds: what is over a limit, unsafe, or does not fit is settled here, before a person, a model
or the server sees it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from trunkline.connection.eliciting import (
    DECLINED,
    Objection,
    object_to_credentials,
    read_question,
    write_answer,
)
from trunkline.connection.refusal import declined, failed, malformed, not_offered, over_limit, unknown
from trunkline.connection.sampling import read_sample, read_sampled, write_roots, write_sampled
from trunkline.connection.tally import Source, Tally
from trunkline.connection.workers import BusyError, Workers
from trunkline.core.handlers import Handlers
from trunkline.telemetry.escape import escape_text

logger = logging.getLogger("trunkline.connection")

ELICIT = "elicitation/create"
SAMPLE = "sampling/createMessage"
ROOTS = "roots/list"
DURING_CALLS = frozenset({ELICIT, SAMPLE})
"""Asked of a person or a model: only in the course of a call, and only so often."""


class Answers:
    """Answers the questions of one server, over all its connections.

    Attributes:
        handlers: what the application offers.
        asks_people: whether a person or model may be asked in the course of a call.
        tally: how often the calls in flight led to questions.
        spent: tokens granted of `limits.sample_tokens`.
    """

    def __init__(self, server: str, handlers: Handlers) -> None:
        self._server = server
        self.handlers = handlers
        self.asks_people = handlers.elicit is not None or handlers.sample is not None
        self.tally = Tally(handlers.limits.prompts)
        self.spent = 0
        self._workers = Workers(handlers.limits.concurrency)

    def offers(self, method: str) -> bool:
        """Whether the application puts such questions to its person or model."""
        handlers = self.handlers
        return (method == ELICIT and handlers.elicit is not None) or (
            method == SAMPLE and handlers.sample is not None
        )

    async def answer(self, method: str, params: object, source: Source) -> Mapping[str, Any]:
        """Give the result of one question; the calls it belongs to are not idle meanwhile.

        Raises:
            RefusalError: there is none.
        """
        if params is None:
            params = {}
        if not isinstance(params, Mapping):
            raise malformed("its `params` are not an object")
        with self.attending(source):
            match method:
                case "elicitation/create":
                    return await self.elicit(params, source)
                case "sampling/createMessage":
                    return await self._sample(params, source)
                case "roots/list":
                    return await self._list_roots()
                case _:
                    return await self._answer_other(method, params)

    async def elicit(self, params: Mapping[str, Any], source: Source) -> Mapping[str, Any]:
        """Give the result of one `elicitation/create`; what nobody should be asked is declined.

        Raises:
            RefusalError: it cannot be asked, or the answer cannot be sent.
        """
        handlers = self.handlers
        if handlers.elicit is None:
            raise not_offered(ELICIT)
        if (mode := params.get("mode", "form")) in ("form", "url") and mode not in handlers.elicit_modes:
            raise malformed(f"this client does not offer the mode {mode!r}")
        self._charge(source)
        try:
            question = read_question(self._server, params, source.tool)
            if not handlers.allow_credentials:
                object_to_credentials(question)
        except Objection as objection:
            self._log(logging.WARNING, f"declined what it asked the user: {objection}")
            return DECLINED
        return write_answer(question, await self._run(handlers.elicit, question))

    @contextmanager
    def attending(self, source: Source) -> Iterator[None]:
        """Let the calls of a question wait for us, not for their server: their idle deadline stands still."""
        for flight in source.flights:
            flight.answering += 1
            flight.plain = False
        try:
            yield
        finally:
            now = asyncio.get_running_loop().time()
            for flight in source.flights:
                flight.answering -= 1
                flight.activity = max(flight.activity, now)

    async def _sample(self, params: Mapping[str, Any], source: Source) -> Mapping[str, Any]:
        handlers = self.handlers
        if handlers.sample is None:
            raise not_offered(SAMPLE)
        if (params.get("tools") or "toolChoice" in params) and not handlers.sample_tools:
            raise malformed("this client does not offer tools in sampling")
        request = read_sample(self._server, params, source.tool)
        self._charge(source)
        if self.spent + request.max_tokens > handlers.limits.sample_tokens:
            raise over_limit(
                "the token budget for this server is spent",
                "sample_budget_spent",
                "Raise `HandlerLimits.sample_tokens` if the server may have more generated.",
            )
        self.spent += request.max_tokens
        given = await self._run(handlers.sample, request)
        if given is None:
            self.spent -= request.max_tokens
            raise declined("the sampling request")
        result = read_sampled(given)
        if result.tokens is not None:
            self.spent -= request.max_tokens - min(max(result.tokens, 0), request.max_tokens)
        return write_sampled(result)

    async def _list_roots(self) -> Mapping[str, Any]:
        if self.handlers.roots is None:
            raise not_offered(ROOTS)
        return write_roots(await self._run(self.handlers.roots, self._server))

    async def _answer_other(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        if (function := self.handlers.requests.get(method)) is None:
            raise unknown(method)
        result = await self._run(function, self._server, params)
        if not isinstance(result, Mapping):
            raise failed(f"the handler of {method} gave no mapping")
        return result

    def _charge(self, source: Source) -> None:
        if not self.tally.charge(source):
            raise over_limit(
                "it has asked often enough during this call",
                "too_many_prompts",
                "Raise `HandlerLimits.prompts` if the server may ask more.",
            )

    async def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            async with asyncio.timeout(self.handlers.limits.timeout):
                return await self._workers.run(function, *arguments)
        except BusyError:
            raise over_limit(
                "too many of its questions wait for an answer",
                "too_many_questions",
                "Raise `HandlerLimits.concurrency` if the server may ask more at a time.",
            ) from None
        except TimeoutError as cause:
            raise failed("the handler gave no answer in its time", cause) from cause
        except (
            Exception
        ) as cause:  # boundary: the application's code may raise anything; the server learns nothing
            line = escape_text(f"{self._server}: a handler failed: {type(cause).__name__}")
            logger.warning("%s", line, exc_info=cause, extra={"server": self._server})
            raise failed(f"the handler raised {type(cause).__name__}", cause) from cause

    def _log(self, level: int, what: str) -> None:
        line = escape_text(f"{self._server}: {what}")
        logger.log(level, "%s", line, extra={"server": self._server})
