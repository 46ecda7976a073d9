"""Which tool a name means, and what the error says when it means none or several."""

from __future__ import annotations

import pytest

from trunkline.catalog import CLI_SEPARATORS, Catalog, Listing, parse_tool, resolve, split_name
from trunkline.errors import AmbiguousNameError, NotFoundError


def catalog_of(**servers):
    listings = [
        Listing(
            server=server,
            tools=tuple(parse_tool(server, {"name": name, "inputSchema": {}}) for name in tools),
        )
        for server, tools in servers.items()
    ]
    return Catalog.build(listings, list(servers))


CATALOG = catalog_of(
    git=["git_status", "git_log", "search"],
    web=["search", "fetch"],
    idle=[],
    time=["get_current_time", "convert_time"],
    **{"git.hub": ["search", "list_pull_requests"]},
)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("git.git_status", ("git", "git_status")),
        ("git.hub.search", ("git.hub", "search")),
        ("git.hubs.search", ("git", "hubs.search")),
        ("git.hub", ("git", "hub")),
        ("git.", None),
        ("other.search", None),
        ("git/search", None),
        ("", None),
        (".", None),
    ],
)
def test_the_longest_configured_server_name_is_the_prefix(selector, expected):
    assert split_name(selector, CATALOG.servers) == expected


@pytest.mark.parametrize("selector", ["git.hub.search", "git.hub/search", "git.hub:search"])
def test_the_command_line_takes_three_separators(selector):
    assert split_name(selector, CATALOG.servers, separators=CLI_SEPARATORS) == ("git.hub", "search")
    assert (
        resolve(selector, CATALOG.servers, CATALOG, separators=CLI_SEPARATORS).public_name == "git.hub.search"
    )


def test_server_names_may_hold_separators_themselves():
    assert split_name("a/b/c.d", ["a", "a/b"], separators=CLI_SEPARATORS) == ("a/b", "c.d")
    assert split_name("a..x", ["a", "a."]) == ("a.", "x")


def test_a_separator_of_the_command_line_never_leads_to_another_server():
    catalog = catalog_of(a=["b.c"], **{"a.b": ["c"]})
    with pytest.raises(NotFoundError) as caught:
        catalog.resolve("a/b.c", separators=CLI_SEPARATORS)
    assert caught.value.server == "a"


def test_public_names_and_unique_bare_names_resolve():
    assert CATALOG.resolve("web.search").public_name == "web.search"
    assert CATALOG.resolve("fetch").public_name == "web.fetch"


def test_a_bare_name_wins_over_a_server_of_the_same_name():
    assert catalog_of(echo=["echo"]).resolve("echo").public_name == "echo.echo"


def test_a_bare_name_of_several_servers_is_ambiguous_and_lists_all_of_them():
    with pytest.raises(AmbiguousNameError) as caught:
        CATALOG.resolve("search")
    error = caught.value
    assert error.candidates == ("git.hub.search", "git.search", "web.search")
    assert str(error) == (
        "search: 3 servers have a tool of this name: git.hub.search, git.search, web.search"
    )
    assert error.hint == "Name the server too, such as git.hub.search."


def test_many_candidates_are_all_in_the_error_but_not_all_in_its_message():
    catalog = catalog_of(**{f"s{n}": ["x"] for n in range(9)})
    with pytest.raises(AmbiguousNameError, match="and 4 more") as caught:
        catalog.resolve("x")
    assert len(caught.value.candidates) == 9


def test_an_unknown_tool_of_a_known_server_names_the_server_and_its_own_nearest_tools_first():
    with pytest.raises(NotFoundError) as caught:
        CATALOG.resolve("git.serach")
    error = caught.value
    assert str(error) == "git.serach: server 'git' has no tool 'serach'"
    assert error.server == "git"
    assert error.candidates[0] == "git.search"
    assert len(error.candidates) <= 3
    assert error.hint.startswith("Did you mean git.search")
    assert "`trunkline tools git`" in error.hint
    assert error.delivery == "never_sent"


def test_an_unknown_bare_name_suggests_what_was_probably_meant():
    with pytest.raises(NotFoundError) as caught:
        CATALOG.resolve("git_sttus")
    assert caught.value.candidates[0] == "git.git_status"
    with pytest.raises(NotFoundError) as caught:
        CATALOG.resolve("current_time")
    assert caught.value.candidates[0] == "time.get_current_time"


def test_a_misspelled_server_is_recognized_by_the_whole_name_or_by_the_tool_alone():
    with pytest.raises(NotFoundError) as caught:
        CATALOG.resolve("gti.git_log")
    assert caught.value.candidates[0] == "git.git_log"
    with pytest.raises(NotFoundError) as caught:
        CATALOG.resolve("my-browser.fetch")
    assert "web.fetch" in caught.value.candidates


def test_nothing_near_gives_no_candidates_but_still_a_way_on():
    with pytest.raises(NotFoundError) as caught:
        CATALOG.resolve("zzzqqq")
    assert caught.value.candidates == ()
    assert caught.value.hint == "`trunkline tools` lists all tools."


def test_the_bare_name_of_a_server_is_called_that_and_its_tools_are_named():
    with pytest.raises(NotFoundError) as caught:
        CATALOG.resolve("time")
    assert str(caught.value) == (
        "time: this is the name of a server, not of a tool; "
        "its tools are time.get_current_time, time.convert_time"
    )
    assert caught.value.candidates == ("time.get_current_time", "time.convert_time")


def test_a_server_that_lists_nothing_is_told_apart_from_a_wrong_tool_name():
    with pytest.raises(NotFoundError, match="it lists no tools at all"):
        CATALOG.resolve("idle.search")
    with pytest.raises(NotFoundError, match="it lists no tools"):
        CATALOG.resolve("idle")


def test_a_hostile_selector_cannot_put_control_characters_or_floods_into_the_message():
    for selector in ("\x1b[2J\x1b]0;x\x07", "a" * 100_000, "git." + "\u202e" * 500):
        with pytest.raises(NotFoundError) as caught:
            CATALOG.resolve(selector)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 4000
