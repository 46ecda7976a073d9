"""The part of the front door by which a configuration changes under an open runtime."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from trunkline.config.changes import Changes, compare
from trunkline.config.entry import Entry
from trunkline.config.loading import Config, load
from trunkline.config.policy import Policy
from trunkline.core.status import ConfigStatus
from trunkline.errors import ConfigError
from trunkline.runtime.caching import Caching
from trunkline.runtime.followed_files import FollowedFiles
from trunkline.runtime.layering import Layering
from trunkline.runtime.routes import Routes
from trunkline.supervision.fleet import Fleet
from trunkline.supervision.settings import ServerSettings


class Reloading:
    """What `Trunk` does to follow its configuration; it sets the attributes below."""

    config: Config
    _target: object
    _name: str | None
    _policy: Policy
    _policy_source: str | Path | Mapping[str, Any] | None
    _profile: str | None
    _files: FollowedFiles
    _fleet: Fleet
    _routes: Routes
    _caching: Caching
    _layering: Layering

    async def reload(self) -> Changes:
        """Read the configuration again and bring servers in line with it; give what was done.

        Servers whose entry and settings are as before are not touched. One that is another now, or gone,
        takes no more calls, and ends when those in flight have; its successor takes calls at once. Servers
        that `add` took in stay. A configuration that cannot be read changes nothing.

        Raises:
            ConfigError: a file cannot be used, or the trunk was given a configuration that was read already.
        """
        return self._adopt(self._load())

    def config_status(self) -> ConfigStatus:
        """Say which configuration files are followed, and what is wrong with them as they are now."""
        return self._files.status()

    def _adopt(self, config: Config) -> Changes:
        """Bring servers in line with a configuration, at once."""
        policy = config.policy.activate(self._profile) if self._profile else config.policy
        after = replace(config, policy=policy)
        changes = compare(replace(self.config, policy=self._policy), after)
        self.config, self._policy = config, policy
        self._routes.adopt(policy)
        self._caching.adopt()
        for name in (*changes.removed, *changes.changed):
            if name in self._fleet:
                self._fleet.retire(name)
                self._caching.drop_server(name)
        for entry in config.entries:
            if entry.name not in self._fleet:
                self._fleet.add(self._assemble(entry))
            elif entry.name in changes.adjusted:
                self._fleet.adjust(self._assemble(entry))
        self._layering.forget(self._fleet.servers)
        self._routes.forget()
        return changes

    def _load(self) -> Config:
        if isinstance(self._target, Config):
            raise ConfigError(
                "this trunk was opened with a configuration that was read already",
                hint="Open it with the files, or use `add` and `remove`.",
            )
        return load(self._target, name=self._name, policy=self._policy_source, profile=self._profile)

    def _require_watching(self) -> None:
        from trunkline.runtime.folder_watch import require_watchfiles

        require_watchfiles()

    def _follow_files(self) -> None:
        from trunkline.config.footprint import files_of

        files = partial(files_of, self._target, policy=self._policy_source)
        self._files.follow(self._load, files, self._adopt)

    def _assemble(self, entry: Entry) -> ServerSettings:
        raise NotImplementedError
