"""The page about TLS and proxies: its settings are read, its code runs, its table is complete."""

from __future__ import annotations

import re
import ssl
import tomllib
from pathlib import Path
from typing import Any

from trunkline.config.policy_file import parse_policy

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/how-to/tls-and-proxies.md").read_text("utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


def test_the_settings_are_what_the_page_says():
    policy = parse_policy(tomllib.loads(block("toml")), source="argument")
    tls = policy.for_server("internal-db").tls
    assert (tls.ca, tls.cert, tls.key, tls.minimum) == ("corporate-ca.pem", "client.pem", "client.key", "1.3")
    assert tls.key_password == "${KEY_PASSWORD}"
    assert policy.for_server("far").proxy.startswith("http://me:${PROXY_PASSWORD}@")
    assert policy.for_server("near").proxy == "none"
    assert policy.for_server("other").proxy == "environment"


def test_the_code_runs():
    names: dict[str, Any] = {}
    exec(compile(block("python"), "tls-and-proxies.md", "exec"), names)
    assert names["context"].minimum_version == ssl.TLSVersion.TLSv1_3


def test_the_table_holds_every_code_and_no_other():
    listed = set(re.findall(r"^\| `((?:tls|proxy)_\w+)` \|", TEXT, re.MULTILINE))
    source = "".join(path.read_text("utf-8") for path in (ROOT / "src/trunkline/transport").glob("*.py"))
    assert listed == set(re.findall(r'"((?:tls|proxy)_[a-z_]+)"', source))
