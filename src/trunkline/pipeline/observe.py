"""Observe: the outermost layer; measures each call and completes its reply or its error."""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.errors import CallError
from trunkline.pipeline.service import Service

logger = logging.getLogger("trunkline.call")


class Observe(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the layer; it has none."""

    name: ClassVar[str] = "observe"

    def wrap(self, inner: Service) -> Service:
        """Time `inner`; fill in what only the outermost layer knows."""

        async def observe(call: Call) -> Reply:
            flight = call.flight
            try:
                reply = await inner(call)
            except CallError as error:
                _complete(error, call, asyncio.get_running_loop().time() - flight.started)
                raise
            elapsed = asyncio.get_running_loop().time() - flight.started
            reply = replace(reply, elapsed=elapsed, attempts=flight.attempts or 1)
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug("%s %s answered in %.1f ms", call.id, call.public_name, reply.elapsed * 1000)
            return reply

        return observe


def _complete(error: CallError, call: Call, elapsed: float) -> None:
    flight = call.flight
    error.complete(
        call_id=call.id,
        server=call.server,
        tool=call.public_name,
        attempts=flight.attempts,
        elapsed=elapsed,
        stderr=flight.stderr() if flight.stderr is not None else "",
    )
    logger.debug("%s %s failed: %s (%s)", call.id, call.public_name, error.code, error.delivery)
