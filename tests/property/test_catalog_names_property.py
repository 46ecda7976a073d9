"""Names never lead to the wrong tool, whatever servers and tools are called."""

from __future__ import annotations

import re
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.catalog import CLI_SEPARATORS, Catalog, Listing, model_names, parse_tool, split_name
from trunkline.errors import NotFoundError

PART = st.one_of(
    st.text("ab._-/: ", min_size=1, max_size=6),
    st.sampled_from(
        ["a", "A", "a_", "_a", "a__b", "b__c", "__", "..", ".", "é", "e\u0301", "a" * 70, "x\ud800"]
    ),
    st.text(min_size=1, max_size=12),
)
SERVERS = st.dictionaries(PART, st.lists(PART, unique=True, max_size=5), max_size=6)
ALLOWED = re.compile(r"[A-Za-z0-9_-]{1,64}")


def catalog_of(servers):
    listings = [
        Listing(
            server=server,
            tools=tuple(parse_tool(server, {"name": name, "inputSchema": {}}) for name in names),
        )
        for server, names in servers.items()
    ]
    return Catalog.build(listings, list(servers))


def check_names(servers):
    catalog = catalog_of(servers)
    assert len({tool.public_name for tool in catalog}) == len(catalog)
    table = model_names(catalog)
    assert len(table) == len(catalog)
    for tool in catalog:
        model = table.to_model(tool.public_name)
        assert ALLOWED.fullmatch(model)
        assert table.to_public(model) == tool.public_name


@settings(max_examples=300, deadline=None)
@given(SERVERS)
def test_public_and_model_names_are_one_to_one(servers):
    check_names(servers)


def test_names_of_ten_thousand_random_server_sets_are_one_to_one():
    pieces = [
        "a",
        "b",
        "A",
        "_",
        "__",
        ".",
        "..",
        "-",
        "/",
        ":",
        " ",
        "é",
        "日",
        "a_",
        "_b",
        "b__c",
        "a" * 33,
    ]
    for seed in range(10_000):
        random = Random(seed)
        names = ["".join(random.choices(pieces, k=random.randint(1, 4))) for _ in range(12)]
        check_names({name: list(dict.fromkeys(random.choices(names, k=4))) for name in names[:4]})


@settings(max_examples=300, deadline=None)
@given(SERVERS)
def test_every_tool_of_a_catalog_is_reached_by_its_public_name_and_no_other_is(servers):
    catalog = catalog_of(servers)
    for tool in catalog:
        assert split_name(tool.public_name, servers) == (tool.server, tool.name)
        assert catalog.resolve(tool.public_name) is tool
    left_out = sum(len(names) for names in servers.values()) - len(catalog)
    assert len(catalog.warnings) == left_out


@settings(max_examples=300, deadline=None)
@given(SERVERS, PART, PART)
def test_a_selector_of_a_known_server_never_resolves_to_another_one(servers, server, name):
    catalog = catalog_of(servers | {server: []})
    selector = f"{server}/{name}"
    split = split_name(selector, catalog.servers, separators=CLI_SEPARATORS)
    assert split is not None
    assert selector.startswith(split[0])
    assert len(split[0]) >= len(server)
    try:
        tool = catalog.resolve(selector, separators=CLI_SEPARATORS)
    except NotFoundError as error:
        assert error.server == split[0]  # noqa: PT017
    else:
        assert (tool.server, tool.name) == split


@settings(max_examples=300, deadline=None)
@given(SERVERS, st.randoms(use_true_random=False))
def test_a_model_name_depends_on_its_own_tool_alone(servers, random):
    tools = list(catalog_of(servers))
    everything = dict(model_names(tools))
    some = random.sample(tools, random.randint(0, len(tools)))
    assert all(everything[public] == model for public, model in model_names(some))
