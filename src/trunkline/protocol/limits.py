"""Whether a message keeps to the limits on its shape, told from its bytes alone."""

from __future__ import annotations

from itertools import accumulate

from trunkline.core.limits import Limits


class LimitExceeded(ValueError):  # noqa: N818 - a verdict, not a fault of ours
    """A frame is over a limit; the text says which."""


_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_ALL_BUT_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")


def check_shape(frame: bytes, limits: Limits) -> None:
    """Refuse a frame that nests too deep or holds too many values, before anything is built from it.

    Linear in the frame's length. Counting brackets and commas over the raw bytes can only
    overestimate, so nearly every frame is cleared without looking inside its strings.

    Raises:
        LimitExceeded: the frame is too deep or too wide.
    """
    opened = frame.count(b"[") + frame.count(b"{")
    # Each value takes a byte, so that a short frame need not be searched for commas.
    if opened <= limits.depth and (len(frame) <= limits.nodes or opened + frame.count(b",") <= limits.nodes):
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
    """Add up the steps in and out, read as signed bytes, and see how deep they ever lead.

    What closes more than was open is no JSON, and no decoder goes deeper into it.
    """
    steps = bare.translate(_STEPS, _ALL_BUT_BRACKETS)
    if b"\x01" * (depth + 1) in steps:
        return True
    return max(accumulate(memoryview(steps).cast("b")), default=0) > depth
