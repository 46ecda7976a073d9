"""Which proxy leads to a URL, decided without a network, and what may stand in the policy file."""

from __future__ import annotations

from pathlib import Path

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
    (name,) = environ
    with pytest.raises(ConfigError, match=f"the environment variable {name} ") as caught:
        find_proxy("https://a.example/", "environment", environ, server="far")
    assert 'proxy = "none"' in (caught.value.hint or "")


@pytest.mark.parametrize("host", ["", "a..b", f"{'x' * 70}.example", "a b", "[::1", "a\nb", "a@b", "a:99999"])
@pytest.mark.parametrize("wanted", ["environment", "http://me:${PASSWORD}@${HOST}", "${WHOLE}"])
def test_what_is_no_url_of_a_proxy_is_a_mistake_that_shows_no_secret(host: str, wanted: str):
    whole = f"http://me:hunter2secret@{host}/@"
    environ = {"HTTPS_PROXY": whole, "WHOLE": whole, "PASSWORD": "hunter2secret", "HOST": f"{host}/@"}
    with pytest.raises(ConfigError) as caught:
        find_proxy("https://a.example/", wanted, environ, server="far")
    assert (caught.value.server, caught.value.field) == ("far", "proxy")
    assert (
        "hunter2secret"
        not in f"{caught.value!r} {caught.value} {caught.value.hint} {caught.value.__cause__!r}"
    )


def test_a_reference_may_name_a_variable_or_a_file_and_may_be_all_of_it(tmp_path: Path):
    (tmp_path / "password").write_text("s3cret\n")
    environ = {"CORP": "http://me:pw@p.example:1", "ME": "m e"}
    found = [
        find_proxy("https://a.example/", wanted, environ, server="far", folder=str(tmp_path))
        for wanted in ("${CORP}", "http://${env:ME}:${file:password}@p.example:1", "http://m%40e@p.example")
    ]
    assert found == ["http://me:pw@p.example:1", "http://m%20e:s3cret@p.example:1", "http://m%40e@p.example"]
    with pytest.raises(ConfigError, match="cannot be read"):
        find_proxy("https://a.example/", "http://u:${file:gone}@p.example", {}, server="far")


@pytest.mark.parametrize("value", ["", False])
def test_off_is_another_word_for_none(value: object):
    tables = {"defaults": {"proxy": P}, "servers": {"far": {"proxy": value}}}
    policy = parse_policy(tables, source="argument")
    assert (policy.for_server("far").proxy, policy.for_server("near").proxy) == ("none", P)


@pytest.mark.parametrize(
    "value",
    [
        "none",
        "environment",
        P,
        "https://p.example",
        "http://me:${PASSWORD}@p.example:1",
        "http://me@p.example",
        "http://me:${env:PASSWORD}@p.example:1",
        "http://me:${file:~/password}@p.example:1",
        "${CORPORATE_PROXY}",
    ],
)
def test_what_the_policy_may_say(value: str):
    policy = parse_policy({"servers": {"far": {"proxy": value}}}, source="argument")
    assert policy.for_server("far").proxy == value


@pytest.mark.parametrize(
    "value",
    [
        "proxy.example:3128",
        "socks5://p.example",
        "http://",
        "http://me:plain@p.example",
        "http://p.example:0",
        "http://me:${PASSWORD:-plain}@p.example",
        "http://me:${PASSWORD}plain@p.example",
        "http://me:a@plain@p.example",
        "http://${PASSWORD@p.example",
        3,
        0,
        True,
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
        ("ca", False),
        ("cert", 3),
        ("key_password", "hunter2"),
        ("key_password", "${PASSWORD:-hunter2}"),
        ("key_password", "${input:hunter2}"),
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
