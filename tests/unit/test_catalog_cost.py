"""What a large catalog costs, counted in function calls, which no busy machine can change."""

from __future__ import annotations

import sys

import pytest

from trunkline.catalog import Catalog, Listing, SearchIndex, model_names, parse_tools
from trunkline.catalog.search import Vocabulary
from trunkline.errors import NotFoundError

VERBS = ("get", "list", "create", "delete", "search")
NOUNS = (
    "item",
    "weather",
    "city_forecast",
    "pullRequest",
    "customer",
    "invoice",
    "song",
    "film",
    "map",
    "bank",
)


def definitions(count):
    for n in range(count):
        verb, noun = VERBS[n % 5], NOUNS[n // 5 % 10]
        properties = {
            f"{noun}_id": {"type": "string", "description": f"Which {noun} to {verb}, of group {n}"}
        }
        schema = {"type": "object", "properties": properties}
        yield {
            "name": f"{verb}_{noun}_{n}",
            "description": f"{verb} one {noun} or more.",
            "inputSchema": schema,
        }


def read(count):
    servers = [f"server.{n}" for n in range(count // 50)]
    return servers, [
        Listing(server=server, tools=parse_tools(server, definitions(50), transport="http")[0])
        for server in servers
    ]


def calls_of(function):
    """How many Python and built-in functions this one calls."""
    count = 0

    def notice(_frame, event, _argument):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(notice)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


@pytest.fixture(scope="module")
def catalog():
    servers, listings = read(5000)
    return Catalog.build(listings, servers)


def test_reading_naming_and_indexing_take_a_bounded_number_of_steps_per_tool(catalog):
    assert len(catalog) == 5000
    assert calls_of(lambda: read(5000)) < 60 * 5000
    assert calls_of(lambda: Catalog.build(read(5000)[1], catalog.servers)) < 80 * 5000
    assert calls_of(lambda: model_names(catalog)) < 20 * 5000
    assert calls_of(lambda: SearchIndex.build(catalog)) < 200 * 5000


@pytest.mark.parametrize(
    "typed", ["get_current_wether_forecast_for_city", "server.3.get_itme_17", "gte.x", "g"]
)
def test_a_guess_takes_few_steps_per_tool(catalog, typed):
    def guess():
        with pytest.raises(NotFoundError):
            catalog.resolve(typed)

    assert calls_of(guess) < 6 * 5000


def test_a_search_takes_less_than_one_call_per_tool(catalog):
    index = SearchIndex.build(catalog)
    query = "delete the invoice of a customer in the bank"
    words = len(Vocabulary().terms(query))
    assert words == 4
    assert calls_of(lambda: index.search(query)) < 5000
    assert calls_of(lambda: index.search("flibbertigibbet")) < 200
