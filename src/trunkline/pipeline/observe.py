"""Observe: the outermost layer; measures each call, traces it where that is wanted, completes its outcome."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from trunkline.core.call import Call
from trunkline.core.events import NOBODY, CallFinished, EventSink
from trunkline.core.reply import Reply
from trunkline.core.timing import Timing, measure
from trunkline.errors import CallError
from trunkline.pipeline.service import Service
from trunkline.telemetry.escape import escape_text
from trunkline.telemetry.journal import Journal
from trunkline.telemetry.record import API, facts_of
from trunkline.telemetry.span import CallSpan
from trunkline.telemetry.tracer import Tracer

logger = logging.getLogger("trunkline.call")


class Observe(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the layer."""

    name: ClassVar[str] = "observe"

    tracer: Tracer | None = None
    """Begins a span for each call where OpenTelemetry is in use; None never does."""

    events: EventSink = NOBODY
    """Told of the end of every call, where anybody watches."""

    journal: Journal | None = None
    """Keeps what becomes of every call."""

    def wrap(self, inner: Service) -> Service:
        """Time and trace `inner`; fill in what only the outermost layer knows."""
        tracer, modules, events, journal = self.tracer, sys.modules, self.events, self.journal

        async def observe(call: Call) -> Reply:
            span: CallSpan | None = None
            if tracer is not None and (API in modules or tracer.forced):
                span = tracer.begin(call)
                call = call if span is None else span.call
            flight = call.flight
            if journal is not None:
                journal.running[call.id] = call
            try:
                reply = await inner(call)
            except BaseException as error:  # boundary: a span says how its call ended, whatever ended it
                elapsed = asyncio.get_running_loop().time() - flight.started
                timing = measure(flight, elapsed)
                _end(error, call, span, timing)
                if journal is not None:
                    journal.end(call, timing, error)
                if events.watched:
                    events.put(_finished(call, timing, error))
                raise
            elapsed = asyncio.get_running_loop().time() - flight.started
            left = flight.wrote or flight.sent
            timing = Timing(  # as `measure` does, without a function's cost
                total=elapsed,
                queue=flight.queued,
                connect=flight.connected,
                pauses=flight.paused,
                earlier=flight.earlier,
                sent_after=left - flight.started if left else None,
                exchange=flight.answered - left if left and flight.answered else None,
                server=flight.server,
            )
            reply = replace(reply, elapsed=elapsed, attempts=flight.attempts or 1, timing=timing)
            if journal is not None:
                journal.end(call, timing, reply)
            if events.watched:
                events.put(_finished(call, timing))
            if span is not None:
                span.end(reply, elapsed)
            if logger.isEnabledFor(logging.DEBUG):
                name = escape_text(call.public_name)
                logger.debug("%s answered in %.1f ms", name, elapsed * 1000, extra=facts_of(call, span))
            return reply

        return observe


def _finished(call: Call, timing: Timing, error: BaseException | None = None) -> CallFinished:
    flight = call.flight
    return CallFinished(
        server=call.server,
        call_id=call.id,
        tool=call.public_name,
        code=None if error is None else getattr(error, "code", "cancelled"),
        delivery=getattr(error, "delivery", flight.known),
        elapsed=timing.total,
        attempts=flight.attempts or 1,
        replica=flight.replica,
        timing=timing,
    )


def _end(error: BaseException, call: Call, span: CallSpan | None, timing: Timing) -> None:
    if isinstance(error, CallError):
        _complete(error, call, timing)
    if span is not None:
        span.end(error, timing.total)
    if logger.isEnabledFor(logging.DEBUG):
        code = getattr(error, "code", type(error).__name__)
        delivery = getattr(error, "delivery", call.flight.known)
        name = escape_text(call.public_name)
        logger.debug("%s failed: %s (%s)", name, code, delivery, extra=facts_of(call, span))


def _complete(error: CallError, call: Call, timing: Timing) -> None:
    flight = call.flight
    error.timing = timing
    error.task = error.task or flight.task
    error.complete(
        call_id=call.id,
        server=call.server,
        tool=call.public_name,
        attempts=flight.attempts,
        elapsed=timing.total,
        stderr=flight.stderr() if flight.stderr is not None else "",
    )
