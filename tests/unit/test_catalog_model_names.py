"""Names for models: within what providers accept, and always leading back to one tool."""

from __future__ import annotations

import pytest

from trunkline.catalog import model_names, parse_tool


def tool(server, name):
    return parse_tool(server, {"name": name, "inputSchema": {}})


def test_an_ordinary_tool_is_called_server_and_tool_with_two_underscores():
    names = model_names([tool("git", "git_status"), tool("my-files", "read-file")])
    assert list(names) == [
        ("git.git_status", "git__git_status"),
        ("my-files.read-file", "my-files__read-file"),
    ]
    assert names.to_public("git__git_status") == "git.git_status"
    assert names.to_model("git.git_status") == "git__git_status"
    assert len(names) == 2


def test_names_not_in_the_table_lead_nowhere():
    names = model_names([tool("git", "log")])
    assert names.to_public("git__status") is None
    with pytest.raises(KeyError):
        names.to_model("git.status")


@pytest.mark.parametrize(
    ("server", "name"),
    [("git", "über"), ("my server", "x"), ("a", "b.c"), ("a" * 40, "b" * 40), ("", ""), ("a", "b\ud800")],
)
def test_a_changed_or_shortened_name_ends_in_a_digest_of_the_public_name(server, name):
    names = model_names([tool(server, name or ".")])
    ((_, model),) = names
    assert len(model) <= 64
    head, _, digest = model.rpartition("_")
    assert head
    assert len(digest) == 8
    assert set(digest) <= set("0123456789abcdef")


def test_a_shortened_name_still_shows_server_and_tool():
    ((_, model),) = model_names([tool("server-" + "s" * 60, "tool_" + "t" * 60)])
    assert model.startswith("server-s")
    assert "__tool_t" in model


def test_names_that_would_read_the_same_are_told_apart():
    pairs = [("a__b", "c"), ("a", "b__c"), ("a_", "b"), ("a", "_b"), ("a b", "c"), ("a_b", "c"), ("a-b", "c")]
    names = model_names([tool(*pair) for pair in pairs])
    assert len({model for _, model in names}) == len(pairs)
    assert all(list(model_names([tool(*pair)])) == [named] for pair, named in zip(pairs, names, strict=True))


def test_a_tool_named_like_the_digested_name_of_another_cannot_take_its_place():
    victim = tool("a", "b c")
    ((_, taken),) = model_names([victim])
    thief = tool("a", taken.removeprefix("a__"))
    names = model_names([victim, thief])
    assert names.to_public(taken) == victim.public_name
    assert names.to_model(thief.public_name) != taken


def test_two_equal_short_digests_become_long_ones_whatever_the_order(monkeypatch):
    real = model_names.__globals__["hashlib"].sha256

    class Colliding:
        def __init__(self, data):
            self.digest = real(data).hexdigest()

        def hexdigest(self):
            return "00000000" + self.digest

    monkeypatch.setattr(model_names.__globals__["hashlib"], "sha256", Colliding)
    tools = [tool("a", "b c"), tool("a", "b,c"), tool("a", "other.name")]
    forward, backward = dict(model_names(tools)), dict(model_names(reversed(tools)))
    assert forward == backward
    assert len(set(forward.values())) == 3
    assert [len(model.rpartition("_")[2]) for model in forward.values()] == [40, 40, 8]
