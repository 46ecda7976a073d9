"""URI templates: what RFC 6570 expands is recognized again, and no template costs more than its length."""

from __future__ import annotations

import time

import pytest

from trunkline.catalog.uri_template import Candidate, UriTemplate

RFC_6570 = [
    # Level 1 and 2
    ("{var}", "value"),
    ("{hello}", "Hello%20World%21"),
    ("{+var}", "value"),
    ("{+hello}", "Hello%20World!"),
    ("{+path}/here", "/foo/bar/here"),
    ("here?ref={+path}", "here?ref=/foo/bar"),
    ("X{#var}", "X#value"),
    ("X{#hello}", "X#Hello%20World!"),
    # Level 3
    ("map?{x,y}", "map?1024,768"),
    ("{x,hello,y}", "1024,Hello%20World%21,768"),
    ("{+x,hello,y}", "1024,Hello%20World!,768"),
    ("{+path,x}/here", "/foo/bar,1024/here"),
    ("{#x,hello,y}", "#1024,Hello%20World!,768"),
    ("{#path,x}/here", "#/foo/bar,1024/here"),
    ("X{.var}", "X.value"),
    ("X{.x,y}", "X.1024.768"),
    ("{/var}", "/value"),
    ("{/var,x}/here", "/value/1024/here"),
    ("{;x,y}", ";x=1024;y=768"),
    ("{;x,y,empty}", ";x=1024;y=768;empty"),
    ("{?x,y}", "?x=1024&y=768"),
    ("{?x,y,empty}", "?x=1024&y=768&empty="),
    ("?fixed=yes{&x}", "?fixed=yes&x=1024"),
    ("{&x,y,empty}", "&x=1024&y=768&empty="),
    # Level 4
    ("{var:3}", "val"),
    ("{var:30}", "value"),
    ("{list}", "red,green,blue"),
    ("{list*}", "red,green,blue"),
    ("{keys}", "semi,%3B,dot,.,comma,%2C"),
    ("{keys*}", "semi=%3B,dot=.,comma=%2C"),
    ("{+path:6}/here", "/foo/b/here"),
    ("{+list*}", "red,green,blue"),
    ("{+keys*}", "semi=;,dot=.,comma=,"),
    ("{#path:6}/here", "#/foo/b/here"),
    ("{#keys*}", "#semi=;,dot=.,comma=,"),
    ("X{.var:3}", "X.val"),
    ("X{.list*}", "X.red.green.blue"),
    ("X{.keys*}", "X.semi=%3B.dot=..comma=%2C"),
    ("{/var:1,var}", "/v/value"),
    ("{/list*}", "/red/green/blue"),
    ("{/list*,path:4}", "/red/green/blue/%2Ffoo"),
    ("{/keys*}", "/semi=%3B/dot=./comma=%2C"),
    ("{;hello:5}", ";hello=Hello"),
    ("{;list}", ";list=red,green,blue"),
    ("{;list*}", ";list=red;list=green;list=blue"),
    ("{;keys*}", ";semi=%3B;dot=.;comma=%2C"),
    ("{?var:3}", "?var=val"),
    ("{?list*}", "?list=red&list=green&list=blue"),
    ("{?keys*}", "?semi=%3B&dot=.&comma=%2C"),
    ("{&var:3}", "&var=val"),
    ("{&keys*}", "&semi=%3B&dot=.&comma=%2C"),
    # Undefined variables leave nothing (section 3.2.1)
    ("O{undef}X", "OX"),
    ("{/x,undef}", "/1024"),
    ("{?x,undef}", "?x=1024"),
    ("{?undef}", ""),
    # Literals outside the allowed set are encoded (section 3.1)
    ("caf\u00e9/{x}", "caf%C3%A9/1"),
    ("caf\u00e9/{x}", "caf\u00e9/1"),
]


@pytest.mark.parametrize(("template", "uri"), RFC_6570)
def test_what_a_template_expands_to_matches_it_exactly(template: str, uri: str) -> None:
    assert UriTemplate(template).match(uri) == "exact"


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("greeting://{name}", "greeting://Jos\u00e9 Mar\u00eda"),
        ("mail://{address}", "mail://ann@example.org"),
        ("table://{name}/rows", "table://db:users/rows"),
        ("find://x{?q}", "find://x?q=a/b?"),
        ("file:///{+path}", "file:///My Documents/a.txt"),
    ],
)
def test_a_value_that_should_have_been_encoded_matches_loosely(template: str, uri: str) -> None:
    assert UriTemplate(template).match(uri) == "loose"


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("users://{id}/profile", "users://7/settings"),
        ("users://{id}", "users://7/profile"),
        ("users://{id}", "user://7"),
        ("{/one}", "/a/b"),
        ("{var:3}", "valu"),
        ("{?x,y}", "?z=1"),
        ("x{?a}", "x?a=1#b"),
        ("file:///{name}.txt", "file:///a.txt.bak"),
        ("a{#f}", "ab"),
        ("plain", "plain2"),
    ],
)
def test_another_uri_does_not_match(template: str, uri: str) -> None:
    assert UriTemplate(template).match(uri) is None


@pytest.mark.parametrize(
    "template",
    [
        "{",
        "}",
        "a{b",
        "{a}}",
        "{}",
        "{a b}",
        "{=a}",
        "{!a}",
        "{|a}",
        "{a:0}",
        "{a:10000}",
        "{a**}",
        "{a,}",
        "{?}",
    ],
)
def test_what_is_no_template_is_refused_with_a_reason(template: str) -> None:
    with pytest.raises(ValueError, match="URI template"):
        UriTemplate(template)


def test_variables_are_known_by_name_in_order() -> None:
    template = UriTemplate("db://{host}/{table}{?limit,where*}{#part:3}")
    assert [one.name for one in template.variables] == ["host", "table", "limit", "where", "part"]
    assert [one.explode for one in template.variables] == [False, False, False, True, False]
    assert template.variables[-1].longest == 3


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("{+a}" * 60 + "!", "a" * 4000),
        ("{a,b,c}" * 60 + "!", "a," * 2000),
        ("{?a*}{&b*}" * 30 + "!", "?a=1" + "&a=1" * 1000),
        ("{/a*}" * 60 + "!", "/a" * 2000),
        ("{;a}" * 60 + "!", ";a" * 2000),
        ("{a:9999}" * 60 + "!", "aaa" * 1000),
    ],
)
def test_a_thousand_hostile_templates_cost_no_more_than_the_steps_there_are(template: str, uri: str) -> None:
    matcher, candidate = UriTemplate(template), Candidate(uri)
    began = time.process_time()
    assert [matcher.match(candidate) for _ in range(1000)] == [None] * 1000
    assert time.process_time() - began < 2


def test_too_long_a_template_is_refused_and_too_long_a_uri_never_matches() -> None:
    with pytest.raises(ValueError, match="longer"):
        UriTemplate("{a}" * 5000)
    with pytest.raises(ValueError, match="parts"):
        UriTemplate("{a}" * 500)
    assert UriTemplate("{+a}").match("a" * 100_000) is None
