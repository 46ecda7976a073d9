"""Equal tools of several servers under one name."""

from __future__ import annotations

import msgspec

from trunkline.core.routing import RouteSettings


class GroupTool(msgspec.Struct, frozen=True, kw_only=True):
    """One of the tools that are equal."""

    tool: str
    """Its public name `server.tool`."""
    region: str = ""
    """Where it stands, in words of yours."""
    weight: float = 1.0
    """Its share of the calls, beside the weights of the others."""
    tags: tuple[str, ...] = ()
    """What it is marked with, for `needs`."""

    def __str__(self) -> str:
        parts = [f'tool = "{self.tool}"']
        parts += [f'region = "{self.region}"'] * bool(self.region)
        parts += [f"weight = {self.weight:g}"] * (self.weight != 1)
        if self.tags:
            marks = ", ".join(f'"{one}"' for one in self.tags)
            parts.append(f"tags = [{marks}]")
        return f'"{self.tool}"' if len(parts) == 1 else f"{{ {', '.join(parts)} }}"


class GroupPolicy(RouteSettings, frozen=True, kw_only=True):
    """A group as it is written: its tools, and how one of them is chosen."""

    tools: tuple[GroupTool, ...] = ()
    """The tools, each a public name `server.tool`, or a table with it and `region`, `weight`, `tags`."""
