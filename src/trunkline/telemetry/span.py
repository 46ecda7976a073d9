"""One call's span and measurement, from its beginning to its end."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.telemetry.attributes import (
    ARGUMENTS,
    ERROR_TYPE,
    EXECUTE_TOOL,
    METHOD,
    OPERATION,
    REQUEST_ID,
    RESULT,
    REVISION,
    Endpoint,
    call_attributes,
    outcome_attributes,
    span_name,
    status_text,
)
from trunkline.telemetry.formatter import cut
from trunkline.telemetry.record import facts_of, ids_of

logger = logging.getLogger("trunkline.telemetry")

_CARRIED = ("traceparent", "tracestate", "baggage")
"""Members of `_meta` that carry a trace to the server, without a prefix (SEP-414)."""


class CallSpan:
    """The span of one call, which is current until the call ends.

    Where the caller has a span of its own for executing the tool, that one is completed instead.
    """

    __slots__ = ("_api", "_clean", "_endpoint", "_owned", "_shared", "_span", "_token", "call")

    def __init__(
        self, api: Any, call: Call, endpoint: Callable[[str], Endpoint], clean: Callable[[str], str] | None
    ) -> None:
        self._api = api
        self._endpoint = endpoint
        self._clean = clean
        self._shared = call_attributes(call, endpoint(call.server))
        current = api.trace.get_current_span()
        self._owned = not _executes_tool(current)
        self._span: Any = self._start(call) if self._owned else current
        context = api.trace.set_span_in_context(self._span)
        self._capture(ARGUMENTS, call.arguments)
        self.call = self._carrying(call, context)
        """The call as it goes on, with the trace for its server to continue."""
        self._token = api.context.attach(context)

    @property
    def ids(self) -> dict[str, str]:
        """`trace_id` and `span_id`, for log records."""
        return ids_of(self._span.get_span_context())

    def end(self, outcome: Reply | BaseException, elapsed: float) -> None:
        """Say how the call ended, measure it, and give way to the span that was current before.

        Never raises: what the application has plugged into OpenTelemetry must not fail the call.

        Args:
            elapsed: seconds from the caller's call.
        """
        try:
            self._end(outcome, elapsed)
        except Exception:  # boundary: providers and processors are foreign code
            logger.warning("the span of a call could not be ended", exc_info=True, extra=facts_of(self.call))

    def _end(self, outcome: Reply | BaseException, elapsed: float) -> None:
        revision = outcome.era if isinstance(outcome, Reply) else self._endpoint(self.call.server).revision
        if revision:
            self._shared[REVISION] = revision
        self._shared |= outcome_attributes(outcome)
        self._api.duration.record(elapsed, self._shared)
        self._api.context.detach(self._token)
        if self._span.is_recording():
            self._complete(outcome)
        if self._owned:
            self._span.end()

    def _start(self, call: Call) -> Any:
        kind = self._api.trace.SpanKind.CLIENT
        return self._api.tracer.start_span(span_name(call), kind=kind, attributes=self._shared)

    def _complete(self, outcome: Reply | BaseException) -> None:
        span, trace = self._span, self._api.trace
        span.set_attributes(self._shared)
        if (number := self.call.flight.request_id) is not None:
            span.set_attribute(REQUEST_ID, str(number))
        if isinstance(outcome, Reply):
            self._capture(RESULT, outcome.raw)
        if ERROR_TYPE in self._shared:
            span.set_status(trace.Status(trace.StatusCode.ERROR, status_text(outcome)))

    def _capture(self, name: str, content: Any) -> None:
        if self._clean is not None and self._span.is_recording():
            self._span.set_attribute(name, cut(self._clean(_to_json(content))))

    def _carrying(self, call: Call, context: Any) -> Call:
        if not self._span.is_recording():
            return call
        carrier: dict[str, str] = {}
        self._api.propagate.inject(carrier, context)
        trace = {name: carrier[name] for name in _CARRIED if name in carrier}
        return replace(call, trace=trace) if trace else call


def _to_json(content: Any) -> str:
    try:
        return json.dumps(content, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return "(not JSON)"


def _executes_tool(span: Any) -> bool:
    """Whether a span stands for this very execution, and no other call has completed it already."""
    found = getattr(span, "attributes", None) if span.is_recording() else None
    return found is not None and found.get(OPERATION) == EXECUTE_TOOL and METHOD not in found
