"""What curl is told of TLS and proxies: as we reach the server, and no secret in plain text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trunkline.cli.main import main
from trunkline.cli.reaching import way_options
from trunkline.config.policy_file import parse_policy

P = "http://me:s3cret@p.example:1"


def options(settings: object, url: str = "https://far.example/mcp", **environ: str) -> str:
    policy = parse_policy({"servers": {"far": settings}}, source="argument")
    return " ".join(way_options("far", url, policy.for_server("far"), Path("/etc/tls"), environ))


def test_each_setting_has_its_option(tmp_path: Path) -> None:
    tls = {"ca": "ca.pem", "cert": "c d.pem", "key": "/k.pem", "key_password": "${KP}", "minimum": "1.3"}
    expected = "--cacert /etc/tls/ca.pem --cert '/etc/tls/c d.pem' --key /k.pem --pass \"$KP\" --tlsv1.3"
    assert options({"tls": tls}) == expected
    assert options({"tls": {"ca": str(tmp_path), "verify": False}}) == f"--capath {tmp_path} --insecure"
    assert options({}) == ""


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        (False, "--noproxy '*'"),
        ("http://p.example:1", "--proxy http://p.example:1"),
        ("${CORP}", '--proxy "$CORP"'),
        ("http://me:${env:PW}@p.example", '--proxy http://p.example --proxy-user "me:$PW"'),
        ("http://m%40e:${file:pw}@p.example", "--proxy http://p.example --proxy-user 'm@e:***'"),
        ("http://${ME}:${PW}@${HOST}:1", '--proxy "http://$HOST:1" --proxy-user "$ME:$PW"'),
    ],
)
def test_a_proxy_is_named_and_its_credentials_stand_as_their_variables(proxy: object, expected: str) -> None:
    assert options({"proxy": proxy}, HTTPS_PROXY=P) == expected


def test_a_proxy_with_tls_is_trusted_as_the_server_is() -> None:
    settings = {"proxy": "https://p.example", "tls": {"ca": "/ca.pem", "minimum": "1.3", "verify": False}}
    assert options(settings) == (
        "--cacert /ca.pem --tlsv1.3 --insecure --proxy https://p.example "
        "--proxy-cacert /ca.pem --proxy-insecure"
    )


def test_of_the_environment_only_what_curl_reads_otherwise_is_said() -> None:
    assert options({}, HTTPS_PROXY=P) == ""
    assert options({}, "http://far.example/", http_proxy=P) == ""
    assert options({}, "http://far.example/", HTTP_PROXY=P) == '--proxy "$HTTP_PROXY"'
    assert options({}, "http://localhost:1/", http_proxy=P) == "--noproxy '*'"
    assert options({}, "http://10.1.2.3/", ALL_PROXY=P, NO_PROXY="10.0.0.0/8") == "--noproxy '*'"


def test_every_command_warns_of_a_server_that_is_not_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    servers = {"far": {"url": "https://far.example/mcp"}, "near": {"url": "http://127.0.0.1:1/mcp"}}
    (tmp_path / "mcp.json").write_text(json.dumps(servers))
    (tmp_path / "trunkline.toml").write_text("[defaults.tls]\nverify = false\n")
    assert main(["config", "show", "--config", str(tmp_path / "mcp.json")]) == 0
    shown = capsys.readouterr()
    assert "tls.verify = false" in shown.out
    (warning,) = shown.err.splitlines()
    assert warning.startswith("trunkline: warning: far: its certificate is not verified")
