"""A call that waits for a person to visit URLs first (-32042): consent, the visit, then the call once more.

Source: specification 2025-11-25, client/elicitation, "URL Elicitation Required Error".
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from trunkline.connection.answers import ELICIT, Answers
from trunkline.connection.completions import Completions
from trunkline.connection.eliciting import Objection, read_question
from trunkline.connection.refusal import RefusalError
from trunkline.connection.tally import Source
from trunkline.core.elicitation import ElicitRequest
from trunkline.errors import ElicitationRequiredError
from trunkline.protocol.frames import RpcError

_PATIENCE = 300.0
"""Seconds the server may take to say that a visit is complete, once the person has agreed to it."""
_MOST = 16


class Visits:
    """The URLs one call waits for.

    Args:
        error: of the server's answer, with the code -32042.
    """

    def __init__(self, error: RpcError, answers: Answers, server: str, source: Source) -> None:
        self._error = error
        self._answers = answers
        self._server = server
        self._source = source
        members = error.data.get("elicitations") if isinstance(error.data, Mapping) else None
        self._asked: list[Mapping[str, Any]] = [
            one for one in (members if isinstance(members, list) else ()) if _is_visit(one)
        ][:_MOST]

    async def make(self, completions: Completions) -> None:
        """Return when the person has agreed to every URL and the server says that each visit is complete.

        Raises:
            ElicitationRequiredError: nobody can be asked, the person declined, or it took too long.
            UnavailableError: the connection was lost meanwhile.
        """
        numbers = [one["elicitationId"] for one in self._asked]
        handlers = self._answers.handlers
        if not numbers or handlers.elicit is None or "url" not in handlers.elicit_modes:
            raise self.error("a person has to visit a URL first")
        visits = [completions.expect(number) for number in numbers]
        try:
            await self._get_consent()
            with self._answers.attending(self._source):
                done, late = await asyncio.wait(visits, timeout=_PATIENCE)
            if late or any(visit.cancelled() for visit in done):
                raise self.error("the server did not say that the visit is complete")
            for visit in done:
                visit.result()
        finally:
            completions.forget(numbers)

    def error(self, message: str) -> ElicitationRequiredError:
        """Give the error that holds the URLs, unless one of them must not be shown."""
        hint = "Visit the URLs, which are in `elicitations`, if you trust the server; then call again."
        questions: tuple[ElicitRequest, ...] = ()
        try:
            questions = tuple(read_question(self._server, one, self._source.tool) for one in self._asked)
        except Objection as objection:
            message, hint = f"{message}, and {objection}", "Report it to the server's author."
        return ElicitationRequiredError(
            message,
            elicitations=questions,
            rpc_code=self._error.code,
            rpc_message=self._error.message,
            data=self._error.data if questions else None,
            server=self._server,
            hint=hint,
        )

    async def _get_consent(self) -> None:
        for one in self._asked:
            try:
                answer = await self._answers.answer(ELICIT, one, self._source)
            except RefusalError as refusal:
                raise self.error(f"the user could not be asked: {refusal.message}") from refusal.__cause__
            if answer["action"] != "accept":
                raise self.error("the visit to a URL was declined")


def _is_visit(one: object) -> bool:
    if not isinstance(one, Mapping) or one.get("mode", "url") != "url":
        return False
    return all(isinstance(one.get(member), str) for member in ("url", "elicitationId", "message"))
