"""The catalog: an immutable value in a stable order."""

from __future__ import annotations

from trunkline.catalog import Catalog, Listing, parse_tool


def listing(server, *names, **facts):
    tools = tuple(parse_tool(server, {"name": name, "inputSchema": {"type": "object"}}) for name in names)
    return Listing(server=server, tools=tools, **facts)


def names(tools):
    return [tool.public_name for tool in tools]


def test_tools_stand_in_configuration_order_and_then_in_the_servers_order():
    catalog = Catalog.build(
        [listing("time", "now"), listing("git", "status", "add")], ["git", "idle", "time"]
    )
    assert names(catalog) == ["git.status", "git.add", "time.now"]
    assert names(catalog.tools) == names(catalog)
    assert len(catalog) == 3
    assert catalog.servers == ("git", "idle", "time")


def test_a_tool_is_found_by_public_name_by_server_and_by_its_own_name():
    catalog = Catalog.build([listing("a", "x", "y"), listing("b", "x")], ["a", "b"])
    assert catalog.get("a.x").server == "a"
    assert catalog.get("x") is None
    assert catalog.get("c.x") is None
    assert names(catalog.of_server("a")) == ["a.x", "a.y"]
    assert catalog.of_server("c") == ()
    assert names(catalog.named("x")) == ["a.x", "b.x"]


def test_a_glob_matches_public_names_with_case():
    catalog = Catalog.build([listing("git", "status", "Status", "add")], ["git"])
    assert names(catalog.matching("git.s*")) == ["git.status"]
    assert names(catalog.matching("*.[aS]*")) == ["git.Status", "git.add"]
    assert catalog.matching("git") == ()


def test_a_tool_whose_public_name_belongs_to_another_server_is_left_out_with_a_warning():
    catalog = Catalog.build([listing("a", "b.c", "d"), listing("a.b", "c")], ["a", "a.b"])
    assert names(catalog) == ["a.d", "a.b.c"]
    assert catalog.get("a.b.c").server == "a.b"
    assert len(catalog.warnings) == 1
    assert "server 'a': left out tool 'b.c'" in catalog.warnings[0]
    assert "rename one of the two servers" in catalog.warnings[0]


def test_the_tool_is_left_out_even_while_the_other_server_lists_nothing():
    catalog = Catalog.build([listing("a", "b.c")], ["a", "a.b"])
    assert names(catalog) == []


def test_warnings_of_the_listings_are_kept():
    catalog = Catalog.build([listing("a", "x", warnings=("server 'a': dropped tool 2",))], ["a"])
    assert catalog.warnings == ("server 'a': dropped tool 2",)


def test_a_listing_of_a_server_that_is_not_configured_is_ignored_with_a_warning():
    catalog = Catalog.build([listing("ghost", "x")], ["a"])
    assert len(catalog) == 0
    assert catalog.warnings == ("server 'ghost' is not configured: ignored its listing",)
