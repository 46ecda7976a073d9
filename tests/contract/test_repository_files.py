"""What every file keeps to: length, first line, names, and nothing of the machine it was written on."""

from __future__ import annotations

import ast
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

LONGEST = 400
HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("proxy", "golang", "org"),
    )
)
FORBIDDEN_NAMES = re.compile(r"(manager|helpers?|utils?|base|impl)$")


@pytest.fixture(scope="module")
def texts(repository: Any) -> dict[str, str]:
    """Give the text of every tracked file by its path."""
    found = {}
    for path in repository.files:
        try:
            found[path.as_posix()] = (repository.root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


@pytest.fixture(scope="module")
def modules(texts: dict[str, str]) -> dict[str, ast.Module]:
    return {path: ast.parse(text) for path, text in texts.items() if path.endswith(".py")}


def test_no_file_names_a_package_registry(texts: dict[str, str]) -> None:
    named = [f"{path}: {host}" for path, text in texts.items() for host in HOSTS if host in text]
    assert named == []


def test_no_file_holds_a_path_of_the_machine_it_was_written_on(
    repository: Any, texts: dict[str, str]
) -> None:
    places = {f"{os.sep}{name}{os.sep}" for name in ("root", "work", "Users")}
    places |= {place for place in (str(repository.root), sys.prefix) if len(Path(place).parts) > 2}
    held = [f"{path}: {place}" for path, text in texts.items() for place in places if place in text]
    assert held == []


def test_every_module_begins_by_saying_what_it_is(
    texts: dict[str, str], modules: dict[str, ast.Module]
) -> None:
    silent = [
        path
        for path, module in modules.items()
        if not ast.get_docstring(module)
        or not texts[path].removeprefix("#!/usr/bin/env python3\n").startswith('"""')
    ]
    assert silent == []


def test_every_package_has_an_init_that_says_what_it_is(modules: dict[str, ast.Module]) -> None:
    packages = {Path(path).parent.as_posix() for path in modules if path.startswith("src/")}
    assert (
        sorted(f"{package}/__init__.py" for package in packages if f"{package}/__init__.py" not in modules)
        == []
    )


def test_no_python_file_is_longer_than_a_reader_can_hold(texts: dict[str, str]) -> None:
    lengths = {path: len(text.splitlines()) for path, text in texts.items() if path.endswith(".py")}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_no_module_has_a_name_that_says_nothing(modules: dict[str, ast.Module]) -> None:
    assert [path for path in modules if FORBIDDEN_NAMES.search(Path(path).stem)] == []


def test_no_module_below_the_front_door_enters_through_it(modules: dict[str, ast.Module]) -> None:
    """`import trunkline` inside the package would be a call back up; import the module that is meant."""
    above = ("agent", "cli", "context", "dashboard", "gateway", "testing", "workflow", "sync.py")
    through = []
    for path, module in modules.items():
        inner = path.removeprefix("src/trunkline/")
        if inner == path or inner.startswith(above):
            continue
        for node in ast.walk(module):
            plain = isinstance(node, ast.Import) and any(name.name == "trunkline" for name in node.names)
            if plain or (isinstance(node, ast.ImportFrom) and node.module == "trunkline"):
                through.append(f"{path}:{node.lineno}")
    assert through == []


def test_test_files_have_unique_names_and_lie_in_no_package(repository: Any) -> None:
    tests = [path for path in repository.files if path.parts[0] == "tests" and path.suffix == ".py"]
    names = [path.name for path in tests if path.name.startswith("test_")]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []
    assert [path for path in tests if path.name == "__init__.py"] == []


def test_ci_runs_the_test_command_of_the_readme(repository: Any, texts: dict[str, str]) -> None:
    assert (repository.root / ".ci/run").stat().st_mode & stat.S_IXUSR
    assert "make test" in texts[".ci/run"]
    assert "make test" in texts["README.md"]


def test_every_make_target_the_documents_name_exists(texts: dict[str, str]) -> None:
    targets = set(re.findall(r"^([a-z]+):", texts["Makefile"], re.MULTILINE))
    named = {
        (path, target)
        for path, text in texts.items()
        if path.endswith(".md")
        for target in re.findall(r"(?:^    |`)make ([a-z]+)", text, re.MULTILINE)
    }
    assert sorted((path, target) for path, target in named if target not in targets) == []
