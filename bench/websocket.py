"""Frames of WebSocket (RFC 6455, section 5.2), as little of them as the neutral server and the floor need."""

from __future__ import annotations


def encode_frame(code: int, payload: bytes, mask: bytes = b"") -> bytes:
    """Give one whole frame; a client's is masked with four bytes, a server's is not."""
    size, bit = len(payload), 0x80 if mask else 0
    if size < 126:
        head = bytes((0x80 | code, bit | size))
    elif size < 1 << 16:
        head = bytes((0x80 | code, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | code, bit | 127)) + size.to_bytes(8, "big")
    return head + mask + (apply_mask(payload, mask) if mask else payload)


def split_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Give the whole frames of what has arrived, as (code, payload), and the bytes that are left."""
    frames: list[tuple[int, bytes]] = []
    start = 0
    while len(data) - start >= 2:
        size, at = data[start + 1] & 0x7F, start + 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(data[at : at + width], "big"), at + width
        masked = data[start + 1] & 0x80
        stop = at + size + (4 if masked else 0)
        if len(data) < stop:
            break
        payload = apply_mask(data[at + 4 : stop], data[at : at + 4]) if masked else data[at:stop]
        frames.append((data[start] & 0x0F, payload))
        start = stop
    return frames, data[start:]


def apply_mask(payload: bytes, mask: bytes) -> bytes:
    """Mask, or unmask."""
    size = len(payload)
    whole = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(size, "big")
