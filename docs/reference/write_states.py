"""Writes the page of server states from the table that the supervisor follows.

Run as `python docs/reference/write_states.py`; a test fails when the page is not what this gives.
"""

from __future__ import annotations

from pathlib import Path

from trunkline.supervision.states import MEANINGS, STATE_MEANINGS, TABLE, draw_states

PAGE = Path(__file__).with_name("server-states.md")

PROLOGUE = """\
# Server states

What `trunk.status()`, `trunkline status` and the event `ServerChanged` say of a server, and what leads from
one state to another. This page is written from the table that the supervisor follows, by
`docs/reference/write_states.py`. [Keep servers alive](../how-to/keep-servers-alive.md) tells what it means.

"""


def page() -> str:
    """Give the page."""
    states = "".join(f"| `{state}` | {STATE_MEANINGS[state]} |\n" for state in TABLE)
    triggers = "".join(f"| `{trigger}` | {meaning} |\n" for trigger, meaning in MEANINGS.items())
    return (
        f"{PROLOGUE}```mermaid\n{draw_states()}\n```\n\n"
        f"| state | means |\n|---|---|\n{states}\n| what happens | means |\n|---|---|\n{triggers}"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
