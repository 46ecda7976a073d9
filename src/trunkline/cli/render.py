"""What a person reads: servers, tools, matches and errors as text. Pure.

Every text that comes from a server goes through `sanitize_text` here, before it is painted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from trunkline.catalog.search import Match
from trunkline.catalog.signature import render_signature
from trunkline.cli.columns import pad_to, text_width
from trunkline.cli.style import Paint, Tone, plain
from trunkline.core.prompt import Prompt
from trunkline.core.resource import Resource, Template
from trunkline.core.status import ServerStatus
from trunkline.core.tool import Tool
from trunkline.security.sanitize import sanitize_text

Statuses = Mapping[str, ServerStatus]

_TONES: dict[str, Tone] = {"ready": "good", "failed": "bad", "connecting": "busy", "stopped": "faint"}


def render_list(statuses: Statuses, tools: Sequence[Tool], paint: Paint) -> str:
    """Give each server on a line with its tools, or its trouble, beneath."""
    lines: list[str] = []
    stale = Counter(tool.server for tool in tools if tool.stale)
    for (name, status), head in zip(statuses.items(), _server_lines(statuses, stale, paint), strict=True):
        lines.append(head)
        lines += [f"  {render_own_name(tool, paint)}" for tool in tools if tool.server == name]
        lines += _trouble(status, paint)
    return "\n".join(lines)


def render_status(statuses: Statuses, paint: Paint, *, lasting: bool = False) -> str:
    """Give a table with one server per line, and beneath it its connections and the trouble of a sick one.

    Args:
        lasting: whether the runtime goes on, so that it matters when a server is tried again.
    """
    from trunkline.cli.members import member_lines

    header = (
        "SERVER",
        "STATE",
        "FOR",
        "ERA",
        "TRANSPORT",
        "TOOLS",
        "RESOURCES",
        "PROMPTS",
        "RESTARTS",
        "LATENCY",
        "BREAKER",
    )
    rows = [
        (
            line(name),
            status.state,
            _span(status.since),
            line(status.era or "-"),
            status.transport,
            _count(status.tools),
            _count(status.resources),
            _count(status.prompts),
            str(status.restarts),
            "-" if status.latency_ms is None else f"{status.latency_ms:.1f} ms",
            status.breaker,
        )
        for name, status in statuses.items()
    ]
    head, *body = align([header, *rows])
    lines = [paint(head, "strong")]
    for text, status in zip(body, statuses.values(), strict=True):
        lines += [_paint_state(text, status.state, paint), *member_lines(status), *_trouble(status, paint)]
        if lasting and status.retry_in is not None:
            lines.append(f"  tried again in {_span(status.retry_in)}, or by a call")
    return "\n".join(lines)


def render_tools(tools: Sequence[Tool], paint: Paint) -> str:
    """Give each tool's signature with the first sentence of its description beneath."""
    lines: list[str] = []
    for tool in tools:
        lines.append(render_public_name(tool, paint))
        if sentence := first_sentence(tool.description):
            lines.append(f"    {sentence}")
    return "\n".join(lines)


def render_matches(matches: Sequence[Match], paint: Paint) -> str:
    """Give each match of a search with its score, signature and first sentence."""
    lines: list[str] = []
    for match in matches:
        tool = match.tool
        lines.append(f"{match.score:6.3f}  {render_public_name(tool, paint)}")
        if sentence := first_sentence(tool.description):
            lines.append(f"        {sentence}")
    return "\n".join(lines)


def render_public_name(tool: Tool, paint: Paint) -> str:
    """Give `server.tool(parameters)`, like a function's signature, its name painted."""
    return _painted_call(f"{line(tool.server)}.", tool, paint)


def render_own_name(tool: Tool, paint: Paint) -> str:
    """Give `tool(parameters)`, its name painted."""
    return _painted_call("", tool, paint)


def stale_mark(one: Tool | Prompt | Resource | Template, paint: Paint) -> str:
    """Give what stands behind something that is only remembered, or nothing."""
    return f"  {paint('[stale]', 'busy')}" if one.stale else ""


def first_sentence(description: str) -> str:
    """Give the first sentence of a description on one line, or "" when there is none."""
    text = line(description)
    return re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0]


def line(text: str) -> str:
    """Give untrusted text on one line, with nothing in it that acts on a terminal."""
    return " ".join(sanitize_text(text, multiline=False).split())


def indent_text(text: str, indent: str = "  ") -> str:
    """Give untrusted text of several lines, sanitized and indented."""
    return "\n".join(f"{indent}{part}".rstrip() for part in sanitize_text(text, multiline=True).splitlines())


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Give rows of cells as lines of columns, two spaces apart."""
    widths = [max(map(text_width, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(pad_to(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def render_short_span(seconds: float) -> str:
    """Give a span for a line that changes: `7 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def sick_warning(statuses: Statuses) -> str | None:
    """Give one sentence about servers that are not ready, or None when all are."""
    sick = [line(name) for name, status in statuses.items() if status.state not in ("ready", "stopped")]
    if not sick:
        return None
    count = f"{len(sick)} of {len(statuses)} servers"
    return f"{count} {'is' if len(sick) == 1 else 'are'} not ready: {', '.join(sick)}"


def _server_lines(statuses: Statuses, stale: Mapping[str, int], paint: Paint) -> Iterable[str]:
    rows = [
        (
            line(name),
            status.state,
            line(status.era or "-"),
            status.transport,
            _counts(status, stale.get(name)),
        )
        for name, status in statuses.items()
    ]
    for text, status in zip(align(rows) if rows else [], statuses.values(), strict=True):
        yield _paint_state(text, status.state, paint)


def _paint_state(text: str, state: str, paint: Paint) -> str:
    tone = _TONES.get(state, "busy")
    return re.sub(rf"(?<=  ){re.escape(state)}\b", lambda found: paint(found[0], tone), text, count=1)


def _trouble(status: ServerStatus, paint: Paint = plain) -> list[str]:
    if status.state in ("ready", "stopped") or not status.last_error:
        return []
    found = [f"  {paint('error:', 'bad')} {line(status.last_error)}"]
    if status.hint:
        found.append(f"  {paint('hint:', 'strong')} {line(status.hint)}")
    return found


def _painted_call(prefix: str, tool: Tool, paint: Paint) -> str:
    name, parenthesis, rest = line(render_signature(tool)).partition("(")
    return f"{paint(prefix + name, 'strong')}{parenthesis}{rest}{stale_mark(tool, paint)}"


def _counts(status: ServerStatus, stale: int | None) -> str:
    """Say how much it lists; of what it has none of, only tools are named."""
    if status.tools is None:
        return "-" if stale is None else f"{stale} {'tool' if stale == 1 else 'tools'} (stale)"
    counts = {"resource": status.resources, "template": status.templates, "prompt": status.prompts}
    named = [("tool", status.tools), *((word, count) for word, count in counts.items() if count)]
    return ", ".join(f"{count} {word if count == 1 else f'{word}s'}" for word, count in named)


def _count(count: int | None) -> str:
    return "-" if count is None else str(count)


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
