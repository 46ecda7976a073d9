"""What `trunkline doctor` shows: as a document for programs, and the same as text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from trunkline.cli.render import align, indent_text, line
from trunkline.cli.style import Paint, Tone

if TYPE_CHECKING:
    from trunkline.runtime.doctor.checkup import Checkup, PhaseResult, Trouble

_TONES: dict[str, Tone] = {"ok": "good", "failed": "bad", "skipped": "faint", "not reached": "faint"}
_INDENT = "    "


def summary_view(checkups: Sequence[Checkup], disabled: Sequence[str]) -> dict[str, Any]:
    """Give the document; `ok` means that no server failed."""
    servers, failed = _count(checkups)
    return {
        "ok": not failed,
        "servers": [_checkup_view(checkup) for checkup in checkups],
        "summary": {
            "servers": servers,
            "ok": servers - failed,
            "failed": failed,
            "disabled": list(disabled),
        },
    }


def render_checkup(checkup: Checkup, paint: Paint, *, all_phases: bool = False) -> str:
    """Give one line for a healthy server; for any other its phases, and each trouble with what mends it.

    Args:
        all_phases: show the phases of a healthy server too.
    """
    word = "ok" if checkup.ok else "failed"
    name = line(checkup.server) + (f" (replica {checkup.replica})" if checkup.replica else "")
    lines = [f"{paint(f'{word:6}', _TONES[word])}  {paint(name, 'strong')}  {_facts(checkup)}"]
    if all_phases or not checkup.ok:
        lines += _phase_lines(checkup.phases, paint)
    for trouble in checkup.troubles:
        lines += _trouble_lines(trouble, paint)
    return "\n".join(lines)


def render_summary(checkups: Sequence[Checkup], disabled: Sequence[str]) -> str:
    """Give the last line."""
    servers, failed = _count(checkups)
    count = f"{servers} server" if servers == 1 else f"{servers} servers"
    off = f", {len(disabled)} switched off" if disabled else ""
    return f"{count}: {servers - failed} ok, {failed} failed{off}"


def _count(checkups: Sequence[Checkup]) -> tuple[int, int]:
    """Give how many servers were examined, and how many of them have an endpoint that failed."""
    health: list[bool] = []
    for checkup in checkups:
        if checkup.replica:
            health[-1] = health[-1] and checkup.ok
        else:
            health.append(checkup.ok)
    return len(health), health.count(False)


def _checkup_view(checkup: Checkup) -> dict[str, Any]:
    return {
        "name": checkup.server,
        "replica": checkup.replica,
        "ok": checkup.ok,
        "transport": checkup.transport,
        "address": checkup.address,
        "era": checkup.era,
        "tools": checkup.tools,
        "duration_ms": _milliseconds(checkup.seconds),
        "phases": [
            {
                "name": phase.name,
                "outcome": phase.outcome,
                "duration_ms": _milliseconds(phase.seconds),
                "detail": phase.detail,
            }
            for phase in checkup.phases
        ],
        "troubles": [
            {**asdict(trouble), "page": f"docs/diagnostics/{trouble.code}.md"} for trouble in checkup.troubles
        ],
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def _facts(checkup: Checkup) -> str:
    if not checkup.ok:
        return line(checkup.address) or "(its entry cannot be used)"
    tools = "1 tool" if checkup.tools == 1 else f"{checkup.tools} tools"
    return f"{checkup.transport}, {checkup.era}, {tools}, {_span(checkup.seconds)}"


def _phase_lines(phases: Iterable[PhaseResult], paint: Paint) -> Iterator[str]:
    reached: list[tuple[str, str, str, str]] = []
    missed: list[str] = []
    for outcome, found in groupby(phases, key=lambda phase: phase.outcome):
        if outcome == "not_reached":
            missed += [phase.name for phase in found]
            continue
        for phase in found:
            took = "" if phase.seconds is None else _span(phase.seconds)
            reached.append((outcome, phase.name, took, line(phase.detail)))
    for row in align(reached):
        word, space, rest = row.partition(" ")
        yield f"{_INDENT}{paint(word, _TONES[word])}{space}{rest}"
    if missed:
        yield f"{_INDENT}{paint('not reached', 'faint')}  {', '.join(missed)}"


def _trouble_lines(trouble: Trouble, paint: Paint) -> Iterator[str]:
    tone: Tone = "bad" if trouble.severity == "error" else "busy"
    yield f"{_INDENT}{paint(f'{trouble.severity}:', tone)} {line(trouble.message)} [{trouble.code}]"
    if trouble.severity == "error":
        yield f"{_INDENT}  likely: {line(trouble.cause)}"
    yield f"{_INDENT}  fix: {line(trouble.fix)}"
    if trouble.command is not None:
        yield f"{_INDENT}  run: {line(trouble.command)}"
    if trouble.severity == "error":
        yield f"{_INDENT}  more: trunkline doctor --explain {trouble.code}"
    if trouble.stderr:
        yield f"{_INDENT}  the server's last words:"
        yield indent_text("\n".join(trouble.stderr.splitlines()[-10:]), _INDENT * 2)


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
