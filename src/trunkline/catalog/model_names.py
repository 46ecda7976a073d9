"""Names for models: `server__tool` in the characters model providers accept, and the way back.

Each name follows from its own tool alone, so adding or removing other tools never changes it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from trunkline.core.tool import Tool

MAX_LENGTH = 64
_JOINT = "__"
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]")
_SERVER = re.compile(r"(?!.*__)[A-Za-z0-9_-]*[A-Za-z0-9-]")
_TOOL = re.compile(r"[A-Za-z0-9_-]+")
_SHORT_DIGEST, _LONG_DIGEST = 8, 40
_LOOKS_DIGESTED = re.compile(rf"_(?:[0-9a-f]{{{_SHORT_DIGEST}}}|[0-9a-f]{{{_LONG_DIGEST}}})\Z")


class ModelNames:
    """Public names and model names, each to the other; built by `model_names`."""

    __slots__ = ("_to_model", "_to_public")

    def __init__(self, to_model: dict[str, str]) -> None:
        self._to_model = to_model
        self._to_public = {model: public for public, model in to_model.items()}

    def to_model(self, public_name: str) -> str:
        """Give the name a model sees; raises KeyError for a tool that is not in the table."""
        return self._to_model[public_name]

    def to_public(self, model_name: str) -> str | None:
        """Give the public name behind what a model said, or None when no tool has this name."""
        return self._to_public.get(model_name)

    def __len__(self) -> int:
        return len(self._to_model)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Public name and model name of each tool, in the order given."""
        return iter(self._to_model.items())


def model_names(tools: Iterable[Tool]) -> ModelNames:
    """Name every tool for models, one to one.

    A name that had to be changed or shortened, or that could be read as another tool's, ends in eight
    hexadecimal digits of the SHA-256 of the public name. Should two of those still be equal, both take
    forty digits.
    """
    names = {tool.public_name: (tool, _plain(tool) or _digested(tool, _SHORT_DIGEST)) for tool in tools}
    taken = Counter(name for _, name in names.values())
    return ModelNames(
        {
            public: name if taken[name] == 1 else _digested(tool, _LONG_DIGEST)
            for public, (tool, name) in names.items()
        }
    )


def _plain(tool: Tool) -> str | None:
    """The name as it is, where its first `__` can only be the joint; those names cannot collide."""
    name = tool.server + _JOINT + tool.name
    if len(name) > MAX_LENGTH or _LOOKS_DIGESTED.search(name):
        return None
    return name if _SERVER.fullmatch(tool.server) and _TOOL.fullmatch(tool.name) else None


def _digested(tool: Tool, digits: int) -> str:
    digest = hashlib.sha256(tool.public_name.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
    room = MAX_LENGTH - digits - 1 - len(_JOINT)
    server, name = _FORBIDDEN.sub("_", tool.server), _FORBIDDEN.sub("_", tool.name)
    server = server[: max(room // 3, room - len(name))]
    return f"{server}{_JOINT}{name[: room - len(server)]}_{digest}"
