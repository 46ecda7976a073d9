"""Make untrusted text safe to show: nothing in it acts on a terminal, and nothing in it is invisible.

Color and cursor sequences are dropped. Every other control, bidi, zero-width or tag character becomes
visible, such as `\\u202e`, unless it is part of an emoji or of ordinary Indic, Arabic or CJK writing.
No text that a reader could miss but a program would see is ever dropped.
"""

from __future__ import annotations

import re
import unicodedata

_CSI = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]")
"""Control sequences of ECMA-48, 5.4; their parameters cannot carry words."""
_LINE_BREAK = re.compile(r"\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_GAP = re.compile(r"[\t\n]\s*")
_FLAG = (
    "\U0001f3f4(?:\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067"
    "|\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074"
    "|\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073)\U000e007f"
)
"""The subdivision flags in general use (Unicode UTS 51, ED-14a): England, Scotland, Wales."""
_TAGS = "[\U000e0020-\U000e007e]+"
_INVISIBLE = (
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SUSPECT = re.compile(f"{_FLAG}|{_TAGS}|{_INVISIBLE}")
_PICTURE = re.compile(
    "[\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2934\u2935\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_JOINING_SCRIPT = re.compile(
    "[\u0620-\u074f\u0750-\u077f\u07ca-\u07fa\u0840-\u0887\u08a0-\u0dff\u0f00-\u109f\u1780-\u18aa"
    "\ufb50-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc]"
)
_MONGOLIAN = re.compile("[\u1820-\u18aa]")
_IDEOGRAPH = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_VIRAMA = 9
_KEYCAP = "\u20e3"


def sanitize_text(text: str, *, multiline: bool = False) -> str:
    """Give `text` with everything in it that could act or hide made visible.

    The result does not change when it is sanitized again.

    Args:
        multiline: keep line breaks (each kind becomes a newline) and tabs; otherwise each becomes one
            space, together with the white space after it.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _LINE_BREAK.sub("\n", _CSI.sub("", text))
    if not multiline:
        text = _GAP.sub(" ", text)
    return _SUSPECT.sub(_make_visible, text)


def _make_visible(match: re.Match[str]) -> str:
    found = match[0]
    if "\U000e0020" <= found[0] <= "\U000e007e":
        return f"[hidden tags: {''.join(chr(ord(char) - 0xE0000) for char in found)}]"
    if len(found) > 1 or _belongs(match.string, match.start()):
        return found
    code = ord(found)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _belongs(text: str, at: int) -> bool:
    """Whether the invisible character at `at` is a lawful part of the writing around it."""
    char, before, after = text[at], text[at - 1 : at], text[at + 1 : at + 2]
    match char:
        case "\u200c":
            return _joins_letters(before, after)
        case "\u200d":
            return _joins_letters(before, after) or _joins_pictures(text, at)
        case "\ufe0e" | "\ufe0f":
            return bool(_PICTURE.match(before)) or (after == _KEYCAP and before in set("0123456789#*"))
        case _ if "\u180b" <= char <= "\u180f":
            return bool(_MONGOLIAN.match(before))
        case _ if "\ufe00" <= char <= "\ufe0d" or "\U000e0100" <= char <= "\U000e01ef":
            return bool(_IDEOGRAPH.match(before))
        case _:
            return False


def _joins_letters(before: str, after: str) -> bool:
    """ZWJ and ZWNJ spell words between two letters of a joining script, or after a virama."""
    if not _JOINING_SCRIPT.match(before):
        return False
    return bool(_JOINING_SCRIPT.match(after)) or unicodedata.combining(before) == _VIRAMA


def _joins_pictures(text: str, at: int) -> bool:
    base = at - 2 if text[at - 1 : at] == "\ufe0f" else at - 1
    return base >= 0 and bool(_PICTURE.match(text, base) and _PICTURE.match(text, at + 1))
