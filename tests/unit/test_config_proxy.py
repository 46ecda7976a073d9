"""Which proxy leads to a URL, decided without a network, and what may stand in the policy file."""

from __future__ import annotations

import pytest

from trunkline.config.policy_file import parse_policy
from trunkline.config.proxy import find_proxy
from trunkline.errors import ConfigError

P, Q = "http://proxy.example:3128", "http://other.example:8080"


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://a.example/mcp", {}, None),
        ("https://a.example/mcp", {"HTTPS_PROXY": P}, P),
        ("https://a.example/mcp", {"https_proxy": Q, "HTTPS_PROXY": P}, Q),
        ("https://a.example/mcp", {"HTTP_PROXY": P}, None),
        ("wss://a.example/mcp", {"HTTPS_PROXY": P}, P),
        ("ws://a.example/mcp", {"http_proxy": P}, P),
        ("http://a.example/mcp", {"HTTP_PROXY": P}, P),
        ("http://a.example/mcp", {"HTTP_PROXY": P, "REQUEST_METHOD": "GET"}, None),
        ("http://a.example/mcp", {"http_proxy": P, "REQUEST_METHOD": "GET"}, P),
        ("http://a.example/mcp", {"ALL_PROXY": P}, P),
        ("http://a.example/mcp", {"all_proxy": Q, "http_proxy": P}, P),
        ("http://a.example/mcp", {"http_proxy": "proxy.example:3128"}, P),
        ("http://a.example/mcp", {"http_proxy": ""}, None),
        ("http://localhost:8000/mcp", {"http_proxy": P}, None),
        ("http://x.localhost/mcp", {"http_proxy": P}, None),
        ("http://127.0.0.7/mcp", {"http_proxy": P}, None),
        ("http://[::1]/mcp", {"http_proxy": P}, None),
        ("http://a.example/mcp", {"http_proxy": P, "NO_PROXY": "a.example"}, None),
        ("http://b.a.example/mcp", {"http_proxy": P, "no_proxy": "a.example"}, None),
        ("http://ba.example/mcp", {"http_proxy": P, "no_proxy": "a.example"}, P),
        ("http://a.example/mcp", {"http_proxy": P, "no_proxy": "x, .example"}, None),
        ("http://a.example/mcp", {"http_proxy": P, "no_proxy": "*.example"}, None),
        ("http://a.example/mcp", {"http_proxy": P, "no_proxy": "*"}, None),
        ("http://a.example/mcp", {"http_proxy": P, "no_proxy": ", ,"}, P),
        ("http://a.example:81/mcp", {"http_proxy": P, "no_proxy": "a.example:81"}, None),
        ("http://a.example:82/mcp", {"http_proxy": P, "no_proxy": "a.example:81"}, P),
        ("http://10.1.2.3/mcp", {"http_proxy": P, "no_proxy": "10.0.0.0/8"}, None),
        ("http://11.1.2.3/mcp", {"http_proxy": P, "no_proxy": "10.0.0.0/8"}, P),
    ],
)
def test_the_environment_decides_as_it_does_for_other_programs(
    url: str, environ: dict[str, str], proxy: str | None
):
    assert find_proxy(url, "environment", environ, server="far") == proxy
    assert find_proxy(url, "none", environ, server="far") is None
    assert find_proxy(url, Q, environ, server="far") == Q


def test_credentials_come_from_variables_and_are_quoted():
    wanted = "http://${USER_NAME}:${PASSWORD}@${HOST}:3128"
    environ = {"USER_NAME": "me@work", "PASSWORD": "a:b/c", "HOST": "proxy.example"}
    found = find_proxy("https://a.example/", wanted, environ, server="far")
    assert found == "http://me%40work:a%3Ab%2Fc@proxy.example:3128"


def test_a_variable_that_is_missing_is_named_with_server_and_field():
    with pytest.raises(ConfigError) as caught:
        find_proxy("https://a.example/", "http://u:${PASSWORD}@p.example", {}, server="far")
    assert (caught.value.server, caught.value.field) == ("far", "proxy")
    assert "PASSWORD" in caught.value.message
    assert "PASSWORD" in (caught.value.hint or "")


@pytest.mark.parametrize("environ", [{"ALL_PROXY": "socks5://p.example"}, {"all_proxy": "http://"}])
def test_a_proxy_of_the_environment_that_cannot_be_used_is_a_mistake(environ: dict[str, str]):
    with pytest.raises(ConfigError, match="scheme"):
        find_proxy("https://a.example/", "environment", environ, server="far")


@pytest.mark.parametrize(
    "value",
    [
        "none",
        "environment",
        P,
        "https://p.example",
        "http://me:${PASSWORD}@p.example:1",
        "http://me@p.example",
    ],
)
def test_what_the_policy_may_say(value: str):
    policy = parse_policy({"servers": {"far": {"proxy": value}}}, source="argument")
    assert policy.for_server("far").proxy == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "proxy.example:3128",
        "socks5://p.example",
        "http://",
        "http://me:plain@p.example",
        "http://p.example:0",
        3,
        False,
    ],
)
def test_what_it_may_not_say_is_refused_and_a_password_is_not_repeated(value: object):
    with pytest.raises(ConfigError) as caught:
        parse_policy({"servers": {"far": {"proxy": value}}}, source="argument")
    assert caught.value.field == "servers.far.proxy"
    assert "plain" not in str(caught.value)
    assert "proxy.example:3128" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ca", ""),
        ("cert", 3),
        ("key_password", "hunter2"),
        ("minimum", "1.1"),
        ("minimum", 1.2),
        ("verify", "no"),
    ],
)
def test_tls_settings_are_checked_and_secrets_not_repeated(key: str, value: object):
    with pytest.raises(ConfigError) as caught:
        parse_policy({"servers": {"far": {"tls": {key: value}}}}, source="argument")
    assert caught.value.field == f"servers.far.tls.{key}"
    assert "hunter2" not in str(caught.value)
