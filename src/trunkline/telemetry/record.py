"""What a log record of ours carries beside its message, under names that formatters can rely on."""

from __future__ import annotations

import sys
from typing import Any

FIELDS = ("call_id", "server", "tool", "trace_id", "span_id")
"""Attributes of our log records, each present where it is known."""

API = "opentelemetry.trace"
"""The module that is loaded in every process whose application uses OpenTelemetry."""


def facts_of(call: Any, span: Any = None) -> dict[str, str]:
    """Give the `extra` of a record about one call, and about its span where it has one."""
    facts = {"call_id": call.id, "server": call.server, "tool": call.public_name}
    if span is not None:
        facts |= span.ids
    return facts


def current_ids() -> dict[str, str]:
    """Give `trace_id` and `span_id` of the span that is current, or nothing; never imports anything."""
    api = sys.modules.get(API)
    if api is None:
        return {}
    return ids_of(api.get_current_span().get_span_context())


def ids_of(context: Any) -> dict[str, str]:
    """Give the ids of a span context as hex text, or nothing when it is not a valid one."""
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
