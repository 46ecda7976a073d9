"""Replies, content, errors and redaction as a caller meets them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

import trunkline
from trunkline.core.content import Blob, Link, Text, Unknown, parse_content
from trunkline.core.reply import Reply
from trunkline.errors import CallError, ConfigError, DeadlineExceededError, OutcomeUnknownError, ServerError
from trunkline.security.redact import Redactor


def reply(**raw: Any) -> Reply:
    return Reply(raw=raw, server="s", tool="s.t")


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


def test_text_joins_text_blocks_and_shows_every_other_block_as_one_line() -> None:
    picture = base64.b64encode(b"x" * 12_000).decode()
    content = [
        text("first"),
        {"type": "image", "mimeType": "image/png", "data": picture},
        {"type": "audio", "mimeType": "audio/wav", "data": base64.b64encode(b"12").decode()},
        {"type": "resource_link", "uri": "file:///a.txt", "name": "a", "mimeType": "text/plain"},
        {"type": "resource", "resource": {"uri": "mem://r", "mimeType": "text/csv", "text": "a,b"}},
        {"type": "hologram", "beams": 3},
        text("last"),
    ]
    assert reply(content=content).text == (
        "first\n"
        "[image image/png 12 KB]\n"
        "[audio audio/wav 2 B]\n"
        "[resource_link file:///a.txt text/plain]\n"
        "[resource mem://r text/csv 3 B]\n"
        "[hologram]\n"
        "last"
    )


def test_content_gives_typed_blocks_with_their_bytes() -> None:
    blob, link, words, other = reply(
        content=[
            {"type": "resource", "resource": {"uri": "u", "blob": base64.b64encode(b"\x00\x01").decode()}},
            {"type": "resource_link", "uri": "https://x"},
            text("t"),
            {"type": "new"},
        ]
    ).content
    assert isinstance(blob, Blob)
    assert (blob.data, blob.uri, blob.mime_type) == (b"\x00\x01", "u", "application/octet-stream")
    assert isinstance(link, Link)
    assert isinstance(words, Text)
    assert isinstance(other, Unknown)


@pytest.mark.parametrize(
    "block",
    [
        None,
        7,
        "text",
        [],
        {},
        {"type": "text"},
        {"type": "image"},
        {"type": "image", "data": 5},
        {"type": "resource"},
    ],
)
def test_a_malformed_block_is_kept_and_never_raises(block: object) -> None:
    content = parse_content(block)
    assert isinstance(content, Unknown)
    assert reply(content=[block]).text.startswith("[")


def test_broken_base64_is_told_in_the_text_and_raised_by_the_bytes() -> None:
    block = {"type": "image", "mimeType": "image/png", "data": "!!"}
    assert reply(content=[block]).text == "[image image/png invalid base64]"
    (blob,) = reply(content=[block]).content
    assert isinstance(blob, Blob)
    with pytest.raises(ValueError, match="base64"):
        _ = blob.data


def test_value_is_the_structured_content_where_there_is_one_and_else_the_text() -> None:
    assert reply(content=[text("a")]).value == "a"
    assert reply(content=[text("a")], structuredContent={"n": 0}).value == {"n": 0}
    assert reply(content=[text("a")], structuredContent=0).value == 0


def test_a_result_with_structured_content_only_reads_as_its_json() -> None:
    assert reply(content=[], structuredContent={"n": 1}).text == '{"n":1}'


def test_only_a_true_is_error_counts() -> None:
    assert reply(isError=True).is_error
    assert not reply(isError="true").is_error
    assert not reply().is_error


def test_an_error_names_tool_and_server_and_keeps_what_the_raising_layer_knew() -> None:
    error = OutcomeUnknownError("the link was lost", server="db")
    error.complete(call_id="c1", server="db", tool="db.drop", attempts=1, elapsed=0.5, stderr="boom")
    assert str(error) == "db.drop: the link was lost"
    assert (error.call_id, error.attempts, error.elapsed, error.stderr) == ("c1", 1, 0.5, "boom")
    assert (error.delivery, error.retryable) == ("unknown", False)


@pytest.mark.parametrize(
    ("kind", "delivery", "retryable"),
    [
        (trunkline.NotFoundError, "never_sent", False),
        (trunkline.DeniedError, "never_sent", False),
        (trunkline.AuthorizationRequiredError, "refused", False),
        (trunkline.InvalidArgumentsError, "never_sent", False),
        (trunkline.RejectedError, "never_sent", True),
        (trunkline.DeadlineExceededError, "never_sent", False),
        (trunkline.UnavailableError, "never_sent", True),
        (trunkline.OutcomeUnknownError, "unknown", False),
        (trunkline.ProtocolError, "unknown", False),
    ],
)
def test_each_class_says_by_default_what_is_known_of_the_delivery(
    kind: type[CallError], delivery: str, retryable: bool
) -> None:
    error = kind("x")
    assert (error.delivery, error.retryable) == (delivery, retryable)


def test_a_server_error_keeps_code_message_and_data_of_the_peer() -> None:
    error = ServerError("x", rpc_code=-32000, rpc_message="no", data={"a": 1})
    assert (error.rpc_code, error.rpc_message, error.data, error.delivery) == (
        -32000,
        "no",
        {"a": 1},
        "answered",
    )


def test_a_config_error_says_where() -> None:
    error = ConfigError("is not set", server="git", field="env.TOKEN", source="mcp.json", line=3, column=7)
    assert str(error) == "mcp.json:3:7, server 'git', field 'env.TOKEN': is not set"


def test_every_error_is_importable_from_the_package_and_ends_at_the_root() -> None:
    names = [name for name in trunkline.__all__ if name.endswith("Error")]
    assert len(names) == 18
    assert all(issubclass(getattr(trunkline, name), trunkline.TrunklineError) for name in names)
    assert not issubclass(trunkline.ConfigError, trunkline.CallError)
    assert issubclass(DeadlineExceededError, trunkline.CallError)


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = trunkline.nonsense


def test_secrets_are_replaced_longest_first_and_short_values_are_left_alone() -> None:
    redactor = Redactor(["s3cret-value", "s3cret-value-long", "on", ""])
    assert redactor.clean("on s3cret-value-long and s3cret-value") == "on [redacted] and [redacted]"
    assert "s3cret" not in repr(redactor)
