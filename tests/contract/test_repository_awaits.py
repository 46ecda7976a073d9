"""Everything that waits has a row in tests/awaits.toml, and every area there a test that plays it."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from trunkline.testing.cutting import find_awaits

FREE = ("cli", "sync", "testing")
"""Packages that run in programs of their own, or only in tests."""


def modules_that_wait(awaits: Any) -> set[str]:
    files = (path.relative_to(awaits.source) for path in awaits.source.rglob("*.py"))
    return {
        str(file)
        for file in files
        if file.parts[0] not in FREE and find_awaits(awaits.source / file, awaits.source)
    }


def test_every_module_that_waits_belongs_to_one_area(awaits: Any):
    rows = Counter(module for area in awaits.areas.values() for module in area["modules"])
    assert sorted(rows) == sorted(modules_that_wait(awaits))
    assert set(rows.values()) == {1}


def test_every_place_that_another_area_answers_for_exists_and_is_named_once(awaits: Any):
    named = Counter(name for area in awaits.areas.values() for name in area.get("more", []))
    gone = [name for name in named if name not in awaits.of(name.partition(":")[0])]
    assert gone == []
    assert set(named.values()) == {1}


def test_every_area_has_one_test_that_plays_it(awaits: Any, repository: Any):
    played = find_plays(repository, r'\b(?:rehearse|cutter\.cut)\(\s*"(\w+)"')
    assert sorted(played) == sorted(set(awaits.areas) - {"never"})


def find_plays(repository: Any, pattern: str) -> set[str]:
    files = [path for path in repository.files if path.name.startswith("test_every_await_of_")]
    return {area for path in files for area in re.findall(pattern, (repository.root / path).read_text())}
