"""What a call of something other than a tool means: checked before it is sent, typed when it is answered.

The innermost wrapper of such calls, around the fleet, so that the layers outside see its errors too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from msgspec.structs import replace

from trunkline.catalog.definition import cut
from trunkline.catalog.prompts import check_arguments
from trunkline.core.call import Call
from trunkline.core.completion import CompletionReply
from trunkline.core.prompt import Prompt, PromptReply, parse_message
from trunkline.core.reply import Reply
from trunkline.core.resource import ReadReply, parse_content
from trunkline.errors import NotFoundError, ProtocolError, ServerError
from trunkline.protocol.eras import INVALID_PARAMS, RESOURCE_NOT_FOUND
from trunkline.runtime.inventory import Inventory
from trunkline.security.uris import without_secrets_of
from trunkline.supervision.fleet import Fleet

Typed = TypeVar("Typed", bound=Reply)

_PATIENCE = 2.0
"""Seconds that getting a prompt waits for a list that is being read; then it is sent unchecked."""
READ, GET_PROMPT, COMPLETE = "resources/read", "prompts/get", "completion/complete"


class Interpreter:
    """Dispatches calls of any method."""

    def __init__(self, fleet: Fleet, inventory: Inventory) -> None:
        self._fleet = fleet
        self._inventory = inventory

    async def dispatch(self, call: Call) -> Reply:
        """Send one call and give a reply of its own type.

        Raises:
            CallError: with a true `delivery`.
        """
        prompt = await self._find_prompt(call) if call.method == GET_PROMPT else None
        if prompt is not None:
            check_arguments(prompt, (call.params or {}).get("arguments") or {})
        try:
            reply = await self._fleet.call(call)
        except ServerError as error:
            self._explain(error, call, prompt)
        match call.method:
            case "resources/read":
                return _read(reply, call)
            case "prompts/get":
                return _prompt(reply)
            case "completion/complete":
                return _completion(reply)
        return reply

    async def _find_prompt(self, call: Call) -> Prompt | None:
        """Give a prompt's definition, or None where it cannot be known.

        Raises:
            NotFoundError: the server's list is whole, was read anew, and lacks it.
        """
        if call.server not in self._fleet:
            return None
        supervisor = await self._fleet.connect(call.server, call.flight)
        if (prompt := self._known(call)) is not None:
            return prompt
        try:
            async with asyncio.timeout(_PATIENCE):
                await supervisor.lists.settled(("prompts",))
                prompt = self._known(call)
                if prompt is not None or not supervisor.lists.offers("prompts"):
                    return prompt
                fresh = await supervisor.lists.refresh("prompts")
        except TimeoutError:
            return None
        listed = supervisor.lists.get("prompts")
        if (prompt := self._known(call)) is not None or not fresh or listed is None or listed.warnings:
            return prompt
        return self._inventory.catalog().resolve_prompt(call.public_name)

    def _known(self, call: Call) -> Prompt | None:
        return self._inventory.catalog().prompt(call.public_name)

    def _explain(self, error: ServerError, call: Call, prompt: Prompt | None) -> NoReturn:
        """Raise what the server's error means: that there is nothing of this name, or the error itself.

        Sources: specification 2026-07-28 and 2025-11-25, server/resources and server/prompts, "Error
        Handling".
        """
        # Servers of the TypeScript SDK use the modern code in every era, and a read has no other parameter.
        if call.method == READ:
            _hide_secrets(error, call.name)
        unknown = call.method == READ or (call.method == GET_PROMPT and prompt is None)
        codes = (INVALID_PARAMS, RESOURCE_NOT_FOUND) if call.method == READ else (INVALID_PARAMS,)
        if not unknown or error.rpc_code not in codes:
            raise error
        what = "resource of this URI" if call.method == READ else "prompt of this name"
        raise NotFoundError(
            f"the server has no {what} ({cut(without_secrets_of(call.name, error.rpc_message))})",
            server=call.server,
            delivery="answered",
            hint=f"`trunkline info {call.server}` shows what it lists.",
        ) from error


def _hide_secrets(error: ServerError, uri: str) -> None:
    """Show the URI that was asked for without its secrets where the server's message repeats it."""
    error.message = without_secrets_of(uri, error.message)
    error.args = (error.message,)


def _read(reply: Reply, call: Call) -> ReadReply:
    contents = _array(reply, reply.raw, "contents")
    unusable = sum(parse_content(one, call.name) is None for one in contents)
    typed = _as(ReadReply, reply, uri=call.name)
    return _warn(typed, unusable, "contents were neither text nor base64")


def _prompt(reply: Reply) -> PromptReply:
    messages = _array(reply, reply.raw, "messages")
    unusable = sum(parse_message(one) is None for one in messages)
    return _warn(_as(PromptReply, reply), unusable, "messages had no role or no content")


def _completion(reply: Reply) -> CompletionReply:
    completion = reply.raw.get("completion")
    values = _array(reply, completion if isinstance(completion, Mapping) else {}, "values")
    unusable = sum(not isinstance(one, str) for one in values)
    return _warn(_as(CompletionReply, reply), unusable, "values were no text")


def _array(reply: Reply, holder: Mapping[str, Any], key: str) -> list[Any]:
    if not isinstance(found := holder.get(key), list):
        raise ProtocolError(
            f"the answer has no {key!r} array",
            code="malformed_answer",
            server=reply.server,
            delivery="answered",
            hint="Report the malformed answer to the server's author.",
        )
    return found


def _as(kind: type[Typed], reply: Reply, **more: Any) -> Typed:
    fields = {name: getattr(reply, name) for name in reply.__struct_fields__}
    return kind(**fields, **more)


def _warn(reply: Typed, unusable: int, what: str) -> Typed:
    if not unusable:
        return reply
    return replace(reply, warnings=(*reply.warnings, f"{unusable} of its {what}"))
