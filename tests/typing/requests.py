"""The types of resources, prompts and raw requests, as mypy sees them; never run."""

from __future__ import annotations

from typing import assert_type

import trunkline
import trunkline.sync
from trunkline import Chunk, CompletionReply, Prompt, PromptReply, ReadReply, Reply, Resource, Template


async def offers(trunk: trunkline.Trunk) -> None:
    await trunk.ready(lists=True)
    assert_type(trunk.resources, tuple[Resource, ...])
    assert_type(trunk.templates, tuple[Template, ...])
    assert_type(trunk.prompts, tuple[Prompt, ...])
    assert_type(await trunk.read("a:b", "server", 5), ReadReply)
    assert_type(await trunk.get_prompt("greet", {"who": "you"}), PromptReply)
    assert_type(await trunk.complete(trunk.prompts[0], "who", "y"), CompletionReply)
    assert_type(await trunk.request("server", "method", {"a": 1}), Reply)
    await trunk.notify("server", "notifications/x")
    async for chunk in trunk.read_chunks("a:b", chunk_bytes=4096):
        assert_type(chunk, Chunk)
        assert_type(chunk.data, bytes)


def blocking(trunk: trunkline.sync.Trunk) -> None:
    assert_type(trunk.read("a:b"), ReadReply)
    assert_type(trunk.prompts, tuple[Prompt, ...])
    for chunk in trunk.read_chunks("a:b"):
        assert_type(chunk, Chunk)
