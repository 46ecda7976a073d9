"""The documents keep their promises: short where they must be, linked, complete, and without dead links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
TERMS = (
    "attempt", "call", "catalog", "config key", "connection", "deadline", "delivery", "dispatch",
    "entry", "era", "exchange", "flight", "frame", "handlers", "idle", "layer", "lease", "link", "peer",
    "pipeline", "policy", "principal", "public name", "replica", "reply", "run", "server", "service",
    "session", "step", "supervisor", "tool", "transport", "trunk", "trust", "workflow",
)  # fmt: skip


@pytest.fixture(scope="module")
def documents(repository: Any) -> dict[str, str]:
    """Give the Markdown files by path, without their code blocks."""
    pages = [path for path in repository.files if path.suffix == ".md"]
    return {path.as_posix(): CODE.sub("", (repository.root / path).read_text()) for path in pages}


@pytest.fixture(scope="module")
def records(documents: dict[str, str]) -> dict[str, str]:
    return {path: text for path, text in documents.items() if re.match(r"docs/decisions/\d{4}-", path)}


@pytest.mark.parametrize(("page", "most"), [("AGENTS.md", 99), ("README.md", 120)])
def test_page_is_short_enough_to_be_read(repository: Any, page: str, most: int) -> None:
    assert len((repository.root / page).read_text().splitlines()) <= most


def test_relative_links_resolve(repository: Any, documents: dict[str, str]) -> None:
    dead = [
        f"{path}: {target}"
        for path, text in documents.items()
        for target in LINK.findall(text)
        if not resolves(repository.root, path, target)
    ]
    assert dead == []


def test_every_page_is_linked_from_the_index(documents: dict[str, str]) -> None:
    linked = {
        (Path("docs") / target.partition("#")[0]).as_posix()
        for target in LINK.findall(documents["docs/index.md"])
    }
    linked |= {
        (Path("docs/reference") / target).as_posix().replace("reference/../", "")
        for target in LINK.findall(documents["docs/reference/diagnostics.md"])
    }
    pages = {path for path in documents if path.startswith("docs/")} - {
        "docs/index.md",
        "docs/decisions/template.md",
    }
    assert sorted(pages - linked) == []


def test_every_decision_record_has_its_sections(records: dict[str, str]) -> None:
    assert records
    for path, text in records.items():
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], path
        assert text.startswith(f"# {Path(path).name[:4]} "), path
        assert re.search(r"^Status: (accepted|superseded by \d{4})", text, re.MULTILINE), path


def test_decision_records_are_numbered_without_gaps(records: dict[str, str]) -> None:
    numbers = sorted(int(Path(path).name[:4]) for path in records)
    assert numbers == list(range(1, len(numbers) + 1))


def test_glossary_defines_every_term_in_order(documents: dict[str, str]) -> None:
    terms = re.findall(r"^\*\*(.+?)\*\*", documents["docs/glossary.md"], re.MULTILINE)
    assert terms == sorted(terms)
    assert sorted(set(TERMS) - set(terms)) == []


def resolves(root: Path, page: str, target: str) -> bool:
    """Say whether a link of `page` leads to a file, and to a heading of it where it names one."""
    if re.match(r"[a-z]+:", target):
        return True
    name, _, anchor = target.partition("#")
    file = (root / page).parent / name if name else root / page
    if not file.exists():
        return False
    return not anchor or anchor in {
        slug(heading) for heading in re.findall(r"^#+ (.+)$", file.read_text(), re.M)
    }


def slug(heading: str) -> str:
    """Give the anchor that Markdown viewers make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
