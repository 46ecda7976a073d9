"""The manifest of requirements is whole: each has a test that runs and can fail, or a reason why not."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
LEVELS = ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT")
PROOFS = ("tests", "not_applicable", "issue", "pending")
IDLE = ("skip", "skipif", "xfail", "soak")
"""Marks of tests that do not run, or may fail, in CI."""


def manifest() -> dict[str, dict[str, Any]]:
    """Give every requirement by its id; one that stands in two files is an error."""
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(HERE.glob("*.toml")):
        for name, entry in tomllib.loads(file.read_text("utf-8")).items():
            assert name not in found, f"{name} stands twice"
            found[name] = entry
    return found


def marked_tests(file: Path) -> Iterator[tuple[str, list[ast.expr]]]:
    """Give the tests of a file with the marks they bear, those of the whole file included."""
    module = ast.parse(file.read_text("utf-8"))
    shared: list[ast.expr] = []
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            shared = node.value.elts if isinstance(node.value, ast.List) else [node.value]
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name, [*shared, *node.decorator_list]


def marks(expressions: list[ast.expr], name: str) -> Iterator[ast.expr]:
    """Give those of the marks that are `pytest.mark.NAME`, called or not."""
    for one in expressions:
        plain = one.func if isinstance(one, ast.Call) else one
        if ast.unparse(plain) == f"pytest.mark.{name}":
            yield one


@pytest.fixture(scope="module")
def requirements() -> dict[str, dict[str, Any]]:
    return manifest()


@pytest.fixture(scope="module")
def known() -> dict[str, list[ast.expr]]:
    """Give every test of the suite by its node id, with its marks."""
    return {
        f"{file.relative_to(ROOT).as_posix()}::{name}": found
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        for name, found in marked_tests(file)
    }


@pytest.fixture(scope="module")
def claims(known: Mapping[str, list[ast.expr]]) -> list[tuple[str, str | None]]:
    """Give each requirement that a test's mark names, with the test; None where a mark names nothing."""
    found: list[tuple[str, str | None]] = []
    for test, expressions in known.items():
        for mark in marks(expressions, "requirement"):
            given = [ast.literal_eval(one) for one in mark.args] if isinstance(mark, ast.Call) else []
            found += [(test, name) for name in given or [None]]
    return found


def problems_of(entry: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong with the form of one entry."""
    if entry.get("level") not in LEVELS:
        yield "has no level"
    if not re.fullmatch(r"[a-z][a-z0-9/-]*(#.+)?", entry.get("source", "")):
        yield "does not name a page of the specification"
    if not re.fullmatch(r"[A-Z`-].{10,}\.", entry.get("says", "")):
        yield "does not say in a sentence what it asks"
    since, until = entry.get("since", REVISIONS[0]), entry.get("until", REVISIONS[-1])
    if since not in REVISIONS or until not in REVISIONS or since > until:
        yield "holds for no revision"
    if sum(key in entry for key in PROOFS) != 1:
        yield f"needs exactly one of {', '.join(PROOFS)}"
    if "tests" in entry and not entry["tests"]:
        yield "names no test"
    if entry.keys() - {"level", "source", "says", "since", "until", *PROOFS}:
        yield "holds a key that nobody reads"


def test_every_requirement_is_told_whole(requirements: dict[str, dict[str, Any]]):
    wrong = {name: list(problems_of(entry)) for name, entry in requirements.items()}
    assert {name: problems for name, problems in wrong.items() if problems} == {}
    assert all(re.fullmatch(r"[A-Z][A-Z0-9-]+", name) for name in requirements)


@pytest.mark.parametrize(
    "change",
    [
        {"level": "MAY"},
        {"source": ""},
        {"says": "x"},
        {"since": "2025-11-25", "until": "2024-11-05"},
        {"tests": []},
        {"issue": "and a test too"},
        {"note": "?"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_entry_that_is_not_whole_is_found(change: dict[str, Any]):
    entry = {"level": "MUST", "source": "basic/index#A", "says": "Something is done.", "tests": ["x::y"]}
    assert list(problems_of(entry)) == []
    assert list(problems_of(entry | change))


def test_every_test_that_the_manifest_names_exists_and_runs(
    requirements: dict[str, dict[str, Any]], known: dict[str, list[ast.expr]]
):
    named = {(name, test) for name, entry in requirements.items() for test in entry.get("tests", ())}
    assert sorted(pair for pair in named if pair[1] not in known) == []
    idle = [test for _, test in named for mark in IDLE if any(marks(known[test], mark))]
    assert sorted(idle) == []


def test_every_mark_names_a_requirement_whose_entry_names_the_test(
    requirements: dict[str, dict[str, Any]], claims: list[tuple[str, str | None]]
):
    assert [test for test, name in claims if name is None] == []
    assert sorted(claim for claim in claims if claim[1] not in requirements) == []
    unknown = [claim for claim in claims if claim[0] not in requirements[claim[1] or ""].get("tests", ())]
    assert sorted(unknown) == []


def test_no_requirement_waits_for_its_test(requirements: dict[str, dict[str, Any]]):
    assert [name for name, entry in requirements.items() if "pending" in entry] == []


def test_what_is_left_to_other_parts_is_little_and_named(requirements: dict[str, dict[str, Any]]):
    open_ones = {name for name, entry in requirements.items() if "issue" in entry}
    assert {name for name in open_ones if not name.startswith("AUTHORIZATION-")} <= {
        "PING-PERIODIC",
        "TOOL-CONFIRM",
    }


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_revision_has_requirements_of_every_level_and_most_are_proven(
    requirements: dict[str, dict[str, Any]], revision: str
):
    here = [
        entry
        for entry in requirements.values()
        if entry.get("since", REVISIONS[0]) <= revision <= entry.get("until", REVISIONS[-1])
    ]
    assert {entry["level"] for entry in here} == set(LEVELS)
    proofs = Counter(next(key for key in PROOFS if key in entry) for entry in here)
    assert proofs["tests"] > 4 * proofs["not_applicable"]
