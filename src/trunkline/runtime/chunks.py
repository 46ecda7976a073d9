"""The contents of a resource cut into chunks, each decoded when it is asked for and not before."""

from __future__ import annotations

import binascii
from collections import deque
from collections.abc import Iterator

from trunkline.core.resource import Chunk, ReadReply, ResourceContent, encode_text
from trunkline.errors import ProtocolError


def cut_contents(reply: ReadReply, chunk_bytes: int) -> Iterator[Chunk]:
    """Give the bytes of all contents, in order, in chunks of at most `chunk_bytes`.

    Raises:
        ProtocolError: from the step that meets broken base64; what came before is right.
    """
    server, contents = reply.server, deque(reply.contents)
    del reply
    position = 0
    while contents:
        content = contents.popleft()
        for data in _cut(content, chunk_bytes, server):
            yield Chunk(data=data, uri=content.uri, mime_type=content.mime_type, position=position)
        position += 1


def _cut(content: ResourceContent, chunk_bytes: int, server: str) -> Iterator[bytes]:
    if content.text is not None:
        return _cut_text(content.text, chunk_bytes)
    return _cut_base64(content.raw["blob"], chunk_bytes // 3 * 4, server)


def _cut_text(text: str, chunk_bytes: int) -> Iterator[bytes]:
    step = chunk_bytes if text.isascii() else chunk_bytes // 4
    for place in range(0, len(text), step):
        yield encode_text(text[place : place + step])


def _cut_base64(encoded: str, step: int, server: str) -> Iterator[bytes]:
    for place in range(0, len(encoded), step):
        part = encoded[place : place + step]
        try:
            data = binascii.a2b_base64(part.encode("ascii"), strict_mode=True)
        except ValueError as cause:
            raise _broken(server, place) from cause
        if len(data) * 4 != len(part) * 3 and place + step < len(encoded):
            raise _broken(server, place)
        yield data


def _broken(server: str, place: int) -> ProtocolError:
    return ProtocolError(
        f"the resource's base64 is broken at or after character {place:,}",
        code="malformed_answer",
        server=server,
        delivery="answered",
        hint="Report the malformed answer to the server's author.",
    )
