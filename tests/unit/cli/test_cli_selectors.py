"""Which tool the first words of a command line name."""

from __future__ import annotations

import pytest

from trunkline.cli.exits import UsageError
from trunkline.cli.selectors import select_tool, split_prefix

SERVERS = ("git", "my.git", "my", "a/b", "fetch")


@pytest.mark.parametrize(
    ("words", "server", "tool", "rest"),
    [
        (["git.log"], "git", "log", []),
        (["git/log"], "git", "log", []),
        (["git:log"], "git", "log", []),
        (["git", "log"], "git", "log", []),
        (["git", "log", "n=1"], "git", "log", ["n=1"]),
        (["git.log", "n=1"], "git", "log", ["n=1"]),
        (["git.log", "word"], "git", "log", ["word"]),
        (["my.git.log"], "my.git", "log", []),
        (["my.other.log"], "my", "other.log", []),
        (["a/b/log"], "a/b", "log", []),
        (["a/b.log"], "a/b", "log", []),
        (["git.a.b/c"], "git", "a.b/c", []),
        (["git", "a.b"], "git", "a.b", []),
        (["fetch", "url=x"], None, "fetch", ["url=x"]),
        (["fetch", '{"url": "x"}'], None, "fetch", ['{"url": "x"}']),
        (["fetch", "@args"], None, "fetch", ["@args"]),
        (["fetch"], None, "fetch", []),
        (["log"], None, "log", []),
        (["gti.log"], None, "gti.log", []),
        (["git."], None, "git.", []),
        (["gitlog"], None, "gitlog", []),
    ],
)
def test_a_tool_is_named_in_every_way(
    words: list[str], server: str | None, tool: str, rest: list[str]
) -> None:
    selector, left = select_tool(words, SERVERS)
    assert (selector.server, selector.tool, left) == (server, tool, rest)


def test_the_public_name_is_what_the_runtime_is_given() -> None:
    assert select_tool(["git/log"], SERVERS)[0].name == "git.log"
    assert select_tool(["log"], SERVERS)[0].name == "log"


@pytest.mark.parametrize("words", [[], [""], ["a=b"], ["{}"], ["@file"], ["a:=1", "git.log"]])
def test_arguments_without_a_tool_are_refused(words: list[str]) -> None:
    with pytest.raises(UsageError):
        select_tool(words, SERVERS)


def test_a_word_that_only_begins_like_a_server_is_not_split() -> None:
    assert split_prefix("github.log", SERVERS) is None
