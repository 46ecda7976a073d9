"""The connections a server may have, each as the settings of a supervisor of its own. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from trunkline.core.routing import EjectionSettings
from trunkline.supervision.ejection import PROBE_EVERY
from trunkline.supervision.recovery import RestartPolicy
from trunkline.supervision.settings import ServerSettings

_NEVER = EjectionSettings(failures=0)
"""Of several connections to one endpoint, none does better than another."""


def settings_of(settings: ServerSettings) -> list[tuple[int, bool, ServerSettings]]:
    """Give endpoint, whether it is a spare one, and settings of every connection a server may have."""
    pool, endpoints = settings.pool, (settings, *settings.replicas)
    alone = pool.most * len(endpoints) == 1
    found: list[tuple[int, bool, ServerSettings]] = []
    for slot in range(pool.most):
        spare = slot >= max(1, pool.min)
        for at, endpoint in enumerate(endpoints):
            member = replace(
                endpoint,
                member="" if alone else str(len(found) + 1),
                lazy=spare or settings.lazy,
                restart=_on_demand(endpoint.restart) if spare else _spaced(endpoint.restart, len(endpoints)),
                replicas=(),
                ejection=endpoint.ejection if len(endpoints) > 1 else _NEVER,
            )
            found.append((at, spare, member))
    return found


def _on_demand(policy: RestartPolicy) -> RestartPolicy:
    """A spare connection that is lost comes back when the others are busy."""
    return replace(policy, automatic=False)


def _spaced(policy: RestartPolicy, endpoints: int) -> RestartPolicy:
    """One of several endpoints is not tried more often than one that is ejected."""
    return policy if endpoints == 1 else replace(policy, spacing=PROBE_EVERY)
