"""Every code that an error or the doctor can show has a page, and every page is what the code says."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import trunkline
from trunkline.errors import TrunklineError
from trunkline.runtime.diagnostics import DIAGNOSTICS
from trunkline.runtime.diagnostics.diagnostic import Diagnostic

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src/trunkline"
FOREIGN = ("testing", "diagnostics")
"""Folders in which `code` means something else, or the pages themselves."""


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    path = ROOT / "docs/reference/write_diagnostics.py"
    spec = importlib.util.spec_from_file_location("write_diagnostics", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_what_the_code_says(writer: ModuleType):
    pages = writer.pages()
    stale = [path.name for path, text in pages.items() if not path.is_file() or path.read_text() != text]
    assert stale == [], "run `python docs/reference/write_diagnostics.py`"
    assert sorted(writer.FOLDER.glob("*.md")) == sorted(path for path in pages if path != writer.LIST)


def test_every_code_in_the_source_has_a_page():
    found = {code: path for path in sources() for code in codes_in(path)}
    assert len(found) > 60
    missing = {code: str(path.relative_to(SOURCE)) for code, path in found.items() if code not in DIAGNOSTICS}
    assert missing == {}, "add each to trunkline.runtime.diagnostics"


def test_every_page_is_of_a_code_in_the_source():
    text = "".join(path.read_text() for path in sources())
    assert [code for code in DIAGNOSTICS if f'"{code}"' not in text] == []


def test_every_error_class_leads_to_its_page():
    kinds = [kind for kind in vars(trunkline.errors).values() if is_error(kind)]
    assert len(kinds) > 12
    for kind in kinds:
        error = kind.__new__(kind)
        assert (ROOT / error.page).is_file(), kind


@pytest.mark.parametrize("one", DIAGNOSTICS.values(), ids=list(DIAGNOSTICS))
def test_a_page_says_what_it_must(one: Diagnostic):
    assert one.title[0].isupper()
    assert not one.title.endswith(".")
    assert one.causes
    assert all(cause.endswith(".") for cause in one.causes)
    assert one.fix.endswith((".", ":"))
    assert one.fix.endswith(":") <= bool(one.command)
    assert one.example
    assert not {"\x1b", "\n"} & set(one.example)


def is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, TrunklineError)


def sources() -> Iterator[Path]:
    for path in SOURCE.rglob("*.py"):
        if not set(FOREIGN) & set(path.relative_to(SOURCE).parts):
            yield path


def codes_in(path: Path) -> Iterator[str]:
    """Give each text that is passed or assigned as a `code`, or stands for one in a refusal or the doctor."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.keyword(arg="code", value=value):
                yield from texts(value)
            case ast.Assign(targets=[ast.Name(id="code")], value=value):
                yield from texts(value)
            case ast.AnnAssign(target=ast.Name(id="code"), value=ast.expr() as value):
                yield from texts(value)
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for name, value in zip(names, values, strict=False):
                    if isinstance(name, ast.Name) and name.id == "code":
                        yield from texts(value)
            case ast.Call(func=ast.Name(id="over_limit"), args=[_, code, *_]):
                yield from texts(code)
            case ast.Call(func=ast.Name(id="warn"), args=[code, _, _, _]):
                yield from texts(code)
            case ast.Call(func=ast.Attribute(attr="_trouble"), args=[code, *_]):
                yield from texts(code)


def texts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from texts(one)
            yield from texts(other)
