"""What a person reads about a call, or about why something is as it is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trunkline.cli.render import align, indent_text, line
from trunkline.cli.style import Paint

if TYPE_CHECKING:
    from trunkline.core.journal import CallRecord
    from trunkline.core.why import Why

_STDERR_LINES = 10


def render_why(why: Why, paint: Paint) -> str:
    """Give an explanation: the reason first, then what it is made of."""
    lines = [f"{paint(line(why.name), 'strong')}: {line(why.summary)}"]
    lines += [f"  {line(note)}" for note in why.notes]
    if why.call is not None and why.call.hops:
        lines += ["  its way:", *_hops(why.call)]
    if why.candidates:
        lines.append(f"  candidates: {line(', '.join(why.candidates))}")
    if why.hint:
        lines.append(f"  {paint('hint:', 'strong')} {line(why.hint)}")
    if why.status is not None and why.status.stderr.strip():
        tail = "\n".join(why.status.stderr.strip().splitlines()[-_STDERR_LINES:])
        lines += ["  the server's last words:", indent_text(tail, "    ")]
    if why.calls:
        lines += ["  last calls:", *(f"    {row}" for row in render_calls(why.calls, paint).splitlines())]
    return "\n".join(lines)


def render_calls(calls: Sequence[CallRecord], paint: Paint) -> str:
    """Give a table of calls, one on a line."""
    header = ("CALL", "TOOL", "AGO", "TOOK", "OUTCOME", "DELIVERY")
    rows = [
        (
            call.call_id,
            line(call.tool),
            _span(call.age),
            f"{call.elapsed * 1000:.1f} ms",
            "running" if call.running else call.code or "ok",
            call.delivery,
        )
        for call in calls
    ]
    head, *body = align([header, *rows])
    return "\n".join([paint(head, "strong"), *body])


def _hops(call: CallRecord) -> list[str]:
    rows = [(f"{hop.seconds * 1000:10.1f} ms", line(hop.name)) for hop in call.hops]
    return [f"  {row}" for row in align(rows)]


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
