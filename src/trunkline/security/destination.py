"""Judges the URLs that servers send people to. Pure: nothing here resolves or fetches anything.

A URL that programs read in different ways, or that hides where it leads, is refused; one that is only
unusual is shown with warnings (specification 2026-07-28, client/elicitation, "Safe URL Handling").
"""

from __future__ import annotations

import re
import unicodedata
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

_LONGEST = 8192
_LONG = 2000
_URL = re.compile(r"(https?)://([^/?#]*)(.*)\Z", re.IGNORECASE | re.DOTALL)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@%]+)(?::(\d{1,5}))?\Z", re.IGNORECASE)
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|\d+)\Z")
_DOTTED = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!\Z)|\Z)){4}\Z")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\Z")
_DOMAINS = frozenset({"com", "org", "net", "gov", "edu", "mil", "bank"})
"""Endings that a person reads as the end of a name."""
_TOGETHER = frozenset({"LATIN", "HAN", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"})
"""Scripts that ordinary names mix (Unicode UTS 39, 5.2, "Highly Restrictive")."""


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one URL."""

    host: str = ""
    """Where it leads, in lower case and ASCII; "" when the URL is refused."""
    refusal: str | None = None
    """Why it must not be shown or opened, in words that follow "the URL"; or None."""
    warnings: tuple[str, ...] = ()
    """What a person should know before opening it, one sentence each."""


class _RefusedError(Exception):
    """Says why, in words that follow "the URL"."""


def judge_url(url: object) -> Destination:
    """Decide whether a person may be shown a URL a server sent, and with which warnings; never raises."""
    try:
        scheme, host, port, rest = _split(url)
        warnings = _judge_host(host)
        _judge_scheme(scheme, host)
    except _RefusedError as refused:
        return Destination(refusal=str(refused))
    if port is not None and port != (443 if scheme == "https" else 80):
        warnings.append(f"It uses the unusual port {port}.")
    if len(rest) > _LONG:
        warnings.append("It is unusually long.")
    return Destination(host=_plain(host), warnings=tuple(warnings))


def _split(url: object) -> tuple[str, str, int | None, str]:
    """Take a URL apart where every program takes it apart in the same way."""
    if not isinstance(url, str) or not url:
        raise _RefusedError("is missing")
    if len(url) > _LONGEST:
        raise _RefusedError("is too long")
    if any(char == "\\" or char.isspace() or unicodedata.category(char)[0] == "C" for char in url):
        raise _RefusedError("holds a space, backslash, or control or invisible character")
    if (match := _URL.match(url)) is None:
        scheme = _SCHEME.match(url)
        if scheme is not None and scheme[1].lower() not in ("http", "https"):
            raise _RefusedError(f"has the scheme {scheme[1].lower()!r}; only https is allowed")
        raise _RefusedError("is not of the form https://host/")
    authority = match[2]
    if "@" in authority:
        raise _RefusedError("holds a user name, which can pass for a host")
    if (parts := _AUTHORITY.match(authority)) is None or parts[1].strip(".") == "":
        raise _RefusedError("has no valid host")
    port = None if parts[2] is None else int(parts[2])
    if port is not None and not 0 < port < 65536:
        raise _RefusedError("has an invalid port")
    return match[1].lower(), parts[1].lower(), port, match[3]


def _judge_scheme(scheme: str, host: str) -> None:
    if scheme == "https" or _is_loopback(host):
        return
    raise _RefusedError("is not encrypted (http)")


def _judge_host(host: str) -> list[str]:
    """Give the warnings about a host, or refuse it."""
    if (address := _address(host)) is not None:
        return _judge_address(address)
    if len(host) > 253:
        raise _RefusedError("has a host that is too long")
    if unicodedata.normalize("NFKC", host).lower() != host:
        raise _RefusedError("has a host with characters that browsers replace by others")
    labels = host.removesuffix(".").split(".")
    if _NUMERIC.match(labels[-1]):
        raise _RefusedError("has a host that programs read as different addresses")
    warnings = [warning for label in labels for warning in _judge_label(label)]
    if _is_loopback(host):
        warnings.append("It leads to a program on this computer.")
    elif len(labels) == 1:
        warnings.append("Its host is a name of your own network.")
    elif "localhost" in labels[:-1] or any(label in _DOMAINS for label in labels[1:-2]):
        warnings.append(f"Its host only begins like a known name; it belongs to {'.'.join(labels[-2:])}.")
    return warnings


def _judge_label(label: str) -> list[str]:
    if label.startswith("xn--"):
        shown = _decode(label)
        _refuse_mixed(shown)
        return [f"Its host holds {label}, which browsers may show as {shown!r}."]
    if label.isascii():
        if len(label) > 63 or not _LABEL.match(label):
            raise _RefusedError("has no valid host")
        return []
    if not all(char.isalnum() or char == "-" or unicodedata.combining(char) for char in label):
        raise _RefusedError("has no valid host")
    _refuse_mixed(label)
    return [f"Its host was written {label!r}, with letters that may look like others."]


def _refuse_mixed(label: str) -> None:
    """Refuse letters of scripts that no honest name mixes, such as Latin and Cyrillic."""
    scripts = {_script(char) for char in label if char.isalpha()}
    if len(scripts) > 1 and not scripts <= _TOGETHER:
        raise _RefusedError("has a host that mixes letters of different scripts")


def _script(char: str) -> str:
    name = unicodedata.name(char, "UNKNOWN").partition(" ")[0]
    return "HAN" if name.startswith("CJK") else name


def _decode(label: str) -> str:
    try:
        shown = label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        raise _RefusedError("has a host that is no valid international name") from None
    if shown.isascii() or not all(
        char.isalnum() or char == "-" or unicodedata.combining(char) for char in shown
    ):
        raise _RefusedError("has a host that is no valid international name")
    return shown


def _plain(host: str) -> str:
    labels = (one if one.isascii() else "xn--" + one.encode("punycode").decode() for one in host.split("."))
    return ".".join(labels)


def _judge_address(address: IPv4Address | IPv6Address) -> list[str]:
    if isinstance(address, IPv6Address) and (address.ipv4_mapped or address.sixtofour or address.teredo):
        raise _RefusedError("has a host that programs read as different addresses")
    if address.is_loopback:
        return ["It leads to a program on this computer."]
    if address.is_unspecified or address.is_multicast or address.is_link_local or address.is_reserved:
        raise _RefusedError("leads to an address that no website has")
    if address.is_private:
        return ["It leads into your own network."]
    return ["Its host is a bare address, not a name."]


def _is_loopback(host: str) -> bool:
    name = host.removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """Read a host as an address where every program does so."""
    if not (host.startswith("[") or _DOTTED.match(host)):
        return None
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        raise _RefusedError("has no valid host") from None
