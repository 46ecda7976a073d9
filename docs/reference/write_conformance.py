"""Writes the page that says what of the specification is proven, from the tables the tests are run from.

Run as `python docs/reference/write_conformance.py`; a test fails when the page is not what this gives.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PAGE = Path(__file__).with_name("conformance.md")
SCENARIOS = ROOT / "tests/conformance/scenarios.toml"
AREAS = {
    "base": "messages, errors, `_meta`, schemas",
    "lifecycle": "handshake, versions, timeouts, ping",
    "transports": "stdio, Streamable HTTP, HTTP+SSE",
    "patterns": "cancellation, progress, rounds, subscriptions",
    "extensions": "extensions: tasks",
    "server-features": "tools, resources, prompts, paging, caching",
    "client-features": "elicitation, sampling, roots",
    "authorization": "authorization",
}
"""Files of `tests/requirements` and what they are about."""
REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
DIALECTS = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-04/schema#",
)


def page() -> str:
    """Give the page."""
    areas = {name: _read(ROOT / f"tests/requirements/{name}.toml") for name in AREAS}
    parts = (*_scenarios(), *_counts(areas), *_reasons(areas), *_dialects())
    return PROLOGUE + "".join(parts)


def _scenarios() -> Iterator[str]:
    table = _read(SCENARIOS)
    elsewhere = table.pop("elsewhere")
    yield "\n| revision | required, and passed | came later, and passed |\n| --- | --- | --- |\n"
    for revision, kinds in table.items():
        yield f"| {revision} | {_names(kinds['required'])} | {_names(kinds.get('reported', ()))} |\n"
    yield "\nNot run here:\n\n"
    yield from (f"- `{pattern}`: {reason}.\n" for pattern, reason in elsewhere.items())


def _counts(areas: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield REQUIREMENTS
    yield "| about | proven by tests | not for this client | still to come |\n| --- | --- | --- | --- |\n"
    for name, about in AREAS.items():
        found = Counter(_state(entry) for entry in areas[name].values())
        yield f"| {about} | {found['tests']} | {found['not_applicable']} | {found['issue']} |\n"
    yield "\n| revision | rules | of them MUST and MUST NOT |\n| --- | --- | --- |\n"
    entries = [entry for area in areas.values() for entry in area.values()]
    for revision in REVISIONS:
        here = [
            entry
            for entry in entries
            if entry.get("since", REVISIONS[0]) <= revision <= entry.get("until", REVISIONS[-1])
        ]
        yield f"| {revision} | {len(here)} | {sum(entry['level'].startswith('MUST') for entry in here)} |\n"


def _reasons(areas: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for state, heading in (("issue", "Still to come"), ("not_applicable", "Not for this client")):
        yield f"\n## {heading}\n\n| rule | level | what it asks | why |\n| --- | --- | --- | --- |\n"
        for area in areas.values():
            for name, entry in area.items():
                if state in entry:
                    yield f"| `{name}` | {entry['level']} | {entry['says']} | {entry[state]} |\n"


def _dialects() -> Iterator[str]:
    yield SCHEMAS
    yield from (f"- `{dialect}`\n" for dialect in DIALECTS)


def _state(entry: Mapping[str, Any]) -> str:
    return next(key for key in ("tests", "not_applicable", "issue") if key in entry)


def _names(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _read(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text("utf-8"))


PROLOGUE = """\
# Conformance

What is proven of Trunkline's keeping to the Model Context Protocol, and what is not. The page is written by
`docs/reference/write_conformance.py` from the tables that the tests are run from.

## The official conformance suite

`make test` runs the client scenarios of `@modelcontextprotocol/conformance`, each singly against
`tests/conformance/client.py`, a program over the public surface that is told nothing but a URL. A scenario is
passed when the suite has found something to check and nothing to object to, not even a warning, and the
program has ended in time with status 0. A scenario that a later suite adds fails the tests until it is run.
"""

REQUIREMENTS = """
## Every rule of the specification

`tests/requirements` holds the MUST, MUST NOT, SHOULD and SHOULD NOT of the five revisions that concern a
client, each with its page, one sentence, and the tests that prove it. The tests fail when a rule has none,
when one that is named does not exist or does not run, or when a test claims a rule that there is not.

"""

SCHEMAS = """
## Dialects of JSON Schema

Arguments and structured results are checked in the dialect that their schema names, and in 2020-12 where it
names none. A schema of another dialect, or one that refers to the network, is not checked, and the reply
says so. These are known:

"""


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
