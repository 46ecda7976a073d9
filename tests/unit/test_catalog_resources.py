"""Resources and prompts as listed: bad ones cost themselves, and a URI leads to one server or to an error."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.listing import Listing
from trunkline.catalog.prompts import check_arguments, parse_prompts
from trunkline.catalog.resources import find_server, find_template, parse_resources, parse_templates
from trunkline.errors import AmbiguousNameError, InvalidArgumentsError, NotFoundError

A = parse_resources("a", [{"uri": "mem://one", "name": "One"}, {"uri": "mem://both", "name": "Both"}])[0]
B = parse_resources("b", [{"uri": "mem://both", "name": "Both"}])[0]
T = (
    *parse_templates("a", [{"uriTemplate": "mem://a/{x}", "name": "t"}])[0],
    *parse_templates("b", [{"uriTemplate": "mem://{+any}", "name": "t"}])[0],
)


def find(uri: str, **facts: Any) -> str:
    options: dict[str, Any] = {"offering": ["a", "b"], **facts}
    return find_server(uri, (*A, *B), facts.pop("templates", ()) or (), **options)


def test_everything_a_definition_says_is_kept() -> None:
    raw = {
        "uri": "file:///x",
        "name": "x",
        "title": "X",
        "description": "An x.",
        "mimeType": "text/plain",
        "size": 7,
        "annotations": {"priority": 1},
        "icons": [],
    }
    (resource,), warnings = parse_resources("s", [raw])
    assert warnings == ()
    assert (resource.public_name, resource.title, resource.size) == ("s.x", "X", 7)
    assert (resource.mime_type, resource.annotations, resource.raw) == ("text/plain", {"priority": 1}, raw)


def test_optional_members_of_the_wrong_type_count_as_absent() -> None:
    raw = {"uri": "u:1", "name": 7, "title": [], "mimeType": {}, "size": -1, "annotations": "no"}
    (resource,), _ = parse_resources("s", [raw])
    assert (resource.name, resource.title, resource.mime_type, resource.size) == ("u:1", None, None, None)
    assert resource.annotations == {}


def test_of_two_with_one_uri_the_first_is_kept_and_the_other_is_warned_of() -> None:
    found, warnings = parse_resources("s", [{"uri": "u:1", "name": "a"}, {"uri": "u:1", "name": "b"}])
    assert [one.name for one in found] == ["a"]
    assert warnings == ("server 's': dropped resource 2 'b': an earlier resource has the same URI",)


def test_a_listed_uri_leads_to_its_server() -> None:
    assert find_server("mem://one", (*A, *B), T, offering=["a", "b"]) == "a"


def test_a_uri_of_several_servers_is_ambiguous_and_names_them() -> None:
    with pytest.raises(AmbiguousNameError) as caught:
        find_server("mem://both", (*A, *B), T, offering=["a", "b"])
    assert caught.value.candidates == ("a", "b")


def test_a_listed_uri_wins_over_a_template() -> None:
    assert find_server("mem://one", A, T, offering=["a", "b"]) == "a"


def test_a_template_leads_to_its_server_and_an_exact_match_wins_over_a_loose_one() -> None:
    assert find_server("mem://other", (), T, offering=["a", "b"]) == "b"
    loose = parse_templates("c", [{"uriTemplate": "mem://{x}", "name": "t"}])[0]
    assert find_server("mem://a b", (), loose, offering=["a", "c"]) == "c"
    exact = parse_templates("d", [{"uriTemplate": "mem://{+x}", "name": "t"}])[0]
    assert find_server("mem://a:b", (), (*loose, *exact), offering=["c", "d"]) == "d"


def test_templates_of_several_servers_are_ambiguous() -> None:
    with pytest.raises(AmbiguousNameError) as caught:
        find_server("mem://a/7", (), T, offering=["a", "b"])
    assert caught.value.candidates == ("a", "b")


def test_an_unlisted_uri_leads_to_the_only_server_that_has_resources() -> None:
    assert find_server("other:x", A, (), offering=["a"]) == "a"
    assert find_server("other:x", A, (), offering=["a"], unknown=["z"]) == "a"


def test_an_unlisted_uri_of_several_servers_is_not_found_with_what_is_near() -> None:
    with pytest.raises(NotFoundError) as caught:
        find_server("mem://oen", (*A, *B), (), offering=["a", "b"], unknown=["z"])
    assert caught.value.candidates[0] == "mem://one"
    assert "'z'" in str(caught.value)
    assert "'a', 'b'" in (caught.value.hint or "")


def test_nothing_is_found_where_no_server_has_resources() -> None:
    with pytest.raises(NotFoundError, match="no server has resources"):
        find_server("x:y", (), (), offering=[])


def test_a_template_is_found_as_it_is_written() -> None:
    assert find_template("mem://a/{x}", T) == "a"
    assert find_template("mem://{x}", T) is None
    with pytest.raises(AmbiguousNameError):
        find_template("mem://a/{x}", (*T, *parse_templates("z", [{"uriTemplate": "mem://a/{x}"}])[0]))


def test_a_hostile_uri_or_name_is_harmless_in_messages() -> None:
    with pytest.raises(NotFoundError) as caught:
        find_server("x:\x1b[2J\u202e" + "y" * 500, (), (), offering=["a", "b"])
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 400
    _, warnings = parse_resources("s", [{"name": "\x1b[31m\u202e"}])
    assert "\x1b" not in warnings[0]
    assert "\u202e" not in warnings[0]


def prompt(**changes: Any) -> Any:
    raw = {
        "name": "review",
        "arguments": [{"name": "code", "required": True}, {"name": "tone", "description": "How."}],
    }
    return parse_prompts("s", [raw | changes])[0][0]


def test_required_arguments_are_checked_by_name() -> None:
    check_arguments(prompt(), {"code": "x"})
    with pytest.raises(InvalidArgumentsError) as caught:
        check_arguments(prompt(), {"cod": "x", "tone": 7})
    assert caught.value.problems == ("'code' is required", "'tone' must be text")
    assert caught.value.delivery == "never_sent"
    assert caught.value.hint is not None
    assert "It takes code, tone (not: cod)" in caught.value.hint


def test_a_prompt_knows_what_it_requires() -> None:
    assert prompt().required == ("code",)
    assert prompt(arguments=None).arguments == ()
    assert prompt(arguments=[{"name": "a", "required": "yes"}]).required == ()


def test_a_prompt_whose_name_belongs_to_another_server_is_left_out() -> None:
    prompts, _ = parse_prompts("a", [{"name": "b.c"}, {"name": "ok"}])
    catalog = Catalog.build([Listing(server="a", prompts=prompts)], ["a", "a.b"])
    assert [one.name for one in catalog.prompts] == ["ok"]
    assert "left out prompt 'b.c'" in catalog.warnings[0]


def test_prompts_are_named_as_tools_are() -> None:
    one, _ = parse_prompts("a", [{"name": "review"}, {"name": "greet"}])
    two, _ = parse_prompts("b", [{"name": "review"}])
    catalog = Catalog.build([Listing(server="a", prompts=one), Listing(server="b", prompts=two)], ["a", "b"])
    assert catalog.resolve_prompt("greet").public_name == "a.greet"
    assert catalog.resolve_prompt("b.review").server == "b"
    with pytest.raises(AmbiguousNameError) as ambiguous:
        catalog.resolve_prompt("review")
    assert ambiguous.value.candidates == ("a.review", "b.review")
    assert "2 servers have a prompt" in str(ambiguous.value)
    with pytest.raises(NotFoundError, match="has no prompt 'gret'") as missing:
        catalog.resolve_prompt("a.gret")
    assert missing.value.candidates == ("a.greet",)
    assert "`trunkline prompt`" in (missing.value.hint or "")
