"""Finding tools by words: the right few, in a fixed order, with scores that mean something."""

from __future__ import annotations

import pytest

from trunkline.catalog import SearchIndex, parse_tool


def tool(server, name, description="", properties=None, **more):
    schema = {"type": "object", "properties": properties or {}}
    return parse_tool(server, {"name": name, "description": description, "inputSchema": schema, **more})


TOOLS = [
    tool("time", "get_current_time", "Get the current time in a timezone", {"timezone": {"type": "string"}}),
    tool("time", "convert_time", "Convert a time between timezones"),
    tool("git", "git_status", "Show the working tree status"),
    tool("git", "git_commit", "Record changes to the repository", {"message": {"type": "string"}}),
    tool(
        "files",
        "read_file",
        "Read a file",
        {"encoding": {"enum": ["utf8", "latin1"], "description": "charset"}},
    ),
    tool("files", "listDirectory", "List what a directory holds"),
    tool("GitHub", "list_pull_requests", "List pull requests of a repository"),
    tool("mail", "send", "Send a message", {"to": {"properties": {"recipient": {"description": "postbox"}}}}),
]
INDEX = SearchIndex.build(TOOLS)


def found(query, **options):
    return [match.tool.public_name for match in INDEX.search(query, **options)]


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("the current time in Tokyo", "time.get_current_time"),
        ("converting times", "time.convert_time"),
        ("status of the working tree", "git.git_status"),
        ("directories", "files.listDirectory"),
        ("open PULL requests on github", "GitHub.list_pull_requests"),
        ("latin1 charset", "files.read_file"),
        ("postbox", "mail.send"),
    ],
)
def test_words_of_name_server_description_and_parameters_find_the_tool(query, best):
    assert found(query)[0] == best


def test_a_name_counts_more_than_a_mention():
    index = SearchIndex.build([tool("a", "x", "restart a server"), tool("b", "restart", "does it")])
    assert [match.tool.server for match in index.search("restart")] == ["b", "a"]


def test_the_title_is_read_too():
    index = SearchIndex.build([tool("a", "x1"), tool("a", "x2", title="Weather forecast")])
    assert [match.tool.name for match in index.search("forecast")] == ["x2"]


def test_equal_tools_stand_in_catalog_order():
    index = SearchIndex.build([tool(f"s{n}", "ping", "same words") for n in (3, 1, 2)])
    assert [match.tool.server for match in index.search("ping")] == ["s3", "s1", "s2"]


def test_scores_lie_between_zero_and_one_and_fall():
    scores = [match.score for match in INDEX.search("list the pull requests of a repository", min_score=0)]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)


def test_words_that_no_tool_knows_lower_the_score_but_not_the_rank():
    plain, odd = INDEX.search("git status"), INDEX.search("git status flibbertigibbet")
    assert [match.tool for match in plain] == [match.tool for match in odd]
    assert odd[0].score < plain[0].score


@pytest.mark.parametrize("query", ["", "the of and", "!!!", "flibbertigibbet", "\x00\ud800"])
def test_a_query_that_fits_nothing_finds_nothing(query):
    assert INDEX.search(query) == ()
    assert SearchIndex.build([]).search(query) == ()


def test_hits_far_below_the_best_are_left_out_unless_asked_for():
    query = "convert a time between timezones in a repository"
    assert "git.git_commit" not in found(query)
    assert "git.git_commit" in found(query, min_score=0, limit=10)
    assert found(query, min_score=0.99) == []


def test_limit_and_server_narrow_the_answer():
    assert len(found("time", limit=1)) == 1
    assert found("time", limit=0) == []
    assert found("repository", server="git") == ["git.git_commit"]
    assert found("repository", server="nobody") == []


def test_several_queries_are_interleaved_best_first_without_repetition():
    matches = INDEX.search_many(["current time", "git status", "time in a timezone"], limit=4)
    names = [match.tool.public_name for match in matches]
    assert set(names[:2]) == {"time.get_current_time", "git.git_status"}
    assert len(names) == len(set(names))
    assert INDEX.search_many([]) == ()


def test_a_tool_found_twice_keeps_its_better_score():
    queries = ["time flibbertigibbet nonsense", "timezone of the current time"]
    best: dict[str, float] = {}
    for query in queries:
        for match in INDEX.search(query):
            best[match.tool.public_name] = max(match.score, best.get(match.tool.public_name, 0.0))
    assert INDEX.search(queries[0])[0].tool.name == "convert_time"
    assert INDEX.search(queries[1])[1].tool.name == "convert_time"
    found_by_both = {match.tool.public_name: match.score for match in INDEX.search_many(queries)}
    assert found_by_both == {name: pytest.approx(best[name]) for name in found_by_both}


def test_repeating_a_word_or_padding_a_description_does_not_win():
    stuffed = tool("evil", "helper", "weather forecast " * 5000)
    honest = tool("weather", "get_forecast", "Weather forecast for a city")
    index = SearchIndex.build([stuffed, honest])
    assert index.search("weather forecast")[0].tool.server == "weather"


def test_praise_does_not_raise_a_rank():
    plain, praised = (
        tool("a", "ping", "Ping a host"),
        tool("b", "ping", "The best, most powerful tool. Ping a host"),
    )
    index = SearchIndex.build([plain, praised])
    first, second = index.search("best powerful tool to ping a host")
    assert (first.tool.server, second.tool.server) == ("a", "b")
    assert first.score == pytest.approx(second.score)


def test_schemas_of_any_shape_are_indexed():
    odd = [
        None,
        7,
        [],
        "x",
        {"properties": 3},
        {"enum": 3, "items": [1]},
        {"description": 5},
        {"enum": [1, None]},
    ]
    SearchIndex.build([tool("a", f"t{n}", properties={"p": value}) for n, value in enumerate(odd)])
    SearchIndex.build([parse_tool("a", {"name": "t", "inputSchema": {"properties": []}})])
