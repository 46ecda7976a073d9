"""Which URLs a server may send a person to: refused, shown with warnings, or shown plainly."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.security.destination import judge_url

PLAIN = [
    "https://example.com",
    "https://example.com/connect?state=abc&next=%2Fhome#part",
    "HTTPS://EXAMPLE.COM/UPPER",
    "https://mcp.example.com:443/ui/set_api_key",
    "https://good.com/?user=a@evil.com",
    "https://good.com/#@evil.com",
    "https://a-b.co.uk/path%20with%20space",
    "https://example.com./",
]
WARNED = [
    ("https://xn--80ak6aa92e.com/", "browsers may show"),
    ("https://xn--bcher-kva.de/", "bücher"),
    ("https://bücher.de/", "may look like others"),
    ("https://\u0430\u0440\u0440\u04cf\u0435.com/", "may look like others"),
    ("https://例え.jp/", "may look like others"),
    ("https://paypal.com.evil.example/login", "belongs to evil.example"),
    ("https://localhost.evil.com/", "belongs to evil.com"),
    ("https://8.8.8.8/", "bare address"),
    ("https://[2606:4700::1111]/", "bare address"),
    ("https://10.0.0.7/", "own network"),
    ("https://192.168.1.1/admin", "own network"),
    ("https://[fd00::1]/", "own network"),
    ("https://intranet/", "own network"),
    ("https://example.com:8443/", "unusual port 8443"),
    ("http://localhost:3000/cb", "this computer"),
    ("http://127.0.0.1:9/", "this computer"),
    ("http://[::1]:8080/", "this computer"),
    ("http://app.localhost/", "this computer"),
    ("https://example.com/" + "a" * 2000, "unusually long"),
]
REFUSED = [
    ("https://user@good.com/", "user name"),
    ("https://user:pass@good.com/", "user name"),
    ("https://good.com:443@evil.com/", "user name"),
    ("https://good.com%40evil.com/", "no valid host"),
    ("https://good.com\\@evil.com/", "backslash"),
    ("https:\\\\good.com/", "backslash"),
    ("javascript:alert(1)", "scheme 'javascript'"),
    ("JaVaScRiPt://good.com/%0aalert(1)", "scheme 'javascript'"),
    ("data:text/html,<script>1</script>", "scheme 'data'"),
    ("file:///etc/passwd", "scheme 'file'"),
    ("blob:https://good.com/1", "scheme 'blob'"),
    ("view-source:https://good.com", "scheme 'view-source'"),
    ("vbscript:x", "scheme 'vbscript'"),
    ("ftp://good.com/", "scheme 'ftp'"),
    ("wss://good.com/", "scheme 'wss'"),
    ("ms-settings:privacy", "scheme 'ms-settings'"),
    ("http://good.com/", "not encrypted"),
    ("http://localhost.evil.com/", "not encrypted"),
    ("http://10.0.0.7/", "not encrypted"),
    ("https://good.com/\r\nX: y", "control"),
    ("https://go\tod.com/", "control"),
    ("java\nscript:alert(1)", "control"),
    (" https://good.com/", "space"),
    ("https://good.com/ x", "space"),
    ("https://good.com/\u00a0x", "space"),
    ("https://good.com/\x00", "control"),
    ("https://good.com/\x7f", "control"),
    ("https://good.com/\u202egpj.exe", "invisible"),
    ("https://go\u200bod.com/", "invisible"),
    ("https://go\u00adod.com/", "invisible"),
    ("https://\ufeffgood.com/", "invisible"),
    ("https://\udcffgood.com/", "invisible"),
    ("https://p\u0430ypal.com/", "different scripts"),
    ("https://xn--pypal-4ve.com/", "different scripts"),
    ("https://g\u03bf\u03bfgle.com/", "different scripts"),
    ("https://xn--999999999.com/", "international name"),
    ("https://xn--.com/", "international name"),
    ("https://\uff45xample.com/", "browsers replace"),
    ("https://example。com/", "no valid host"),
    ("https://ⓔxample.com/", "browsers replace"),
    ("https://good.com%2eevil.com/", "no valid host"),
    ("https://%67ood.com/", "no valid host"),
    ("https://good.com%00.evil.com/", "no valid host"),
    ("https://2130706433/", "different addresses"),
    ("https://0x7f000001/", "different addresses"),
    ("https://0x7f.1/", "different addresses"),
    ("https://0177.0.0.1/", "different addresses"),
    ("https://127.1/", "different addresses"),
    ("https://127.0.0.1.", "different addresses"),
    ("https://1.2.3.4.5/", "different addresses"),
    ("https://256.1.1.1/", "different addresses"),
    ("https://[::ffff:127.0.0.1]/", "different addresses"),
    ("https://[2002:7f00:1::]/", "different addresses"),
    ("https://169.254.169.254/latest/meta-data", "no website"),
    ("https://[fe80::1]/", "no website"),
    ("https://0.0.0.0/", "no website"),
    ("https://[::]/", "no website"),
    ("https://224.0.0.1/", "no website"),
    ("https://[fe80::1%25eth0]/", "no valid host"),
    ("https://[::1/", "no valid host"),
    ("https://[zz]/", "no valid host"),
    ("https://", "no valid host"),
    ("https:///path", "no valid host"),
    ("https://?q", "no valid host"),
    ("https://./", "no valid host"),
    ("https://a..b/", "no valid host"),
    ("https://-a.com/", "no valid host"),
    ("https://a b.com/", "space"),
    ("https://good.com:/", "no valid host"),
    ("https://good.com:0/", "invalid port"),
    ("https://good.com:65536/", "invalid port"),
    ("https://good.com:8x/", "no valid host"),
    ("https://" + "a" * 64 + ".com/", "no valid host"),
    ("https://" + "a." * 130 + "com/", "too long"),
    ("https:good.com", "of the form"),
    ("https:/good.com", "of the form"),
    ("//good.com/", "of the form"),
    ("good.com", "of the form"),
    ("/relative", "of the form"),
    ("https://good.com/" + "a" * 9000, "too long"),
    ("", "missing"),
    (None, "missing"),
    (7, "missing"),
]


@pytest.mark.parametrize("url", PLAIN)
def test_an_honest_url_is_shown_without_warnings(url: str) -> None:
    verdict = judge_url(url)
    assert (verdict.refusal, verdict.warnings) == (None, ())
    assert verdict.host


@pytest.mark.parametrize(("url", "warning"), WARNED)
def test_an_unusual_url_is_shown_with_a_warning(url: str, warning: str) -> None:
    verdict = judge_url(url)
    assert verdict.refusal is None
    assert warning in " ".join(verdict.warnings)
    assert verdict.host.isascii()


@pytest.mark.parametrize(("url", "reason"), REFUSED)
def test_a_deceiving_url_is_refused(url: object, reason: str) -> None:
    verdict = judge_url(url)
    assert verdict.refusal is not None
    assert reason in verdict.refusal
    assert (verdict.host, verdict.warnings) == ("", ())


def test_the_table_is_as_long_as_promised() -> None:
    urls = [*PLAIN, *(url for url, _ in WARNED), *(url for url, _ in REFUSED)]
    assert len(set(urls)) == len(urls) >= 40


@given(st.text() | st.text(max_size=40).map(lambda text: f"https://{text}/"))
def test_any_text_gets_a_verdict_and_a_shown_host_is_plain(text: str) -> None:
    verdict = judge_url(text)
    assert (verdict.refusal is None) == bool(verdict.host)
    assert verdict.host.isascii()
    assert not set(verdict.host) & set(" \\@%\r\n\t")


def test_judging_asks_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a name was resolved or a connection opened")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for url, _ in [*WARNED, *REFUSED]:
        judge_url(url)
