"""URIs as errors, logs and traces may name them: without what may be a credential. Pure."""

from __future__ import annotations

import re

_USER = re.compile(r"(?<=//)[^/?#]*@")
_REST = re.compile(r"\{?[?#]")
"""Where a query or fragment begins, also one that a URI template spells (RFC 6570, 3.2.8)."""


def without_secrets(uri: str) -> str:
    """Give a URI without its user, password, query and fragment."""
    return _USER.sub("", _REST.split(uri, maxsplit=1)[0])


def without_secrets_of(uri: str, text: str) -> str:
    """Give a text that may repeat a URI, with that URI's secrets left out."""
    return text.replace(uri, without_secrets(uri)) if uri else text
