"""Writes the page of each diagnostic, and the list of them, from the code.

Run as `python docs/reference/write_diagnostics.py`; a test fails when the pages are not what this gives.
"""

from __future__ import annotations

from pathlib import Path

from trunkline.runtime.diagnostics import DIAGNOSTICS

LIST = Path(__file__).with_name("diagnostics.md")
FOLDER = LIST.parents[1] / "diagnostics"

PROLOGUE = """\
# Diagnostics

Every code that an error of Trunkline carries as `error.code`, and every code that `trunkline doctor` tells.
Each is stable and has a page: what it means, what it mostly comes of, and how to fix it.
`trunkline doctor --explain CODE` prints the same page, and `error.page` names it.
[Find out what is wrong](../how-to/troubleshooting.md) tells how they are used. The pages are written from the
code by `docs/reference/write_diagnostics.py`.

| code | means |
|---|---|
"""


def pages() -> dict[Path, str]:
    """Give every file with its text."""
    rows = "".join(
        f"| [{one.code}](../diagnostics/{one.code}.md) | {one.title} |\n" for one in DIAGNOSTICS.values()
    )
    written = {FOLDER / f"{one.code}.md": one.page() for one in DIAGNOSTICS.values()}
    return {LIST: PROLOGUE + rows, **written}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.md"):
        path.unlink()
    for path, text in pages().items():
        path.write_text(text, "utf-8")
