"""JSON documents: what is encoded means the same, and nothing in it acts on a terminal."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.cli.envelope import encode_document, error_document
from trunkline.errors import ConfigError, RejectedError, UnavailableError

text = st.text(st.characters(exclude_categories=("Cs",)))


@given(
    value=st.recursive(
        text | st.integers(-5, 5), lambda inner: st.lists(inner) | st.dictionaries(text, inner)
    )
)
@pytest.mark.parametrize("indent", [False, True])
def test_a_document_reads_back_and_holds_no_character_that_acts(value: Any, indent: bool) -> None:
    encoded = encode_document(value, indent=indent)
    assert json.loads(encoded) == value
    kinds = {unicodedata.category(character) for character in encoded.replace("\n", "")}
    assert not kinds & {"Cc", "Cf", "Zl", "Zp"}


def test_letters_of_every_script_stay_readable_and_what_acts_does_not() -> None:
    assert encode_document("é字😀") == '"é字😀"'
    assert encode_document("\x7f\x9b\u202e\u2028\U000e0041") == '"\\u007f\\u009b\\u202e\\u2028\\udb40\\udc41"'


def test_the_envelope_of_a_failure_always_has_its_five_members() -> None:
    for error in (ConfigError("x", server="a"), RejectedError("x", server="a"), ValueError("x")):
        document = error_document(error)
        assert document["ok"] is False
        assert list(document["error"]) == ["code", "message", "hint", "delivery", "server"]
    assert error_document(RejectedError("x"))["error"]["delivery"] == "never_sent"
    assert error_document(ConfigError("x", server="a"))["error"]["delivery"] is None


def test_a_server_that_is_down_for_its_entry_is_told_by_the_entry() -> None:
    error = UnavailableError("not available", server="a")
    error.__cause__ = ConfigError("no scheme", server="a", field="url", source="mcp.json", line=3)
    assert error_document(error)["error"]["message"] == "mcp.json:3, server 'a', field 'url': no scheme"
