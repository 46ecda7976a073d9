"""The page on conformance is what the tables give, and what it and others say of us holds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "write_conformance", DOCS / "reference/write_conformance.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_tables_give(writer: Any):
    again = "run `python docs/reference/write_conformance.py`"
    assert writer.PAGE.read_text("utf-8") == writer.page(), again


def test_every_file_of_requirements_is_on_the_page(writer: Any):
    assert {file.stem for file in Path(__file__).parent.glob("*.toml")} == writer.AREAS.keys()


@pytest.mark.requirement("SCHEMA-DOCUMENT")
async def test_the_page_names_the_dialects_that_are_checked(writer: Any):
    server = FakeServer()
    for number, dialect in enumerate(writer.DIALECTS):
        fields = {"n": {"type": "integer"}}
        schema = {"$schema": dialect, "type": "object", "properties": fields}
        server.tool(f"t{number}", schema=schema, reports="arguments")
    async with trunkline.connect({"fake": server}) as trunk:
        for number, dialect in enumerate(writer.DIALECTS):
            assert f"`{dialect}`" in writer.PAGE.read_text("utf-8")
            assert (await trunk.call(f"fake.t{number}", {"n": 1})).warnings == ()
            with pytest.raises(trunkline.InvalidArgumentsError):
                await trunk.call(f"fake.t{number}", {"n": "x"})


@pytest.mark.requirement("CUSTOM-TRANSPORT-DOCUMENT")
def test_the_page_says_how_each_transport_of_our_own_connects():
    page = (DOCS / "how-to/connect-to-any-server.md").read_text("utf-8")
    assert "| `url` with `ws://`, `wss://` | WebSocket |" in page
    assert "| a peer in this process | memory |" in page
