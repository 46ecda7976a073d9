"""A part of a name means a tool where it fits one only; a whole name always wins."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.listing import Listing
from trunkline.catalog.partial import resolve_partial
from trunkline.core.tool import Tool
from trunkline.errors import AmbiguousNameError, NotFoundError

TOOLS = {
    "git": ("git_status", "git_log", "log"),
    "files": ("list_files", "list_folders", "Read_File", "status"),
}


def find(selector: str) -> str:
    listings = [
        Listing(
            server=server,
            tools=tuple(
                Tool(name=name, server=server, public_name=f"{server}.{name}", input_schema={})
                for name in names
            ),
            complete=True,
            warnings=(),
        )
        for server, names in TOOLS.items()
    ]
    return resolve_partial(selector, tuple(TOOLS), Catalog.build(listings, tuple(TOOLS))).public_name


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("git.git_status", "git.git_status"),
        ("list_files", "files.list_files"),
        ("status", "files.status"),
        ("log", "git.log"),
        ("list_fi", "files.list_files"),
        ("folders", "files.list_folders"),
        ("read_file", "files.Read_File"),
        ("git.stat", "git.git_status"),
        ("git.lo", "git.log"),
    ],
)
def test_a_whole_name_wins_then_a_beginning_then_a_part(selector: str, found: str) -> None:
    assert find(selector) == found


@pytest.mark.parametrize(
    ("selector", "candidates"),
    [
        ("list_", ("files.list_files", "files.list_folders")),
        ("fi", ("files.Read_File", "files.list_files")),
        ("git.git", ("git.git_log", "git.git_status")),
    ],
)
def test_what_fits_several_is_ambiguous_and_names_them(selector: str, candidates: Any) -> None:
    with pytest.raises(AmbiguousNameError) as caught:
        find(selector)
    assert caught.value.candidates == candidates
    assert candidates[0] in str(caught.value)


@pytest.mark.parametrize("selector", ["nothing", "git.files", "git", "git.", ""])
def test_what_fits_nothing_is_not_found(selector: str) -> None:
    with pytest.raises(NotFoundError):
        find(selector)
