"""Elicitation: what a server asks a person, made safe to show, and the answer made fit to send.

Sources: specification 2026-07-28 and 2025-11-25, client/elicitation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline.connection.form import find_problems, refuse_schema
from trunkline.connection.refusal import failed, malformed
from trunkline.core.elicitation import ElicitRequest, ElicitResult
from trunkline.security.credential import find_credential, mentions_credential
from trunkline.security.destination import judge_url

DECLINED: Mapping[str, Any] = {"action": "decline"}


class Objection(Exception):  # noqa: N818 - not an error: the question is answered, with a no
    """Why a person is not asked at all, in our words."""


def read_question(server: str, params: Mapping[str, Any], tool: str | None) -> ElicitRequest:
    """Read the params of `elicitation/create`; no mode means a form.

    Raises:
        RefusalError: they break the protocol.
        Objection: the URL must not be shown to anybody.
    """
    mode, message = params.get("mode", "form"), params.get("message")
    if mode not in ("form", "url"):
        raise malformed(f"it has the unknown mode {str(mode)[:40]!r}")
    if not isinstance(message, str):
        raise malformed("its `message` is not a text")
    if mode == "form":
        return _read_form(server, message, params.get("requestedSchema"), tool)
    destination = judge_url(params.get("url"))
    if destination.refusal is not None:
        raise Objection(f"the URL {destination.refusal}")
    number = params.get("elicitationId")
    return ElicitRequest(
        server=server,
        message=message,
        mode="url",
        url=params["url"],
        host=destination.host,
        warnings=destination.warnings,
        elicitation_id=number if isinstance(number, str) else None,
        tool=tool,
    )


def object_to_credentials(request: ElicitRequest) -> None:
    """Refuse a form that asks for what no form may ask for.

    Raises:
        Objection: naming the field.
    """
    if request.mode == "form" and (field := find_credential(request.schema)) is not None:
        raise Objection(f"the field {field[:60]!r} looks like a credential")


def write_answer(request: ElicitRequest, given: object) -> Mapping[str, Any]:
    """Give the result to send for what a handler gave; None declines.

    Raises:
        RefusalError: it is no answer, or does not fit the requested schema.
    """
    answer = _read_answer(given)
    if answer.action != "accept" or request.mode == "url":
        return {"action": answer.action}
    content = dict(answer.content or {})
    if problems := find_problems(request.schema, content):
        raise failed(f"the answer does not fit the form: {'; '.join(problems)}")
    return {"action": "accept", "content": content}


def _read_form(server: str, message: str, schema: Any, tool: str | None) -> ElicitRequest:
    if (reason := refuse_schema(schema)) is not None:
        raise malformed(reason)
    warnings: tuple[str, ...] = ()
    if mentions_credential(message):
        warnings = ("Its text speaks of a password, key or token: never enter one here.",)
    return ElicitRequest(server=server, message=message, schema=schema, warnings=warnings, tool=tool)


def _read_answer(given: object) -> ElicitResult:
    if given is None:
        return ElicitResult.decline()
    members = msgspec.structs.asdict(given) if isinstance(given, ElicitResult) else given
    try:
        return msgspec.convert(members, ElicitResult)
    except msgspec.ValidationError as cause:
        raise failed(f"the handler gave no ElicitResult: {cause}") from cause
