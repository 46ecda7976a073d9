"""How large and how deep a peer's messages may be; each limit fails only what exceeded it."""

from __future__ import annotations

import msgspec

MIB = 1024 * 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Caps on what one server may send."""

    frame_bytes: int = 64 * MIB
    """Longest frame, in bytes. A frame without end at twice this closes the link."""
    inflation: int = 100
    """Largest ratio of a decompressed HTTP body to what was received."""
    depth: int = 64
    """Deepest nesting of arrays and objects in one frame."""
    nodes: int = 200_000
    """Most values (array items and object members) in one frame."""
    stderr_line_bytes: int = 64 * 1024
    """Longest line of standard error that is kept whole."""
    pages: int = 1_000
    """Most pages of one listing."""
    items: int = 100_000
    """Most items of one listing."""


class LimitExceeded(ValueError):  # noqa: N818 - a verdict, not a fault of ours
    """A frame is over a limit; the text says which."""


_ONLY_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")


def check_shape(frame: bytes, limits: Limits) -> None:
    """Refuse a frame that nests too deep or holds too many values, before anything is built from it.

    Linear in the frame's length. Counting brackets and commas over the raw bytes can only
    overestimate, so nearly every frame is cleared without looking inside its strings.

    Raises:
        LimitExceeded: the frame is too deep or too wide.
    """
    opened = frame.count(b"[") + frame.count(b"{")
    if opened <= limits.depth and opened + frame.count(b",") <= limits.nodes:
        return
    bare = _drop_strings(frame)
    opened = bare.count(b"[") + bare.count(b"{")
    if opened + bare.count(b",") > limits.nodes:
        raise LimitExceeded(f"holds more than {limits.nodes:,} values")
    if opened > limits.depth and _is_deeper(bare, limits.depth):
        raise LimitExceeded(f"is nested deeper than {limits.depth} levels")


def _drop_strings(frame: bytes) -> bytes:
    """Give the frame without its strings; an unescaped quote starts or ends each one."""
    plain = frame.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in frame else frame
    return b"".join(plain.split(b'"')[::2])


def _is_deeper(bare: bytes, depth: int) -> bool:
    brackets = bare.translate(None, _ONLY_BRACKETS)
    for _ in range(depth):
        inner = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(inner) == len(brackets):
            break
        brackets = inner
    return bool(brackets)
