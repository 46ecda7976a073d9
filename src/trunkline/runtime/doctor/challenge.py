"""What a server asks for with 401 or 403, from its `WWW-Authenticate` header. Pure.

Sources: RFC 9110, section 11.6.1; RFC 6750, section 3; RFC 9728, section 5.1.
"""

from __future__ import annotations

import re

import msgspec

_SCHEME = re.compile(r"\s*,?\s*([A-Za-z][\w!#$%&'*+.^`|~-]*)(?=\s+[\w-]+\s*=|\s*,|\s*$|\s+\S)")
_PARAMETER = re.compile(r"\s*,?\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]+))")


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """The first challenge of a header."""

    scheme: str
    parameters: dict[str, str] = {}
    """By name in small letters."""

    def describe(self) -> str:
        """Say in one sentence what is asked for; the server's words are as they came."""
        said = {key: self.parameters.get(key, "") for key in ("realm", "scope", "resource_metadata")}
        parts = [
            f"It asks for a {self.scheme} token" if self.scheme == "Bearer" else f"It asks for {self.scheme}"
        ]
        parts += [f"of the realm {said['realm']!r}"] if said["realm"] else []
        parts += [f"with the scope {said['scope']!r}"] if said["scope"] else []
        sentence = " ".join(parts)
        if error := self.parameters.get("error"):
            sentence += f", and says {error}"
        if said["resource_metadata"]:
            sentence += f"; who gives such tokens stands at {said['resource_metadata']}"
        return f"{sentence}."


def read_challenge(header: str) -> Challenge | None:
    """Read the first challenge of a header; None where there is none."""
    scheme = _SCHEME.match(header)
    if scheme is None:
        return None
    parameters: dict[str, str] = {}
    at = scheme.end()
    while (found := _PARAMETER.match(header, at)) is not None:
        name, quoted, plain = found.groups()
        value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
        parameters.setdefault(name.lower(), value)
        at = found.end()
    return Challenge(scheme=scheme[1], parameters=parameters)
