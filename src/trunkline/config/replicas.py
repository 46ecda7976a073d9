"""Several endpoints of one logical server: as written in `trunkline.toml`, and as given from code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from trunkline.config.reference import REFERENCE
from trunkline.config.secret import conceal

WANTED = 'a list of URLs, or of tables such as { url = "https://...", region = "eu", weight = 1 }'
_KEYS = frozenset({"url", "region", "weight", "tags"})
_SCHEMES = ("http", "https", "ws", "wss")


class ReplicaPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """One more endpoint of a server that has a URL; headers and settings are those of the server."""

    url: str
    """Where it is; `${NAME}` and `${file:path}` stand for what is not to be written here."""
    region: str = ""
    """Where it stands, in words of yours."""
    weight: float = 1.0
    """Its share of the calls that may go anywhere, beside the weights of the others."""
    tags: tuple[str, ...] = ()
    """What it is marked with, for `needs` of a route."""

    def __str__(self) -> str:
        parts = [f'url = "{self.url}"']
        parts += [f'region = "{self.region}"'] * bool(self.region)
        parts += [f"weight = {self.weight:g}"] * (self.weight != 1)
        if self.tags:
            marks = ", ".join(f'"{one}"' for one in self.tags)
            parts.append(f"tags = [{marks}]")
        return f"{{ {', '.join(parts)} }}"


class Replica(msgspec.Struct, frozen=True):
    """One endpoint of a logical server, with what is known of it beside its entry."""

    entry: object
    """As in `mcpServers`: a URL, an object with `command` or `url`, or a peer in this process."""
    region: str = ""
    weight: float = 1.0
    """Its share of the calls that may go anywhere."""
    tags: tuple[str, ...] = ()
    """What it is marked with, for `needs` of a route."""


class Replicas:
    """Several endpoints that are one logical server: `connect({"db": Replicas("https://a", "https://b")})`.

    Args:
        endpoints: each a `Replica`, or what it takes as its entry; the first is the one preferred where
            calls have to stay at one.

    Raises:
        ValueError: there is none, or a weight is no number greater than 0.
    """

    def __init__(self, *endpoints: object) -> None:
        if not endpoints:
            raise ValueError("a server needs at least one endpoint")
        self.endpoints = tuple(one if isinstance(one, Replica) else Replica(one) for one in endpoints)
        for one in self.endpoints:
            if not is_weight(one.weight):
                raise ValueError(f"a weight must be a number greater than 0, not {one.weight!r}")

    def __repr__(self) -> str:
        return f"Replicas({len(self.endpoints)} endpoints)"


def is_weight(value: object) -> bool:
    """Whether this can be a share of calls."""
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and value > 0 and math.isfinite(value)
    )


def are_replicas(value: object) -> bool:
    """Whether this is what `replicas` takes."""
    return isinstance(value, list) and all(_is_replica(one) for one in value)


def read_replicas(value: list[Any]) -> tuple[ReplicaPolicy, ...]:
    """Give the endpoints of a list that `are_replicas` accepts."""
    return tuple(
        ReplicaPolicy(url=one)
        if isinstance(one, str)
        else ReplicaPolicy(
            url=one["url"],
            region=one.get("region", ""),
            weight=float(one.get("weight", 1.0)),
            tags=tuple(one.get("tags", ())),
        )
        for one in value
    )


def _is_replica(one: object) -> bool:
    if isinstance(one, str):
        return _is_url(one)
    if not isinstance(one, Mapping) or not one.keys() <= _KEYS:
        return False
    return (
        _is_url(one.get("url"))
        and isinstance(one.get("region", ""), str)
        and is_weight(one.get("weight", 1))
        and are_tags(one.get("tags", []))
    )


def are_tags(value: object) -> bool:
    """Whether this is what marks an endpoint."""
    return isinstance(value, list | tuple) and all(isinstance(one, str) and one.strip() for one in value)


def _is_url(value: object) -> bool:
    """Whether this is a URL that holds no secret, or begins with a reference to what one is."""
    if not isinstance(value, str) or any(mark <= " " for mark in value):
        return False
    if REFERENCE.match(value):
        return True
    try:
        parts = urlsplit(REFERENCE.sub("x", value))
        named = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return named and not conceal(REFERENCE.sub("", value))[1]
