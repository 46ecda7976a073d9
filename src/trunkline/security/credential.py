"""Finds form fields that ask a person for a credential.

No server may ask for a password, key, token or payment credential in a form (specification 2026-07-28,
client/elicitation). This errs on the side of finding one: who is wrongly found can ask by URL.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

_FOLDED = str.maketrans("аеорсухіјѕԁɡκνοѵ", "aeopcyxijsdgkvov")
"""Letters of other scripts that look like Latin ones."""
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BREAK = re.compile(r"[^\w]+|_+")
_TERMS = (
    r"pass ?(?:words?|wd|phrases?|codes?)", "pwd", "passwort", "kennwort", r"mot de passe", "contrasena",
    "senha", "пароль", "secrets?", r"credentials?", "token", "tokens",
    r"(?:api|access|private|secret|account|auth|signing|encryption|ssh|license|master|session|client|service"
    r"|shared|deploy|storage|webhook|recovery|backup|root|admin) ?keys?",
    r"(?:seed|recovery|backup|secret) (?:phrase|words?)", "mnemonic", "bearer", "cookie", "jwt",
    r"(?:github|gitlab|azure|devops|access) pat",
    r"(?:otp|totp|mfa|2 ?fa)(?: code)?", r"one time (?:code|pass\w*|pin)",
    r"(?:verification|auth|authentication|authorization|authenticator|security|login|sms|mfa|2 ?fa|recovery"
    r"|backup) codes?",
    r"(?:credit|debit|bank|payment|prepaid) ?card(?: ?(?:no|nr|num|number|details|data))?",
    r"card ?(?:no|nr|num|number|verification\w*)",
    r"cc ?(?:no|nr|num|number)", "cvv2?", "cvc2?", "card pin", "pin", r"pin (?:code|number)", "iban",
)  # fmt: skip
_TERM = re.compile(rf"(?<!\w)(?:{'|'.join(_TERMS)})(?!\w)")
_COUNTED = re.compile(
    r"(?<!\w)(?:(?:max|min|total|input|output|completion|prompt|number of|how many|context)(?: \w+)? tokens?"
    r"|tokens? (?:count|limit|budget|usage|length|size|per|type|window)"
    r"|cookie (?:recipe|flavou?r|policy|banner|cutter)s?|pin (?:on|to|this|it|the|message|post)\w*)(?!\w)"
)
"""Words for amounts of text, and other uses that ask for nothing secret."""
_GLUED = re.compile(r"password|passwd|passphrase|passcode|apikey|secretkey|accesskey|privatekey|cardnumber")
"""Told apart in any surroundings: no ordinary word holds them."""
_CJK = re.compile("密码|密碼|口令|パスワード|暗証番号|비밀번호|암호")
_FORMATS = frozenset({"password", "secret", "token", "credential", "api-key", "credit-card"})
_MOST_DEPTH = 8


def find_credential(schema: Mapping[str, Any]) -> str | None:
    """Give the name of a field that looks like a credential by name, title, description or format, or None.

    A field that only lets a person choose, such as a boolean or an enumeration, can hold none.

    Args:
        schema: of the form.
    """
    for name, field in _fields(schema, _MOST_DEPTH):
        if not _chooses(field) and _looks_secret(name, field):
            return name
    return None


def mentions_credential(text: str) -> bool:
    """Say whether a text speaks of a credential, in whatever spelling."""
    if _CJK.search(unicodedata.normalize("NFKC", text)):
        return True
    words = _normalize(text)
    if _GLUED.search(words.replace(" ", "")):
        return True
    return _TERM.search(_COUNTED.sub(" ", words)) is not None


def _looks_secret(name: str, field: Mapping[str, Any]) -> bool:
    if str(field.get("format", "")).lower() in _FORMATS or field.get("writeOnly") is True:
        return True
    texts = (name, field.get("title"), field.get("description"))
    return any(isinstance(text, str) and mentions_credential(text) for text in texts)


def _chooses(field: Mapping[str, Any]) -> bool:
    if field.get("type") == "boolean" or "const" in field or isinstance(field.get("enum"), list):
        return True
    options = field.get("oneOf")
    return isinstance(options, list) and all(isinstance(one, Mapping) and "const" in one for one in options)


def _fields(schema: Any, depth: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give every property anywhere in a schema."""
    if not depth:
        return
    if isinstance(schema, list):
        for part in schema:
            yield from _fields(part, depth - 1)
    if not isinstance(schema, Mapping):
        return
    for key, value in schema.items():
        if key in ("properties", "patternProperties") and isinstance(value, Mapping):
            yield from ((str(name), field) for name, field in value.items() if isinstance(field, Mapping))
        if key not in ("default", "enum", "const", "examples"):
            yield from _fields(value, depth - 1)


def _normalize(text: str) -> str:
    """Give lower-case words with single spaces: no accents, invisible characters or look-alikes."""
    plain = unicodedata.normalize("NFKD", text)
    visible = "".join(char for char in plain if unicodedata.category(char) not in ("Mn", "Cf", "Cc"))
    spaced = _BREAK.sub(" ", _HUMP.sub(" ", visible)).lower().strip()
    folded = spaced.translate(_FOLDED)
    return folded if folded.isascii() else unicodedata.normalize("NFC", spaced)
